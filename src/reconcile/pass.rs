//! One pass of a reconciliation: from desired values to units and state.
//!
//! In order: write and check beside what is in use, start a trial if that is asked for, note what is about to happen,
//! swap and act ([`rollout`]), note what is in effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::action::Action;
use super::change::Change;
use super::difference::{Difference, difference};
use super::execution::{Fault, Machine, Material, run};
use super::observed::dependents::Dependents;
use super::observed::processes;
use super::report::{Outcome, Report};
use super::rollout::{self, Fallback};
use super::state::{FailureKind, LastFailure, State};
use super::view::View;
use super::watch::upkeep;
use super::{ApplyError, Failed, Occasion, Request, concerns, known_good, planning, preparation, trial};
use crate::host::fs::generation;
use crate::host::paths::Paths;
use crate::host::systemd::ServiceManager;
use crate::host::timings;
use crate::overrides::LogFile;
use crate::plan::options::OptionIndex;
use crate::plan::{Plan, Service};
use crate::render::key::Key;

/// The result of a pass, without its report.
pub(super) struct Passed {
    /// The services whose records have to be rejected.
    pub failed: Vec<Failed>,
    /// The state after the pass.
    pub state: State,
    /// Whether there was anything to do.
    pub changed: bool,
    /// The services that failed for a reason that may be gone soon, with nothing of them touched.
    pub retry: Vec<String>,
}

/// Makes one pass.
pub(super) fn pass(
    plan: &Plan,
    log: &LogFile,
    view: &View,
    request: &Request,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<Passed, ApplyError> {
    let paths = machine.paths;
    let mut before = State::load(&paths.state())?;
    if let Some(manager) = machine.manager.filter(|_| !matches!(request.occasion, Occasion::Switch { .. })) {
        note_strayed(plan, &mut before, request, paths, manager);
    }
    report.left_out.clone_from(&view.desired.left_out);
    if plan.services.values().any(Service::has_secrets) {
        Key::ensure(paths)?;
    }
    let mut difference = difference(plan, &view.desired, &before, paths, |service| request.takes(service))?;
    timings::mark("render");
    report.warnings.append(&mut difference.notes);
    match machine.manager {
        Some(manager) => difference.check_units(manager)?,
        None => report.left_to_do.extend(planning::unit_actions(&difference.changes)),
    }
    timings::mark("D-Bus: units");
    let changed = !difference.changes.is_empty() || !difference.faults.is_empty();
    let mut pass = Pass::new(plan, before.clone(), view.last_id);
    report.awaited.clone_from(&view.desired.awaited);
    // A service that waits for a secret is reported when the secret is there.
    let is_awaiting = |service: &String| view.desired.awaited.contains_key(service);
    let failed = difference
        .faults
        .iter()
        .filter(|(service, outcome)| matches!(outcome, Outcome::Failed { .. }) && !is_awaiting(service));
    pass.retry.extend(failed.map(|(service, _)| service.clone()));
    pass.outcomes.append(&mut difference.faults);
    pass.follows = request.follows;
    if !request.occasion.static_wins() {
        pass.watched_by = Some((request.by.clone(), request.records.clone()));
    }
    pass.run(log, &difference, request, machine)?;
    pass.note_values(view, request);
    pass.commit(view, request, paths)?;
    timings::mark("state");
    // In every other case nothing is known of the values (docs/reliability.md, What rejects a record).
    let refused = pass
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Refused { .. } | Outcome::RolledBack { .. }));
    let failed = refused
        .filter(|_| !request.occasion.static_wins())
        .map(|(service, outcome)| Failed {
            service: service.clone(),
            log_id: before.log_id(service),
            reason: outcome.reason().unwrap_or_default().to_owned(),
        })
        .collect();
    let retry = pass.retry.iter().cloned().collect();
    let state = pass.tell(report);
    Ok(Passed { failed, state, changed, retry })
}

/// Notes the units that run on something else than their service has in effect, whatever the cause. They are acted on
/// like those that an apply left half-way.
fn note_strayed(plan: &Plan, state: &mut State, request: &Request, paths: &Paths, manager: &dyn ServiceManager) {
    let taken = state.services.iter_mut().filter(|(name, one)| one.pending.is_empty() && request.takes(name));
    for (name, one) in taken {
        if let Some(service) = plan.services.get(name) {
            one.pending.extend(processes::strayed(name, service, &one.in_effect, paths, manager));
        }
    }
}

/// The progress of one pass.
pub(super) struct Pass<'p> {
    plan: &'p Plan,
    pub state: State,
    log_id: u64,
    outcomes: BTreeMap<String, Outcome>,
    actions: Vec<Action>,
    warnings: Vec<String>,
    interrupted: bool,
    retry: BTreeSet<String>,
    /// The caller and the caller's records, if the new values are watched afterwards.
    pub watched_by: Option<(String, Vec<u64>)>,
    /// See [`Request::follows`].
    follows: bool,
}

impl<'p> Pass<'p> {
    pub fn new(plan: &'p Plan, state: State, log_id: u64) -> Self {
        let (outcomes, actions, warnings) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            plan,
            state,
            log_id,
            outcomes,
            actions,
            warnings,
            interrupted: false,
            watched_by: None,
            follows: false,
            retry: BTreeSet::new(),
        }
    }

    /// The outcome of a service.
    pub fn outcome(&self, service: &str) -> Option<&Outcome> {
        self.outcomes.get(service)
    }

    /// Removes the outcome of a service, because the caller reports it.
    pub fn forget(&mut self, service: &str) {
        self.outcomes.remove(service);
    }

    fn run(
        &mut self,
        log: &LogFile,
        difference: &Difference<'_>,
        request: &Request,
        machine: &Machine<'_>,
    ) -> Result<(), ApplyError> {
        let paths = machine.paths;
        let prepare = preparation(difference);
        let (changes, files, controls) = (&difference.changes, &difference.files, &difference.controls);
        let interrupted = || !request.occasion.static_wins() && machine.interruption.is_wanted();
        let material = Material { changes, files, controls, interrupted: &interrupted };
        let faults = run(&prepare, &material, machine).faults;
        self.actions.extend(prepare);
        timings::mark("stage and check");
        let failed = difference.changes.iter().filter(|change| faults.contains_key(change.name));
        failed.for_each(|change| discard(change, paths));
        let mut ready: Vec<Change<'_>> =
            difference.changes.iter().filter(|change| !faults.contains_key(change.name)).cloned().collect();
        for change in &mut ready {
            change.is_watched = self.watched_by.is_some() && self.plan.watch(change.name).is_some();
        }
        self.interrupted = faults.values().any(|fault| *fault == Fault::Interrupted);
        let is_retried = |fault: &Fault| !matches!(fault, Fault::Interrupted | Fault::Refused(_));
        let retried = faults.iter().filter(|(_, fault)| machine.recall.before_boot || is_retried(fault));
        self.retry.extend(retried.map(|(service, _)| service.clone()));
        let is_booting = machine.recall.before_boot;
        self.outcomes
            .extend(faults.into_iter().map(|(service, fault)| (service, outcome_before_swap(&fault, is_booting))));
        if ready.is_empty() {
            return Ok(());
        }
        for change in &ready {
            self.state.service(change.name).pending = change.units.keys().cloned().collect();
        }
        let dependents = match self.note(log, &ready, request, machine) {
            Ok(dependents) => dependents,
            Err(error) => {
                for change in &ready {
                    discard(change, paths);
                }
                trial::abandon(&mut self.state, request, machine);
                return Err(error);
            }
        };
        let fallback = if request.occasion.static_wins() { Fallback::Never } else { Fallback::Previous };
        self.take(&ready, &difference.files, &dependents, fallback, machine);
        trial::keep_to(&self.outcomes, &mut self.state, request, machine);
        Ok(())
    }

    /// Notes everything that has to be known before anything in use is touched.
    fn note(
        &mut self,
        log: &LogFile,
        changes: &[Change<'_>],
        request: &Request,
        machine: &Machine<'_>,
    ) -> Result<Dependents, ApplyError> {
        let dependents = Dependents::note(changes, machine.manager)?;
        timings::mark("D-Bus: dependents");
        if let Some(start) = &request.trial {
            trial::begin(self.plan, log, start, changes, &mut self.state, (self.log_id, &request.by), machine)?;
        }
        let is_watched = |change: &&Change<'_>| change.is_watched && !change.units.is_empty();
        let watched = changes.iter().filter(is_watched).map(|change| change.name.to_owned()).collect();
        upkeep::prepare(&mut self.state, watched, machine)?;
        Ok(dependents)
    }

    /// Runs changes to their end, and notes the state of each service.
    pub fn take(
        &mut self,
        changes: &[Change<'_>],
        files: &BTreeMap<String, Vec<generation::StagedFile>>,
        dependents: &Dependents,
        fallback: Fallback,
        machine: &Machine<'_>,
    ) {
        let (steps, results) = rollout::take(self.plan, changes, files, dependents, fallback, machine);
        self.actions.extend(steps);
        for (change, result) in changes.iter().zip(results) {
            self.actions.extend(result.steps);
            let entry = self.state.service(&result.service);
            entry.in_effect = result.in_effect;
            let by = self.watched_by.as_ref().map(|(by, own)| (by.as_str(), own.as_slice()));
            upkeep::reconciled(self.plan, change, &result.outcome, entry, by, machine);
            entry.pending = result.unsettled;
            entry.last_failure = last_failure(&result.outcome).or(entry.last_failure.take().filter(|_| self.follows));
            self.warnings.extend(result.warnings);
            self.interrupted |= result.interrupted;
            if result.may_be_retried {
                self.retry.insert(result.service.clone());
            }
            self.outcomes.insert(result.service, result.outcome);
        }
    }

    /// Services with a unit that systemd could not act on, with the reason: it is on what the service had before.
    pub fn leave(&mut self, unreached: BTreeMap<String, (Vec<String>, String)>) {
        for (service, (units, reason)) in unreached {
            self.state.service(&service).pending.extend(units);
            let reason = format!("{reason}; until it is restarted it runs on what it had");
            self.outcomes.insert(service, Outcome::Failed { reason });
        }
    }

    /// Notes which overrides each service has in effect. If its units were not touched for them, it is not known
    /// whether the service works with them.
    fn note_values(&mut self, view: &View, request: &Request) {
        let services: Vec<String> = self.state.services.keys().filter(|name| request.takes(name)).cloned().collect();
        for service in services {
            let outcome = self.outcomes.get(&service);
            if outcome.is_some_and(|outcome| *outcome != Outcome::Applied) {
                continue;
            }
            let values = known_good::digest(self.plan, &service, view.recorded());
            let entry = self.state.service(&service);
            entry.works &= entry.values == values;
            entry.values = values;
        }
    }

    /// Notes what is in effect, and removes what nothing needs any more.
    fn commit(&mut self, view: &View, request: &Request, paths: &Paths) -> Result<(), ApplyError> {
        let applied = |outcomes: &BTreeMap<String, Outcome>, service: &str| {
            outcomes.get(service).is_none_or(|outcome| *outcome == Outcome::Applied)
        };
        // A service keeps a mark of its own if it has not come as far as the others. A service without overrides, on
        // its built values, can't be behind.
        let overridden = overridden(self.plan, view);
        let behind: Vec<(String, u64)> = self
            .plan
            .services
            .keys()
            .filter(|service| overridden.contains(service.as_str()) || self.state.services.contains_key(*service))
            .filter(|service| !request.takes(service) || !applied(&self.outcomes, service))
            .map(|service| (service.clone(), self.state.log_id(service)))
            .collect();
        let listed: Vec<String> = self.state.services.keys().cloned().collect();
        for service in listed.iter().filter(|service| request.takes(service)) {
            self.state.service(service).log_id = self.log_id;
        }
        for (service, log_id) in behind {
            self.state.service(&service).log_id = log_id;
        }
        self.state.log_id = self.log_id;
        self.state.under_way.retain(|service| !request.takes(service));
        for (service, outcome) in &self.outcomes {
            if *outcome == Outcome::Applied && !self.plan.services.contains_key(service) {
                self.state.services.remove(service);
                generation::forget(&paths.service(service))?;
            } else {
                generation::prune(&paths.service(service), self.plan.keep, &needed(&self.state, service))?;
            }
        }
        Ok(self.state.save(&paths.state())?)
    }

    /// Adds what happened to the report.
    pub fn tell(mut self, report: &mut Report) -> State {
        report.actions.append(&mut self.actions);
        report.warnings.append(&mut self.warnings);
        report.interrupted |= self.interrupted;
        for (service, outcome) in self.outcomes {
            // An outcome of the first pass stays, even if the second pass finds the service in order.
            report.services.entry(service).or_insert(outcome);
        }
        self.state
    }
}

/// The services that have overrides, whether they hold or not.
fn overridden<'p>(plan: &'p Plan, view: &View) -> BTreeSet<&'p str> {
    let places = OptionIndex::new(plan);
    let leaves = view.recorded().leaves().into_iter();
    let found = leaves.filter_map(|(path, _)| Some(places.find(&path)?.service_name));
    let pending = view.folded.unevaluated.iter().flat_map(|one| &one.paths);
    let may_be = pending.flat_map(|path| plan.services.keys().filter(|service| concerns(plan, service, path)));
    let may_be: Vec<&str> = may_be.map(String::as_str).collect();
    found.chain(may_be).collect()
}

/// The generations of a service that are in use, or that it may have to go back to.
fn needed(state: &State, service: &str) -> Vec<u64> {
    let now = state.services.get(service).and_then(|one| one.in_effect.generation);
    let back = state.trial.as_ref().and_then(|trial| trial.back.get(service)).and_then(|back| back.generation);
    let watch = state.services.get(service).and_then(|one| one.watch.as_ref());
    let unproven = watch.into_iter().flat_map(|watch| &watch.changes).filter_map(|change| change.back.generation);
    now.into_iter().chain(back).chain(unproven).collect()
}

fn last_failure(outcome: &Outcome) -> Option<LastFailure> {
    let result = match outcome {
        Outcome::RolledBack { .. } => FailureKind::RolledBack,
        Outcome::RollbackFailed { .. } => FailureKind::RollbackFailed,
        Outcome::Unseen { .. } => FailureKind::Unseen,
        Outcome::Applied | Outcome::Failed { .. } | Outcome::Refused { .. } => return None,
    };
    Some(LastFailure::now(result, outcome.reason().unwrap_or_default()))
}

impl LastFailure {
    /// One that just happened.
    #[must_use]
    pub fn now(result: FailureKind, reason: &str) -> Self {
        let time = crate::time::text(SystemTime::now());
        Self { result, reason: reason.to_owned(), time }
    }
}

/// Removes what was staged and is not to be used. Whatever made that necessary is what is reported.
fn discard(change: &Change<'_>, paths: &Paths) {
    if let (true, Some(generation)) = (change.stages(), change.to.generation) {
        let _ = generation::discard(&paths.service(change.name), generation);
    }
}

/// The outcome of a service that stops before anything of it is touched. During a boot, much that a check may need is
/// missing, so a refusal is judged again later.
fn outcome_before_swap(fault: &Fault, is_booting: bool) -> Outcome {
    let reason = fault.reason().to_owned();
    match fault {
        Fault::Refused(_) if !is_booting => Outcome::Refused { reason },
        _ => Outcome::Failed { reason },
    }
}
