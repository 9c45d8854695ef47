//! Trials: changes that roll back unless they are confirmed in time.
//!
//! The log has each record of a trial rejected from the start (one write for both, if the change is recorded with the
//! trial). So the log alone rolls the change back: a crash, a reboot or a lost timer has the same result. Only a
//! confirmation, which rejects the rejections, makes the records count. During the trial, the log *with* that
//! confirmation is in effect. A transient timer, started before anything is touched, ends the trial.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::{Change, Sides};
use super::execution::Machine;
use super::locks::Locks;
use super::observed::dependents::Dependents;
use super::observed::observe;
use super::pass::Pass;
use super::rejection::{self, Marks};
use super::report::{Outcome, Report};
use super::rollout::Fallback;
use super::state::{FailureKind, InEffect, LastFailure, Mark, State, Trial};
use super::watch::Watch;
use super::watch::upkeep;
use super::{ApplyError, Failed, Request, wake};
use crate::host::systemd::When;
use crate::overrides::{Draft, Kind, LogFile};
use crate::plan::Plan;
use crate::render;
use crate::render::key::Key;
use crate::time::clock::{Clock, SystemClock};

/// Why the records of a change on trial do not count.
pub const NOT_CONFIRMED: &str = "not confirmed";
/// How long after its end a trial is left to its timer, in seconds.
const GRACE: f64 = 10.0;
/// How long a rollback waits for a lock: until it gets it.
pub const PATIENCE: Duration = Duration::MAX;

/// A trial that is to begin.
#[derive(Clone, Debug)]
pub struct Start {
    /// How long there is for a confirmation.
    pub window: Duration,
    /// The records that were made for it.
    pub marks: Vec<Mark>,
    /// Whether the trial refuses records of others: without a confirmation it would undo them.
    pub only_own: bool,
}

/// A trial that awaits its confirmation, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("a change of {} (by {by}) awaits its confirmation, {left} s are left: `dynix confirm` keeps it, `dynix confirm --revert` goes back at once", services.join(", "))]
pub struct Awaiting {
    /// Whose.
    pub services: Vec<String>,
    /// The user who made it.
    pub by: String,
    /// Seconds.
    pub left: u64,
}

impl Trial {
    /// Seconds until it ends; none once it should have.
    #[must_use]
    pub fn left(&self) -> f64 {
        (self.end - SystemClock.monotonic().as_secs_f64()).max(0.0)
    }

    /// Whether its timer should have ended it, and did not.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.is_overdue_at(SystemClock.monotonic())
    }

    /// The same at another time.
    #[must_use]
    pub fn is_overdue_at(&self, now: Duration) -> bool {
        now.as_secs_f64() > self.end + GRACE
    }

    /// The records of a confirmation.
    #[must_use]
    pub fn confirmation(&self) -> Vec<Draft> {
        confirmation(&self.marks, "confirmed")
    }

    /// The message about it.
    #[must_use]
    pub fn awaiting(&self) -> Awaiting {
        let services = self.back.keys().cloned().collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and rounded")]
        let left = self.left().ceil() as u64;
        Awaiting { services, by: self.by.clone(), left }
    }
}

impl State {
    /// The records to add to the log to see what is in effect: those of a confirmation, if a trial is under way.
    #[must_use]
    pub fn on_trial(&self) -> Vec<Draft> {
        self.trial.as_ref().filter(|trial| !trial.is_overdue()).map(Trial::confirmation).unwrap_or_default()
    }
}

/// The records that let those on trial count.
#[must_use]
pub fn confirmation(marks: &[Mark], reason: &str) -> Vec<Draft> {
    marks.iter().map(|one| Draft::Reject { id: one.mark, reason: reason.to_owned() }).collect()
}

/// Puts `changes` on trial: starts its timer, rejects the records that they are from, and notes what to go back to.
/// `tried`: the last record that they are from, and who asks.
pub(super) fn begin(
    plan: &Plan,
    log: &LogFile,
    start: &Start,
    changes: &[Change<'_>],
    state: &mut State,
    tried: (u64, &str),
    machine: &Machine<'_>,
) -> Result<(), ApplyError> {
    let (last, by) = tried;
    let manager = machine.manager.ok_or(ApplyError::NoTimer)?;
    let concerned: Vec<Failed> = changes
        .iter()
        .map(|change| Failed {
            service: change.name.to_owned(),
            log_id: state.log_id(change.name),
            reason: NOT_CONFIRMED.to_owned(),
        })
        .collect();
    let marked: BTreeSet<u64> = start.marks.iter().map(|one| one.record).collect();
    let mut rejects = rejection::find(plan, log, &concerned, last, &start.marks)?;
    rejects.retain(|one| !marked.contains(&one.id));
    if start.only_own {
        refuse_others(log, &rejects.iter().map(|one| one.id).collect(), by)?;
    }
    // The last record's id is unlike that of any trial before.
    let name = format!("dynix-confirm-{last}");
    let end = machine.clock.monotonic().as_secs_f64() + start.window.as_secs_f64();
    let description = "Goes back from a change that nobody confirmed";
    manager.start_timer(&machine.recall.timer(
        name.clone(),
        description,
        vec![When::In(start.window)],
        &["confirm", "--revert", "--of", &name],
    ))?;
    let back = changes.iter().map(|change| (change.name.to_owned(), change.back.clone())).collect();
    let marks = start.marks.clone();
    let trial = state.trial.insert(Trial { timer: name, by: by.to_owned(), end, marks, back });
    let recorded: Vec<Draft> =
        rejects.iter().map(|one| Draft::Reject { id: one.id, reason: NOT_CONFIRMED.to_owned() }).collect();
    let ids = log.append(&recorded, by, None, |_| {})?;
    trial.marks.extend(rejects.iter().zip(ids).map(|(one, mark)| Mark { record: one.id, mark }));
    Ok(())
}

/// Gives an error if one of these records is not by `by`.
fn refuse_others(log: &LogFile, ids: &Marks, by: &str) -> Result<(), ApplyError> {
    let records = log.find(|id| ids.contains(&id))?;
    match records.into_iter().find(|record| record.by.as_deref() != Some(by)) {
        None => Ok(()),
        Some(other) => Err(ApplyError::OthersOnTrial { id: other.id, by: other.by.unwrap_or_default() }),
    }
}

/// Begins a trial for a change that is not of a service, with the name `name`, or joins the trial of the same records.
/// The records are rejected from the start already.
pub fn begin_for(
    name: &str,
    start: &Start,
    by: &str,
    machine: &Machine<'_>,
    _locks: &Locks,
) -> Result<Awaiting, ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    if state.trial.is_none() {
        let manager = machine.manager.ok_or(ApplyError::NoTimer)?;
        let last = start.marks.iter().map(|one| one.mark).max().unwrap_or_default();
        let timer = format!("dynix-confirm-{last}");
        let end = machine.clock.monotonic().as_secs_f64() + start.window.as_secs_f64();
        let description = "Goes back from a change that nobody confirmed";
        let words = ["confirm", "--revert", "--of", &timer];
        manager.start_timer(&machine.recall.timer(timer.clone(), description, vec![When::In(start.window)], &words))?;
        let marks = start.marks.clone();
        state.trial = Some(Trial { timer, by: by.to_owned(), end, marks, back: BTreeMap::new() });
    }
    let Some(trial) = &mut state.trial else { return Err(ApplyError::NothingAwaits) };
    trial.back.insert(name.to_owned(), InEffect::default());
    let awaiting = trial.awaiting();
    state.save(&machine.paths.state())?;
    Ok(awaiting)
}

/// Takes such a change off the trial.
pub fn let_go_of(name: &str, machine: &Machine<'_>, _locks: &Locks) -> Result<(), ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    let_go(&mut state, std::iter::once(&name.to_owned()), machine);
    Ok(state.save(&machine.paths.state())?)
}

/// Takes back the beginning of a trial that did not come to touch anything.
pub(super) fn abandon(state: &mut State, request: &Request, machine: &Machine<'_>) {
    if let (Some(_), Some(trial)) = (&request.trial, state.trial.take()) {
        stop(&trial, machine);
    }
}

/// Leaves on trial only the services that work on their new values; without any, the trial is over.
pub(super) fn keep_to(
    outcomes: &BTreeMap<String, Outcome>,
    state: &mut State,
    request: &Request,
    machine: &Machine<'_>,
) {
    if request.trial.is_none() {
        return;
    }
    if let Some(trial) = &mut state.trial {
        trial
            .back
            .retain(|service, _| matches!(outcomes.get(service), Some(Outcome::Applied | Outcome::Unseen { .. })));
        if trial.back.is_empty() {
            abandon(state, request, machine);
        }
    }
}

/// A timer that is left finds nothing to go back from.
fn stop(trial: &Trial, machine: &Machine<'_>) {
    if let Some(manager) = machine.manager {
        let _ = manager.stop_timer(&trial.timer);
    }
}

/// Ends a trial whose way an apply has gone; in `state` there may be another one by now.
pub(super) fn end(over: &Trial, state: &mut State, machine: &Machine<'_>) {
    state.trial.take_if(|trial| trial == over);
    stop(over, machine);
}

/// Leaves on trial only the services in `held`: an apply saw to the others. Gives whether that changes anything.
pub(super) fn narrow(state: &mut State, held: &BTreeSet<String>) -> bool {
    let Some(trial) = &mut state.trial else { return false };
    let before = trial.back.len();
    trial.back.retain(|service, _| held.contains(service));
    trial.back.len() != before
}

/// Removes services from the trial: they rolled back already. A trial without services is over.
pub(super) fn let_go<'s>(state: &mut State, services: impl Iterator<Item = &'s String>, machine: &Machine<'_>) {
    let Some(trial) = &mut state.trial else { return };
    services.for_each(|service| drop(trial.back.remove(service)));
    if let Some(trial) = state.trial.take_if(|trial| trial.back.is_empty()) {
        stop(&trial, machine);
    }
}

/// Rolls back a trial that its timer should have ended, before an apply that leaves some of its services alone: after
/// that nobody else would roll it back.
pub(super) fn end_overdue(
    plan: &Plan,
    log: &LogFile,
    request: &Request,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    let is_left = |trial: &mut Trial| {
        trial.is_overdue_at(machine.clock.monotonic())
            && !trial.back.keys().all(|service| request.ends_trial_of(service))
    };
    let Some(trial) = state.trial.take_if(is_left) else { return Ok(()) };
    report.warnings.push(format!(
        "a change of {} (by {}) was not confirmed in time, and its timer did not go back from it; it goes back now",
        trial.awaiting().services.join(", "),
        trial.by
    ));
    go_back(plan, log, &trial, state, NOT_CONFIRMED, machine, report)
}

/// Which change on trial is to end: it may be over when its turn comes, and another one may have begun.
#[derive(Clone, Copy, Debug)]
pub enum Which<'w> {
    /// The trial of this timer. If it is over, all is well.
    Of(&'w str),
    /// The trial that the caller saw, by its timer. If it is over, the caller gets an error.
    Observed(Option<&'w str>),
}

impl Which<'_> {
    fn is(self, trial: &Trial) -> bool {
        match self {
            Self::Of(timer) => trial.timer == timer,
            Self::Observed(timer) => timer == Some(&trial.timer),
        }
    }
}

/// Lets the change that awaits its confirmation count. `found`: its timer. Gives the trial that it was.
pub fn confirm(
    plan: &Plan,
    log: &LogFile,
    (found, by): (Option<&str>, &str),
    machine: &Machine<'_>,
    _locks: &Locks,
    mut waiting: impl FnMut(&str),
) -> Result<(Trial, Report), ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    let trial = state.trial.take_if(|trial| Which::Observed(found).is(trial)).ok_or(ApplyError::NothingAwaits)?;
    log.append(&trial.confirmation(), by, None, &mut waiting)?;
    let (folded, mut report) = (log.fold()?, Report::default());
    upkeep::confirmed(plan, &folded, trial.back.keys(), &mut state, machine, &mut report);
    state.save(&machine.paths.state())?;
    stop(&trial, machine);
    wake(plan, log, &folded, &BTreeSet::new(), &mut state, machine, &mut report)?;
    Ok((trial, report))
}

/// Rolls back the trial: to exactly what each service had, or to its static files if that does not work. The log needs
/// no record, because it has the trial rejected already; so even an unreadable log does not prevent the rollback.
/// `reason` is for the state.
pub fn revert(
    plan: &Plan,
    log: &LogFile,
    which: Which<'_>,
    reason: &str,
    machine: &Machine<'_>,
    _locks: &Locks,
) -> Result<Report, ApplyError> {
    machine.interruption.begin();
    let mut state = State::load(&machine.paths.state())?;
    let mut report = Report::default();
    let Some(trial) = state.trial.take_if(|trial| which.is(trial)) else {
        return if matches!(which, Which::Of(_)) { Ok(report) } else { Err(ApplyError::NothingAwaits) };
    };
    go_back(plan, log, &trial, state, reason, machine, &mut report)?;
    Ok(report)
}

/// Goes back from a trial that `state` no longer has.
fn go_back(
    plan: &Plan,
    log: &LogFile,
    trial: &Trial,
    mut state: State,
    reason: &str,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let paths = machine.paths;
    if is_confirmed(log, trial) {
        // A confirmation that did not come to its end.
        return Ok(state.save(&paths.state())?);
    }
    let key = Key::load(paths)?;
    let mut changes: Vec<Change<'_>> = Vec::new();
    for (name, back) in &trial.back {
        let Some((name, service)) = plan.services.get_key_value(name) else { continue };
        let found = observe(name, Some(service), &state, paths, &key)?;
        let as_built = render::identities_as_built(service).unwrap_or_default();
        let (from, pending) = (&found.now, &found.pending);
        let sides = Sides { from, to: back, confirmed: back, as_built: &as_built, pending };
        changes.extend(Change::between(name, service, sides));
    }
    let (mut unreached, mut dependents) = (BTreeMap::new(), Dependents::default());
    if let Some(manager) = machine.manager {
        unreached = super::difference::check_all_units(&mut changes, manager)?;
        dependents = Dependents::note(&changes, Some(manager))?;
    }
    let log_id = trial.marks.iter().map(|one| one.mark).max().unwrap_or_default();
    let watches =
        trial.back.keys().map(|service| (service, state.services.get(service).and_then(|one| one.watch.clone())));
    let watches: BTreeMap<&String, Option<Watch>> = watches.collect();
    let mut pass = Pass::new(plan, state, 0);
    pass.take(&changes, &BTreeMap::new(), &dependents, Fallback::Static, machine);
    pass.leave(unreached);
    for (service, watch) in watches.into_iter().filter(|(service, _)| plan.services.contains_key(service)) {
        let is_back = !matches!(pass.outcome(service), Some(Outcome::RollbackFailed { .. }));
        let entry = pass.state.service(service);
        upkeep::went_back(entry, watch.filter(|_| is_back), machine);
        entry.log_id = entry.log_id.max(log_id);
        entry.last_failure.get_or_insert_with(|| LastFailure::now(FailureKind::NotConfirmed, reason));
    }
    pass.state.save(&paths.state())?;
    let mut state = pass.tell(report);
    stop(trial, machine);
    if let Ok(folded) = log.fold() {
        wake(plan, log, &folded, &BTreeSet::new(), &mut state, machine, report)?;
    }
    Ok(())
}

/// Whether the log has the trial confirmed. `false` if it can't be read.
fn is_confirmed(log: &LogFile, trial: &Trial) -> bool {
    let marks: Marks = trial.marks.iter().map(|one| one.mark).collect();
    let newest = marks.last().copied().unwrap_or_default();
    let records = log.find(|id| id > newest).unwrap_or_default();
    let rejected: Marks = records
        .iter()
        .filter_map(|record| match record.kind {
            Kind::Reject { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    !marks.is_empty() && marks.is_subset(&rejected)
}
