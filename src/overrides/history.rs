//! The records in order, each with whether it counts. Only one is in memory at a time, however many there are.
//!
//! Later records say whether a record counts, and why it was rejected. So the log is read twice: first to see which
//! records affect which, then to show them. The first pass keeps a few bytes for each rollback and rejection.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::LogError;
use super::chain::Chain;
use super::entry::{Entry, Operation};
use super::fold::{self, Difference, Source};
use super::log::{LogFile, Look};
use super::reader::{End, Found, Place, Reader};
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
            let (mut rejections, mut from) = (Vec::new(), 0);
            let (difference, _) = fold::difference(&look.source(self), None, |entry, found| {
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
            Ok((look.again().at("look at", &self.path)?, chain, rejections))
        })?;
        let Some((look, chain, rejections)) = surveyed else { return Ok(()) };
        self.read(&look, |entry, found| {
            let rejection = rejections.binary_search_by_key(&found.id, |one| one.record).ok();
            let reason = rejection.map(|index| self.reason(&look, &rejections[index])).transpose()?;
            let fate = Fate { counts: chain.counts(found.id), rejected: reason.as_deref() };
            Ok(see(entry.into_record(found.id), fate))
        })?;
        // Records that were already shown can't be shown again.
        if look.is_steady(&self.state_of(&look.file)?) { Ok(()) } else { Err(self.unsteady()) }
    }

    fn read(
        &self,
        look: &Look,
        visit: impl FnMut(Entry<'_>, Found) -> Result<ControlFlow<()>, LogError>,
    ) -> Result<End, LogError> {
        Reader::new(&look.file, &self.path, look.now.size, Place::default()).read(visit)
    }

    fn reason(&self, look: &Look, rejection: &Rejection) -> Result<String, LogError> {
        let mut said = String::new();
        let place = Place { offset: rejection.from, lines: 0, id: rejection.by - 1 };
        Reader::new(&look.file, &self.path, rejection.to, place).read(|entry, _| {
            if let Operation::Reject { reason: Some(reason), .. } = entry.operation {
                said = reason.into_owned();
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(said)
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
