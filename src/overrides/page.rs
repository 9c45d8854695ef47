//! A part of the log, with whether its records count, for readers that take it piece by piece.
//!
//! Later records say whether a record counts. So the newest records are known without the records before the last
//! checkpoint, and no page takes more memory than itself, however long the log is.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use super::LogError;
use super::entry::Operation;
use super::fold::{self, Source, State};
use super::log::{LogFile, Look};
use super::record::Record;

/// How much a page has at most; one record is always on it.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// So many records.
    pub records: usize,
    /// So many bytes of the log.
    pub bytes: u64,
}

/// Some records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Oldest first, as they are written, each with whether it counts (see [`LogFile::history`]).
    pub records: Vec<(Record, bool)>,
    /// Why those of them were rejected that were.
    pub rejections: BTreeMap<u64, String>,
    /// Whether no records follow.
    pub complete: bool,
}

/// How long to wait for a process that adds to the log.
const PATIENCE: Duration = Duration::from_millis(50);

impl LogFile {
    /// Waits a short time until a process that adds to the log has stored its checkpoint. A reader before that has to
    /// read the whole log.
    pub fn settle(&self) {
        let _ = self.lock(PATIENCE, |_| ());
    }

    /// The records after the id `after`.
    pub fn page(&self, after: u64, most: Most) -> Result<Page, LogError> {
        let page = self.steadily(|Look { file, now, .. }| {
            let stamp = self.cache.stamp(file, now);
            let known = stamp.and_then(|stamp| self.cache.checkpoint(file, &stamp));
            if let Some(known) = known.filter(|state| state.place.id <= after)
                && let Some(page) = self.page_behind(file, now.size, Some(&known), after, most)?
            {
                return Ok(page);
            }
            Ok(self.page_behind(file, now.size, None, after, most)?.unwrap_or_default())
        });
        Ok(page?.unwrap_or_else(|| Page { complete: true, ..Page::default() }))
    }

    /// The same, read from `base` on; `None` if whether the records count depends on earlier ones.
    fn page_behind(
        &self,
        file: &File,
        size: u64,
        base: Option<&State>,
        after: u64,
        most: Most,
    ) -> Result<Option<Page>, LogError> {
        let source = Source { file, path: &self.path, size, until: None, further: &[], digest: None };
        let (mut records, mut rejections): (Vec<Record>, Vec<(u64, u64, String)>) = (Vec::new(), Vec::new());
        let (mut complete, mut from) = (true, base.map_or(0, |base| base.place.offset));
        let (difference, _) = fold::difference(&source, base, |entry, found| {
            if let Operation::Reject { id, reason } = &entry.operation
                && records.binary_search_by_key(id, |record| record.id).is_ok()
            {
                rejections.push((found.id, *id, reason.as_deref().unwrap_or_default().to_owned()));
            }
            let has_room = || records.len() < most.records && found.after.offset - from <= most.bytes;
            if found.id <= after {
                from = found.after.offset;
            } else if complete && (records.is_empty() || has_room()) {
                records.push(entry.clone().into_record(found.id));
            } else {
                complete = false;
            }
        })?;
        let Some(chain) = difference.chain_from(base.map_or(0, |base| base.place.id)) else { return Ok(None) };
        let with_counts = |record: Record| {
            let counts = chain.counts(record.id);
            (record, counts)
        };
        Ok(Some(Page {
            records: records.into_iter().map(with_counts).collect(),
            rejections: rejections
                .into_iter()
                .filter(|(by, ..)| chain.counts(*by))
                .map(|(_, of, reason)| (of, reason))
                .collect(),
            complete,
        }))
    }
}
