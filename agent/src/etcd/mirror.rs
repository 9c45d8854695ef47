//! Keys of etcd, exactly as they were at one revision.
//!
//! They are read once as a whole. A watch then says when there is something new, and only what is new is read: keys with
//! a later revision, of all prefixes in one transaction, so what was written together is seen together. Where there are
//! fewer keys by then than this knows, something was deleted, and the names are read anew. What is read is what holds,
//! whatever a watch missed, and whatever was compacted.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Member, end_of};
use super::error::Error;
use super::message::{KeyValue, RangeRequest, RangeResponse, Request, RequestOp, Response, ResponseOp, TxnRequest};

/// What there is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The revision that it is there since.
    pub created: i64,
    /// The revision that it is of.
    pub modified: i64,
    /// The value.
    pub bytes: Vec<u8>,
}

/// What a prefix has.
pub type Keys = BTreeMap<Vec<u8>, Kept>;

/// The keys of some prefixes.
#[derive(Clone, Debug)]
pub struct Mirror {
    prefixes: Vec<String>,
    parts: Vec<Keys>,
    revision: i64,
    deleted: i64,
    cluster: u64,
}

/// Why there is nothing new.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stale {
    /// The engine did not answer, or did not want to.
    #[error(transparent)]
    Etcd(#[from] Error),
    /// It is not as far as it was.
    #[error("etcd is at revision {now}, and was at {was} before")]
    Older {
        /// Where it was first seen to be.
        now: i64,
        /// Where it was before.
        was: i64,
    },
    /// It is not the one that it was, or that is not known.
    #[error("{0}")]
    Another(String),
}

/// What has to be so for what is read to be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// The cluster; 0 where any is good.
    pub cluster: u64,
    /// The first revision that is good.
    pub revision: i64,
    /// The revision that it was at when it was less than that. What is written to a backup makes its revision grow, and
    /// makes it no newer.
    pub older: Option<i64>,
}

impl Floor {
    fn holds(self, cluster: u64, revision: i64) -> Result<(), Stale> {
        if self.cluster != 0 && cluster != self.cluster {
            return Err(Stale::Another(format!("this is another etcd ({cluster:x}) than before ({:x})", self.cluster)));
        }
        match self.older {
            Some(now) => Err(Stale::Older { now, was: self.revision }),
            None if revision < self.revision => Err(Stale::Older { now: revision, was: self.revision }),
            None => Ok(()),
        }
    }
}

impl Mirror {
    /// With nothing read.
    #[must_use]
    pub fn new(prefixes: Vec<String>) -> Self {
        let parts = prefixes.iter().map(|_| Keys::new()).collect();
        Self { prefixes, parts, revision: 0, deleted: 0, cluster: 0 }
    }

    /// The prefixes.
    #[must_use]
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// The keys of each prefix.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Keys)> {
        self.prefixes.iter().map(String::as_str).zip(&self.parts)
    }

    /// The revision that all of it is of; 0 before anything was read.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// A revision at which the last deletion was seen.
    #[must_use]
    pub fn deleted(&self) -> i64 {
        self.deleted
    }

    /// What has to be so for what comes next.
    #[must_use]
    pub fn floor(&self) -> Floor {
        Floor { cluster: self.cluster, revision: self.revision, older: None }
    }

    /// Reads what is new. `alone` is what this member knows by itself, which is enough where it told of a change.
    pub async fn advance(&mut self, member: &Member, floor: Floor, alone: bool) -> Result<(), Stale> {
        let ask = |prefix: &str, range: RangeRequest| {
            let key = prefix.as_bytes().to_vec();
            let range = RangeRequest { range_end: end_of(&key), key, serializable: alone, ..range };
            RequestOp { request: Some(Request::Range(range)) }
        };
        let newer = RangeRequest { min_mod_revision: self.revision + 1, ..RangeRequest::default() };
        let success = self.prefixes.iter().map(|prefix| ask(prefix, newer.clone())).collect();
        let answer = member.read(TxnRequest { success, ..TxnRequest::default() }).await?;
        let header = answer.header.unwrap_or_default();
        floor.holds(header.cluster_id, header.revision)?;
        self.floor().holds(header.cluster_id, header.revision)?;
        let mut parts = self.parts.clone();
        let (mut newest, mut fewer) = (0, Vec::new());
        for ((index, part), answer) in parts.iter_mut().enumerate().zip(ranges(answer.responses)) {
            let count = usize::try_from(answer.count).unwrap_or_default();
            for KeyValue { key, create_revision, mod_revision, value, .. } in answer.kvs {
                newest = newest.max(mod_revision);
                part.insert(key, Kept { created: create_revision, modified: mod_revision, bytes: value });
            }
            // What is there now is all in `part`, so as many are the same.
            if part.len() != count {
                fewer.push(index);
            }
        }
        if !fewer.is_empty() {
            // As of the same revision: what is deleted after it is for the next time.
            let names = RangeRequest { keys_only: true, revision: header.revision, ..RangeRequest::default() };
            let success = fewer.iter().map(|index| ask(&self.prefixes[*index], names.clone())).collect();
            let answer = member.read(TxnRequest { success, ..TxnRequest::default() }).await?;
            for (index, answer) in fewer.into_iter().zip(ranges(answer.responses)) {
                let there: BTreeSet<Vec<u8>> = answer.kvs.into_iter().map(|kv| kv.key).collect();
                parts[index].retain(|key, _| there.contains(key));
            }
            // What was written with it knows better than what etcd came to by now.
            self.deleted = if newest > 0 { newest } else { header.revision };
        }
        self.parts = parts;
        (self.revision, self.cluster) = (header.revision, header.cluster_id);
        Ok(())
    }
}

fn ranges(responses: Vec<ResponseOp>) -> impl Iterator<Item = RangeResponse> {
    responses.into_iter().filter_map(|one| match one.response? {
        Response::Range(range) => Some(range),
        _ => None,
    })
}
