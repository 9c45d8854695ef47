//! Which records are to blame when a service did not take its values.

use super::{Failed, concerns};
use crate::overrides::{Change, Kind, LogError, LogFile, Record};
use crate::plan::Plan;

/// Rejections of all records since each failed service's last good apply that concern it. Which one of several it was
/// can't be known: they came into effect together. What was recorded after `tried` meanwhile is not among them.
pub(super) fn of(plan: &Plan, log: &LogFile, failed: &[Failed], tried: u64) -> Result<Vec<Change>, LogError> {
    let records = log.evaluated_records()?;
    let rejected =
        |id: u64| records.iter().any(|record| matches!(record.kind, Kind::Reject { id: other, .. } if other == id));
    let mut rejects = Vec::new();
    for record in records.iter().filter(|record| record.id <= tried && !rejected(record.id)) {
        let guilty = failed.iter().find(|one| record.id > one.log_id && is_about(plan, &one.service, record));
        if let Some(one) = guilty {
            rejects.push(Change::Reject { id: record.id, reason: format!("{}: {}", one.service, one.reason) });
        }
    }
    Ok(rejects)
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
