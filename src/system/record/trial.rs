//! Writes a change into the log, as a trial or not.

use std::time::{Duration, SystemTime};

use crate::overrides::{Draft, LogFile, Marking};
use crate::reconcile::ApplyError;
use crate::reconcile::state::Mark;
use crate::reconcile::trial::{NOT_CONFIRMED, Start};
use crate::system::caller::Caller;
use crate::system::{Refused, System};
use crate::time::duration::AWAITS;

/// The start of a trial, if one is asked for. An error that no trial is possible comes before anything is recorded.
pub fn start(window: Option<Duration>, system: &System<'_>) -> anyhow::Result<Option<Start>> {
    let Some(window) = window else { return Ok(None) };
    let window = AWAITS.check(window).map_err(|problem| Refused(format!("--confirm (confirmUSec): {problem}")))?;
    if system.session.manager().is_none() {
        return Err(ApplyError::NoTimer.into());
    }
    if let Some(trial) = system.state()?.trial.filter(|trial| !trial.is_overdue()) {
        return Err(ApplyError::from(trial.awaiting()).into());
    }
    Ok(Some(Start { window, marks: Vec::new(), only_own: false }))
}

/// Records the changes that `decide` gives, without an end. The records of a trial do not count yet, whatever happens
/// from now on.
///
/// The log does not change between the call of `decide` and the write; see [`LogFile::decide`].
pub fn record(
    (system, caller): (&System<'_>, &Caller<'_>),
    trial: &mut Option<Start>,
    decide: impl FnMut(&LogFile) -> anyhow::Result<Vec<Draft>>,
) -> anyhow::Result<Vec<u64>> {
    record_checked((system, caller), trial, None, decide, |_, _| Ok(()))
}

/// The same for changes that end at `until`. `check` sees them after the caller's rights are checked.
pub fn record_checked(
    (system, caller): (&System<'_>, &Caller<'_>),
    trial: &mut Option<Start>,
    until: Option<SystemTime>,
    mut decide: impl FnMut(&LogFile) -> anyhow::Result<Vec<Draft>>,
    mut check: impl FnMut(&LogFile, &[Draft]) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let marking = Marking { by: caller.by, until, rejected: trial.is_some().then_some(NOT_CONFIRMED) };
    let written = system.log().decide(&marking, system.waits(), |log| {
        let changes = decide(log)?;
        (caller.judge)(log, &changes)?;
        check(log, &changes)?;
        anyhow::Ok(changes)
    })?;
    if let Some(start) = trial {
        let marks = written.records.iter().zip(&written.rejections);
        start.marks.extend(marks.map(|(&record, &mark)| Mark { record, mark }));
    }
    Ok(written.records)
}
