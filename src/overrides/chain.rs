//! Which records hold: pure.
//!
//! Walking back from the last record: a rollback leads to the record that it names, with what lies between left out; a
//! rejected record is left out, a rejected rollback too.

use std::collections::HashSet;

/// What matters of a record here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It has values.
    Values(u64),
    /// It leads back.
    Rollback {
        /// Its id.
        id: u64,
        /// Where it leads.
        to: u64,
    },
    /// It leaves one out.
    Reject {
        /// Its id.
        id: u64,
        /// Which one it leaves out.
        rejected: u64,
    },
}

impl Link {
    fn id(self) -> u64 {
        match self {
            Self::Values(id) | Self::Rollback { id, .. } | Self::Reject { id, .. } => id,
        }
    }
}

/// A record that names one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {id} names record {named}, which does not come before it")]
pub struct Unknown {
    /// The record.
    pub id: u64,
    /// What it names.
    pub named: u64,
}

/// The ids of the records that hold. `links` are all records, in order.
pub fn holding(links: &[Link]) -> Result<HashSet<u64>, Unknown> {
    let before = |index: usize, named: u64| links[..index].binary_search_by_key(&named, |link| link.id());
    // Also those that don't hold have to make sense: one of them may hold again after a rejection.
    for (index, link) in links.iter().enumerate() {
        let (id, named) = match *link {
            Link::Values(_) | Link::Rollback { to: 0, .. } => continue,
            Link::Rollback { id, to } => (id, to),
            Link::Reject { id, rejected } => (id, rejected),
        };
        before(index, named).map_err(|_| Unknown { id, named })?;
    }
    let (mut holding, mut rejected) = (HashSet::new(), HashSet::new());
    let mut next = links.len();
    while next > 0 {
        next -= 1;
        match links[next] {
            Link::Reject { rejected: id, .. } => {
                rejected.insert(id);
            }
            link if rejected.contains(&link.id()) => {}
            Link::Values(id) => {
                holding.insert(id);
            }
            Link::Rollback { to, .. } => next = before(next, to).map_or(0, |index| index + 1),
        }
    }
    Ok(holding)
}

#[cfg(test)]
mod tests {
    use super::Link::{Reject, Rollback, Values};
    use super::*;

    fn sorted(links: &[Link]) -> Vec<u64> {
        let mut ids: Vec<u64> = holding(links).unwrap().into_iter().collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_rollback_leads_to_the_state_right_after_its_record() {
        assert_eq!(sorted(&[Values(1), Values(2), Rollback { id: 3, to: 1 }, Values(4)]), [1, 4]);
        assert_eq!(sorted(&[Values(1), Rollback { id: 2, to: 0 }, Values(3), Rollback { id: 4, to: 1 }]), [1]);
        assert_eq!(sorted(&[Values(1), Rollback { id: 2, to: 0 }, Rollback { id: 3, to: 2 }]), [0; 0]);
    }

    #[test]
    fn what_is_rejected_is_left_out_a_rollback_too() {
        assert_eq!(sorted(&[Values(1), Values(2), Reject { id: 3, rejected: 2 }]), [1]);
        assert_eq!(sorted(&[Values(1), Rollback { id: 2, to: 0 }, Reject { id: 3, rejected: 2 }]), [1]);
        // A rejection that a rollback leads behind of no longer counts.
        assert_eq!(sorted(&[Values(1), Reject { id: 2, rejected: 1 }, Rollback { id: 3, to: 1 }]), [1]);
    }

    #[test]
    fn a_record_that_is_not_there_can_not_be_named() {
        assert_eq!(holding(&[Values(1), Rollback { id: 2, to: 2 }]), Err(Unknown { id: 2, named: 2 }));
        assert_eq!(holding(&[Values(2), Reject { id: 3, rejected: 1 }]), Err(Unknown { id: 3, named: 1 }));
        assert_eq!(holding(&[Values(2), Reject { id: 3, rejected: 0 }]), Err(Unknown { id: 3, named: 0 }));
    }
}
