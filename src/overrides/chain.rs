//! Finds the records that count: the chain that leads back from the last record.
//!
//! Takes the `rollback` and `reject` records, gives the ids whose records are folded. Pure.
//!
//! The walk goes back from the last record. `rollback n` jumps to record n, or to the beginning for 0. `reject n`
//! leaves out record n when the walk comes to it. A record that is left out has no effect, even if it is a rollback or
//! a reject itself.
//!
//! What is *about a source* (its layers, their rejects, and the rejects of those) is not the host's: a rollback jumps over none
//! of it.

use std::collections::BTreeSet;

use super::fold::Ids;

/// A record that affects the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Rollback(u64),
    Reject(u64),
    /// A reject that is about a source.
    RejectOfSource(u64),
    /// A layer of a source.
    Layer,
}

impl Control {
    /// Whether it is no matter of the host's own records.
    pub fn is_about_source(self) -> bool {
        matches!(self, Self::RejectOfSource(_) | Self::Layer)
    }
}

/// The ids that count. Ranges include both ends; ids that no record has may be among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    ranges: Vec<(u64, u64)>,
    rejected: BTreeSet<u64>,
    /// The records that are about a source, ascending.
    of_sources: Vec<u64>,
    /// The rollbacks and rejections that had their way, ascending.
    steering: Vec<u64>,
    /// Whether the walk arrived at `base`, the record from which the caller knows the state.
    pub from_base: bool,
}

/// A record that names one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {id} names record {named}, and there is no such record before it")]
pub struct Unknown {
    /// The record.
    pub id: u64,
    /// The id that it names.
    pub named: u64,
}

/// The walk left the part that the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BeforeBase;

impl Chain {
    /// Walks back from record `last` to nothing, or to `base`, right after which the state is known (0: nothing is).
    /// `controls` are all control records after `base`, in order, with their ids.
    pub fn walk(last: u64, controls: &[(u64, Control)], base: u64) -> Result<Self, BeforeBase> {
        let mut chain = Self::default();
        chain.walk_sources(last, controls, base)?;
        let mut at = last;
        let mut before = controls.partition_point(|(id, _)| *id <= at);
        loop {
            let next = before.checked_sub(1).map(|index| controls[index]);
            let Some((id, control)) = next else {
                chain.ranges.push((base + 1, at));
                break;
            };
            before -= 1;
            if control.is_about_source() {
                continue;
            }
            chain.ranges.push((id + 1, at));
            at = id - 1;
            if chain.rejected.contains(&id) {
                continue;
            }
            chain.steering.push(id);
            match control {
                Control::Reject(rejected) => {
                    chain.rejected.insert(rejected);
                }
                Control::RejectOfSource(_) | Control::Layer => {}
                Control::Rollback(0) => {
                    chain.finish();
                    return Ok(chain);
                }
                Control::Rollback(to) if to < base => return Err(BeforeBase),
                Control::Rollback(to) => {
                    at = to;
                    before = controls.partition_point(|(id, _)| *id <= to);
                }
            }
        }
        if chain.rejected.iter().any(|id| *id <= base) {
            return Err(BeforeBase);
        }
        chain.from_base = true;
        chain.finish();
        Ok(chain)
    }

    /// What is about sources, from the last record back; no rollback matters to it.
    fn walk_sources(&mut self, last: u64, controls: &[(u64, Control)], base: u64) -> Result<(), BeforeBase> {
        let those = controls.iter().filter(|(id, control)| *id <= last && control.is_about_source());
        self.of_sources = those.clone().map(|(id, _)| *id).collect();
        for (id, control) in those.rev() {
            match control {
                Control::RejectOfSource(rejected) if !self.rejected.contains(id) => {
                    // Also where the walk does not arrive at the base: layers are not left behind by a rollback.
                    if *rejected <= base {
                        return Err(BeforeBase);
                    }
                    self.rejected.insert(*rejected);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.ranges.retain(|(from, to)| from <= to);
        self.ranges.reverse();
        self.steering.reverse();
    }

    /// Whether the ids of this chain up to `id` are just those of `other`.
    pub fn begins_with(&self, other: &Self, id: u64) -> bool {
        let ranges: Vec<(u64, u64)> =
            self.ranges.iter().filter(|(from, _)| *from <= id).map(|(from, to)| (*from, id.min(*to))).collect();
        let rejected = |chain: &Self| -> Vec<u64> { chain.rejected.iter().copied().filter(|one| *one <= id).collect() };
        self.from_base == other.from_base && ranges == other.ranges && rejected(self) == rejected(other)
    }

    /// Whether the record counts: it is folded, or it is a rollback or rejection that took effect.
    pub fn counts(&self, id: u64) -> bool {
        self.contains(id) || self.steering.binary_search(&id).is_ok()
    }

    /// The last two of `ids` that are folded, the very last one first.
    pub fn newest(&self, ids: &Ids) -> [Option<u64>; 2] {
        let mut newest = [None; 2];
        let mut found = 0;
        for (from, to) in self.ranges.iter().rev() {
            let mut at = ids.up_to(*to);
            while let Some(id) = at.filter(|id| id >= from) {
                if !self.rejected.contains(&id) && self.of_sources.binary_search(&id).is_err() {
                    newest[found] = Some(id);
                    found += 1;
                    if found == newest.len() {
                        return newest;
                    }
                }
                at = ids.up_to(id - 1);
            }
        }
        newest
    }

    pub fn contains(&self, id: u64) -> bool {
        if self.of_sources.binary_search(&id).is_ok() {
            return !self.rejected.contains(&id);
        }
        let index = self.ranges.partition_point(|(_, to)| *to < id);
        self.ranges.get(index).is_some_and(|(from, _)| *from <= id) && !self.rejected.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(last: u64, controls: &[(u64, Control)]) -> Vec<u64> {
        let chain = Chain::walk(last, controls, 0).unwrap();
        (1..=last).filter(|id| chain.contains(*id)).collect()
    }

    #[test]
    fn the_walk_jumps_at_rollbacks_and_leaves_out_what_is_rejected() {
        use Control::{Reject, Rollback};
        assert_eq!(ids(3, &[]), [1, 2, 3]);
        assert_eq!(ids(4, &[(3, Rollback(1))]), [1, 4]);
        assert_eq!(ids(4, &[(3, Rollback(0))]), [4]);
        assert_eq!(ids(4, &[(4, Reject(2))]), [1, 3]);
        // A rejected rollback did not happen; a rejected reject neither.
        assert_eq!(ids(4, &[(3, Rollback(0)), (4, Reject(3))]), [1, 2]);
        assert_eq!(ids(4, &[(3, Reject(1)), (4, Reject(3))]), [1, 2]);
        // What a rollback jumps over has not happened either.
        assert_eq!(ids(5, &[(3, Reject(1)), (4, Rollback(2))]), [1, 2, 5]);
        // But a reject that counts holds after a rollback.
        assert_eq!(ids(5, &[(4, Rollback(2)), (5, Reject(1))]), [2]);
    }

    #[test]
    fn a_walk_that_leaves_the_known_part_says_so() {
        use Control::{Reject, Rollback};
        assert_eq!(Chain::walk(12, &[(12, Rollback(9))], 10), Err(BeforeBase));
        assert_eq!(Chain::walk(12, &[(12, Reject(10))], 10), Err(BeforeBase));
        assert!(Chain::walk(12, &[(12, Rollback(10))], 10).unwrap().from_base);
        // Neither matters after a return to nothing.
        let chain = Chain::walk(13, &[(12, Rollback(0)), (13, Reject(3))], 10).unwrap();
        assert!(!chain.from_base && !chain.contains(11));
    }
}
