//! `dynix rollback`: back to what held after an earlier record.

use super::change::{Context, Recorded};
use super::recording;
use crate::overrides::{Change, LogError, LogFile};
use crate::request::Rollback;

/// Records it.
pub fn record(request: &Rollback, context: &Context<'_>) -> anyhow::Result<Recorded> {
    let log = context.log();
    let mut trial = recording::start(request.confirm, context)?;
    let found = match request.id {
        None => recording::take_back(&log, &mut trial, context.by)?,
        Some(to) => {
            let ids = recording::record(&log, &[Change::Rollback(to)], &mut trial, None, context.by)
                .map_err(|error| missing(error, to, &log))?;
            ids.first().map(|id| (to, *id))
        }
    };
    let mut recorded = Recorded::default();
    match found {
        None => recorded.notes.push("no record holds; there is nothing to take back".to_owned()),
        Some((to, id)) => {
            recorded.records.push(id);
            recorded.what = format!("rollback to {to}");
        }
    }
    if request.apply {
        let mut apply = context.apply(None);
        apply.trial = trial;
        recorded.apply = Some(apply);
    }
    if recorded.apply.is_none() && !recorded.records.is_empty() {
        recorded.next = Some("dynix apply".to_owned());
    }
    Ok(recorded)
}

/// An error about the record that this would have been is of no use to anybody: it was never written.
fn missing(error: anyhow::Error, to: u64, log: &LogFile) -> anyhow::Error {
    match error.downcast_ref() {
        Some(LogError::Chain { source, .. }) if source.named == to => {
            LogError::NoSuchRecord { path: log.path().to_string(), id: to }.into()
        }
        _ => error,
    }
}
