//! Writes a change into the log, as a trial or not; or finds out what would be written.

use std::time::{Duration, SystemTime};

use super::changed::{self, Changed};
use crate::overrides::{Draft, LogFile, Marking};
use crate::reconcile::ApplyError;
use crate::reconcile::state::Mark;
use crate::reconcile::trial::{NOT_CONFIRMED, Start};
use crate::system::caller::Caller;
use crate::system::{Refused, System};
use crate::time::duration::AWAITS;

/// What was recorded, or would be.
#[derive(Debug, Default)]
pub struct Made {
    /// The ids of the records; none if only a look was asked for.
    pub records: Vec<u64>,
    /// The records.
    pub drafts: Vec<Draft>,
    /// What they change.
    pub changed: Vec<Changed>,
}

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
) -> anyhow::Result<Made> {
    record_checked((system, caller), trial, None, decide, |log, drafts| compared(system, log, drafts))
}

/// What changes with `drafts` at the end of the log.
pub fn compared(system: &System<'_>, log: &LogFile, drafts: &[Draft]) -> anyhow::Result<Vec<Changed>> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let (before, after) = (log.fold()?, log.preview(drafts)?);
    let given: Vec<_> = drafts.iter().flat_map(Draft::paths).collect();
    Ok(changed::between(system, &before.overlay, &after.overlay, &given))
}

/// The same for changes that end at `until`. `check` sees them after the caller's rights are checked, and says what
/// they change.
pub fn record_checked(
    (system, caller): (&System<'_>, &Caller<'_>),
    trial: &mut Option<Start>,
    until: Option<SystemTime>,
    mut decide: impl FnMut(&LogFile) -> anyhow::Result<Vec<Draft>>,
    mut check: impl FnMut(&LogFile, &[Draft]) -> anyhow::Result<Vec<Changed>>,
) -> anyhow::Result<Made> {
    let mut made = Made::default();
    let mut find = |log: &LogFile| {
        made.drafts = decide(log)?;
        (caller.judge)(log, &made.drafts)?;
        made.changed = check(log, &made.drafts)?;
        anyhow::Ok(made.drafts.clone())
    };
    if caller.only_looks {
        find(&system.log())?;
        return Ok(made);
    }
    let rejected = trial.is_some().then_some(NOT_CONFIRMED);
    let marking = Marking { by: caller.by, until, message: caller.message, rejected };
    let written = system.log().decide(&marking, system.waits(), &mut find)?;
    if let Some(start) = trial {
        let marks = written.records.iter().zip(&written.rejections);
        start.marks.extend(marks.map(|(&record, &mark)| Mark { record, mark }));
    }
    made.records = written.records;
    Ok(made)
}
