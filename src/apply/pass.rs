//! One time through: from desired values to units and state.
//!
//! In order: write and check beside what is in use, put the change on trial where that is asked for, note what is about
//! to happen, swap and act ([`course`]), note what is in effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::action::Action;
use super::change::{self, Change};
use super::course::{self, Retreat};
use super::execute::{Fault, Machine, Material, run};
use super::key::Key;
use super::report::{Outcome, Report};
use super::state::{Setback, State, Went};
use super::survey::{Survey, survey};
use super::view::View;
use super::{ApplyError, Failed, Request, preparation, trial};
use crate::fs::generation;
use crate::overrides::LogFile;
use crate::paths::Paths;
use crate::plan::{Plan, Service};
use crate::timings;

/// What came of it, besides what the report says.
pub(super) struct Passed {
    /// The services whose records have to be rejected.
    pub failed: Vec<Failed>,
    /// What is in effect now.
    pub state: State,
    /// Whether there was anything to do.
    pub changed: bool,
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
    let before = State::load(&paths.state())?;
    report.left_out.clone_from(&view.desired.left_out);
    if plan.services.values().any(Service::has_secrets) {
        Key::ensure(paths)?;
    }
    let mut survey = survey(plan, &view.desired, &before, paths, |service| request.takes(service))?;
    timings::mark("render");
    report.warnings.append(&mut survey.notes);
    match machine.manager {
        Some(manager) => survey.meet(manager)?,
        None => report.left_to_do.extend(change::unit_actions(&survey.changes)),
    }
    timings::mark("D-Bus: units");
    let changed = !survey.changes.is_empty() || !survey.faults.is_empty();
    let mut pass = Pass::new(plan, before.clone(), view.last_id);
    pass.outcomes.append(&mut survey.faults);
    pass.run(log, &survey, request, machine)?;
    pass.commit(request, paths)?;
    timings::mark("state");
    let refused =
        pass.outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Applied | Outcome::Failed { .. }));
    let failed = refused
        .filter(|(service, _)| !request.occasion.static_wins() && !pass.blameless.contains(*service))
        .map(|(service, outcome)| Failed {
            service: service.clone(),
            log_id: before.log_id(service),
            reason: outcome.reason().unwrap_or_default().to_owned(),
        })
        .collect();
    let state = pass.tell(report);
    Ok(Passed { failed, state, changed })
}

/// What one pass has come to so far.
pub(super) struct Pass<'p> {
    plan: &'p Plan,
    pub state: State,
    log_id: u64,
    outcomes: BTreeMap<String, Outcome>,
    /// Services whose values are not what failed: a full disk, say. Their records are not rejected.
    blameless: BTreeSet<String>,
    actions: Vec<Action>,
}

impl<'p> Pass<'p> {
    pub fn new(plan: &'p Plan, state: State, log_id: u64) -> Self {
        Self { plan, state, log_id, outcomes: BTreeMap::new(), blameless: BTreeSet::new(), actions: Vec::new() }
    }

    fn run(
        &mut self,
        log: &LogFile,
        survey: &Survey<'_>,
        request: &Request,
        machine: &Machine<'_>,
    ) -> Result<(), ApplyError> {
        let paths = machine.paths;
        let prepare = preparation(survey);
        let faults = run(&prepare, &Material { changes: &survey.changes, files: &survey.files }, machine);
        self.actions.extend(prepare);
        timings::mark("stage and check");
        let failed = survey.changes.iter().filter(|change| faults.contains_key(change.name));
        failed.for_each(|change| discard(change, paths));
        let ready: Vec<Change<'_>> =
            survey.changes.iter().filter(|change| !faults.contains_key(change.name)).cloned().collect();
        self.outcomes.extend(faults.into_iter().map(|(service, fault)| (service, outcome_before_swap(fault))));
        if ready.is_empty() {
            return Ok(());
        }
        for change in &ready {
            self.state.service(change.name).pending = change.units.keys().cloned().collect();
        }
        let noted = match &request.trial {
            Some(start) => {
                trial::begin(self.plan, log, start, &ready, &mut self.state, (self.log_id, &request.by), machine)
            }
            None => Ok(()),
        };
        let noted = noted.and_then(|()| Ok(self.state.save(&paths.state())?));
        if noted.is_err() {
            for change in &ready {
                discard(change, paths);
            }
            trial::abandon(&mut self.state, request, machine);
            return noted;
        }
        let retreat = if request.occasion.static_wins() { Retreat::None } else { Retreat::ToBack };
        self.take(&ready, &survey.files, retreat, machine);
        trial::keep_to(&self.outcomes, &mut self.state, request, machine);
        Ok(())
    }

    /// Takes changes to their end, and notes where each service arrived.
    pub fn take(
        &mut self,
        changes: &[Change<'_>],
        files: &BTreeMap<String, Vec<generation::StagedFile>>,
        retreat: Retreat,
        machine: &Machine<'_>,
    ) {
        let (steps, arrivals) = course::take(self.plan, changes, files, retreat, machine);
        self.actions.extend(steps);
        for arrival in arrivals {
            self.actions.extend(arrival.steps);
            let entry = self.state.service(&arrival.service);
            entry.in_effect = arrival.in_effect;
            entry.pending.clear();
            entry.setback = setback(&arrival.outcome);
            if arrival.blameless {
                self.blameless.insert(arrival.service.clone());
            }
            self.outcomes.insert(arrival.service, arrival.outcome);
        }
    }

    /// Notes what is in effect, and removes what nothing needs any more.
    pub fn commit(&mut self, request: &Request, paths: &Paths) -> Result<(), ApplyError> {
        let applied = |outcomes: &BTreeMap<String, Outcome>, service: &str| {
            outcomes.get(service).is_none_or(|outcome| *outcome == Outcome::Applied)
        };
        // Services keep their own mark where they have not come as far as the others.
        let behind: Vec<(String, u64)> = self
            .plan
            .services
            .keys()
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
        for (service, outcome) in self.outcomes {
            // What the second time finds in order does not undo what the first had to say.
            report.services.entry(service).or_insert(outcome);
        }
        self.state
    }
}

/// The generations of a service that are in use, or that it may have to go back to.
fn needed(state: &State, service: &str) -> Vec<u64> {
    let now = state.services.get(service).and_then(|one| one.in_effect.generation);
    let back = state.trial.as_ref().and_then(|trial| trial.back.get(service)).and_then(|back| back.generation);
    now.into_iter().chain(back).collect()
}

fn setback(outcome: &Outcome) -> Option<Setback> {
    let result = match outcome {
        Outcome::RolledBack { .. } => Went::RolledBack,
        Outcome::RollbackFailed { .. } => Went::RollbackFailed,
        Outcome::Applied | Outcome::Failed { .. } | Outcome::Refused { .. } => return None,
    };
    Some(Setback::now(result, outcome.reason().unwrap_or_default()))
}

impl Setback {
    /// One that just happened.
    #[must_use]
    pub fn now(result: Went, reason: &str) -> Self {
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { result, reason: reason.to_owned(), time }
    }
}

/// Removes what was staged and is not to be used. Whatever made that necessary is what is reported.
fn discard(change: &Change<'_>, paths: &Paths) {
    if let (true, Some(generation)) = (change.stages(), change.to.generation) {
        let _ = generation::discard(&paths.service(change.name), generation);
    }
}

fn outcome_before_swap(fault: Fault) -> Outcome {
    match fault {
        Fault::Refused(reason) => Outcome::Refused { reason },
        Fault::Broken(reason) | Fault::Unit(reason) => Outcome::Failed { reason },
    }
}
