//! `dynix rollback`: returns to the values after an earlier record.

use super::{Recorded, trial};
use crate::overrides::{Draft, LogError, LogFile};
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::request::Rollback;

/// Records it.
pub fn record(request: &Rollback, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let mut trial = trial::start(request.confirm, system)?;
    let mut to = None;
    let decide = |log: &LogFile| {
        to = target(request, log)?;
        Ok(to.map(Draft::Rollback).into_iter().collect())
    };
    let records = trial::record((system, caller), &mut trial, decide).map_err(|error| match request.id {
        Some(to) => missing(error, to, &system.log()),
        None => error,
    })?;
    let mut recorded = Recorded::default();
    match to {
        None => recorded.notes.push("no record holds; there is nothing to take back".to_owned()),
        Some(to) => recorded.what = format!("rollback to {to}"),
    }
    recorded.records = records;
    if request.apply {
        let mut apply = caller.apply(None);
        apply.trial = trial;
        apply.records.clone_from(&recorded.records);
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

/// The record to return to. Without a number it is the one before the last that holds; `None` if none holds.
fn target(request: &Rollback, log: &LogFile) -> Result<Option<u64>, LogError> {
    if request.id.is_some() { Ok(request.id) } else { log.one_back() }
}
