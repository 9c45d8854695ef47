//! `dynix rollback`: back to what held after an earlier record.

use super::change::{Context, Recorded};
use super::recording;
use crate::overrides::Change;
use crate::request::Rollback;

/// Records it.
pub fn record(request: &Rollback, context: &Context<'_>) -> anyhow::Result<Recorded> {
    let log = context.log();
    let mut trial = recording::start(request.confirm, context)?;
    let found = match request.id {
        None => recording::take_back(&log, &mut trial, context.by)?,
        Some(to) => {
            let ids = recording::record(&log, &[Change::Rollback(to)], &mut trial, None, context.by)?;
            ids.first().map(|id| (to, *id))
        }
    };
    let mut recorded = Recorded::default();
    match found {
        None => recorded.notes.push("no record holds; there is nothing to take back".to_owned()),
        Some((to, id)) => {
            recorded.records.push(id);
            recorded.notes.push(format!("recorded {id}: rollback to {to}"));
        }
    }
    if request.apply {
        let mut apply = context.apply(None);
        apply.trial = trial;
        recorded.apply = Some(apply);
    }
    Ok(recorded)
}
