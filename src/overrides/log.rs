//! The log's file: read, folded, appended to.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{MemfdFlags, OFlags};

use super::LogError;
use super::cache::{Cache, FileState, Good, LogStamp};
use super::chain::Unknown;
use super::entry::{Entry, Operation};
use super::expressions::{self, ExpressionError, Wanted, With};
use super::fold::{self, Ids, Outcome, Source, State};
use super::limits::{self, Unrecordable};
use super::overlay::Overlay;
use super::reader::{End, Place, Torn};
use super::record::{Change, Kind, Record, Stamp, write_line};
use super::values::Values;
use crate::fs::atomic::{self, Durability};
use crate::fs::lock::{self, Lock, LockError};
use crate::fs::{Context, Directory, Untrusted};
use crate::paths::Paths;
use crate::plan::Evaluator;

/// How a new log begins.
pub const HEADER: &str = "\
# Overrides on top of the built NixOS configuration; one record a line, appended by dynix, oldest first.
{ overrides, config, lib, pkgs, ... }: overrides
";
/// The parameters of [`HEADER`]'s function.
const PARAMETERS: &str = "{ overrides, config, lib, pkgs, ... }";
/// How long another process that appends is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a log that changes under our eyes is read again.
const TRIES: usize = 5;

/// What the log comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// The overrides that hold.
    pub overlay: Overlay,
    /// The id of the last record; 0 where there is none.
    pub last_id: u64,
    /// What a person should know of the file.
    pub warnings: Vec<String>,
    /// A last line that was not written whole: it does not count, and the next append cuts it off.
    pub torn: Option<Torn>,
    /// Records that hold and are expressions without a value: they count as not recorded.
    pub unevaluated: Vec<ExpressionError>,
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
    pub(super) path: Utf8PathBuf,
    pub(super) cache: Cache,
    evaluator: Option<Evaluator>,
    values: Values,
    /// Whether this process has the log's lock already, so that nothing here asks for it.
    locked: bool,
}

/// How the records of a decision are written.
#[derive(Clone, Copy, Debug)]
pub struct Marking<'m> {
    /// Who makes them.
    pub by: &'m str,
    /// When they stop to count.
    pub until: Option<SystemTime>,
    /// Each is rejected from the start, for this reason.
    pub rejected: Option<&'m str>,
}

/// The ids of what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The records.
    pub records: Vec<u64>,
    /// The rejection of each, where they are rejected from the start.
    pub rejections: Vec<u64>,
}

type Surveyed = (Vec<Record>, Option<(fold::Survey, End)>);

/// What is known of the log before it is added to.
struct Known {
    lineage: Option<String>,
    place: Place,
    ids: Ids,
    open_line: bool,
    torn: Option<Torn>,
}

impl LogFile {
    /// The log at `path`, with its notes in the directory `cache`. Nothing is touched yet.
    #[must_use]
    pub fn new(path: &Utf8Path, cache: &Utf8Path, evaluator: Option<Evaluator>) -> Self {
        let (path, notes) = (path.to_owned(), Cache::new(cache, path));
        Self { path, cache: notes, evaluator, values: Values::new(cache), locked: false }
    }

    /// The same, where values of expressions are kept for the system that `paths` lead to.
    #[must_use]
    pub fn keeping_for(self, paths: &Paths) -> Self {
        Self { values: self.values.of(paths), ..self }
    }

    /// The same for whoever puts it into effect: an expression that failed before is tried again.
    #[must_use]
    pub fn trying_again(self) -> Self {
        Self { values: self.values.trying_again(), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// All records, oldest first, as they are written: nothing is evaluated.
    pub fn records(&self) -> Result<Vec<Record>, LogError> {
        Ok(self.all()?.0)
    }

    /// Those records whose ids `wanted` takes, oldest first, as they are written.
    pub fn find(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<Record>, LogError> {
        Ok(self.select(wanted)?.0)
    }

    /// All records; those that hold and are expressions are evaluated.
    pub fn evaluated_records(&self) -> Result<Vec<Record>, LogError> {
        let (mut records, survey) = self.all()?;
        let Some((survey, end)) = survey else { return Ok(records) };
        let holding = survey.chain();
        let unread = |record: &Record| matches!(record.kind, Kind::Expression(_)) && holding.contains(record.id);
        let kinds = self.evaluate(&survey.wanted(&holding), &end, &RefCell::default())?;
        for (record, kind) in records.iter_mut().filter(|record| unread(record)).zip(kinds) {
            // What has no value stays as it is written.
            if let Some(kind) = kind {
                record.kind = kind;
            }
        }
        Ok(records)
    }

    /// The ids of the records that hold, ascending: those with values that no rollback and no rejection leaves out.
    pub fn holding(&self) -> Result<Vec<u64>, LogError> {
        let has_values = |record: &Record| !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. });
        let history = self.history()?.into_iter();
        Ok(history.filter(|(record, counts)| *counts && has_values(record)).map(|(record, _)| record.id).collect())
    }

    /// All records as they are written, oldest first, each with whether it counts: that no rollback and no rejection that
    /// counts itself leaves it out.
    pub fn history(&self) -> Result<Vec<(Record, bool)>, LogError> {
        let (records, survey) = self.all()?;
        let holding = survey.map(|(survey, _)| survey.chain()).unwrap_or_default();
        let with_counts = |record: Record| {
            let counts = holding.counts(record.id);
            (record, counts)
        };
        Ok(records.into_iter().map(with_counts).collect())
    }

    /// All records, and what they say of each other; nothing of that where there is no log.
    fn all(&self) -> Result<Surveyed, LogError> {
        self.select(|_| true)
    }

    fn select(&self, wanted: impl Fn(u64) -> bool) -> Result<Surveyed, LogError> {
        let mut records = Vec::new();
        let Some(file) = self.open_to_read()? else { return Ok((records, None)) };
        let size = self.state_of(&file)?.size;
        let source = Source { file: &file, path: &self.path, size, until: None, further: &[] };
        let survey = fold::survey(&source, None, |entry, found| {
            if wanted(found.id) {
                records.push(entry.clone().into_record(found.id));
            }
        })?;
        Ok((records, Some(survey)))
    }

    /// The overrides that hold. A log that is not there has no records.
    pub fn fold(&self) -> Result<Folded, LogError> {
        self.fold_with(&[])
    }

    /// What the log would come to with `changes` at its end. Nothing is written.
    pub fn preview(&self, changes: &[Change]) -> Result<Folded, LogError> {
        changes.iter().try_for_each(limits::check)?;
        self.fold_with(&changes.iter().map(Entry::of).collect::<Vec<_>>())
            .and_then(|folded| self.with_values(folded, changes.len()))
    }

    /// A fold with `new` records at its end, each of which has to have a value.
    fn with_values(&self, folded: Folded, new: usize) -> Result<Folded, LogError> {
        let last = folded.last_id.saturating_sub(new as u64);
        match folded.unevaluated.iter().find(|one| one.id > last) {
            Some(one) => Err(LogError::Expression { path: self.path.to_string(), source: one.clone() }),
            None => Ok(folded),
        }
    }

    /// The state right after record `id`; 0 for none at all.
    pub fn fold_at(&self, id: u64) -> Result<Folded, LogError> {
        let missing = || LogError::NoSuchRecord { path: self.path.to_string(), id };
        if id == 0 {
            return Ok(Folded::default());
        }
        let Some(file) = self.open_to_read()? else { return Err(missing()) };
        let size = self.state_of(&file)?.size;
        let source = Source { file: &file, path: &self.path, size, until: Some(id), further: &[] };
        let left_out = RefCell::default();
        let outcome = fold::fold(&source, None, &|wanted, end| self.evaluate(wanted, end, &left_out))?;
        if outcome.state.ids.last() == id { Ok(self.folded(outcome, left_out)) } else { Err(missing()) }
    }

    /// Records `changes`, all or none, and gives their ids: when this returns they survive a power cut. `waiting` is
    /// told whom it waits for.
    pub fn append(
        &self,
        changes: &[Change],
        by: &str,
        until: Option<SystemTime>,
        waiting: impl FnMut(&str),
    ) -> Result<Vec<u64>, LogError> {
        changes.iter().try_for_each(limits::check)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let entries: Vec<Entry<'static>> = changes.iter().map(Entry::of).collect();
        self.try_expressions(&entries)?;
        let (file, _lock) = self.open_to_append(waiting)?;
        let marking = Marking { by, until, rejected: None };
        Ok(self.write_records(&file, &entries, changes, &marking)?.records)
    }

    /// Records what `decide` gives, all or none, in one write. What `decide` found in the log is still so when the records
    /// are written: nothing comes between.
    ///
    /// The decision may take long (an evaluation), so it is made without the log's lock. Where the log is another one by
    /// the time that the lock is there, the decision is made again, with the lock. So `decide` may run twice, and reads
    /// the log that it is given. It has to try an expression before it gives it.
    pub fn decide<E: From<LogError>>(
        &self,
        marking: &Marking<'_>,
        waiting: impl FnMut(&str),
        mut decide: impl FnMut(&Self) -> Result<Vec<Change>, E>,
    ) -> Result<Written, E> {
        let before = self.present()?;
        let mut decided = decide(self);
        let writes = decided.as_ref().is_ok_and(|changes| !changes.is_empty());
        if !writes && self.present()? == before {
            return decided.map(|_| Written::default());
        }
        let (file, _lock) = self.open_to_append(waiting)?;
        if before != Some(self.state_of(&file)?) {
            decided = decide(&Self { locked: true, ..self.clone() });
        }
        let changes = decided?;
        changes.iter().try_for_each(limits::check).map_err(LogError::from)?;
        let entries: Vec<Entry<'static>> = changes.iter().map(Entry::of).collect();
        Ok(self.write_records(&file, &entries, &changes, marking)?)
    }

    /// The file as it is now; `None` where there is none.
    fn present(&self) -> Result<Option<FileState>, LogError> {
        self.open_to_read()?.map(|file| self.state_of(&file)).transpose()
    }

    /// Writes the lines of `changes`, of which `entries` are what they say, and their rejections; with the log's lock.
    fn write_records(
        &self,
        file: &File,
        entries: &[Entry<'static>],
        changes: &[Change],
        marking: &Marking<'_>,
    ) -> Result<Written, LogError> {
        if changes.is_empty() {
            return Ok(Written::default());
        }
        let Marking { by, until, rejected } = *marking;
        let known = self.known(file)?;
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let until = until.map(|until| humantime::format_rfc3339_seconds(until).to_string());
        let stamp = Stamp { time: &time, by, until: until.as_deref() };
        let mut text = String::from(if known.open_line { "\n" } else { "" });
        let mut ids = known.ids;
        let mut written = Written::default();
        for (change, entry) in changes.iter().zip(entries) {
            let id = ids.last() + 1;
            self.check_target(&entry.operation, id, &ids)?;
            write_line(&mut text, id, &stamp, change).map_err(|error| Unrecordable::of(change, &error))?;
            ids.push(id);
            written.records.push(id);
        }
        if let Some(reason) = rejected {
            // A rejection has no end of its own.
            let stamp = Stamp { until: None, ..stamp };
            for &record in &written.records {
                let (id, change) = (ids.last() + 1, Change::Reject { id: record, reason: reason.to_owned() });
                write_line(&mut text, id, &stamp, &change).map_err(|error| Unrecordable::of(&change, &error))?;
                ids.push(id);
                written.rejections.push(id);
            }
        }
        let lines = written.records.len() + written.rejections.len();
        if entries.iter().any(|entry| matches!(entry.operation, Operation::Expression(_))) {
            self.values.keep_new();
        }
        self.write(file, text.as_bytes(), known.torn.as_ref())?;
        let place = Place {
            offset: known.place.offset + text.len() as u64,
            lines: known.place.lines + lines as u64 + u64::from(known.open_line),
            id: ids.last(),
        };
        // The records are there: what can't be noted of them costs time later, and nothing else.
        if let Ok(now) = self.state_of(file) {
            self.cache.remember(file, now, Good { lineage: known.lineage, place, ids, open_line: false });
        }
        Ok(written)
    }

    fn check_target(&self, operation: &Operation<'_>, id: u64, ids: &Ids) -> Result<(), LogError> {
        match operation {
            Operation::Rollback(named) | Operation::Reject { id: named, .. }
                if !ids.contains(*named) && !matches!(operation, Operation::Rollback(0)) =>
            {
                Err(LogError::Chain { path: self.path.to_string(), source: Unknown { id, named: *named } })
            }
            _ => Ok(()),
        }
    }

    fn fold_with(&self, further: &[Entry<'static>]) -> Result<Folded, LogError> {
        for attempt in 0..TRIES {
            let Some(file) = self.open_to_read()? else { return self.fold_nothing(further) };
            // A torn end may be an append that is just happening: then look again when nobody is at it.
            let lock = if attempt > 0 && !self.locked { self.lock(PATIENCE, |_| {}).ok() } else { None };
            let now = self.state_of(&file)?;
            let stamp = self.cache.stamp(&file, &now);
            let lost = if stamp.is_none() { self.cache.last_known_id() } else { 0 };
            let base = stamp.as_ref().and_then(|stamp| self.cache.checkpoint(&file, stamp));
            let source = Source { file: &file, path: &self.path, size: now.size, until: None, further };
            let left_out = RefCell::default();
            let evaluate = |wanted: &[Wanted], end: &End| self.evaluate(wanted, end, &left_out);
            let outcome = match fold::fold(&source, base.as_ref(), &evaluate) {
                Err(LogError::Unsteady { .. }) => continue,
                outcome => outcome?,
            };
            let after = self.state_of(&file)?;
            let edited = after != now && after.size <= now.size;
            if edited || outcome.end.torn.is_some() && attempt == 0 {
                continue;
            }
            // With further records, what is known of the log itself is no more than before, but for the checkpoint.
            if after == now && (further.is_empty() || stamp.is_some()) {
                self.remember(&file, now, stamp, &outcome, lock);
            }
            let mut folded = self.folded(outcome, left_out);
            if lost > folded.last_id {
                folded.warnings.push(format!(
                    "{} ends with record {}, and had record {lost} before: somebody cut it",
                    self.path, folded.last_id
                ));
            }
            return Ok(folded);
        }
        Err(LogError::Unsteady { path: self.path.to_string() })
    }

    /// Changes on top of a log that is not there.
    fn fold_nothing(&self, further: &[Entry<'static>]) -> Result<Folded, LogError> {
        if further.is_empty() {
            return Ok(Folded::default());
        }
        // In memory: where temporary files go is for the caller to say (TMPDIR).
        let file = rustix::fs::memfd_create("dynamic.nix", MemfdFlags::CLOEXEC).at("begin", &self.path)?;
        let mut file = File::from(file);
        file.write_all(HEADER.as_bytes()).at("begin", &self.path)?;
        let source = Source { file: &file, path: &self.path, size: HEADER.len() as u64, until: None, further };
        let left_out = RefCell::default();
        let outcome = fold::fold(&source, None, &|wanted, end| self.evaluate(wanted, end, &left_out))?;
        Ok(self.folded(outcome, left_out))
    }

    fn folded(&self, outcome: Outcome, unevaluated: RefCell<Vec<ExpressionError>>) -> Folded {
        let State { ids, overlay, ends, .. } = outcome.state;
        let torn = outcome.end.torn;
        let warning = |torn: &Torn| {
            format!(
                "{}, line {}: the last line is torn and counts as not written; the next append cuts it off",
                self.path, torn.line
            )
        };
        let warnings = torn.iter().map(warning).collect();
        let pending = |id: u64| outcome.pending.iter().filter(move |(one, _)| *one == id).map(|(_, path)| path.clone());
        let without_value = unevaluated.into_inner().into_iter();
        let unevaluated = without_value
            .map(|one| ExpressionError { paths: pending(one.id).collect(), ..one })
            .filter(|one| !one.paths.is_empty())
            .collect();
        Folded { overlay, last_id: ids.last(), warnings, torn, unevaluated, ends }
    }

    /// Keeps what was found out for the next run; that needs the lock, and is left where somebody else has it.
    fn remember(&self, file: &File, now: FileState, stamp: Option<LogStamp>, outcome: &Outcome, lock: Option<Lock>) {
        if outcome.end.torn.is_some() || stamp.is_some() && outcome.checkpoint.is_none() {
            return;
        }
        let lock = if self.locked { None } else { lock.or_else(|| self.lock(Duration::ZERO, |_| {}).ok()) };
        if !self.locked && lock.is_none() {
            return;
        }
        if self.state_of(file).ok().as_ref() == Some(&now) {
            let stamp = stamp.or_else(|| self.cache.remember(file, now, good(&outcome.state, &outcome.end)));
            if let (Some(stamp), Some(checkpoint)) = (stamp, &outcome.checkpoint) {
                self.cache.remember_fold(file, &stamp, checkpoint.clone());
            }
        }
    }

    /// What is known of the log that is about to be added to; it is read only where its stamp does not fit.
    fn known(&self, file: &File) -> Result<Known, LogError> {
        let now = self.state_of(file)?;
        if let Some(stamp) = self.cache.stamp(file, &now) {
            let LogStamp { lineage, place, ids, open_line, .. } = stamp;
            let place = Place { offset: now.size, ..place };
            return Ok(Known { lineage: Some(lineage), place, ids, open_line, torn: None });
        }
        let source = Source { file, path: &self.path, size: now.size, until: None, further: &[] };
        let (survey, end) = fold::survey(&source, None, |_, _| {})?;
        let offset = end.torn.as_ref().map_or(now.size, |torn| torn.offset);
        let (place, open_line) = (Place { offset, ..end.place }, end.open_line);
        Ok(Known { lineage: None, place, ids: survey.into_ids(), open_line, torn: end.torn })
    }

    /// A new expression has to have a value before it is recorded.
    fn try_expressions(&self, entries: &[Entry<'static>]) -> Result<(), LogError> {
        if !entries.iter().any(|entry| matches!(entry.operation, Operation::Expression(_))) {
            return Ok(());
        }
        self.fold_with(entries).and_then(|folded| self.with_values(folded, entries.len())).map(drop)
    }

    /// What the records say; those that have no value go into `left_out`.
    fn evaluate(
        &self,
        wanted: &[Wanted],
        end: &End,
        left_out: &RefCell<Vec<ExpressionError>>,
    ) -> Result<Vec<Option<Kind>>, LogError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = match &end.parameters {
            Some(parameters) => parameters.clone(),
            // The fold began at a checkpoint.
            None => self.parameters()?,
        };
        let with = With {
            parameters: &parameters,
            evaluator: self.evaluator.as_ref(),
            directory: self.directory(),
            last: end.place.id,
            values: &self.values,
        };
        let (mut kinds, mut faults) = (Vec::with_capacity(wanted.len()), Vec::new());
        for found in expressions::kinds(wanted, with) {
            kinds.push(found.map_err(|fault| faults.push(fault)).ok());
        }
        left_out.replace(faults);
        Ok(kinds)
    }

    /// The parameters of the log's function, read again.
    fn parameters(&self) -> Result<String, LogError> {
        let Some(file) = self.open_to_read()? else { return Ok(PARAMETERS.to_owned()) };
        let size = self.state_of(&file)?.size;
        let end = super::reader::Reader::new(&file, &self.path, size, Place::default())
            .read(|_, _| Ok(ControlFlow::Break(())))?;
        Ok(end.parameters.unwrap_or_else(|| PARAMETERS.to_owned()))
    }

    fn directory(&self) -> &Utf8Path {
        match self.path.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent,
            _ => Utf8Path::new("."),
        }
    }

    /// One write at the end, on disk when this returns; on failure the log is as it was, but for a torn line.
    fn write(&self, mut file: &File, text: &[u8], torn: Option<&Torn>) -> Result<(), LogError> {
        if let Some(torn) = torn {
            file.set_len(torn.offset).at("cut the torn last line of", &self.path)?;
        }
        let size = self.state_of(file)?.size;
        let written = match file.write(text) {
            Ok(length) if length == text.len() => file.sync_all().at("sync", &self.path),
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::StorageFull)).at("append to", &self.path),
            Err(error) => Err(error).at("append to", &self.path),
        };
        written.map_err(|error| {
            // What did not arrive whole is no record: as if it had never been tried.
            let _ = file.set_len(size).and_then(|()| file.sync_all());
            error.into()
        })
    }

    pub(super) fn open_to_read(&self) -> Result<Option<File>, LogError> {
        self.open(OFlags::RDONLY)
    }

    fn open(&self, access: OFlags) -> Result<Option<File>, LogError> {
        let not_a_file = |kind, hint| LogError::NotAFile { path: self.path.to_string(), kind, hint };
        let directory = || not_a_file("a directory", "move it away to begin a new log");
        let Some((parent, name)) = Directory::above(&self.path)? else { return Ok(None) };
        let file = match parent.open_file(name, access) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(None),
            Err(error) if error.source.kind() == std::io::ErrorKind::IsADirectory => return Err(directory()),
            Err(error) if error.is(Untrusted::Link) => {
                return Err(not_a_file("a symbolic link", "name the file that it leads to with --overrides"));
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata().at("look at", &self.path)?;
        if metadata.is_dir() {
            return Err(directory());
        }
        if !metadata.is_file() {
            return Err(not_a_file("a device, pipe or socket", "move it away to begin a new log"));
        }
        let Err(error) = parent.check_file(&file, name) else { return Ok(Some(file)) };
        match error.untrusted() {
            Some(Untrusted::Owner { .. } | Untrusted::Writable { .. }) => {
                let (uid, mode) = (metadata.uid(), metadata.mode() & 0o7777);
                Err(LogError::NotTrusted { path: self.path.to_string(), uid, mode })
            }
            _ => Err(error.into()),
        }
    }

    /// One process at a time adds to the log. The lock has a file of its own, which only who may add to the log can open:
    /// everybody may read the log, and who can open a file can lock it (flock(2)), for ever.
    pub(super) fn lock(&self, patience: Duration, waiting: impl FnOnce(&str)) -> Result<Lock, LockError> {
        let name = self.path.file_name().unwrap_or("dynamic.nix");
        lock::acquire(&self.directory().join(format!(".{name}.lock")), patience, waiting)
    }

    /// The log, created if it is missing, with nobody else at it.
    fn open_to_append(&self, waiting: impl FnMut(&str)) -> Result<(File, Lock), LogError> {
        // One that may not be used is refused before anybody is waited for, and before the lock is made.
        if self.open(OFlags::RDWR | OFlags::APPEND)?.is_none() {
            atomic::create_dir(self.directory())?;
        }
        let lock = self.lock(PATIENCE, waiting)?;
        loop {
            let Some(file) = self.open(OFlags::RDWR | OFlags::APPEND)? else {
                // Whole and durable, and under the lock: what a crash left of the same is taken away.
                atomic::write(&self.path, HEADER.as_bytes(), 0o644, Durability::Durable)?;
                continue;
            };
            // An editor may have put another file there meanwhile.
            let here = self.state_of(&file)?;
            match std::fs::symlink_metadata(&self.path) {
                Ok(there) if FileState::of(&there).is_same_file(&here) => return Ok((file, lock)),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).at("look at", &self.path).map_err(LogError::from),
            }
        }
    }

    pub(super) fn state_of(&self, file: &File) -> Result<FileState, LogError> {
        Ok(FileState::of(&file.metadata().at("look at", &self.path)?))
    }
}

fn good(state: &State, end: &End) -> Good {
    Good { lineage: None, place: end.place, ids: state.ids.clone(), open_line: end.open_line }
}
