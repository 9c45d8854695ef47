//! Which records are to blame when a service did not take its values.

use std::collections::BTreeSet;

use super::state::Mark;
use super::{Failed, concerns};
use crate::overrides::{Kind, LogError, LogFile, Record};
use crate::plan::Plan;

/// Ids of records that reject others.
pub(super) type Marks = BTreeSet<u64>;

/// A record that is to be rejected.
pub(super) struct Rejection {
    /// The record.
    pub id: u64,
    /// Why.
    pub reason: String,
}

/// Rejections of all records since each failed service's last good apply that concern it, and are not rejected yet but
/// by `marks`, for a while. Which one of several it was can't be known: they came into effect together. What was recorded
/// after `tried` meanwhile is not among them.
pub(super) fn of(
    plan: &Plan,
    log: &LogFile,
    failed: &[Failed],
    tried: u64,
    marks: &[Mark],
) -> Result<Vec<Rejection>, LogError> {
    let records = log.evaluated_records()?;
    let for_a_while: Marks = marks.iter().map(|one| one.mark).collect();
    let rejected: BTreeSet<u64> = records
        .iter()
        .filter_map(|record| match record.kind {
            Kind::Reject { id, .. } if !for_a_while.contains(&record.id) => Some(id),
            _ => None,
        })
        .collect();
    let mut rejections = Vec::new();
    for record in records.iter().filter(|record| record.id <= tried && !rejected.contains(&record.id)) {
        let guilty = failed.iter().find(|one| record.id > one.log_id && is_about(plan, &one.service, record));
        if let Some(one) = guilty {
            rejections.push(Rejection { id: record.id, reason: format!("{}: {}", one.service, one.reason) });
        }
    }
    Ok(rejections)
}

fn is_about(plan: &Plan, service: &str, record: &Record) -> bool {
    match &record.kind {
        Kind::Set(_) | Kind::Replace { .. } | Kind::Unset(_) => {
            record.paths().iter().any(|path| concerns(plan, service, path))
        }
        // Concerns all services at once.
        Kind::Rollback(_) => true,
        Kind::Reject { .. } | Kind::Expression(_) => false,
    }
}
