//! From swapped files to a verdict, service by service.
//!
//! Takes changes whose files are staged; gives what became of each service. All files are put in place first, and
//! systemd reloads its unit files at most once. Then every service goes its own way, at the same time as the others but
//! for those that it comes `after`: its units are acted on and probed, and where it does not work it goes back. So a unit
//! that hangs until its deadline holds up only what depends on its service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use super::action::Action;
use super::change::{self, Change};
use super::execute::{Fault, Faults, Machine, Material, run};
use super::report::Outcome;
use super::state::InEffect;
use super::turns::Turns;
use crate::fs::generation::StagedFile;
use crate::order;
use crate::plan::{File, Plan};
use crate::timings;

/// Services that are acted on at a time, below what the bus allows (see [`Turns`]).
const AT_ONCE: usize = 100;

/// Where a service goes that does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retreat {
    /// To what it had before; where that fails too, to its static files.
    ToBack,
    /// To its static files.
    ToStatic,
    /// Nowhere: what it is going to counts more.
    None,
}

/// Where a service arrived.
#[derive(Debug)]
pub struct Arrival {
    /// The service.
    pub service: String,
    /// What its units read now.
    pub in_effect: InEffect,
    /// What came of it.
    pub outcome: Outcome,
    /// Whether its values are not what failed: a full disk, say.
    pub blameless: bool,
    /// The steps that were taken for it, from its units on.
    pub steps: Vec<Action>,
}

/// What all services have in common.
struct Course<'c> {
    machine: &'c Machine<'c>,
    files: &'c BTreeMap<String, Vec<StagedFile>>,
    retreat: Retreat,
}

/// Takes all changes to their end. Gives the steps for the files, and the arrivals in the order of the changes.
#[must_use]
pub fn take(
    plan: &Plan,
    changes: &[Change<'_>],
    files: &BTreeMap<String, Vec<StagedFile>>,
    retreat: Retreat,
    machine: &Machine<'_>,
) -> (Vec<Action>, Vec<Arrival>) {
    let live = machine.manager.is_some();
    let steps = change::file_steps(changes, machine.paths, live);
    let faults = run(&steps, &Material { changes, files }, machine);
    timings::mark("swap");
    let course = Course { machine, files, retreat };
    // There is nothing to wait for without units.
    if changes.len() < 2 || !live {
        let arrivals = changes.iter().map(|change| course.run(change, faults.get(change.name).cloned())).collect();
        return (steps, arrivals);
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = changes.iter().map(|_| mpsc::channel::<()>()).unzip();
    let turns = Turns::new(AT_ONCE);
    let before: Vec<BTreeSet<&str>> = changes.iter().map(|change| order::predecessors(plan, change.name)).collect();
    let arrivals = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, (change, done)) in changes.iter().zip(receivers).enumerate() {
            let waits = changes.iter().filter(|other| before[number].contains(other.name)).count();
            let behind = before.iter().zip(&senders).filter(|(before, _)| before.contains(change.name));
            let behind: Vec<mpsc::Sender<()>> = behind.map(|(_, sender)| sender.clone()).collect();
            let (course, turns, fault) = (&course, &turns, faults.get(change.name).cloned());
            running.push(scope.spawn(move || {
                // One that broke down has dropped its senders: nobody waits for it for ever.
                (0..waits).for_each(|_| done.recv().unwrap_or_default());
                let arrival = {
                    let _turn = turns.take();
                    course.run(change, fault)
                };
                for sender in &behind {
                    sender.send(()).unwrap_or_default();
                }
                arrival
            }));
        }
        drop(senders);
        let arrivals = running.into_iter().zip(changes);
        arrivals.map(|(thread, change)| thread.join().unwrap_or_else(|_| broken_down(change))).collect()
    });
    (steps, arrivals)
}

fn broken_down(change: &Change<'_>) -> Arrival {
    let reason = "dynix broke down while it acted on it".to_owned();
    let (service, in_effect) = (change.name.to_owned(), change.to.clone());
    Arrival { service, in_effect, outcome: Outcome::RollbackFailed { reason }, blameless: true, steps: Vec::new() }
}

impl Course<'_> {
    fn run(&self, change: &Change<'_>, fault: Option<Fault>) -> Arrival {
        let mut steps = Vec::new();
        let fault = fault.or_else(|| self.act(change, &mut steps));
        let blameless = matches!(fault, Some(Fault::Broken(_)));
        let arrive = |in_effect: &InEffect, outcome| (in_effect.clone(), outcome);
        let (in_effect, outcome) = match fault.map(|fault| self.reason(change, &fault)) {
            None => arrive(&change.to, Outcome::Applied),
            Some(reason) => match self.retreat {
                Retreat::None => arrive(&change.to, Outcome::Failed { reason }),
                Retreat::ToStatic => self.to_static(change, vec![reason], &mut steps),
                Retreat::ToBack => {
                    let up = self.up(change);
                    let back = change.reversed(|unit| up.iter().any(|one| one == unit));
                    match self.switch(&back, &mut steps) {
                        None if blameless => {
                            let reason = format!("{reason}; it is back on what it had");
                            arrive(&back.to, Outcome::Failed { reason })
                        }
                        None => arrive(&back.to, Outcome::RolledBack { reason }),
                        Some(worse) => {
                            let worse = format!("going back: {}", self.reason(&back, &worse));
                            self.to_static(&back, vec![reason, worse], &mut steps)
                        }
                    }
                }
            },
        };
        Arrival { service: change.name.to_owned(), in_effect, outcome, blameless, steps }
    }

    /// The last resort.
    fn to_static(&self, change: &Change<'_>, mut reasons: Vec<String>, steps: &mut Vec<Action>) -> (InEffect, Outcome) {
        if !change.to.is_static() {
            let last = change.to_static();
            if let Some(fault) = self.switch(&last, steps) {
                reasons.push(format!("going static: {}", self.reason(&last, &fault)));
            }
        }
        (InEffect::default(), Outcome::RollbackFailed { reason: reasons.join("; ") })
    }

    /// The files of one service, then its units.
    fn switch(&self, change: &Change<'_>, steps: &mut Vec<Action>) -> Option<Fault> {
        let alone = std::slice::from_ref(change);
        let files = change::file_steps(alone, self.machine.paths, self.machine.manager.is_some());
        let mut faults = run(&files, &Material { changes: alone, files: self.files }, self.machine);
        steps.extend(files);
        faults.remove(change.name).or_else(|| self.act(change, steps))
    }

    fn act(&self, change: &Change<'_>, steps: &mut Vec<Action>) -> Option<Fault> {
        self.machine.manager?;
        let units = change.unit_steps(self.machine.paths);
        let alone = std::slice::from_ref(change);
        let mut faults: Faults = run(&units, &Material { changes: alone, files: self.files }, self.machine);
        steps.extend(units);
        faults.remove(change.name)
    }

    /// The units that are up all the same. Where systemd does not answer, restarting is the way that needs no answer.
    fn up(&self, change: &Change<'_>) -> Vec<String> {
        let units: Vec<String> = change.units.keys().cloned().collect();
        let statuses = self.machine.manager.and_then(|manager| manager.status(&units).ok()).unwrap_or_default();
        statuses.into_iter().filter(|status| status.active_state == "active").map(|status| status.unit).collect()
    }

    /// What went wrong, with the last words of the units that it went wrong with. They are left out where somebody may not
    /// read the service's files: everybody may read the log.
    fn reason(&self, change: &Change<'_>, fault: &Fault) -> String {
        let reason = fault.reason().to_owned();
        let (Fault::Unit(_), Some(manager), Some(service)) = (fault, self.machine.manager, change.service) else {
            return reason;
        };
        if service.has_secrets() || !service.files.values().all(File::is_public) {
            return reason;
        }
        let units: Vec<&String> = change.units.keys().collect();
        let named = units.iter().find(|unit| reason.starts_with(unit.as_str()));
        let words = named.map_or(units.as_slice(), std::slice::from_ref).iter();
        let words = words.filter_map(|unit| Some(format!("; {unit} said last: {}", manager.last_words(unit)?)));
        words.fold(reason, |reason, words| reason + &words)
    }
}
