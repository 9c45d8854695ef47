//! The watch over units after an apply: the apply begins it, and a process of its own (`dynix watch`) continues it.
//!
//! Takes the state in systemd of the watched units ([`watch`]). A service that stayed up for its time works; dynix
//! keeps its values as known good across boots ([`known_good`]). A service that did not stay up rolls back to what it
//! had, as in the apply itself, and the records that it had applied since are rejected. Everything that this needs is
//! in the state file. So the watching process may be killed and started again, and an apply in the meantime takes over.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::fs::generation;
use crate::host::systemd::{Lasting, ManagerError, Observed, ServiceManager, Verb};
use crate::overrides::{Folded, LogFile};
use crate::plan::Plan;
use crate::reconcile::ApplyError;
use crate::reconcile::change::Change;
use crate::reconcile::execution::Machine;
use crate::reconcile::known_good::{self, KnownGood, Sighting};
use crate::reconcile::locks::Locks;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::state::{ServiceState, State};
use crate::reconcile::watch::failure::roll_back;
use crate::reconcile::watch::{Unproven, Verdict, Watch};

/// An observation of the watched services, which touches nothing.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The units that are watched.
    pub units: BTreeSet<String>,
    /// The latest time of the next observation, in seconds of the monotonic clock; `None` if nothing is watched any
    /// more.
    pub next: Option<f64>,
    /// Whether there is something to be done ([`settle`]).
    pub is_due: bool,
    /// Whether an apply is under way, or was killed ([`unfinished`]).
    pub is_under_way: bool,
}

/// Looks at all that is watched.
pub fn inspect(plan: &Plan, machine: &Machine<'_>) -> Result<Inspection, ApplyError> {
    let Some(manager) = machine.manager else { return Ok(Inspection::default()) };
    let state = State::load(&machine.paths.state())?;
    let watched = state.services.values().filter_map(|one| one.watch.as_ref());
    Ok(Inspection {
        units: watched.clone().flat_map(|watch| watch.units.keys().cloned()).collect(),
        next: watched.map(|watch| watch.next_look(now(machine))).reduce(f64::min),
        is_due: see(plan, &state, manager, now(machine))?.values().any(|verdict| *verdict != Verdict::Wait),
        is_under_way: !state.under_way.is_empty(),
    })
}

/// Notes that no process watches any more; `false` if there is something to watch again. A process that begins a watch
/// holds the locks as well, so it sees which of the two holds.
pub fn end(machine: &Machine<'_>, _locks: &Locks) -> Result<bool, ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    if !state.under_way.is_empty() || state.services.values().any(|one| one.watch.is_some()) {
        return Ok(false);
    }
    state.watcher = None;
    state.save(&machine.paths.state())?;
    Ok(true)
}

/// Seconds of the monotonic clock.
fn now(machine: &Machine<'_>) -> f64 {
    machine.clock.monotonic().as_secs_f64()
}

/// How each service that is watched does.
fn see(
    plan: &Plan,
    state: &State,
    manager: &dyn ServiceManager,
    now: f64,
) -> Result<BTreeMap<String, Verdict>, ApplyError> {
    let watched: Vec<(&String, &Watch)> =
        state.services.iter().filter_map(|(name, one)| Some((name, one.watch.as_ref()?))).collect();
    let units: Vec<String> = watched.iter().flat_map(|(_, watch)| watch.units.keys().cloned()).collect();
    let observed = if units.is_empty() { Vec::new() } else { manager.observe(&units)? };
    let verdict = |name: &String, watch: &Watch| {
        let own: Vec<Observed> =
            observed.iter().filter(|one| watch.units.contains_key(&one.status.unit)).cloned().collect();
        // It left the system, and its units are NixOS's own affair.
        let Some(service) = plan.services.get(name) else { return Verdict::Unknown };
        watch.judge(&own, now, service.units.values().map(|unit| unit.deadline).fold(0.0, f64::max))
    };
    Ok(watched.into_iter().map(|(name, watch)| (name.clone(), verdict(name, watch))).collect())
}

/// Acts on the present observation.
pub fn settle(plan: &Plan, log: &LogFile, machine: &Machine<'_>, _locks: &Locks) -> Result<Report, ApplyError> {
    let mut report = Report::default();
    let Some(manager) = machine.manager else { return Ok(report) };
    let mut state = State::load(&machine.paths.state())?;
    let verdicts = see(plan, &state, manager, now(machine))?;
    let works: Vec<String> = verdicts
        .iter()
        .filter(|(_, verdict)| **verdict == Verdict::Works)
        .map(|(service, _)| service.clone())
        .collect();
    for (service, verdict) in &verdicts {
        if matches!(verdict, Verdict::Works | Verdict::Unknown) {
            state.service(service).watch = None;
        }
    }
    prove(plan, &mut state, &works, machine, &mut report);
    state.save(&machine.paths.state())?;
    let failed: BTreeMap<String, String> = verdicts
        .into_iter()
        .filter_map(|(service, verdict)| match verdict {
            Verdict::Failed(reason) => Some((service, reason)),
            _ => None,
        })
        .collect();
    // A unit that stops with the system proves nothing.
    if !failed.is_empty() && !manager.is_stopping()? {
        roll_back(plan, log, state, failed, machine, &mut report)?;
    }
    Ok(report)
}

/// Notes that services work on their values. If that can't be saved, the next apply tries again.
fn prove(plan: &Plan, state: &mut State, services: &[String], machine: &Machine<'_>, report: &mut Report) {
    let paths = machine.paths;
    let proven: Vec<(&String, &mut ServiceState)> =
        state.services.iter_mut().filter(|(name, _)| services.contains(name)).collect();
    if proven.is_empty() {
        return;
    }
    // One that can't be read is written anew.
    let before = KnownGood::load(paths).unwrap_or_default();
    let mut known = before.clone();
    known.keep_to(plan);
    let mut noted = Ok(());
    for (service, one) in &proven {
        let Some(values) = one.values.clone() else {
            known.tried(service);
            continue;
        };
        match known_good::system(plan, service, paths) {
            Ok(system) => known.note(service, Sighting { system, values, record: one.log_id }),
            Err(error) => noted = Err(error.to_string()),
        }
    }
    let save = || if known == before { Ok(()) } else { known.save(paths).map_err(|error| error.to_string()) };
    match noted.and_then(|()| save()) {
        Ok(()) => proven.into_iter().for_each(|(_, one)| one.works = true),
        Err(error) => report.warnings.push(format!("that it works can't be kept for the next boot: {error}")),
    }
}

/// Updates the watch of a service that rolled back its newest change: the changes below that stay watched. Without a
/// watch, the state that it rolled back to is not known.
pub(in crate::reconcile) fn went_back(entry: &mut ServiceState, watch: Option<Watch>, machine: &Machine<'_>) {
    (entry.watch, entry.values, entry.works) = (None, None, false);
    let Some(mut watch) = watch else { return };
    if let Some(unproven) = watch.changes.pop() {
        (entry.values, entry.works) = (unproven.values, unproven.works);
    }
    if !watch.changes.is_empty() {
        watch.renew(now(machine));
        watch.units = watch.units.into_keys().map(|unit| (unit, 0)).collect();
        entry.watch = Some(watch);
    }
}

/// A change was confirmed: the log as it is now says what its services have.
pub(in crate::reconcile) fn confirmed<'s>(
    plan: &Plan,
    folded: &Folded,
    services: impl Iterator<Item = &'s String>,
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) {
    let mut works = Vec::new();
    for service in services {
        let Some(entry) = state.services.get_mut(service) else { continue };
        if entry.values == known_good::digest(plan, service, &folded.overlay) {
            entry.log_id = entry.log_id.max(folded.last_id);
            works.extend(entry.works.then(|| service.clone()));
        }
    }
    prove(plan, state, &works, machine, report);
}

/// The watching process was asked to end, and the machine did not go down: the watched values get one more try after
/// the next boot.
pub fn leave(machine: &Machine<'_>, _locks: &Locks) -> Result<Report, ApplyError> {
    let (state, mut report) = (State::load(&machine.paths.state())?, Report::default());
    let watched = state.services.iter().filter(|(_, one)| one.watch.is_some()).map(|(service, _)| service);
    forget_tries(watched, machine, &mut report);
    Ok(report)
}

/// Forgets how often values were tried after a boot.
pub(in crate::reconcile) fn forget_tries<'s>(
    services: impl Iterator<Item = &'s String>,
    machine: &Machine<'_>,
    report: &mut Report,
) {
    let Ok(mut known) = KnownGood::load(machine.paths) else { return };
    let forgotten = services.filter(|service| known.tried(service)).count();
    if forgotten > 0
        && let Err(error) = known.save(machine.paths)
    {
        report.warnings.push(error.to_string());
    }
}

/// Notes what is about to happen, and makes sure that a process watches `services`, which are changed now. If the apply
/// is killed, the watcher finishes its work.
pub(in crate::reconcile) fn prepare(
    state: &mut State,
    services: BTreeSet<String>,
    machine: &Machine<'_>,
) -> Result<(), ApplyError> {
    let path = machine.paths.state();
    let (Some(manager), false) = (machine.manager, services.is_empty()) else { return Ok(state.save(&path)?) };
    state.under_way.extend(services);
    if is_watching(state, manager)? {
        return Ok(state.save(&path)?);
    }
    let unit = format!("dynix-watch-{}.service", machine.clock.monotonic().as_micros());
    state.watcher = Some(unit.clone());
    // Before the watcher reads it.
    state.save(&path)?;
    if start(&unit, manager, machine).is_err() {
        // The start of the watcher is tried, and its failure reported, again when there is something to watch.
        state.watcher = None;
    }
    Ok(())
}

/// The services that a killed apply was changing, for another apply to finish. The caller holds the locks, so no apply
/// is under way. The timer of a trial rolls the trial back.
pub fn unfinished(machine: &Machine<'_>, _locks: &Locks) -> Result<BTreeSet<String>, ApplyError> {
    let state = State::load(&machine.paths.state())?;
    let is_stopping = machine.manager.map_or(Ok(false), ServiceManager::is_stopping)?;
    let is_on_trial = |service: &String| state.trial.as_ref().is_some_and(|trial| trial.back.contains_key(service));
    Ok(state.under_way.iter().filter(|service| !is_stopping && !is_on_trial(service)).cloned().collect())
}

/// Notes that nothing is left to be finished.
pub fn is_finished(machine: &Machine<'_>, _locks: &Locks) -> Result<(), ApplyError> {
    let mut state = State::load(&machine.paths.state())?;
    state.under_way.clear();
    Ok(state.save(&machine.paths.state())?)
}

fn is_watching(state: &State, manager: &dyn ServiceManager) -> Result<bool, ApplyError> {
    let Some(unit) = &state.watcher else { return Ok(false) };
    let status = manager.status(std::slice::from_ref(unit))?;
    Ok(status.iter().any(|status| matches!(status.active_state.as_str(), "active" | "activating")))
}

fn start(unit: &str, manager: &dyn ServiceManager, machine: &Machine<'_>) -> Result<(), ManagerError> {
    manager.start_service(&Lasting {
        unit: unit.to_owned(),
        description: "Goes back from values on which a unit fails".to_owned(),
        command: machine.recall.now(&["watch"]),
    })
}

/// Makes sure that a process watches what has to be watched, and gives what that is.
pub(in crate::reconcile) fn begin(
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let Some(manager) = machine.manager else { return Ok(()) };
    let watches = state.services.iter().filter_map(|(name, one)| Some((name, one.watch.as_ref()?)));
    let applied = watches.clone().filter(|(name, _)| report.services.get(*name) == Some(&Outcome::Applied));
    report.watched = applied.map(|(name, watch)| (name.clone(), watch.window)).collect();
    let Some(newest) = watches.map(|(_, watch)| watch.id).max() else { return Ok(()) };
    if is_watching(state, manager)? {
        return Ok(());
    }
    let unit = format!("dynix-watch-{newest}.service");
    match start(&unit, manager, machine) {
        Ok(()) => {
            state.watcher = Some(unit);
            state.save(&machine.paths.state())?;
        }
        Err(error) => {
            report.watched.clear();
            report.warnings.push(format!("nobody watches the units, so nothing goes back if one fails: {error}"));
        }
    }
    Ok(())
}

/// Notes services that work and that nobody watched: their units have been up on their values for as long as a watch
/// lasts. So the values that are in effect when dynix is installed are known good, too.
pub(in crate::reconcile) fn adopt(
    plan: &Plan,
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let Some(manager) = machine.manager else { return Ok(()) };
    let unproven: Vec<(&String, f64)> = state
        .services
        .iter()
        .filter(|(_, one)| !one.works && one.values.is_some() && one.watch.is_none() && one.pending.is_empty())
        .filter(|(name, one)| plan.services.contains_key(name) && !one.in_effect.is_static())
        .map(|(name, _)| (name, plan.watch(name).unwrap_or_default()))
        .collect();
    if unproven.is_empty() {
        return Ok(());
    }
    let units = |name: &String| plan.services.get(name).into_iter().flat_map(|service| service.units.keys().cloned());
    let all: Vec<String> = unproven.iter().flat_map(|(name, _)| units(name)).collect();
    let observed: BTreeMap<String, Observed> =
        manager.observe(&all)?.into_iter().map(|one| (one.status.unit.clone(), one)).collect();
    let now = now(machine);
    let mut works = Vec::new();
    for (name, window) in unproven {
        let is_up = |one: &Observed| one.active_since.is_some_and(|since| now - micros(since) >= window);
        let up = units(name).filter(|unit| observed.get(unit).is_some_and(is_up)).count();
        let down = units(name).filter(|unit| observed.get(unit).is_some_and(|one| one.status.active_state == "failed"));
        let age = match state.services.get(name).and_then(|one| one.since) {
            Some(since) => Some(now - since),
            None => generation::age(&machine.paths.service(name))?.map(|age| age.as_secs_f64()),
        };
        if up > 0 && down.count() == 0 && age.is_none_or(|age| age >= window) {
            works.push(name.clone());
        }
    }
    if !works.is_empty() {
        prove(plan, state, &works, machine, report);
        state.save(&machine.paths.state())?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "exact for centuries")]
fn micros(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The last record of the newest values that are known to work; 0 for what was built. A service that is back on what was built
/// has nothing in effect: what it is to blame for next is all that came after these, also what it once had without running on it.
pub(in crate::reconcile) fn last_good(plan: &Plan, service: &str, machine: &Machine<'_>) -> u64 {
    let known = KnownGood::load(machine.paths).unwrap_or_default();
    known_good::system(plan, service, machine.paths).map_or(0, |system| known.before(service, &system, None))
}

/// Updates the watch of a service by its result. `by`: the user that the watch is for, with the user's records; `None`
/// if nobody watches.
pub(in crate::reconcile) fn reconciled(
    plan: &Plan,
    change: &Change<'_>,
    outcome: &Outcome,
    entry: &mut ServiceState,
    by: Option<(&str, &[u64])>,
    machine: &Machine<'_>,
) {
    entry.since = Some(now(machine));
    if *outcome != Outcome::Applied {
        // It is on what it had before, or on its static files.
        let watch = entry.watch.take().filter(|_| entry.in_effect == change.back);
        entry.watch = watch.map(|mut watch| {
            watch.renew(now(machine));
            let acted = change.units.keys().filter(|unit| watch.units.contains_key(*unit)).cloned();
            watch.units.extend(acted.map(|unit| (unit, 0)).collect::<Vec<_>>());
            watch
        });
        entry.works &= entry.in_effect == change.back;
        if entry.in_effect != change.back {
            entry.values = None;
        }
        if matches!(outcome, Outcome::RollbackFailed { .. }) {
            entry.log_id = entry.log_id.min(last_good(plan, change.name, machine));
        }
        return;
    }
    let before = (entry.values.clone(), std::mem::take(&mut entry.works));
    let (Some((by, own)), Some(window), Some(manager)) = (by, plan.watch(change.name), machine.manager) else {
        entry.watch = None;
        return;
    };
    if change.units.is_empty() {
        return;
    }
    let now = now(machine);
    let mut watch = entry.watch.take().unwrap_or_else(|| Watch::begin(by, now, window));
    watch.window = window;
    by.clone_into(&mut watch.by);
    watch.renew(now);
    let ((values, works), back) = (before, change.back.clone());
    watch.push(Unproven { back, values, works, log_id: entry.log_id, own: own.to_vec(), doubtful: Vec::new() });
    let reloaded: Vec<String> =
        change.units.iter().filter(|(_, verb)| **verb == Verb::Reload).map(|(unit, _)| unit.clone()).collect();
    // If systemd does not answer, earlier restarts count as well: that errs on the safe side.
    let observed = if reloaded.is_empty() { Vec::new() } else { manager.observe(&reloaded).unwrap_or_default() };
    let restarts = |unit: &String| observed.iter().find(|one| one.status.unit == *unit).and_then(|one| one.restarts);
    watch.units.extend(change.units.keys().map(|unit| (unit.clone(), restarts(unit).unwrap_or_default())));
    entry.watch = Some(watch);
}
