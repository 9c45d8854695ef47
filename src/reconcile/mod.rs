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
pub mod locks;
pub mod observed;
pub mod ownership;
pub mod planning;
pub mod report;
pub mod rerun;
pub mod rollout;
pub mod state;
pub mod trial;
pub mod view;
pub mod watch;

mod garbage;
mod kernel;
mod missing_secrets;
mod pass;
mod rejection;
mod rollback;
mod semaphore;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::SystemTime;

use action::Action;
use difference::{Difference, difference};
use execution::Machine;
use known_good::ChoiceError;
use locks::Locks;
use pass::pass;
use report::{Outcome, Report, TakenBack};
use state::{Mark, State, StateError, Trial};
use trial::{Awaiting, Start};
use view::View;
use watch::upkeep;

use crate::attr_path::AttrPath;
use crate::host::fs::lock::LockError;
use crate::host::fs::{self, FileError};
use crate::host::systemd::ManagerError;
use crate::host::systemd::before::Before;
use crate::overrides::{Draft, Folded, Kind, LogError, LogFile};
use crate::plan::{Plan, PlanError};

/// What is to be applied.
#[expect(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only these services; all where `None`.
    pub services: Option<BTreeSet<String>>,
    /// Who is asking, for the records that reject what failed.
    pub by: String,
    /// What it is for.
    pub occasion: Occasion,
    /// Puts the change on trial.
    pub trial: Option<Start>,
    /// What was recorded for it, which others may take back before its turn comes.
    pub records: Vec<u64>,
    /// The units wait for it to end before they start.
    pub before_units: bool,
    /// It follows on a change that went back: what went wrong then stays what there is to say.
    pub follows: bool,
    /// Options of no service change as well, and the trial is theirs, too.
    pub trial_goes_on: bool,
    /// Nix may build and download what options of no service need.
    pub build: bool,
}

/// What an apply is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody wants what is recorded in effect.
    #[default]
    Asked,
    /// Overrides are over: only their services are of interest.
    Expiry,
    /// What failed for the machine's sake is tried again.
    Retry,
    /// The system is about to boot: only what is known to work is put into effect.
    Boot,
    /// The system is up: what was postponed at its boot is tried.
    AfterBoot,
    /// Everything is to be as built.
    Reset,
    /// switch-to-configuration runs it, and holds its lock itself.
    Switch {
        /// Whether a service that fails stays on what it failed on: the built configuration wins over what was there.
        static_wins: bool,
    },
}

impl Occasion {
    fn static_wins(self) -> bool {
        self == Self::Switch { static_wins: true }
    }
}

impl Request {
    fn takes(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Whether a change of `service` that awaits its confirmation is over with this. Else the service is left alone.
    fn ends_trial_of(&self, service: &str) -> bool {
        match self.occasion {
            Occasion::Switch { .. } => true,
            Occasion::Reset => self.takes(service),
            Occasion::Asked | Occasion::Expiry | Occasion::Retry | Occasion::Boot | Occasion::AfterBoot => false,
        }
    }
}

/// Why nothing could be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else is applying.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The log can't be read or added to.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What is in effect can't be read or noted.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// systemd refuses.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// A part of the plan can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What works can't be found.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// A change is on trial already.
    #[error(transparent)]
    Awaiting(#[from] Awaiting),
    /// Nothing is on trial.
    #[error(
        "nothing awaits a confirmation: it was confirmed, it went back, or there was none; see `dynix log` and `dynix status`"
    )]
    NothingAwaits,
    /// Somebody else's record would be taken back where nobody confirms.
    #[error(
        "record {id} (by {by}) was not applied yet, and would be on trial as well: leave confirmUSec (--confirm) out, or let \
         it be applied first"
    )]
    OthersOnTrial {
        /// The record.
        id: u64,
        /// Whose it is.
        by: String,
    },
    /// There would be no way back.
    #[error("a change can be put on trial only where systemd runs, whose timer goes back from it")]
    NoTimer,
}

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
    // It is in nobody's way.
    report.warnings.extend(garbage::clean(plan, machine.paths).err().map(|error| error.to_string()));
    reconcile(plan, log, request.clone(), machine, &mut report, &mut waiting)?;
    Ok(report)
}

/// Reads what an apply may find to do without any override: of the services that have something in effect, that something
/// is known of, or that have a directory. At a boot and a switch every service counts.
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
    // It is over with this pass, and not before: what it was on is what the log does not say.
    let over = before.trial.filter(|_| held.is_empty());
    let marks: Vec<Mark> = request.trial.iter().flat_map(|start| start.marks.clone()).collect();
    let on_trial = request.trial.is_some();
    let mut passed = pass(plan, log, &view, &request, machine, report)?;
    if request.trial.take().is_some() && !passed.changed && !request.trial_goes_on {
        // There is nothing that could go back.
        log.append(&trial::confirmation(&marks, "confirmed"), &request.by, None, &mut *waiting)?;
    }
    // What somebody else had recorded is judged by itself.
    let mut own = if on_trial { None } else { Some(request.records.clone()) };
    while !passed.failed.is_empty() {
        let trial = passed.state.trial.as_ref().filter(|trial| over.as_ref() != Some(*trial));
        let marks = trial.map_or_else(|| marks.clone(), |trial| trial.marks.clone());
        let mut rejections = rejection::of(plan, log, &passed.failed, view.last_id, &marks)?;
        rejections.extend(rejection::uncovered(plan, log, &passed.failed, &view.folded, &rejections)?);
        let is_last = !own.take().is_some_and(|own| rejection::own_first(&mut rejections, &passed.failed, &own));
        if !rejections.is_empty() {
            report.rejected.extend(rejections.iter().map(|one| one.id));
            let changes: Vec<Draft> =
                rejections.into_iter().map(|one| Draft::Reject { id: one.id, reason: one.reason }).collect();
            log.append(&changes, &request.by, None, &mut *waiting)?;
            preview = trial.map(Trial::confirmation).unwrap_or_default();
            // What is in effect is the fold of the log.
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
        // What is watched is still being tried.
        let is_watched = |service: &String| state.services.get(service).is_some_and(|one| one.watch.is_some());
        let tried = request.services.iter().flatten().filter(|service| !is_watched(service));
        upkeep::forget_tries(tried, machine, report);
    }
    wake(plan, log, &view.folded, &held, state, machine, report)?;
    match missing_secrets::set(plan, &view.desired.awaited, &request, machine) {
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
    // What is watched goes back by itself.
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
            let reason = format!(
                "{unit} has failed, with the recorded values in effect; see `systemctl status {unit}`; `systemctl restart \
                 {unit}` starts it again, `dynix reset {service}` goes back to what was built"
            );
            report.services.entry(service).or_insert(Outcome::Failed { reason });
        }
    }
    Ok(())
}

/// The services whose change awaits its confirmation: they are left alone, and who asks for one of them is told so.
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

/// Rejections of the records whose time is over, and the services that are concerned among those to apply: else what the
/// log no longer says would stay in effect. What concerns a service in `held` ends when that is let go.
fn expired(
    plan: &Plan,
    log: &LogFile,
    folded: &Folded,
    now: SystemTime,
    held: &BTreeSet<String>,
    request: &mut Request,
) -> Result<Vec<Draft>, ApplyError> {
    let mut ids = folded.expired(now);
    if request.occasion == Occasion::Expiry {
        request.services = Some(BTreeSet::new());
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let services = concerned(plan, log, &ids)?;
    ids.retain(|id| services[id].is_disjoint(held));
    if let Some(asked) = &mut request.services {
        asked.extend(ids.iter().flat_map(|id| services[id].iter().cloned()));
    }
    Ok(expiry(ids))
}

/// What of the records that an apply is for others took back before it had its turn: a switch that it waited for, or an
/// apply that did not get its service to work with them.
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

/// How many ends are looked at, for whether they change anything.
const ENDS: usize = 16;

/// The first of `ends` that changes anything. That of a record whose value another one replaced does not; where there are
/// many of those, the next one is taken for one that does, for all that comes of it is an apply that has nothing to do.
fn next_end(log: &LogFile, folded: &Folded, ends: &[(u64, String)]) -> Result<Option<SystemTime>, LogError> {
    let mut ends: Vec<(SystemTime, u64)> =
        ends.iter().filter_map(|(id, end)| Some((crate::time::read(end).ok()?, *id))).collect();
    ends.sort_unstable();
    let leaves: BTreeSet<u64> = folded.overlay.leaves().into_iter().map(|(_, one)| one.id).collect();
    for (number, (end, id)) in ends.into_iter().enumerate() {
        // What an unset or a rollback with an end took away is there again behind it.
        if leaves.contains(&id) || number >= ENDS || log.preview(&expiry(vec![id]))?.overlay != log.fold()?.overlay {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// The services that each of some records is about; all of them where only an evaluation could tell.
fn concerned(plan: &Plan, log: &LogFile, ids: &[u64]) -> Result<BTreeMap<u64, BTreeSet<String>>, LogError> {
    let mut found: BTreeMap<u64, BTreeSet<String>> = ids.iter().map(|id| (*id, BTreeSet::new())).collect();
    for record in log.find(|id| found.contains_key(&id))? {
        let unknown = matches!(record.kind, Kind::Expression(_));
        let is_about = |service: &str| unknown || record.paths().iter().any(|path| concerns(plan, service, path));
        let services = plan.services.keys().filter(|service| is_about(service)).cloned();
        found.insert(record.id, services.collect());
    }
    Ok(found)
}

/// Lets dynix be woken when the next override is over; those of services in `held` wait. Without a way to, they end at the
/// next apply, which is worth a warning and no more.
fn wake(
    plan: &Plan,
    log: &LogFile,
    folded: &Folded,
    held: &BTreeSet<String>,
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    // Most logs have none, and cost nothing here.
    if folded.ends().is_empty() && state.alarm.is_none() {
        return Ok(());
    }
    let mut ends = folded.ends().to_vec();
    if !held.is_empty() {
        let ids: Vec<u64> = ends.iter().map(|(id, _)| *id).collect();
        let services = concerned(plan, log, &ids)?;
        ends.retain(|(id, _)| services[id].is_disjoint(held));
    }
    let next = next_end(log, folded, &ends)?;
    match rerun::set(next, state, machine) {
        Ok(false) => {}
        Ok(true) => state.save(&machine.paths.state())?,
        Err(error) => report.warnings.push(format!("overrides that end do so only at the next apply: {error}")),
    }
    Ok(())
}

/// What [`apply`] would do now, with `changes` recorded first: the same steps, none of them run.
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

fn expiry(ids: Vec<u64>) -> Vec<Draft> {
    ids.into_iter().map(|id| Draft::Reject { id, reason: "expired".to_owned() }).collect()
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
