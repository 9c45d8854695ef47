//! Apply: makes what is in effect the fold of the log.
//!
//! Takes the plan, the log and the machine; gives a [`Report`]. In order: lock, fold, [`desired`] values, [`survey`] of
//! what differs, then the [`action`]s: write and check beside what is in use, note what is about to happen, swap, units,
//! note what is in effect. A service that does not work on its new values goes back to exactly what it had, its records
//! are rejected, and the log is folded again.

pub mod action;
pub mod change;
pub mod desired;
pub mod execute;
pub mod key;
pub mod ownership;
pub mod probe;
pub mod rendered;
pub mod report;
pub mod state;
pub mod survey;
pub mod view;

mod leftover;
mod rejection;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use action::Action;
use change::Change;
use execute::{Fault, Faults, Machine, Material, run};
use report::{Outcome, Report};
use state::{InEffect, State, StateError};
use survey::{Survey, survey};
use view::View;

use crate::attr_path::AttrPath;
use crate::fs::lock::{self, Lock, LockError};
use crate::fs::{FileError, generation};
use crate::overrides::{Change as LogChange, LogError, LogFile};
use crate::paths::Paths;
use crate::plan::Plan;
use crate::systemd::ManagerError;

/// How long a lock of somebody else is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be applied.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only these services; all where `None`.
    pub services: Option<BTreeSet<String>>,
    /// Whether a service that fails stays on what it failed on: the built configuration always wins over what was there.
    pub static_wins: bool,
    /// Who is asking, for the records that reject what failed.
    pub by: String,
    /// Whether switch-to-configuration is what runs this, and holds its lock itself.
    pub inside_switch: bool,
}

impl Request {
    fn takes(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
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
}

/// Applies what is recorded.
pub fn apply(
    plan: &Plan,
    log: &LogFile,
    request: &Request,
    machine: &mut Machine<'_>,
    mut waiting: impl FnMut(&str),
) -> Result<Report, ApplyError> {
    let _locks = locks(machine.paths, request, &mut waiting)?;
    let mut report = Report::default();
    // It is in nobody's way.
    report.warnings.extend(leftover::clean(plan, machine.paths).err().map(|error| error.to_string()));
    let mut view = view::view(plan, machine.paths, log, &[], request.services.as_ref())?;
    let expired = expiry(view.folded.expired(SystemTime::now()));
    if !expired.is_empty() {
        log.append(&expired, &request.by, None, &mut waiting)?;
        view = view::view(plan, machine.paths, log, &[], request.services.as_ref())?;
    }
    report.warnings.extend(view.folded.warnings.iter().cloned());
    // A second time when records were rejected: what is in effect is the fold of the log.
    for _ in 0..2 {
        let failed = pass(plan, &view, request, machine, &mut report)?;
        if failed.is_empty() {
            break;
        }
        let rejects = rejection::of(plan, log, &failed, view.last_id)?;
        if rejects.is_empty() {
            break;
        }
        report.rejected.extend(rejects.iter().filter_map(|change| match change {
            LogChange::Reject { id, .. } => Some(*id),
            _ => None,
        }));
        log.append(&rejects, &request.by, None, &mut waiting)?;
        view = view::view(plan, machine.paths, log, &[], request.services.as_ref())?;
    }
    Ok(report)
}

/// What [`apply`] would do now, with `changes` recorded first: the same steps, none of them run.
pub fn dry_run(
    plan: &Plan,
    log: &LogFile,
    changes: &[LogChange],
    request: &Request,
    machine: &mut Machine<'_>,
) -> Result<Report, ApplyError> {
    let mut changes_first = expiry(log.fold()?.expired(SystemTime::now()));
    changes_first.extend_from_slice(changes);
    let View { folded, desired, .. } = view::view(plan, machine.paths, log, &changes_first, request.services.as_ref())?;
    let state = State::load(&machine.paths.state())?;
    let mut survey = survey(plan, &desired, &state, machine.paths, |service| request.takes(service))?;
    let live = machine.manager.is_some();
    if let Some(manager) = &mut machine.manager {
        survey.meet(&mut **manager)?;
    }
    let mut actions = preparation(&survey);
    actions.extend(change::switch(&survey.changes, machine.paths, live));
    let left_to_do = if live { Vec::new() } else { change::unit_actions(&survey.changes).collect() };
    let mut services = survey.faults;
    services.extend(survey.changes.iter().map(|change| (change.name.to_owned(), Outcome::Applied)));
    Ok(Report {
        actions,
        left_to_do,
        services,
        left_out: desired.left_out,
        rejected: Vec::new(),
        warnings: folded.warnings,
    })
}

fn expiry(ids: Vec<u64>) -> Vec<LogChange> {
    ids.into_iter().map(|id| LogChange::Reject { id, reason: "expired".to_owned() }).collect()
}

fn preparation(survey: &Survey<'_>) -> Vec<Action> {
    change::preparation(&survey.changes, |change| survey.checks.get(change.name).cloned())
}

/// dynix's own lock, then the one of switch-to-configuration.
fn locks(paths: &Paths, request: &Request, waiting: &mut impl FnMut(&str)) -> Result<(Lock, Option<Lock>), LockError> {
    let ours = lock::acquire(&paths.lock(), PATIENCE, |holder| waiting(holder))?;
    let theirs = if request.inside_switch {
        None
    } else {
        Some(lock::acquire(&paths.switch_lock(), PATIENCE, |holder| waiting(holder))?)
    };
    Ok((ours, theirs))
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

/// One time through: from the folded log to units and state. Gives the services whose records have to be rejected.
fn pass(
    plan: &Plan,
    view: &View,
    request: &Request,
    machine: &mut Machine<'_>,
    report: &mut Report,
) -> Result<Vec<Failed>, ApplyError> {
    let paths = machine.paths;
    let before = State::load(&paths.state())?;
    report.left_out.clone_from(&view.desired.left_out);
    if plan.services.values().any(crate::plan::Service::has_secrets) {
        key::Key::ensure(paths)?;
    }
    let mut survey = survey(plan, &view.desired, &before, paths, |service| request.takes(service))?;
    if let Some(manager) = &mut machine.manager {
        survey.meet(&mut **manager)?;
    }
    if machine.manager.is_none() {
        report.left_to_do.extend(change::unit_actions(&survey.changes));
    }
    let mut pass = Pass { state: before.clone(), log_id: view.last_id, ..Pass::default() };
    pass.outcomes.append(&mut survey.faults);
    pass.run(&survey, request, machine)?;
    pass.commit(plan, request, paths)?;
    let refused =
        pass.outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Applied | Outcome::Failed { .. }));
    let failed = refused
        .filter(|(service, _)| !request.static_wins && !pass.blameless.contains(*service))
        .map(|(service, outcome)| Failed {
            service: service.clone(),
            log_id: before.log_id(service),
            reason: outcome.reason().unwrap_or_default().to_owned(),
        })
        .collect();
    report.actions.append(&mut pass.actions);
    for (service, outcome) in pass.outcomes {
        // What the second time finds in order does not undo what the first had to say.
        report.services.entry(service).or_insert(outcome);
    }
    Ok(failed)
}

/// What one pass has come to so far.
#[derive(Default)]
struct Pass {
    state: State,
    log_id: u64,
    outcomes: BTreeMap<String, Outcome>,
    /// Services whose values are not what failed: a full disk, say. Their records are not rejected.
    blameless: BTreeSet<String>,
    actions: Vec<Action>,
}

impl Pass {
    fn run(&mut self, survey: &Survey<'_>, request: &Request, machine: &mut Machine<'_>) -> Result<(), ApplyError> {
        let paths = machine.paths;
        let prepare = preparation(survey);
        let faults = run(&prepare, &Material { changes: &survey.changes, files: &survey.files }, machine);
        self.actions.extend(prepare);
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
        if let Err(error) = self.state.save(&paths.state()) {
            for change in &ready {
                discard(change, paths);
            }
            return Err(error.into());
        }
        let faults = self.switch(&ready, survey, machine);
        let (failed, good): (Vec<_>, Vec<_>) = ready.into_iter().partition(|change| faults.contains_key(change.name));
        for change in good {
            self.settle(change.name, change.to, Outcome::Applied);
        }
        if request.static_wins {
            for change in failed {
                let reason = reason(&faults, change.name);
                self.settle(change.name, change.to, Outcome::Failed { reason });
            }
            return Ok(());
        }
        self.go_back(&failed, &faults, survey, machine);
        Ok(())
    }

    fn switch(&mut self, changes: &[Change<'_>], survey: &Survey<'_>, machine: &mut Machine<'_>) -> Faults {
        let steps = change::switch(changes, machine.paths, machine.manager.is_some());
        let faults = run(&steps, &Material { changes, files: &survey.files }, machine);
        self.actions.extend(steps);
        faults
    }

    /// Back to exactly what last worked; where that fails as well, to the static files.
    fn go_back(&mut self, failed: &[Change<'_>], faults: &Faults, survey: &Survey<'_>, machine: &mut Machine<'_>) {
        let broken = failed.iter().filter(|change| matches!(faults.get(change.name), Some(Fault::Broken(_))));
        self.blameless.extend(broken.map(|change| change.name.to_owned()));
        let up = up(failed, machine);
        let back: Vec<Change<'_>> = failed.iter().map(|change| change.reversed(|unit| up.contains(unit))).collect();
        let worse = self.switch(&back, survey, machine);
        let (lost, returned): (Vec<_>, Vec<_>) = back.into_iter().partition(|change| worse.contains_key(change.name));
        for change in returned {
            let reason = reason(faults, change.name);
            let outcome = if self.blameless.contains(change.name) {
                Outcome::Failed { reason: format!("{reason}; it is back on what it had") }
            } else {
                Outcome::RolledBack { reason }
            };
            self.settle(change.name, change.to, outcome);
        }
        let to_static: Vec<Change<'_>> = failed
            .iter()
            .filter(|change| lost.iter().any(|one| one.name == change.name) && !change.back.is_static())
            .map(Change::to_static)
            .collect();
        let hopeless = self.switch(&to_static, survey, machine);
        for change in lost {
            let mut reasons = vec![reason(faults, change.name), format!("going back: {}", reason(&worse, change.name))];
            if let Some(fault) = hopeless.get(change.name) {
                reasons.push(format!("going static: {}", fault.reason()));
            }
            self.settle(change.name, InEffect::default(), Outcome::RollbackFailed { reason: reasons.join("; ") });
        }
    }

    fn settle(&mut self, service: &str, in_effect: InEffect, outcome: Outcome) {
        let entry = self.state.service(service);
        entry.in_effect = in_effect;
        entry.pending.clear();
        self.outcomes.insert(service.to_owned(), outcome);
    }

    /// Notes what is in effect, and removes what nothing needs any more.
    fn commit(&mut self, plan: &Plan, request: &Request, paths: &Paths) -> Result<(), ApplyError> {
        let applied = |outcomes: &BTreeMap<String, Outcome>, service: &str| {
            outcomes.get(service).is_none_or(|outcome| *outcome == Outcome::Applied)
        };
        // Services keep their own mark where they have not come as far as the others.
        let behind: Vec<(String, u64)> = plan
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
            if *outcome == Outcome::Applied && !plan.services.contains_key(service) {
                self.state.services.remove(service);
                generation::forget(&paths.service(service))?;
            } else {
                let needed = self.state.services.get(service).and_then(|one| one.in_effect.generation);
                generation::prune(&paths.service(service), plan.keep, needed.as_slice())?;
            }
        }
        Ok(self.state.save(&paths.state())?)
    }
}

/// Removes what was staged and is not to be used. Whatever made that necessary is what is reported.
fn discard(change: &Change<'_>, paths: &Paths) {
    if let (true, Some(generation)) = (change.stages(), change.to.generation) {
        let _ = generation::discard(&paths.service(change.name), generation);
    }
}

/// The units of failed changes that are up all the same.
fn up(failed: &[Change<'_>], machine: &mut Machine<'_>) -> BTreeSet<String> {
    let units: Vec<String> = failed.iter().flat_map(|change| change.units.keys().cloned()).collect();
    // Where systemd does not answer, restarting is the way that needs no answer.
    let statuses = machine.manager.as_mut().and_then(|manager| manager.status(&units).ok()).unwrap_or_default();
    statuses.into_iter().filter(|status| status.active_state == "active").map(|status| status.unit).collect()
}

fn reason(faults: &Faults, service: &str) -> String {
    faults.get(service).map_or("", Fault::reason).to_owned()
}

fn outcome_before_swap(fault: Fault) -> Outcome {
    match fault {
        Fault::Refused(reason) => Outcome::Refused { reason },
        Fault::Broken(reason) | Fault::Unit(reason) => Outcome::Failed { reason },
    }
}

/// Whether a path is of one of a service's options, or holds one.
pub(crate) fn concerns(plan: &Plan, service: &str, path: &AttrPath) -> bool {
    let options = plan.services.get(service).into_iter().flat_map(|service| service.options.keys());
    options
        .filter_map(|option| AttrPath::parse(option).ok())
        .any(|option| path.starts_with(&option) || option.starts_with(path))
}
