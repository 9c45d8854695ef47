//! How the commands put a change into the log, on trial or not.

use std::time::{Duration, SystemTime};

use super::change::Context;
use crate::apply::ApplyError;
use crate::apply::state::{Mark, State};
use crate::apply::trial::{NOT_CONFIRMED, Start};
use crate::overrides::{Change, LogFile};

/// The beginning of a trial, where one is asked for and possible: said before anything is recorded.
pub fn start(window: Option<Duration>, context: &Context<'_>) -> anyhow::Result<Option<Start>> {
    let Some(window) = window else { return Ok(None) };
    if context.session.manager().is_none() {
        return Err(ApplyError::NoTimer.into());
    }
    if let Some(trial) = State::load(&context.paths.state())?.trial.filter(|trial| !trial.is_overdue()) {
        return Err(ApplyError::from(trial.awaiting()).into());
    }
    Ok(Some(Start { window, marks: Vec::new() }))
}

/// Records changes. Those that are to be on trial count for nothing yet, whatever happens from now on.
pub fn record(
    log: &LogFile,
    changes: &[Change],
    trial: &mut Option<Start>,
    until: Option<SystemTime>,
    by: &str,
) -> anyhow::Result<Vec<u64>> {
    let Some(start) = trial else { return Ok(log.append(changes, by, until, super::waiting)?) };
    let marks = log.append_rejected(changes, NOT_CONFIRMED, by, until, super::waiting)?;
    start.marks.extend(marks.iter().map(|&(record, mark)| Mark { record, mark }));
    Ok(marks.into_iter().map(|(record, _)| record).collect())
}

/// Records that the last record that holds is taken back. Gives where it goes back to, and the id of the record; `None`
/// if none holds.
pub fn take_back(log: &LogFile, trial: &mut Option<Start>, by: &str) -> anyhow::Result<Option<(u64, u64)>> {
    let rejected = trial.is_some().then_some(NOT_CONFIRMED);
    let Some((to, ids)) = log.take_back(rejected, by, super::waiting)? else { return Ok(None) };
    if let (Some(start), [record, mark]) = (trial, ids.as_slice()) {
        start.marks.push(Mark { record: *record, mark: *mark });
    }
    Ok(ids.first().map(|id| (to, *id)))
}
