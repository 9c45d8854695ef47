//! Reads the log from an open file, one record after the other, in blocks. The memory that it uses does not grow with
//! the log.
//!
//! Takes the file and the place to begin; gives each record with its id and place to a visitor. It checks everything on
//! the way: syntax, encoding, ids, times.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::ops::{ControlFlow, RangeInclusive};
use std::os::unix::fs::FileExt;

use camino::Utf8Path;
use memchr::{memchr, memmem, memrchr};
use serde::{Deserialize, Serialize};

use super::LogError;
use super::entry::Entry;
use super::extent::{Extent, check_comment, extent};
use super::hand;
use super::limits::LAST_ID;
use super::scan::{self, is_plain_time};
use crate::host::fs::Context;
use crate::nix;
use crate::time;

/// How much is read at once.
const BLOCK: usize = 256 * 1024;
/// How much is parsed together. It is little around odd lines, because the text after such a line is parsed again.
const WINDOW: RangeInclusive<usize> = 1024..=64 * 1024;
/// The longest record.
const MAX_RECORD: usize = 16 << 20;
/// The longest record that is not plain values on one line: the syntax tree takes 70 times the text.
const MAX_BY_HAND: usize = 1 << 20;
/// How every record begins that dynix writes.
pub(super) const RECORD_START: &str = "{ id = ";

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
    /// The id of the record before it; 0 at the start.
    pub id: u64,
}

/// The place of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub id: u64,
    /// The place right after it.
    pub after: Place,
}

/// A last line that was not written whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Counted from 1.
    pub line: u64,
    /// Where it begins, in bytes: the log is whole up to here.
    pub offset: u64,
}

/// How the log ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// After the last whole record.
    pub place: Place,
    /// The last line was not written whole.
    pub torn: Option<Torn>,
    /// The byte after the last whole record is no line feed.
    pub open_line: bool,
    /// The parameters of the log's function, if it was read from its start.
    pub parameters: Option<String>,
}

pub(super) struct Reader<'f> {
    file: &'f File,
    path: &'f Utf8Path,
    /// Bytes of the file to read.
    size: u64,
    buffer: Vec<u8>,
    /// The place of the next byte in the buffer.
    at: usize,
    /// How much of the buffer is looked at together.
    window: usize,
    /// The place of the buffer in the file.
    base: u64,
    place: Place,
    parameters: Option<String>,
    /// Takes every byte that is read.
    digest: Option<&'f Digest>,
}

/// Takes the bytes that a [`Reader`] reads. Two that read the same part of a file in the same way are equal if they read
/// the same.
#[derive(Debug, Default)]
pub(super) struct Digest(RefCell<DefaultHasher>);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.borrow().finish() == other.0.borrow().finish()
    }
}

/// Takes a record and its place, and says whether it wants another one.
pub(super) trait Visit: FnMut(Entry<'_>, Found) -> Result<ControlFlow<()>, LogError> {}

impl<F: FnMut(Entry<'_>, Found) -> Result<ControlFlow<()>, LogError>> Visit for F {}

/// Whether there is more to read.
enum Step {
    On,
    End(Option<Torn>),
}

impl<'f> Reader<'f> {
    /// Reads the `size` first bytes of `file`, from `from` on; from the start, the header is checked first.
    pub fn new(file: &'f File, path: &'f Utf8Path, size: u64, from: Place) -> Self {
        Self {
            file,
            path,
            size,
            buffer: Vec::new(),
            at: 0,
            window: *WINDOW.start(),
            base: from.offset,
            place: from,
            parameters: None,
            digest: None,
        }
    }

    /// The same, which gives `digest` all that it reads.
    pub fn digesting(self, digest: Option<&'f Digest>) -> Self {
        Self { digest, ..self }
    }

    /// Gives every record to `visit`, until it breaks.
    pub fn read(mut self, mut visit: impl Visit) -> Result<End, LogError> {
        if self.place.offset == 0 {
            self.header()?;
        }
        loop {
            let step = if self.is_within_line() { self.rest_of_line(&mut visit)? } else { self.lines(&mut visit)? };
            if let Step::End(torn) = step {
                return Ok(self.end(torn));
            }
        }
    }

    /// Whether a record, or the header, ended right before, and its line continues.
    fn is_within_line(&self) -> bool {
        self.at.checked_sub(1).and_then(|index| self.buffer.get(index)).is_some_and(|byte| *byte != b'\n')
    }

    /// Continues after a record. It parses each record of a line once, however many there are.
    fn rest_of_line(&mut self, visit: &mut impl Visit) -> Result<Step, LogError> {
        let spaces = self.buffer[self.at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        self.at += spaces;
        if self.at == self.buffer.len() {
            let more = self.fill(BLOCK)?;
            return Ok(if more { Step::On } else { Step::End(None) });
        }
        match self.buffer[self.at] {
            b'\n' => self.pass(0, true),
            b'{' | b'(' => return self.by_hand(0, visit),
            b'/' => {
                if self.buffer.len() - self.at < 2 {
                    self.fill(BLOCK)?;
                }
                if !self.buffer[self.at..].starts_with(b"/*") {
                    return self.line_by_itself(visit);
                }
                self.block_comment(2)?;
            }
            _ => return self.line_by_itself(visit),
        }
        Ok(Step::On)
    }

    /// Reads the next lines: those that are plain, and one that is not.
    fn lines(&mut self, visit: &mut impl Visit) -> Result<Step, LogError> {
        if self.plain_lines(visit)?.is_break() {
            return Ok(Step::End(None));
        }
        self.line_by_itself(visit)
    }

    fn line_by_itself(&mut self, visit: &mut impl Visit) -> Result<Step, LogError> {
        let Some((length, terminated)) = self.line()? else { return Ok(Step::End(None)) };
        let line = &self.buffer[self.at..self.at + length];
        let Ok(text) = std::str::from_utf8(line) else {
            return self.torn_or(length, terminated, "is not UTF-8");
        };
        let record = text.trim_start_matches(nix::SPACE);
        match record.as_bytes().first() {
            None => self.pass(length, terminated),
            Some(b'#') => self.comment(length, terminated)?,
            Some(b'/') if record.starts_with("/*") => self.block_comment(length - record.len() + 2)?,
            Some(b'{' | b'(') => {
                if memchr(0, line).is_none()
                    && let Some(entry) = scan::record(record)
                {
                    let end = length + usize::from(terminated);
                    let offset = self.base + (self.at + end) as u64;
                    let after = Place { offset, lines: self.place.lines + u64::from(terminated), id: 0 };
                    let found = check(self.path, &self.place, &entry, after)?;
                    if visit(entry, found)?.is_break() {
                        return Ok(Step::End(None));
                    }
                    self.at += end;
                    self.place = found.after;
                } else {
                    let skipped = length - record.len();
                    return self.by_hand(skipped, visit);
                }
            }
            Some(_) => return self.torn_or(length, terminated, "only records in braces can stand here"),
        }
        Ok(Step::On)
    }

    /// Reads on as long as the buffer has whole lines with one literal record each.
    fn plain_lines(&mut self, visit: &mut impl Visit) -> Result<ControlFlow<()>, LogError> {
        loop {
            let rest = &self.buffer[self.at..];
            let rest = &rest[..rest.len().min(self.window)];
            let Some(last) = memrchr(b'\n', rest) else { return Ok(ControlFlow::Continue(())) };
            let lines = &rest[..=last];
            // An odd place is found line by line.
            let text = match std::str::from_utf8(lines) {
                Ok(text) if memchr(0, lines).is_none() => text,
                _ => return Ok(ControlFlow::Continue(())),
            };
            let mut start = 0;
            while let Some(length) = memchr(b'\n', &lines[start..]) {
                let Some(entry) = scan::record(&text[start..start + length]) else { break };
                let end = start + length + 1;
                let offset = self.base + (self.at + end) as u64;
                let after = Place { offset, lines: self.place.lines + 1, id: 0 };
                let found = check(self.path, &self.place, &entry, after)?;
                if visit(entry, found)?.is_break() {
                    self.at += start;
                    return Ok(ControlFlow::Break(()));
                }
                self.place = found.after;
                start = end;
            }
            let is_plain = start == lines.len();
            self.at += start;
            if !is_plain {
                self.window = *WINDOW.start();
                return Ok(ControlFlow::Continue(()));
            }
            self.window = (2 * self.window).min(*WINDOW.end());
        }
    }

    fn end(&self, torn: Option<Torn>) -> End {
        let place = Place { offset: self.base + self.at as u64, ..self.place };
        let last = self.at.checked_sub(1).and_then(|index| self.buffer.get(index));
        End { place, open_line: last.is_some_and(|byte| *byte != b'\n'), torn, parameters: self.parameters.clone() }
    }

    fn fault(&self, problem: &str) -> LogError {
        LogError::Syntax { path: self.path.to_string(), line: self.place.lines + 1, problem: problem.to_owned() }
    }

    /// The length of the next line, and whether its end is there. `None` at the end of the log.
    fn line(&mut self) -> Result<Option<(usize, bool)>, LogError> {
        let mut searched = 0;
        loop {
            let end = memchr(b'\n', &self.buffer[self.at + searched..]).map(|length| searched + length);
            searched = self.buffer.len() - self.at;
            if end.unwrap_or(searched) > MAX_RECORD {
                return Err(self.fault(&format!("is longer than {MAX_RECORD} bytes")));
            }
            if let Some(length) = end {
                return Ok(Some((length, true)));
            }
            if !self.fill(BLOCK)? {
                return Ok((searched > 0).then_some((searched, false)));
            }
        }
    }

    /// Reads on; `false` at the end of the log.
    fn fill(&mut self, amount: usize) -> Result<bool, LogError> {
        // The bytes before are kept only as far as `end` looks back.
        let behind = self.at.saturating_sub(1);
        self.buffer.drain(..behind);
        self.at -= behind;
        self.base += behind as u64;
        let from = self.base + self.buffer.len() as u64;
        let amount = usize::try_from(self.size.saturating_sub(from)).unwrap_or(usize::MAX).min(amount);
        let filled = self.buffer.len();
        self.buffer.resize(filled + amount, 0);
        let mut got = 0;
        while got < amount {
            let read = self.file.read_at(&mut self.buffer[filled + got..], from + got as u64).at("read", self.path)?;
            if read == 0 {
                // Shorter than a moment ago.
                return Err(LogError::Unsteady { path: self.path.to_string() });
            }
            got += read;
        }
        if let Some(Digest(digest)) = self.digest {
            digest.borrow_mut().write(&self.buffer[filled..]);
        }
        Ok(amount > 0)
    }

    /// Continues after a line, or a part of one.
    fn pass(&mut self, length: usize, terminated: bool) {
        self.at += length + usize::from(terminated);
        self.place.lines += u64::from(terminated);
    }

    /// The line is torn, or this is wrong with it.
    fn torn_or(&mut self, length: usize, terminated: bool, problem: &str) -> Result<Step, LogError> {
        match self.torn(length, terminated)? {
            Some(torn) => Ok(Step::End(Some(torn))),
            None => Err(self.fault(problem)),
        }
    }

    /// Text that is no record counts as torn if it is the rest of an append that did not reach the disk whole. Then it
    /// is the last line, lacks its end, and begins as our records do. Or it holds the zeros that a file system leaves
    /// for data that was not written yet, and only text that was written together with it follows.
    fn torn(&mut self, length: usize, terminated: bool) -> Result<Option<Torn>, LogError> {
        let line = &self.buffer[self.at..self.at + length];
        let written = &line[..memchr(0, line).unwrap_or(line.len())];
        let start = RECORD_START.as_bytes();
        let ours = written.starts_with(start) || start.starts_with(written);
        let has_zeros = written.len() < line.len();
        let torn = Torn { line: self.place.lines + 1, offset: self.base + self.at as u64 };
        if !ours || terminated && !(has_zeros && self.ends_with_one_append()?) {
            return Ok(None);
        }
        Ok(Some(torn))
    }

    /// Whether all whole records from here on were written at the same time by the same user.
    fn ends_with_one_append(&mut self) -> Result<bool, LogError> {
        while self.buffer.len() - self.at <= MAX_RECORD && self.fill(BLOCK)? {}
        if self.buffer.len() - self.at > MAX_RECORD {
            return Ok(false);
        }
        let stamp = |line: &[u8]| {
            let entry = scan::record(std::str::from_utf8(line).ok()?)?;
            Some((entry.time?.into_owned(), entry.by?.into_owned()))
        };
        let lines = self.buffer[self.at..].split(|byte| *byte == b'\n');
        let whole = lines.filter(|line| !line.is_empty() && memchr(0, line).is_none());
        let stamps: Option<BTreeSet<_>> = whole.map(stamp).collect();
        Ok(stamps.is_some_and(|stamps| stamps.len() <= 1))
    }

    /// To the end of the line.
    fn comment(&mut self, length: usize, terminated: bool) -> Result<(), LogError> {
        let line = &self.buffer[self.at..self.at + length];
        let Ok(text) = std::str::from_utf8(line) else { return Err(self.fault("is not UTF-8")) };
        check_comment(text.trim_start_matches(nix::SPACE)).map_err(|problem| self.fault(&problem))?;
        self.pass(length, terminated);
        Ok(())
    }

    /// To its own end; its text begins `start` bytes on.
    fn block_comment(&mut self, start: usize) -> Result<(), LogError> {
        let mut searched = start;
        loop {
            let comment = &self.buffer[self.at..];
            if let Some(end) = memmem::find(&comment[searched..], b"*/") {
                let whole = searched + end + 2;
                self.place.lines += count_lines(&comment[..whole]);
                self.at += whole;
                return Ok(());
            }
            // The first half of its end may be there.
            searched = start.max(comment.len().saturating_sub(1));
            if comment.len() > MAX_RECORD || !self.fill(BLOCK)? {
                return Err(self.fault("begins a comment that has no end"));
            }
        }
    }

    /// Reads a record in any form, `skipped` bytes on. More of the line may follow it.
    fn by_hand(&mut self, skipped: usize, visit: &mut impl Visit) -> Result<Step, LogError> {
        let (entry, taken) = match self.hand_written(skipped)? {
            Ok(read) => read,
            Err(problem) => {
                let (length, terminated) = self.line()?.unwrap_or_default();
                return self.torn_or(length, terminated, &problem);
            }
        };
        let lines = self.place.lines + count_lines(&self.buffer[self.at..self.at + taken]);
        let after = Place { offset: self.base + (self.at + taken) as u64, lines, id: 0 };
        let found = check(self.path, &self.place, &entry, after)?;
        if visit(entry, found)?.is_break() {
            return Ok(Step::End(None));
        }
        self.at += taken;
        self.place = found.after;
        Ok(Step::On)
    }

    /// The record that begins `skipped` bytes on, and how many bytes it is to its end.
    fn hand_written(&mut self, skipped: usize) -> Result<Result<(Entry<'static>, usize), String>, LogError> {
        let mut window = *WINDOW.start();
        loop {
            let rest = &self.buffer[self.at + skipped..];
            let is_all = rest.len() <= window;
            let bytes = &rest[..rest.len().min(window)];
            let valid = match std::str::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
            };
            // No whole record of the log holds a zero byte; Nix would stop there.
            let text = &valid[..memchr(0, valid.as_bytes()).unwrap_or(valid.len())];
            let whole = match extent(text) {
                Ok(Extent::Closed(length)) => Some(length),
                Ok(Extent::Open) => None,
                Err(problem) => return Ok(Err(problem)),
            };
            if whole.unwrap_or(text.len()) > MAX_BY_HAND {
                return Ok(Err(format!(
                    "begins a record of more than {MAX_BY_HAND} bytes, or one that does not end; one of plain values on one line \
                     may have {MAX_RECORD}"
                )));
            }
            if let Some(length) = whole {
                return Ok(hand::record(&text[..length]).map(|entry| (entry, skipped + length)));
            }
            if text.len() + 4 < bytes.len() {
                return Ok(Err("holds bytes that are not text, or does not end before them".to_owned()));
            }
            if is_all && !self.fill(window.max(BLOCK))? {
                return Ok(Err("begins a record that does not end: a bracket or string is not closed".to_owned()));
            }
            window *= 2;
        }
    }

    /// `{ overrides, ... }: overrides`, with comments before and within.
    fn header(&mut self) -> Result<(), LogError> {
        let problem = "a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not";
        while self.buffer.len() < BLOCK && self.fill(BLOCK)? {}
        let text = match std::str::from_utf8(&self.buffer) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.buffer[..error.valid_up_to()]).unwrap_or_default(),
        };
        let Some((length, parameters)) = hand::header(text) else { return Err(self.fault(problem)) };
        self.parameters = Some(parameters);
        self.place.lines += count_lines(&self.buffer[..length]);
        self.at += length;
        Ok(())
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Gives the record its id, which has to be above the one before, and checks its times.
fn check(path: &Utf8Path, before: &Place, entry: &Entry<'_>, after: Place) -> Result<Found, LogError> {
    let line = before.lines + 1;
    let fault = |problem| LogError::Syntax { path: path.to_string(), line, problem };
    let id = entry.id.unwrap_or(before.id + 1);
    if id <= before.id {
        return Err(fault(if before.id == 0 {
            "has id 0; ids begin at 1".to_owned()
        } else {
            format!("has id {id} after {}; ids have to increase", before.id)
        }));
    }
    if id > LAST_ID {
        return Err(fault(format!("has id {id}; ids go up to {LAST_ID}")));
    }
    for text in [&entry.time, &entry.until].into_iter().flatten() {
        if !is_plain_time(text.as_bytes()) {
            time::read(text).map_err(|error| {
                fault(format!("has {text:?}, which is not a UTC time as in 2026-11-21T10:00:00Z ({error})"))
            })?;
        }
    }
    Ok(Found { id, after: Place { id, ..after } })
}
