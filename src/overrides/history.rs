//! The records in order, each with whether it counts. Only one is in memory at a time, however many there are.
//!
//! Later records say whether a record counts, and why it was rejected. So the log is read twice: first to see which
//! records affect which, then to show them. The first pass keeps a few bytes for each rollback and rejection.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::LogError;
use super::chain::Chain;
use super::entry::Operation;
use super::fold::{self, Difference, Source};
use super::log::{LogFile, Look};
use super::overlay::Overlay;
use super::reader::{Digest, Place, Reader};
use super::record::{Kind, Record};
use crate::host::fs::Context;

/// Whether a record counts, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate<'r> {
    /// Whether it counts: no rollback and no rejection that counts itself leaves it out.
    pub counts: bool,
    /// Why it was rejected, if it was.
    pub rejected: Option<&'r str>,
}

/// A rejection that counts, and its place.
struct Rejection {
    record: u64,
    by: u64,
    from: u64,
    to: u64,
}

impl LogFile {
    /// Shows every record as it is written, oldest first, to `see`, until `see` breaks. It evaluates nothing.
    pub fn each(&self, mut see: impl FnMut(Record, Fate<'_>) -> ControlFlow<()>) -> Result<(), LogError> {
        let surveyed = self.steadily(|look| {
            let (mut rejections, mut from, digest) = (Vec::new(), 0, Digest::default());
            let source = Source { digest: Some(&digest), ..look.source(self) };
            let (difference, _) = fold::difference(&source, None, |entry, found| {
                let to = found.after.offset;
                if let Operation::Reject { id: record, .. } = entry.operation {
                    rejections.push(Rejection { record, by: found.id, from, to });
                }
                from = to;
            })?;
            let chain = difference.chain();
            rejections.retain(|one| chain.counts(one.by));
            // The last one counts of several that reject the same record.
            rejections.sort_by_key(|one| (one.record, std::cmp::Reverse(one.by)));
            rejections.dedup_by_key(|one| one.record);
            Ok((look.again().at("look at", &self.path)?, chain, rejections, digest))
        })?;
        let Some((look, chain, rejections, surveyed)) = surveyed else { return Ok(()) };
        let shown = Digest::default();
        fold::each(&Source { digest: Some(&shown), ..look.source(self) }, None, |entry, found| {
            let rejection = rejections.binary_search_by_key(&found.id, |one| one.record).ok();
            let reason = rejection.map(|index| self.reason(&look, &rejections[index])).transpose()?;
            let fate = Fate { counts: chain.counts(found.id), rejected: reason.as_deref() };
            Ok(see(entry.into_record(found.id), fate))
        })?;
        // Records that were already shown can't be shown again. Another time of the file alone is no edit: who appends
        // sets it right after the text.
        if shown == surveyed || look.is_steady(&self.state_of(&look.file)?) { Ok(()) } else { Err(self.unsteady()) }
    }

    fn reason(&self, look: &Look, rejection: &Rejection) -> Result<String, LogError> {
        let mut reason = String::new();
        let place = Place { offset: rejection.from, lines: 0, id: rejection.by - 1 };
        Reader::new(&look.file, &self.path, rejection.to, place).read(|entry, _| {
            if let Operation::Reject { reason: Some(given), .. } = entry.operation {
                reason = given.into_owned();
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(reason)
    }

    /// All records, oldest first, as they are written: nothing is evaluated. For logs that are known to be short.
    pub fn records(&self) -> Result<Vec<Record>, LogError> {
        self.find(|_| true)
    }

    /// The records whose ids `wanted` takes, oldest first, as they are written.
    pub fn find(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<Record>, LogError> {
        Ok(self.select(wanted)?.0)
    }

    /// Those of them that hold: that have values, and that no rollback and no rejection leaves out.
    pub fn find_holding(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<Record>, LogError> {
        let (mut records, chain) = self.select(wanted)?;
        records.retain(|record| chain.contains(record.id));
        Ok(records)
    }

    /// The records that the overrides are from, by id.
    pub fn behind(&self, overlay: &Overlay) -> Result<BTreeMap<u64, Record>, LogError> {
        let named: BTreeSet<u64> = overlay.leaves().iter().map(|(_, one)| one.id).collect();
        let records = if named.is_empty() { Vec::new() } else { self.find(|id| named.contains(&id))? };
        Ok(records.into_iter().map(|record| (record.id, record)).collect())
    }

    fn select(&self, wanted: impl Fn(u64) -> bool) -> Result<(Vec<Record>, Chain), LogError> {
        let found = self.steadily(|look| {
            let mut records = Vec::new();
            let (difference, _) = fold::difference(&look.source(self), None, |entry, found| {
                if wanted(found.id) {
                    records.push(entry.clone().into_record(found.id));
                }
            })?;
            Ok((records, difference.chain()))
        });
        Ok(found?.unwrap_or_default())
    }

    /// The records whose ids `wanted` takes; the expressions among them that hold are evaluated.
    pub fn evaluated(&self, wanted: impl Fn(u64) -> bool) -> Result<Vec<Record>, LogError> {
        let found = self.steadily(|look| {
            let mut records = Vec::new();
            let source = look.source(self);
            let (difference, end) = fold::difference(&source, None, |entry, found| {
                if wanted(found.id) {
                    records.push(entry.clone().into_record(found.id));
                }
            })?;
            let chain = difference.chain();
            let is_unread = |record: &Record| matches!(record.kind, Kind::Expression(_)) && chain.contains(record.id);
            let unread = records.iter_mut().filter(|record| is_unread(record));
            let expressions = difference.expressions(&source, None, &chain, &wanted)?;
            for (record, kind) in unread.zip(self.evaluate(&expressions, &end, &RefCell::default())?) {
                // A record without a value stays as it is written.
                if let Some(kind) = kind {
                    record.kind = kind;
                }
            }
            Ok(records)
        });
        Ok(found?.unwrap_or_default())
    }

    /// The record before the last one that holds: the target of a rollback by one. 0 if only one holds, `None` if none
    /// does.
    pub fn one_back(&self) -> Result<Option<u64>, LogError> {
        let newest = self.steadily(|look| {
            let source = look.source(self);
            let stamp = self.cache.stamp(&look.file, &look.now);
            if let Some(base) = stamp.and_then(|stamp| self.cache.checkpoint(&look.file, &stamp)) {
                let (difference, _) = fold::difference(&source, Some(&base), |_, _| {})?;
                let newest = difference.chain_from(base.place.id).map(|chain| chain.newest(difference.ids()));
                if let Some([Some(last), Some(before)]) = newest {
                    return Ok([Some(last), Some(before)]);
                }
            }
            let (difference, _) = fold::difference(&source, None, |_, _| {})?;
            Ok(difference.chain().newest(difference.ids()))
        })?;
        Ok(match newest.unwrap_or_default() {
            [None, _] => None,
            [Some(_), before] => Some(before.unwrap_or_default()),
        })
    }
}

impl Difference {
    /// The expressions that hold, and that `wanted` takes.
    pub fn expressions(
        &self,
        source: &Source<'_>,
        base: Option<&fold::State>,
        chain: &Chain,
        wanted: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<super::expressions::Wanted>, LogError> {
        let mut found = Vec::new();
        if self.has_expressions(|id| wanted(id) && chain.contains(id)) {
            fold::each(source, base, |entry, place| {
                if let Operation::Expression(text) = entry.operation
                    && chain.contains(place.id)
                    && wanted(place.id)
                {
                    found.push(super::expressions::Wanted { id: place.id, text });
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::os::unix::fs::FileExt as _;
    use std::time::{Duration, SystemTime};

    use camino::Utf8PathBuf;

    use super::*;
    use crate::overrides::HEADER;

    /// More than is read at once.
    const RECORDS: usize = 20_000;

    /// How many records are shown of a log if `meanwhile` happens to its file after the first.
    fn shown(meanwhile: impl Fn(&std::fs::File)) -> Result<usize, LogError> {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("dynamic.nix")).unwrap();
        let mut text = HEADER.to_owned();
        for id in 1..=RECORDS {
            writeln!(text, "{{ id = {id}; set.a.b = {id}; }}").unwrap();
        }
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let mut count = 0;
        LogFile::new(&path, &path.with_file_name("cache"), None).each(|_, _| {
            if count == 0 {
                meanwhile(&file);
            }
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    #[test]
    fn an_append_meanwhile_is_no_edit_of_what_is_shown() {
        let later = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(shown(|file| file.set_modified(later).unwrap()).unwrap(), RECORDS);
        let append = |file: &std::fs::File| {
            let size = file.metadata().unwrap().len();
            file.write_all_at(b"{ id = 20001; set.a.b = 4; }\n", size).unwrap();
        };
        assert_eq!(shown(append).unwrap(), RECORDS);
    }

    #[test]
    fn what_was_edited_meanwhile_is_not_shown_as_one_log() {
        let cut = |file: &std::fs::File| file.set_len(HEADER.len() as u64).unwrap();
        assert!(matches!(shown(cut), Err(LogError::Unsteady { .. })));
        let edit = |file: &std::fs::File| {
            let last = file.metadata().unwrap().len() - "7; }\n".len() as u64;
            file.write_all_at(b"7", last).unwrap();
        };
        assert!(matches!(shown(edit), Err(LogError::Unsteady { .. })));
    }
}
