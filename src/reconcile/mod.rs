//! Reconciles running services with the log of overrides.
//!
//! Takes the plan, the log and the machine, with the [`locks`] held; gives a [`Report`]. In order:
//!
//! 1. what is [`desired`]: the log is folded, its values are merged into the built ones;
//! 2. what is [`observed`]: generations, drop-ins, the state file;
//! 3. the [`difference`], one [`change`] for each service that differs;
//! 4. the plan of [`action`]s ([`planning`]), which a dry run prints;
//! 5. [`execution`]: write and check beside what is in use, note what is about to happen, swap, act on units ([`rollout`]);
//! 6. the verdict: a service whose units do not come up on its new values rolls back to exactly what it had, its records
//!    are rejected ([`rejection`]), and the log is folded again.
//!
//! [`pass`] makes one such round. What was changed is watched afterwards ([`watch`]); a change on [`trial`] rolls back
//! unless it is confirmed.

pub mod action;
mod boot;
pub mod change;
pub mod desired;
pub mod difference;
pub mod execution;
pub mod known_good;
pub mod links;
pub mod locks;
pub mod observed;
pub mod ownership;
pub mod planning;
pub mod report;
pub mod request;
pub mod rerun;
pub mod rollout;
pub mod state;
pub mod trial;
pub mod view;
pub mod watch;

mod expiry;
mod garbage;
mod kernel;
mod pass;
mod rejection;
mod rollback;
mod secret_files;
mod semaphore;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use action::Action;
use difference::{Difference, difference};
use execution::Machine;
use expiry::{expired, expiry, wake};
use locks::Locks;
use pass::pass;
use report::{Outcome, Report, TakenBack};
pub use request::{ApplyError, Occasion, Request};
use state::{Mark, State, Trial};
use view::View;
use watch::upkeep;

use crate::attr_path::AttrPath;
use crate::host::fs;
use crate::host::systemd::before::Before;
use crate::overrides::{Draft, Kind, LogError, LogFile};
use crate::plan::Plan;

/// Applies what is recorded.
pub fn apply(
    plan: &Plan,
    log: &LogFile,
    request: &Request,
    machine: &Machine<'_>,
    _locks: &Locks,
    mut waiting: impl FnMut(&str),
) -> Result<Report, ApplyError> {
    let yet_to_start = machine.manager.filter(|_| request.before_units).map(Before);
    let machine = &match &yet_to_start {
        Some(manager) => Machine { manager: Some(manager), ..*machine },
        None => Machine { ..*machine },
    };
    machine.interruption.begin();
    let mut report = Report::default();
    require(plan, request, machine)?;
    // Best effort: failing to clean up is only a warning.
    report.warnings.extend(garbage::clean(plan, machine.paths).err().map(|error| error.to_string()));
    if request.occasion == (Occasion::Switch { static_wins: false }) {
        report.warnings.extend(links::restore(plan, machine.paths).err().map(|error| error.to_string()));
    }
    reconcile(plan, log, request.clone(), machine, &mut report, &mut waiting)?;
    // A path unit does not see what changes while its service runs (systemd.path(5)): a secret may have, once more.
    for _ in 0..AGAIN {
        if request.occasion != Occasion::Retry || !differs(plan, log, request, machine, &report)? {
            break;
        }
        reconcile(plan, log, request.clone(), machine, &mut report, &mut waiting)?;
    }
    Ok(report)
}

/// How often a change that came meanwhile is followed at once.
const AGAIN: usize = 5;

/// Whether there is something more to apply, after an apply that went well.
fn differs(
    plan: &Plan,
    log: &LogFile,
    request: &Request,
    machine: &Machine<'_>,
    report: &Report,
) -> Result<bool, ApplyError> {
    if report.services.values().any(|outcome| *outcome != Outcome::Applied) || !report.awaited.is_empty() {
        return Ok(false);
    }
    let state = State::load(&machine.paths.state())?;
    let view = view::view(plan, machine.paths, log, &state.on_trial(), request.services.as_ref())?;
    let found = difference(plan, &view.desired, &state, machine.paths, |service| request.takes(service))?;
    Ok(!found.changes.is_empty())
}

/// Requires the services that an apply may act on without any override: those that have something in effect, that have
/// known-good values, or that have a directory. At a boot and a switch it requires every service.
fn require(plan: &Plan, request: &Request, machine: &Machine<'_>) -> Result<(), ApplyError> {
    if matches!(request.occasion, Occasion::Boot | Occasion::AfterBoot | Occasion::Switch { .. }) {
        return Ok(plan.services.require_all()?);
    }
    let state = State::load(&machine.paths.state())?;
    if state.trial.is_some() {
        return Ok(plan.services.require_all()?);
    }
    plan.services.require(state.services.keys().chain(&state.postponed).chain(request.services.iter().flatten()))?;
    Ok(plan.services.require(&fs::names(&machine.paths.run())?)?)
}

/// Makes what is in effect the fold of the log. With the locks.
fn reconcile(
    plan: &Plan,
    log: &LogFile,
    mut request: Request,
    machine: &Machine<'_>,
    report: &mut Report,
    waiting: &mut dyn FnMut(&str),
) -> Result<(), ApplyError> {
    trial::end_overdue(plan, log, &request, machine, report)?;
    if request.occasion == Occasion::AfterBoot {
        let mut services = boot::revive(plan, log, &request.by, machine, report)?;
        services.append(&mut boot::to_try(plan, log, &request.by, machine, report)?);
        request.services = Some(services);
    }
    let before = State::load(&machine.paths.state())?;
    let held = hold(plan, &before, &mut request, report)?;
    let mut preview = match (&before.trial, &request.trial) {
        (Some(trial), _) if !held.is_empty() => trial.confirmation(),
        (_, Some(start)) => trial::confirmation(&start.marks, "confirmed"),
        _ => Vec::new(),
    };
    let mut view = view::view(plan, machine.paths, log, &preview, request.services.as_ref())?;
    let expired = expired(plan, log, &view.folded, machine.clock.now(), &held, &mut request)?;
    if !expired.is_empty() {
        log.append(&expired, &request.by, None, &mut *waiting)?;
        view = view::view(plan, machine.paths, log, &preview, request.services.as_ref())?;
    }
    report.warnings.extend(view.folded.warnings.iter().cloned());
    report.taken_back = taken_back(log, &request, view.last_id)?;
    let starts = match request.occasion {
        Occasion::Boot => boot::choose(plan, log, &mut view, machine, report)?,
        _ => BTreeMap::new(),
    };
    // The trial ends with this pass and not before: the log does not say which values the trial had.
    let over = before.trial.filter(|_| held.is_empty());
    let marks: Vec<Mark> = request.trial.iter().flat_map(|start| start.marks.clone()).collect();
    let on_trial = request.trial.is_some();
    let mut passed = pass(plan, log, &view, &request, machine, report)?;
    if request.trial.take().is_some() && !passed.changed && !request.trial_goes_on {
        // There is nothing that could go back.
        log.append(&trial::confirmation(&marks, "confirmed"), &request.by, None, &mut *waiting)?;
    }
    // The records of others are judged separately.
    let mut own = if on_trial { None } else { Some(request.records.clone()) };
    while !passed.failed.is_empty() {
        let trial = passed.state.trial.as_ref().filter(|trial| over.as_ref() != Some(*trial));
        let marks = trial.map_or_else(|| marks.clone(), |trial| trial.marks.clone());
        let mut rejections = rejection::find(plan, log, &passed.failed, view.last_id, &marks)?;
        rejections.extend(rejection::uncovered(plan, log, &passed.failed, &view.folded, &rejections)?);
        let is_last = !own.take().is_some_and(|own| rejection::own_first(&mut rejections, &passed.failed, &own));
        if !rejections.is_empty() {
            report.rejected.extend(rejections.iter().map(|one| one.id));
            let changes: Vec<Draft> =
                rejections.into_iter().map(|one| Draft::Reject { id: one.id, reason: one.reason }).collect();
            log.append(&changes, &request.by, None, &mut *waiting)?;
            preview = trial.map(Trial::confirmation).unwrap_or_default();
            // Folds the log again, because the rejections changed it.
            view = view::view(plan, machine.paths, log, &preview, request.services.as_ref())?;
            let first = std::mem::take(&mut passed.retry);
            request.follows = true;
            passed = pass(plan, log, &view, &request, machine, report)?;
            passed.retry.extend(first);
        }
        if is_last {
            break;
        }
    }
    let begun = passed.state.trial.as_ref().filter(|trial| held.is_empty() && over.as_ref() != Some(*trial));
    report.awaiting = begun.map(Trial::awaiting);
    let state = &mut passed.state;
    if let Some(over) = over {
        trial::end(&over, state, machine);
        state.save(&machine.paths.state())?;
    } else if !held.is_empty() && trial::narrow(state, &held) {
        state.save(&machine.paths.state())?;
    }
    if request.occasion == Occasion::Boot {
        boot::note(plan, starts, state, machine, report);
        state.save(&machine.paths.state())?;
    } else if !state.postponed.is_empty() {
        state.postponed.retain(|service| !request.takes(service));
        state.save(&machine.paths.state())?;
    }
    if request.occasion == Occasion::AfterBoot {
        rerun::is_tried(machine)?;
        // Watched values are still being tried.
        let is_watched = |service: &String| state.services.get(service).is_some_and(|one| one.watch.is_some());
        let tried = request.services.iter().flatten().filter(|service| !is_watched(service));
        upkeep::forget_tries(tried, machine, report);
    }
    wake(plan, log, &view.folded, &held, state, machine, report)?;
    match secret_files::set(plan, &view, &request, machine) {
        Ok(true) => report.warnings.extend(view.desired.awaited.keys().map(|service| {
            format!("{service}: it stays as it is until its secret can be used, and has it then by itself")
        })),
        Ok(false) => {}
        Err(error) => {
            report.warnings.push(format!("secrets that come are not noticed: {error}"));
            passed.retry.extend(view.desired.awaited.keys().cloned());
        }
    }
    if !on_trial {
        retry_later(&request, &passed.retry, view.last_id, machine, report)?;
    }
    if matches!(request.occasion, Occasion::Asked | Occasion::Reset) {
        tell_what_failed(plan, &request, state, machine, report)?;
    }
    upkeep::adopt(plan, state, machine, report)?;
    upkeep::begin(state, machine, report)
}

/// Lets what failed for the machine's sake be tried again. A retry that fails is itself tried again, by its exit code; and what
/// is on trial has somebody who looks.
fn retry_later(
    request: &Request,
    services: &[String],
    last_id: u64,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    if request.occasion == Occasion::Retry && services.is_empty() {
        rerun::is_retried(machine)?;
    }
    if request.occasion == Occasion::Retry || services.is_empty() {
        return Ok(());
    }
    match rerun::retry(services, last_id, machine) {
        Ok(false) => {}
        Ok(true) => report.warnings.push(format!("{}: it is tried again by itself", services.join(", "))),
        Err(error) => report.warnings.push(format!("what failed is not tried again by itself: {error}")),
    }
    Ok(())
}

/// Says which units have failed on values that this apply had nothing to do for: that they are in effect is not all that
/// was asked for.
fn tell_what_failed(
    plan: &Plan,
    request: &Request,
    state: &State,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let Some(manager) = machine.manager else { return Ok(()) };
    let in_effect = state.services.iter().filter(|(name, one)| request.takes(name) && !one.in_effect.is_static());
    // The watch itself rolls back what is watched.
    let quiet = in_effect.filter(|(name, one)| one.watch.is_none() && !report.services.contains_key(*name));
    let units: Vec<(String, String)> = quiet
        .filter_map(|(name, _)| Some((name, plan.services.get(name)?)))
        .flat_map(|(name, service)| service.units.keys().map(|unit| (unit.clone(), name.clone())))
        .collect();
    if units.is_empty() {
        return Ok(());
    }
    let (units, services): (Vec<String>, Vec<String>) = units.into_iter().unzip();
    for (status, service) in manager.status(&units)?.into_iter().zip(services) {
        if status.active_state == "failed" && !status.was_stopped {
            let unit = status.unit;
            let systemctl = |verb| manager.asking().systemctl(verb, &unit);
            let reason = format!(
                "{unit} has failed, with the recorded values in effect; see `{}`; `{}` starts it again, `dynix reset \
                 {service}` goes back to what was built",
                systemctl("status"),
                systemctl("restart")
            );
            report.services.entry(service).or_insert(Outcome::Failed { reason });
        }
    }
    Ok(())
}

/// The services whose change awaits its confirmation. They are left alone, and a request for one of them gets a
/// message.
fn hold(
    plan: &Plan,
    state: &State,
    request: &mut Request,
    report: &mut Report,
) -> Result<BTreeSet<String>, ApplyError> {
    let Some(trial) = &state.trial else { return Ok(BTreeSet::new()) };
    let held: BTreeSet<String> = trial.back.keys().filter(|service| !request.ends_trial_of(service)).cloned().collect();
    if held.is_empty() {
        return Ok(held);
    }
    if request.trial.is_some() {
        return Err(trial.awaiting().into());
    }
    let services = if let Some(asked) = request.services.take() {
        for service in asked.intersection(&held) {
            let reason = trial.awaiting().to_string();
            report.services.insert(service.clone(), Outcome::Failed { reason });
        }
        asked
    } else {
        if request.occasion != Occasion::Expiry {
            report.warnings.push(format!("{}; nothing else is done to it", trial.awaiting()));
        }
        plan.services.keys().chain(state.services.keys()).cloned().collect()
    };
    request.services = Some(services.difference(&held).cloned().collect());
    Ok(held)
}

/// The records of this apply that others undid before it had its turn: during a switch that it waited for, or by an
/// apply whose service did not work with them.
fn taken_back(log: &LogFile, request: &Request, last_id: u64) -> Result<Vec<TakenBack>, LogError> {
    if request.records.iter().max().is_none_or(|newest| *newest >= last_id) {
        return Ok(Vec::new());
    }
    // Those of a change on trial are rejected from the start.
    let marks: BTreeSet<u64> = request.trial.iter().flat_map(|trial| &trial.marks).map(|one| one.mark).collect();
    let mut taken: BTreeMap<u64, TakenBack> = BTreeMap::new();
    log.each(|record, fate| {
        let earlier =
            request.records.iter().filter(|id| **id < record.id && fate.counts && !marks.contains(&record.id));
        for &id in earlier {
            let reason = match &record.kind {
                Kind::Rollback(to) if *to < id => None,
                Kind::Reject { id: rejected, reason } if *rejected == id => Some(reason.clone()),
                _ => continue,
            };
            taken.entry(id).or_insert_with(|| TakenBack { id, record: record.id, by: record.by.clone(), reason });
        }
        ControlFlow::Continue(())
    })?;
    Ok(taken.into_values().collect())
}

/// The steps that [`apply`] would run now, with `changes` recorded first. It runs none of them.
pub fn dry_run(
    plan: &Plan,
    log: &LogFile,
    changes: &[Draft],
    request: &Request,
    machine: &Machine<'_>,
) -> Result<Report, ApplyError> {
    require(plan, request, machine)?;
    let mut changes_first = expiry(log.fold()?.expired(machine.clock.now()));
    changes_first.extend_from_slice(changes);
    let View { folded, desired, .. } = view::view(plan, machine.paths, log, &changes_first, request.services.as_ref())?;
    let state = State::load(&machine.paths.state())?;
    let mut difference = difference(plan, &desired, &state, machine.paths, |service| request.takes(service))?;
    let live = machine.manager.is_some();
    if let Some(manager) = machine.manager {
        difference.check_units(manager)?;
    }
    let mut warnings = folded.warnings;
    warnings.append(&mut difference.notes);
    let mut actions = preparation(&difference);
    actions.extend(planning::switch(&difference.changes, machine.paths, live));
    let left_to_do = if live { Vec::new() } else { planning::unit_actions(&difference.changes).collect() };
    let mut services = difference.faults;
    services.extend(difference.changes.iter().map(|change| (change.name.to_owned(), Outcome::Applied)));
    Ok(Report { actions, left_to_do, services, left_out: desired.left_out, warnings, ..Report::default() })
}

fn preparation(difference: &Difference<'_>) -> Vec<Action> {
    planning::preparation(&difference.changes, |change| difference.checks.get(change.name).cloned())
}

/// A service that did not take its values.
pub(crate) struct Failed {
    /// Its name.
    pub service: String,
    /// The last record that it had applied.
    pub log_id: u64,
    /// Why.
    pub reason: String,
}

/// Whether a path is of one of a service's options, or holds one.
pub(crate) fn concerns(plan: &Plan, service: &str, path: &AttrPath) -> bool {
    let options = plan.services.get(service).into_iter().flat_map(|service| service.options.keys());
    options
        .filter_map(|option| AttrPath::parse(option).ok())
        .any(|option| path.starts_with(&option) || option.starts_with(path))
}
