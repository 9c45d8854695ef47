//! The log's file: read, folded, appended to.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::cache::{Cache, Stamp as CacheStamp};
use super::chain::{self, Link};
use super::expressions::{self, ExpressionError};
use super::limits::{self, Unrecordable};
use super::line::{Line, LineKind};
use super::overlay::Overlay;
use super::record::{Change, Kind, Record, Stamp, write_line};
use super::syntax::{self, Ending, Entry, HEADER, Part, SyntaxError};
use crate::fs::lock::{self, LockError};
use crate::fs::{Context, FileError, atomic};
use crate::plan::Evaluator;

const TITLE: &str =
    "# Overrides on top of the built NixOS configuration; one record a line, appended by dynix, oldest first.\n";
/// How long another process that appends is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A tail with more records than this is worth a new checkpoint.
const TAIL: usize = 256;

/// The log can't be read, or not be added to; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process keeps it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It is a directory or the like.
    #[error("{path} is no plain file")]
    NotAFile {
        /// The log.
        path: String,
    },
    /// Others than root could have written it.
    #[error(
        "{path} can be changed by others (owner {uid}, mode {mode:o}), so its records are not trusted; \
         look at them, then `chown root {path}` and `chmod go-w {path}`"
    )]
    NotTrusted {
        /// The log.
        path: String,
        /// Its owner.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
    /// It is no text.
    #[error("{path} is not UTF-8 from byte {offset} on")]
    NotText {
        /// The log.
        path: String,
        /// Where.
        offset: usize,
    },
    /// It is text, and no log.
    #[error("{path}, {source}; repair that line by hand, or take it out")]
    Syntax {
        /// The log.
        path: String,
        /// Where and what.
        source: SyntaxError,
    },
    /// A record names one that is not there.
    #[error("{path}: {source}; see `dynix log`")]
    Chain {
        /// The log.
        path: String,
        /// Which one.
        source: chain::Unknown,
    },
    /// Records that are expressions can't be evaluated.
    #[error("{path}: {source}")]
    Expression {
        /// The log.
        path: String,
        /// Which and why.
        source: ExpressionError,
    },
    /// The change itself can't be recorded.
    #[error(transparent)]
    Unrecordable(#[from] Unrecordable),
}

/// What the log comes to.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// The overrides that hold.
    pub overlay: Overlay,
    /// The id of the last record; 0 where there is none.
    pub last_id: u64,
    /// What a person should know of the file.
    pub warnings: Vec<String>,
    ends: Vec<(u64, String)>,
}

impl Folded {
    /// The records that hold and whose time is over.
    #[must_use]
    pub fn expired(&self, now: SystemTime) -> Vec<u64> {
        let over = |until: &str| humantime::parse_rfc3339(until).is_ok_and(|until| until <= now);
        self.ends.iter().filter(|(_, until)| over(until)).map(|(id, _)| *id).collect()
    }

    /// The ends of records that hold: id and time (RFC 3339).
    #[must_use]
    pub fn ends(&self) -> &[(u64, String)] {
        &self.ends
    }
}

/// The override log.
#[derive(Clone, Debug)]
pub struct LogFile {
    path: Utf8PathBuf,
    cache: Cache,
    evaluator: Option<Evaluator>,
}

/// The file's content, and what is known of it already.
struct Content {
    text: String,
    file: File,
    metadata: std::fs::Metadata,
}

impl LogFile {
    /// The log at `path`, with its notes in the directory `cache`. Nothing is touched yet.
    #[must_use]
    pub fn new(path: &Utf8Path, cache: &Utf8Path, evaluator: Option<Evaluator>) -> Self {
        Self { path: path.to_owned(), cache: Cache::new(cache), evaluator }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// All records, oldest first, as they are written: nothing is evaluated.
    pub fn records(&self) -> Result<Vec<Record>, LogError> {
        let Some(content) = self.read()? else { return Ok(Vec::new()) };
        Ok(self.records_of(&content.text)?.0)
    }

    fn records_of(&self, text: &str) -> Result<(Vec<Record>, Ending), LogError> {
        let mut records = Vec::new();
        let mut before = 0;
        let ending = syntax::read(text, Part::Whole, |entry, id, _| {
            records.push(entry.into_record(before));
            before = id;
            Ok(())
        });
        Ok((records, ending.map_err(|source| self.no_log(source))?))
    }

    /// All records, with those that are expressions evaluated.
    pub fn evaluated_records(&self) -> Result<Vec<Record>, LogError> {
        let Some(content) = self.read()? else { return Ok(Vec::new()) };
        let (mut records, ending) = self.records_of(&content.text)?;
        self.resolve(&mut records, &ending, |_| true)?;
        Ok(records)
    }

    /// The ids of the records that hold, ascending: those with values that no rollback and no rejection leaves out.
    pub fn holding(&self) -> Result<Vec<u64>, LogError> {
        let Some(content) = self.read()? else { return Ok(Vec::new()) };
        let mut links = Vec::new();
        syntax::read(&content.text, Part::Whole, |entry, id, _| {
            links.push(link(&entry, id));
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        let holding =
            chain::holding(&links).map_err(|source| LogError::Chain { path: self.path.to_string(), source })?;
        let mut holding: Vec<u64> = holding.into_iter().collect();
        holding.sort_unstable();
        Ok(holding)
    }

    /// The overrides that hold.
    pub fn fold(&self) -> Result<Folded, LogError> {
        let Some((mut file, metadata)) = self.open()? else { return Ok(Folded::default()) };
        let stamp = self.cache.stamp(&metadata);
        if let Some(stamp) = &stamp
            && let Some(folded) = self.fold_tail(&mut file, stamp)?
        {
            return Ok(folded);
        }
        file.seek(SeekFrom::Start(0)).at("read", &self.path)?;
        let content = self.content(file, metadata)?;
        let (folded, count, whole) = self.fold_text(&content.text)?;
        if whole && self.is_unchanged(&content)? {
            let lineage = stamp.map(|stamp| stamp.lineage);
            if let (Some(stamp), true) = (self.cache.note(&content.metadata, lineage, folded.last_id), count > TAIL) {
                self.cache.keep(&stamp, content.metadata.len(), folded.last_id, &folded.overlay, &folded.ends);
            }
        }
        Ok(folded)
    }

    /// What the log would come to with `changes` at its end.
    pub fn preview(&self, changes: &[Change]) -> Result<Folded, LogError> {
        let simple = |change: &Change| matches!(change, Change::Set(..) | Change::Replace(..) | Change::Unset(_));
        if !changes.iter().all(simple) {
            let mut text = self.read()?.map_or_else(|| format!("{TITLE}{HEADER}\n"), |content| content.text);
            let (_, ending) = self.records_of(&text)?;
            text.truncate(ending.torn.unwrap_or(text.len()));
            let stamp = Stamp { time: "", by: "", until: None };
            for (change, id) in changes.iter().zip(ending.last_id + 1..) {
                end_line(&mut text);
                write_line(&mut text, id, &stamp, change).map_err(|error| Unrecordable::of(change, &error))?;
            }
            return Ok(self.fold_text(&text)?.0);
        }
        let mut folded = self.fold()?;
        for change in changes {
            folded.last_id += 1;
            match change {
                Change::Set(path, value) => put_leaves(&mut folded.overlay, &path.0, value, folded.last_id),
                Change::Replace(path, value) => folded.overlay.put(&path.0, value.clone(), folded.last_id),
                Change::Unset(path) => folded.overlay.unset(path),
                Change::Expression { .. } | Change::Rollback(_) | Change::Reject { .. } => {}
            }
        }
        Ok(folded)
    }

    /// Records `changes`, all or none, and gives their ids: when this returns they survive a power cut. `waiting` is
    /// told whom it waits for.
    pub fn append(
        &self,
        changes: &[Change],
        by: &str,
        until: Option<SystemTime>,
        mut waiting: impl FnMut(&str),
    ) -> Result<Vec<u64>, LogError> {
        changes.iter().try_for_each(limits::check)?;
        let (mut file, metadata) = self.open_locked(&mut waiting)?;
        let about_records = changes.iter().any(|change| matches!(change, Change::Rollback(_) | Change::Reject { .. }));
        let stamp = self.cache.stamp(&metadata);
        let (lineage, last_id, size, mut text) = match &stamp {
            Some(stamp) if !about_records => (Some(stamp.lineage), stamp.last_id, metadata.len(), String::new()),
            _ => self.examine(&mut file, &metadata, changes)?,
        };
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let until = until.map(|until| humantime::format_rfc3339_seconds(until).to_string());
        let stamp = Stamp { time: &now, by, until: until.as_deref() };
        let mut ids = Vec::with_capacity(changes.len());
        for (change, id) in changes.iter().zip(last_id + 1..) {
            write_line(&mut text, id, &stamp, change).map_err(|error| Unrecordable::of(change, &error))?;
            ids.push(id);
        }
        if size < metadata.len() {
            file.set_len(size).at("cut the torn last line of", &self.path)?;
        }
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // What did not arrive whole is no record: as if it had never been tried.
            let _ = file.set_len(size).and_then(|()| file.sync_all());
            return Err(error).at("append to", &self.path)?;
        }
        let metadata = file.metadata().at("look at", &self.path)?;
        self.cache.note(&metadata, lineage, ids.last().copied().unwrap_or(last_id));
        Ok(ids)
    }

    /// Reads a log that is not known to be good, before it is added to: lineage, last id, the size of what is whole,
    /// and what has to come before the first new record.
    fn examine(
        &self,
        file: &mut File,
        metadata: &std::fs::Metadata,
        changes: &[Change],
    ) -> Result<(Option<u64>, u64, u64, String), LogError> {
        let text = self.text(file)?;
        let mut links = Vec::new();
        let ending = syntax::read(&text, Part::Whole, |entry, id, _| {
            links.push(link(&entry, id));
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        for (change, id) in changes.iter().zip(ending.last_id + 1..) {
            links.push(match change {
                Change::Rollback(to) => Link::Rollback { id, to: *to },
                Change::Reject { id: rejected, .. } => Link::Reject { id, rejected: *rejected },
                _ => Link::Values(id),
            });
        }
        chain::holding(&links).map_err(|source| LogError::Chain { path: self.path.to_string(), source })?;
        let size = ending.torn.unwrap_or(text.len());
        let open = !text[..size].ends_with('\n');
        let lineage = self.cache.stamp(metadata).map(|stamp| stamp.lineage);
        Ok((lineage, ending.last_id, size as u64, if open { "\n".to_owned() } else { String::new() }))
    }

    /// The checkpoint with what came after it, if there is one that fits.
    fn fold_tail(&self, file: &mut File, stamp: &CacheStamp) -> Result<Option<Folded>, LogError> {
        let Some(checkpoint) = self.cache.checkpoint(stamp) else { return Ok(None) };
        file.seek(SeekFrom::Start(checkpoint.offset)).at("read", &self.path)?;
        let text = self.text(file)?;
        let mut overlay = checkpoint.overlay();
        let (mut ends, mut count, mut plain) = (checkpoint.ends.clone(), 0_usize, true);
        let ending = syntax::read(&text, Part::After { id: checkpoint.last_id }, |entry, id, _| {
            count += 1;
            plain = plain && fold_entry(entry, id, &mut overlay, &mut ends);
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        if !plain || ending.torn.is_some() {
            return Ok(None);
        }
        if count > TAIL {
            self.cache.keep(stamp, checkpoint.offset + text.len() as u64, ending.last_id, &overlay, &ends);
        }
        Ok(Some(Folded { overlay, last_id: ending.last_id, warnings: Vec::new(), ends }))
    }

    /// Folds a whole text; also how many records it has, and whether its last line is whole.
    fn fold_text(&self, text: &str) -> Result<(Folded, usize, bool), LogError> {
        let mut folded = Folded::default();
        let (mut count, mut plain) = (0_usize, true);
        let ending = syntax::read(text, Part::Whole, |entry, id, _| {
            count += 1;
            plain = plain && fold_entry(entry, id, &mut folded.overlay, &mut folded.ends);
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        if !plain {
            (folded.overlay, folded.ends) = self.fold_chain(text, &ending)?;
        }
        folded.last_id = ending.last_id;
        if let Some(torn) = ending.torn {
            let line = text[..torn].lines().count() + 1;
            folded.warnings.push(format!(
                "{}, line {line}: the last line is torn and counts as not written; the next append cuts it off",
                self.path
            ));
        }
        Ok((folded, count, ending.torn.is_none() && text.ends_with('\n')))
    }

    /// The same where records speak of records, or are expressions: first which ones hold, then their values.
    fn fold_chain(&self, text: &str, ending: &Ending) -> Result<(Overlay, Vec<(u64, String)>), LogError> {
        let mut links = Vec::new();
        let mut unread = Vec::new();
        syntax::read(text, Part::Whole, |entry, id, _| {
            links.push(link(&entry, id));
            if let Entry::Record(record) = entry
                && matches!(record.kind, Kind::Expression(_))
            {
                unread.push(record);
            }
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        let holding =
            chain::holding(&links).map_err(|source| LogError::Chain { path: self.path.to_string(), source })?;
        self.resolve(&mut unread, ending, |id| holding.contains(&id))?;
        let (mut overlay, mut ends) = (Overlay::default(), Vec::new());
        syntax::read(text, Part::Whole, |entry, id, _| {
            if !holding.contains(&id) {
                return Ok(());
            }
            let evaluated = unread.binary_search_by_key(&id, |record| record.id).ok();
            let entry = evaluated.map_or(entry, |index| Entry::Record(unread[index].clone()));
            fold_entry(entry, id, &mut overlay, &mut ends);
            Ok(())
        })
        .map_err(|source| self.no_log(source))?;
        Ok((overlay, ends))
    }

    /// Evaluates the expressions among `records` whose ids `wanted` takes.
    fn resolve(&self, records: &mut [Record], ending: &Ending, wanted: impl Fn(u64) -> bool) -> Result<(), LogError> {
        let unread: Vec<usize> = (0..records.len())
            .filter(|index| matches!(records[*index].kind, Kind::Expression(_)) && wanted(records[*index].id))
            .collect();
        let expressions: Vec<&Record> = unread.iter().map(|index| &records[*index]).collect();
        let directory = self.path.parent().unwrap_or(Utf8Path::new("/"));
        let read = expressions::resolve(&expressions, &ending.parameters, self.evaluator.as_ref(), directory)
            .map_err(|source| LogError::Expression { path: self.path.to_string(), source })?;
        for (index, record) in unread.into_iter().zip(read) {
            records[index].kind = record.kind;
        }
        Ok(())
    }

    fn no_log(&self, source: SyntaxError) -> LogError {
        LogError::Syntax { path: self.path.to_string(), source }
    }

    fn read(&self) -> Result<Option<Content>, LogError> {
        self.open()?.map(|(file, metadata)| self.content(file, metadata)).transpose()
    }

    fn content(&self, mut file: File, metadata: std::fs::Metadata) -> Result<Content, LogError> {
        let text = self.text(&mut file)?;
        if text.ends_with('\n') || text.is_empty() {
            return Ok(Content { text, file, metadata });
        }
        // Somebody may be in the middle of an append: look again when nobody is.
        lock::share(&file, &self.path)?;
        file.seek(SeekFrom::Start(0)).at("read", &self.path)?;
        let metadata = file.metadata().at("look at", &self.path)?;
        let text = self.text(&mut file)?;
        Ok(Content { text, file, metadata })
    }

    fn is_unchanged(&self, content: &Content) -> Result<bool, FileError> {
        let now = content.file.metadata().at("look at", &self.path)?;
        Ok(super::cache::Identity::of(&now) == super::cache::Identity::of(&content.metadata)
            && now.len() == content.text.len() as u64)
    }

    fn text(&self, file: &mut File) -> Result<String, LogError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at("read", &self.path)?;
        String::from_utf8(bytes).map_err(|error| LogError::NotText {
            path: self.path.to_string(),
            offset: error.utf8_error().valid_up_to(),
        })
    }

    fn open(&self) -> Result<Option<(File, std::fs::Metadata)>, LogError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", &self.path)?,
        };
        let metadata = self.trusted(&file)?;
        Ok(Some((file, metadata)))
    }

    fn trusted(&self, file: &File) -> Result<std::fs::Metadata, LogError> {
        let metadata = file.metadata().at("look at", &self.path)?;
        if !metadata.is_file() {
            return Err(LogError::NotAFile { path: self.path.to_string() });
        }
        let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
        if ours && metadata.mode() & 0o022 == 0 {
            Ok(metadata)
        } else {
            let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
            Err(LogError::NotTrusted { path: self.path.to_string(), uid, mode })
        }
    }

    /// Opens the log to append to it, created if missing, with nobody else appending.
    fn open_locked(&self, waiting: &mut impl FnMut(&str)) -> Result<(File, std::fs::Metadata), LogError> {
        loop {
            let file = match OpenOptions::new().read(true).append(true).open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.create()?;
                    continue;
                }
                Err(error) => return Err(error).at("open", &self.path)?,
            };
            self.trusted(&file)?;
            lock::hold(&file, &self.path, PATIENCE, &mut *waiting)?;
            let metadata = file.metadata().at("look at", &self.path)?;
            // An editor may have put another file there meanwhile.
            match std::fs::metadata(&self.path) {
                Ok(there) if (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()) => {
                    return Ok((file, metadata));
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).at("look at", &self.path)?,
            }
        }
    }

    /// Puts an empty log there, whole and durable, unless another process was quicker.
    fn create(&self) -> Result<(), FileError> {
        let directory = self.path.parent().unwrap_or(Utf8Path::new("/"));
        crate::fs::create_dir(directory)?;
        let mut file = tempfile::Builder::new()
            .prefix(".dynamic.nix.")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .at("create a file in", directory)?;
        file.write_all(format!("{TITLE}{HEADER}\n").as_bytes()).at("write", &self.path)?;
        // The process's umask may have taken bits that readers need.
        file.as_file().set_permissions(Permissions::from_mode(0o644)).at("set the mode of", &self.path)?;
        file.as_file().sync_all().at("sync", &self.path)?;
        match file.persist_noclobber(&self.path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error).at("create", &self.path),
        }
        atomic::sync_directory(directory)
    }
}

/// Folds one record that holds; `false` where it speaks of records or is an expression.
fn fold_entry(entry: Entry<'_>, id: u64, overlay: &mut Overlay, ends: &mut Vec<(u64, String)>) -> bool {
    match entry {
        Entry::Line(Line { kind: LineKind::Set(path, value), marks: [_, _, until], .. }) => {
            overlay.put(&path, value, id);
            ends.extend(until.map(|until| (id, until.into_owned())));
            true
        }
        entry => {
            if entry.is_about_records() {
                return false;
            }
            let record = entry.into_record(id - 1);
            overlay.fold(&record);
            ends.extend(record.until.clone().map(|until| (id, until)));
            !matches!(record.kind, Kind::Expression(_))
        }
    }
}

fn link(entry: &Entry<'_>, id: u64) -> Link {
    let kind = match entry {
        Entry::Line(Line { kind: LineKind::Other(kind), .. }) => kind,
        Entry::Record(record) => &record.kind,
        Entry::Line(_) => return Link::Values(id),
    };
    match kind {
        Kind::Rollback(to) => Link::Rollback { id, to: *to },
        Kind::Reject { id: rejected, .. } => Link::Reject { id, rejected: *rejected },
        _ => Link::Values(id),
    }
}

fn put_leaves(overlay: &mut Overlay, path: &[String], value: &serde_json::Value, id: u64) {
    match value {
        serde_json::Value::Object(below) => {
            for (name, value) in below {
                put_leaves(overlay, &[path, std::slice::from_ref(name)].concat(), value, id);
            }
        }
        leaf => overlay.put(path, leaf.clone(), id),
    }
}

fn end_line(text: &mut String) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
}
