//! From swapped files to a verdict, service by service.
//!
//! Takes changes whose files are staged; gives the result of each service. All files are put in place first, and
//! systemd reloads its unit files at most once. Then every service proceeds on its own, in parallel with the others
//! except those that it waits for ([`sequence`]). Its units are acted on and probed, its dependents are checked to be
//! up again, and if it does not work, it rolls back. So a unit that hangs until its deadline delays only what depends
//! on its service.
//!
//! The new values are to blame if a unit did not come up on them and did come up on what it had before. In every other
//! case nothing is known of them: the machine failed, somebody stopped the unit, or the unit does not work on its old
//! values either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use super::action::Action;
use super::change::Change;
use super::execution::{Fault, Machine, Material, Ran, run};
use super::kernel;
use super::observed::dependents::{Dependents, Revival, sequence};
use super::observed::processes;
use super::planning;
use super::report::Outcome;
use super::semaphore::Semaphore;
use super::state::InEffect;
use super::verdict::{stay_down, with_last_words};
use crate::host::fs::generation::StagedFile;
use crate::host::systemd::UnitStatus;
use crate::host::timings;
use crate::plan::Plan;

/// Services that are acted on at a time, below what the bus allows (see [`Semaphore`]).
const AT_ONCE: usize = 100;

/// The fallback of a service that does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// What it had before; if that fails too, its static files.
    Previous,
    /// To its static files.
    Static,
    /// None: the new state matters more.
    Never,
}

/// The result of one service.
#[derive(Debug)]
pub struct Reconciled {
    /// The service.
    pub service: String,
    /// The state that its units read now.
    pub in_effect: InEffect,
    /// The outcome for the report.
    pub outcome: Outcome,
    /// The units that may have another state than `in_effect`.
    pub unsettled: BTreeSet<String>,
    /// Whether it failed for a reason that may be gone soon, and nothing was touched.
    pub may_be_retried: bool,
    /// Whether it rolled back because the apply was interrupted.
    pub interrupted: bool,
    /// Warnings for the report.
    pub warnings: Vec<String>,
    /// The steps that were taken for it, from its units on.
    pub steps: Vec<Action>,
}

/// The context that all services share.
pub(super) struct Rollout<'c> {
    pub(super) machine: &'c Machine<'c>,
    pub(super) files: &'c BTreeMap<String, Vec<StagedFile>>,
    pub(super) dependents: &'c Dependents,
    pub(super) fallback: Fallback,
}

/// How far a service has come.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) steps: Vec<Action>,
    pub(super) touched: BTreeSet<String>,
    pub(super) stopped: BTreeSet<String>,
    pub(super) unsettled: BTreeSet<String>,
    /// Units that went down with it and stay down.
    pub(super) down: BTreeMap<String, String>,
}

/// A rollback is never interrupted.
pub(super) fn to_the_end() -> bool {
    false
}

/// Takes all changes to their end. Gives the steps for the files, and the results in the order of the changes.
#[must_use]
pub fn take(
    plan: &Plan,
    changes: &[Change<'_>],
    files: &BTreeMap<String, Vec<StagedFile>>,
    dependents: &Dependents,
    fallback: Fallback,
    machine: &Machine<'_>,
) -> (Vec<Action>, Vec<Reconciled>) {
    let live = machine.manager.is_some();
    let steps = planning::file_steps(changes, machine.paths, live);
    let rollout = Rollout { machine, files, dependents, fallback };
    let faults = run(&steps, &rollout.material(changes, &to_the_end), machine).faults;
    timings::mark("swap");
    // There is nothing to wait for without units.
    if changes.len() < 2 || !live {
        let fault = |change: &Change<'_>| faults.get(change.name).cloned();
        let results = changes.iter().map(|change| rollout.run(change, fault(change), &BTreeSet::new())).collect();
        return (steps, results);
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = changes.iter().map(|_| mpsc::channel::<()>()).unzip();
    let semaphore = Semaphore::new(AT_ONCE);
    let before = sequence(plan, changes, dependents);
    let results = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, (change, done)) in changes.iter().zip(receivers).enumerate() {
            let waits = before[number].len();
            let behind: Vec<usize> = (0..changes.len()).filter(|other| before[*other].contains(&number)).collect();
            let others = behind.iter().flat_map(|other| rollout.units(&changes[*other])).collect::<BTreeSet<&str>>();
            let behind: Vec<mpsc::Sender<()>> = behind.iter().map(|other| senders[*other].clone()).collect();
            let (rollout, semaphore, fault) = (&rollout, &semaphore, faults.get(change.name).cloned());
            running.push(scope.spawn(move || {
                // A thread that panicked has dropped its senders, so nobody waits for it for ever.
                (0..waits).for_each(|_| done.recv().unwrap_or_default());
                let result = {
                    let _turn = semaphore.take();
                    rollout.run(change, fault, &others)
                };
                for sender in &behind {
                    sender.send(()).unwrap_or_default();
                }
                result
            }));
        }
        drop(senders);
        let results = running.into_iter().zip(changes);
        results.map(|(thread, change)| thread.join().unwrap_or_else(|_| broken_down(change))).collect()
    });
    (steps, results)
}

fn broken_down(change: &Change<'_>) -> Reconciled {
    let reason = "dynix broke down while it acted on it".to_owned();
    Reconciled {
        service: change.name.to_owned(),
        in_effect: change.to.clone(),
        outcome: Outcome::RollbackFailed { reason },
        unsettled: change.units.keys().cloned().collect(),
        may_be_retried: false,
        interrupted: false,
        warnings: Vec::new(),
        steps: Vec::new(),
    }
}

impl Rollout<'_> {
    fn material<'a, 'p>(
        &'a self,
        changes: &'a [Change<'p>],
        interrupted: &'a (dyn Fn() -> bool + Sync),
    ) -> Material<'a, 'p> {
        const NONE: &BTreeMap<String, Vec<String>> = &BTreeMap::new();
        Material { changes, files: self.files, controls: NONE, interrupted }
    }

    /// The units of a change, and all that depends on them.
    fn units<'u>(&'u self, change: &'u Change<'_>) -> impl Iterator<Item = &'u str> {
        change.units.keys().chain(self.dependents.units(change.name)).map(String::as_str)
    }

    /// Whether the change may be interrupted. A rollback may not, and neither may a change without fallback.
    fn is_interrupted(&self) -> bool {
        self.fallback == Fallback::Previous && self.machine.interruption.is_wanted()
    }

    /// Runs one change to its end. The services that come after this one report the outcome of `others`.
    fn run(&self, change: &Change<'_>, fault: Option<Fault>, others: &BTreeSet<&str>) -> Reconciled {
        let interrupted = || self.is_interrupted();
        let mut progress = Progress::default();
        let fault = fault.or_else(|| self.act(change, &mut progress, &interrupted));
        let fault = fault.or_else(|| {
            let revival = self.revive(change, &mut progress, &interrupted);
            if revival.interrupted {
                return Some(Fault::Interrupted);
            }
            progress.down.retain(|unit, _| !others.contains(unit.as_str()));
            (!progress.down.is_empty()).then(|| Fault::Dependent(stay_down(&progress.down)))
        });
        let mut warnings = Vec::new();
        let (in_effect, outcome) = match &fault {
            None => (change.to.clone(), self.seen(change, &mut progress)),
            Some(Fault::Stopped(reason)) => {
                warnings.push(format!("{}: {reason}; it reads the new values when it is started", change.name));
                (change.to.clone(), Outcome::Applied)
            }
            Some(fault) => self.fall_back(change, fault, &mut progress),
        };
        let failed_before = matches!(fault, Some(Fault::Broken(_) | Fault::Unjudged(_))) && progress.touched.is_empty();
        let Progress { steps, unsettled, .. } = progress;
        let may_be_retried = failed_before && matches!(outcome, Outcome::Failed { .. });
        let interrupted = fault == Some(Fault::Interrupted);
        let service = change.name.to_owned();
        Reconciled { service, in_effect, outcome, unsettled, may_be_retried, interrupted, warnings, steps }
    }

    /// Whether the processes of the units see what is in place now.
    fn seen(&self, change: &Change<'_>, progress: &mut Progress) -> Outcome {
        let (Some(manager), Some(service)) = (self.machine.manager, change.service) else { return Outcome::Applied };
        let directory = self.machine.paths.service(change.name);
        let others = processes::others(service, &change.to, change.units.keys(), &directory, manager);
        timings::mark("what the processes see");
        if others.is_empty() {
            return Outcome::Applied;
        }
        let reason = others.values().cloned().collect::<Vec<_>>().join("; ");
        progress.unsettled.extend(others.into_keys());
        Outcome::Unseen { reason }
    }

    /// The files of one service, then its units.
    pub(super) fn switch(&self, change: &Change<'_>, progress: &mut Progress) -> Option<Fault> {
        let alone = std::slice::from_ref(change);
        let files = planning::file_steps(alone, self.machine.paths, self.machine.manager.is_some());
        let mut faults = run(&files, &self.material(alone, &to_the_end), self.machine).faults;
        progress.steps.extend(files);
        faults.remove(change.name).or_else(|| self.act(change, progress, &to_the_end))
    }

    fn act(
        &self,
        change: &Change<'_>,
        progress: &mut Progress,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Option<Fault> {
        if let Err(error) = kernel::prepare(change, self.machine.paths) {
            return Some(Fault::Broken(error.to_string()));
        }
        self.machine.manager?;
        let units = change.unit_steps(self.machine.paths);
        let alone = std::slice::from_ref(change);
        let Ran { mut faults, touched, settled, stopped } =
            run(&units, &self.material(alone, interrupted), self.machine);
        progress.steps.extend(units);
        progress.unsettled = change.units.keys().filter(|unit| !settled.contains(*unit)).cloned().collect();
        progress.touched.extend(touched);
        progress.stopped.extend(stopped);
        let Some(fault) = faults.remove(change.name) else {
            return kernel::settle(change, self.machine.paths).err().map(|error| Fault::Broken(error.to_string()));
        };
        if !matches!(fault, Fault::Unhealthy(_) | Fault::Unjudged(_)) {
            return Some(fault);
        }
        // A probe can't tell why nobody answers.
        let stopped = self.stopped(change);
        let reason = (!stopped.is_empty()).then(|| format!("{} was stopped by somebody else", stopped.join(", ")));
        progress.stopped.extend(stopped);
        Some(reason.map_or(fault, Fault::Stopped))
    }

    /// Starts again what went down with the units of a change.
    pub(super) fn revive(
        &self,
        change: &Change<'_>,
        progress: &mut Progress,
        interrupted: &dyn Fn() -> bool,
    ) -> Revival {
        let Some(manager) = self.machine.manager else { return Revival::default() };
        let revival = self.dependents.revive(change.name, manager, interrupted);
        let start = |unit: &String| Action::Start { service: change.name.to_owned(), unit: unit.clone() };
        progress.steps.extend(revival.started.iter().map(start));
        progress.down.clone_from(&revival.down);
        revival
    }

    /// The units that are still up. If systemd does not answer, they count as down: a restart needs no answer.
    pub(super) fn up(&self, change: &Change<'_>) -> Vec<String> {
        let units: Vec<String> = change.units.keys().cloned().collect();
        let statuses = self.machine.manager.and_then(|manager| manager.status(&units).ok()).unwrap_or_default();
        statuses.into_iter().filter(|status| status.active_state == "active").map(|status| status.unit).collect()
    }

    /// The units that somebody stopped.
    fn stopped(&self, change: &Change<'_>) -> Vec<String> {
        let units: Vec<String> = change.units.keys().cloned().collect();
        let statuses = self.machine.manager.and_then(|manager| manager.status(&units).ok()).unwrap_or_default();
        statuses.into_iter().filter(UnitStatus::is_stopped).map(|status| status.unit).collect()
    }

    pub(super) fn reason(&self, change: &Change<'_>, fault: &Fault) -> String {
        with_last_words(change, fault, self.machine)
    }
}
