//! Adds records to the log's file.
//!
//! Only one dynix does this at a time, with the log's lock. People take no lock: somebody may add a line by hand at any
//! moment, and an editor may rewrite or replace the file. So after each write, dynix compares the file with what it
//! read. If something came in between, and the log can still be read with the new records, they stay. If not, they
//! become comments and are written again after it. dynix remembers as good only what it read or wrote here.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use memchr::memmem;
use rustix::fs::OFlags;

use super::LogError;
use super::cache::{FileState, Good, LogStamp};
use super::chain::Unknown;
use super::entry::{Entry, Operation};
use super::fold::{self, Ids, Source};
use super::limits::{self, LAST_ID, Unrecordable};
use super::log::{HEADER, LogFile, PATIENCE, TRIES};
use super::reader::{Place, Torn};
use super::record::{Draft, Stamp, write_line};
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::lock::Lock;
use crate::host::fs::{Context, FileError, OWN};
use crate::time;

/// How much of the log before new records is compared with what was read. An edit further back, at the very moment of
/// an append, is not noticed.
const COMPARED: u64 = 64 << 10;
/// How much is compared at once.
const PIECE: usize = 64 << 10;

/// How the records of a decision are written.
#[derive(Clone, Copy, Debug)]
pub struct Marking<'m> {
    /// The author.
    pub by: &'m str,
    /// When they stop to count.
    pub until: Option<SystemTime>,
    /// What the author says about them.
    pub message: Option<&'m str>,
    /// Each is rejected from the start, for this reason.
    pub rejected: Option<&'m str>,
}

/// The ids of what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The records.
    pub records: Vec<u64>,
    /// The ids of their rejections, if they are rejected from the start.
    pub rejections: Vec<u64>,
}

/// The facts about the log before it is added to.
struct Known {
    /// The file that it was read from, when it was read.
    state: FileState,
    lineage: Option<String>,
    place: Place,
    ids: Ids,
    open_line: bool,
    torn: Option<Torn>,
}

/// The place of written records in the log.
struct Found {
    file: File,
    at: u64,
    /// Whether they are where they were written.
    is_where_written: bool,
}

/// The lines to add.
struct Lines {
    text: String,
    written: Written,
    ids: Ids,
    place: Place,
}

/// Decides what to record, given the log and the state of its file; `None` if there is no file.
type Decide<'d, E> = dyn FnMut(&LogFile, Option<&FileState>) -> Result<Vec<Draft>, E> + 'd;

impl LogFile {
    /// Records `changes`, all or none, and gives their ids: after this returns they survive a power cut. `waiting` gets
    /// the name of the process that it waits for.
    pub fn append(
        &self,
        changes: &[Draft],
        by: &str,
        until: Option<SystemTime>,
        waiting: impl FnMut(&str),
    ) -> Result<Vec<u64>, LogError> {
        changes.iter().try_for_each(limits::check)?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.try_expressions(&changes.iter().map(Entry::from_draft).collect::<Vec<_>>())?;
        let lock = self.lock_to_append(waiting)?;
        let marking = Marking { by, until, message: None, rejected: None };
        Ok(self.add(false, &marking, &lock, &mut |_, _| Ok::<_, LogError>(changes.to_vec()))?.records)
    }

    /// Records what `decide` gives, all or none, in one write. What `decide` found in the log still holds when the
    /// records are written: nothing comes between.
    ///
    /// The decision may take long (an evaluation), so it is made without the log's lock. If the log has changed when
    /// the lock is there, the decision is made again, with the lock; and once more if somebody edits the log at that
    /// moment. So `decide` may run several times, and reads the log that it is given. It has to try an expression
    /// before it gives it.
    pub fn decide<E: From<LogError>>(
        &self,
        marking: &Marking<'_>,
        waiting: impl FnMut(&str),
        mut decide: impl FnMut(&Self) -> Result<Vec<Draft>, E>,
    ) -> Result<Written, E> {
        let before = self.present()?;
        let decided = decide(self);
        let writes = decided.as_ref().is_ok_and(|changes| !changes.is_empty());
        if !writes && self.present()? == before {
            return decided.map(|_| Written::default());
        }
        let lock = self.lock_to_append(waiting)?;
        let mut decided = Some(decided);
        self.add(true, marking, &lock, &mut |log, now| {
            let decided = decided.take().filter(|_| now == before.as_ref());
            let changes = decided.unwrap_or_else(|| decide(log))?;
            changes.iter().try_for_each(limits::check).map_err(LogError::from)?;
            Ok(changes)
        })
    }

    /// The present state of the file; `None` if there is none.
    fn present(&self) -> Result<Option<FileState>, LogError> {
        self.open_to_read()?.map(|file| self.state_of(&file)).transpose()
    }

    /// Adds what `decide` gives for the log and the state of its file. `exact`: right after the records that it was
    /// decided by.
    fn add<E: From<LogError>>(
        &self,
        exact: bool,
        marking: &Marking<'_>,
        _lock: &Lock,
        decide: &mut Decide<'_, E>,
    ) -> Result<Written, E> {
        let log = self.with_lock();
        for _ in 0..TRIES {
            // Known before it is decided by, so that what changes in between shows.
            let file = log.open(OFlags::RDWR | OFlags::APPEND)?;
            let known = match &file {
                None => None,
                Some(file) => match log.known(file)? {
                    None => continue,
                    known => known,
                },
            };
            let changes = decide(&log, known.as_ref().map(|known| &known.state))?;
            if changes.is_empty() {
                return Ok(Written::default());
            }
            let (Some(file), Some(known)) = (file, known) else {
                log.begin()?;
                continue;
            };
            if let Some(written) = log.try_to_add(&file, known, &changes, exact, marking)? {
                return Ok(written);
            }
        }
        Err(self.unsteady().into())
    }

    /// Takes the lock to add to the log. It makes the lock's directory if that is missing.
    fn lock_to_append(&self, waiting: impl FnMut(&str)) -> Result<Lock, LogError> {
        // A log that may not be used is refused before anybody is waited for, and before the lock is made.
        if self.open(OFlags::RDWR | OFlags::APPEND)?.is_none() {
            atomic::create_dir(self.directory())?;
        }
        Ok(self.lock(PATIENCE, waiting)?)
    }

    /// Begins a log, whole and durable; and under the lock, so that what a crash left of the same is taken away. Somebody who
    /// begins one by hand at the same moment has begun it.
    fn begin(&self) -> Result<(), LogError> {
        Ok(atomic::create(&self.path, HEADER.as_bytes(), 0o644, Durability::Durable).map(drop)?)
    }

    /// The facts about the log. It is read only if its stamp does not fit. `None` if it changed meanwhile.
    fn known(&self, file: &File) -> Result<Option<Known>, LogError> {
        let state = self.state_of(file)?;
        if let Some(stamp) = self.cache.stamp(file, &state) {
            let LogStamp { lineage, place, ids, open_line, .. } = stamp;
            let place = Place { offset: state.size, ..place };
            return Ok(Some(Known { state, lineage: Some(lineage), place, ids, open_line, torn: None }));
        }
        let source = Source { file, path: &self.path, size: state.size, until: None, further: &[], digest: None };
        let surveyed = fold::difference(&source, None, |_, _| {});
        if self.state_of(file)? != state {
            return Ok(None);
        }
        let (difference, end) = surveyed?;
        let offset = end.torn.as_ref().map_or(state.size, |torn| torn.offset);
        let (place, open_line) = (Place { offset, ..end.place }, end.open_line);
        Ok(Some(Known { state, lineage: None, place, ids: difference.into_ids(), open_line, torn: end.torn }))
    }

    /// Writes the records, and gives their ids: they are on disk, and the log has them. `None` if somebody's edit came
    /// in between, and none of them counts.
    fn try_to_add(
        &self,
        file: &File,
        mut known: Known,
        changes: &[Draft],
        exact: bool,
        marking: &Marking<'_>,
    ) -> Result<Option<Written>, LogError> {
        let lines = self.lines(&known, changes, marking)?;
        if self.state_of(file)? != known.state {
            return Ok(None);
        }
        if let Some(torn) = &known.torn {
            file.set_len(torn.offset).at("cut the torn last line of", &self.path)?;
            known.state = self.state_of(file)?;
        }
        let recent = known.place.offset.saturating_sub(COMPARED);
        let Some(before) = self.bytes(file, recent, known.place.offset - recent)? else { return Ok(None) };
        if self.state_of(file)? != known.state {
            return Ok(None);
        }
        let Lines { text, written: added, ids, place } = lines;
        if changes.iter().any(|change| matches!(change, Draft::Expression { .. })) {
            self.values.keep_new();
        }
        let text = text.as_bytes();
        let start = self.write(file, text)?;
        // Whatever somebody changes from here on gives the file another time than this.
        let written = stamp_time(file);
        let end = start + text.len() as u64;
        let is_as_read = start == known.place.offset && self.says(file, recent, &[&before, text])?;
        if !is_as_read {
            let Some(found) = self.find_text(file, start, text)? else { return Ok(None) };
            if exact || !self.reads_well(&found, text)? {
                self.silence(&found, text)?;
                return Ok(None);
            }
        }
        if let Err(error) = file.sync_all().at("sync", &self.path) {
            self.take_out(file, start, text);
            return Err(error.into());
        }
        let now = self.state_of(file)?;
        let Some(found) = self.find_text(file, start, text)? else { return Ok(None) };
        if !found.is_where_written {
            // The program that moved the text may not have waited for the disk.
            found.file.sync_all().at("sync", &self.path)?;
        } else if is_as_read && now.size == end && written.is_some_and(|time| now.is_modified_at(time)) {
            self.cache.remember(file, now, Good { lineage: known.lineage, place, ids, open_line: false });
        }
        Ok(Some(added))
    }

    fn lines(&self, known: &Known, changes: &[Draft], marking: &Marking<'_>) -> Result<Lines, LogError> {
        let time = time::text(SystemTime::now());
        let Marking { by, until, message, rejected } = *marking;
        let until = until.map(time::text);
        let stamp = Stamp { time: &time, by, until: until.as_deref(), message };
        let mut text = String::from(if known.open_line { "\n" } else { "" });
        let mut ids = known.ids.clone();
        let mut add = |change: &Draft, stamp: &Stamp<'_>| -> Result<u64, LogError> {
            let id = ids.last() + 1;
            if id > LAST_ID {
                return Err(LogError::Full { path: self.path.to_string() });
            }
            self.check_target(&Entry::from_draft(change).operation, id, &ids)?;
            write_line(&mut text, id, stamp, change).map_err(|error| Unrecordable::new(change, &error))?;
            ids.push(id);
            Ok(id)
        };
        let mut written = Written::default();
        for change in changes {
            written.records.push(add(change, &stamp)?);
        }
        if let Some(reason) = rejected {
            // A rejection has no end of its own.
            let stamp = Stamp { until: None, message: None, ..stamp };
            for &id in &written.records {
                written.rejections.push(add(&Draft::Reject { id, reason: reason.to_owned() }, &stamp)?);
            }
        }
        let lines = written.records.len() + written.rejections.len() + usize::from(known.open_line);
        let Place { offset, lines: before, .. } = known.place;
        let place = Place { offset: offset + text.len() as u64, lines: before + lines as u64, id: ids.last() };
        Ok(Lines { text, written, ids, place })
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

    /// Writes once at the end; gives the place where the text begins. After a failure the log is as before, except for
    /// a torn line.
    fn write(&self, mut file: &File, text: &[u8]) -> Result<u64, LogError> {
        let size = self.state_of(file)?.size;
        let written = match file.write(text) {
            Ok(length) if length == text.len() => {
                // The place where the write ended (`O_APPEND`, open(2)). It need not be the earlier end of the file.
                let end = file.stream_position().at("look at", &self.path)?;
                return Ok(end.saturating_sub(text.len() as u64));
            }
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            Err(error) => Err(error),
        };
        self.take_out(file, size, text);
        Ok(written.at("append to", &self.path)?)
    }

    /// Removes text that was not fully written, or may not stay, as if it had never been tried. Best effort, because
    /// the first failure is the one to report. It never cuts what somebody else wrote.
    fn take_out(&self, file: &File, start: u64, text: &[u8]) {
        let Ok(now) = self.state_of(file) else { return };
        let Some(length) = now.size.checked_sub(start).filter(|length| *length <= text.len() as u64) else {
            if let Ok(Some(found)) = self.find_text(file, start, text) {
                let _ = self.silence(&found, text);
            }
            return;
        };
        let written = usize::try_from(length).ok().and_then(|length| text.get(..length)).unwrap_or_default();
        if self.says(file, start, &[written]).unwrap_or_default() {
            let _ = file.set_len(start).and_then(|()| file.sync_all());
        }
    }

    /// Makes comments of the records that were found. Cutting them off could take with them what somebody adds at that moment.
    fn silence(&self, found: &Found, text: &[u8]) -> Result<(), LogError> {
        // Through the one that they were written to, nothing can be written but at the end.
        let Some(anywhere) = self.open(OFlags::RDWR)? else { return Ok(()) };
        if !self.state_of(&anywhere)?.is_same_file(&self.state_of(&found.file)?)
            || !self.says(&anywhere, found.at, &[text])?
        {
            return Ok(());
        }
        let starts = (0..text.len()).filter(|at| text[*at] == b'{' && (*at == 0 || text[*at - 1] == b'\n'));
        // The first of them comes last: without it, the others would name other records than they mean.
        for at in starts.rev() {
            anywhere.write_all_at(b"#", found.at + at as u64).at("write", &self.path)?;
        }
        Ok(())
    }

    /// Finds the records that were written to `file` at `start` in the log. An editor that rewrote or replaced the file
    /// meanwhile may have kept them. A log that is too large to search counts as one without them.
    fn find_text(&self, file: &File, start: u64, text: &[u8]) -> Result<Option<Found>, LogError> {
        let is_the_log = self.is_the_log(&self.state_of(file)?)?;
        let log = if is_the_log { Some(file.try_clone().at("look at", &self.path)?) } else { self.open(OFlags::RDWR)? };
        let Some(log) = log else { return Ok(None) };
        if is_the_log && self.says(&log, start, &[text])? {
            return Ok(Some(Found { file: log, at: start, is_where_written: true }));
        }
        let size = self.state_of(&log)?.size;
        let bytes = if size > OWN { None } else { self.bytes(&log, 0, size)? };
        let at = bytes.and_then(|bytes| memmem::find(&bytes, text));
        Ok(at.map(|at| Found { file: log, at: at as u64, is_where_written: false }))
    }

    /// Whether the log up to the end of these records can be read.
    fn reads_well(&self, found: &Found, text: &[u8]) -> Result<bool, LogError> {
        if !self.says(&found.file, found.at, &[text])? {
            return Ok(false);
        }
        let size = found.at + text.len() as u64;
        let source = Source { file: &found.file, path: &self.path, size, until: None, further: &[], digest: None };
        Ok(fold::difference(&source, None, |_, _| {}).is_ok_and(|(_, end)| end.torn.is_none()))
    }

    /// Whether the file has just these parts, one after the other, from `at` on.
    fn says(&self, file: &File, mut at: u64, parts: &[&[u8]]) -> Result<bool, LogError> {
        for piece in parts.iter().flat_map(|part| part.chunks(PIECE)) {
            let length = piece.len() as u64;
            if self.bytes(file, at, length)?.is_none_or(|found| found != piece) {
                return Ok(false);
            }
            at += length;
        }
        Ok(true)
    }

    /// The bytes from `at` on; `None` if there are fewer.
    fn bytes(&self, file: &File, at: u64, length: u64) -> Result<Option<Vec<u8>>, LogError> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let mut bytes = vec![0; length];
        match file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error).at("read", &self.path).map_err(LogError::from),
        }
    }

    /// Whether a file is still the one that the log's name leads to: an editor may have put another one there.
    fn is_the_log(&self, file: &FileState) -> Result<bool, FileError> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(there) => Ok(FileState::from_metadata(&there).is_same_file(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at("look at", &self.path),
        }
    }
}

/// Sets a file's time to now, to the nanosecond, which no other change gives it: the kernel uses the time of its last
/// tick for that (inode(7)), or a later one. `None` if that fails.
fn stamp_time(file: &File) -> Option<(i64, i64)> {
    use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let times = Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: now };
    rustix::fs::futimens(file, &times).ok()?;
    Some((now.tv_sec, now.tv_nsec))
}
