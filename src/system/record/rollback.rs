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
    let made = trial::record((system, caller), &mut trial, decide).map_err(|error| match request.id {
        Some(to) => missing(error, to, &system.log()),
        None => error,
    })?;
    let mut recorded = Recorded::default();
    match to {
        None => recorded.notes.push("no record holds; there is nothing to take back".to_owned()),
        Some(to) => recorded.what = format!("rollback to {to}"),
    }
    Ok(recorded.then(made, request.apply, None, trial, caller))
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

/// A record that a rollback takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loses {
    /// Its id.
    pub id: u64,
    /// Who made it.
    pub by: Option<String>,
}

impl System<'_> {
    /// The records that count now, and would not after this rollback.
    pub fn lost_by(&self, request: &Rollback) -> anyhow::Result<Vec<Loses>> {
        let log = self.log();
        let Some(to) = target(request, &log)? else { return Ok(Vec::new()) };
        let mut counts = Vec::new();
        log.each(|record, fate| {
            if record.id > to && fate.counts {
                counts.push(Loses { id: record.id, by: record.by });
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(counts)
    }
}
