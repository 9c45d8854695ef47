//! Units that stop when the units of a service are restarted: those that require, bind to or are part of them, directly
//! or through others.
//!
//! systemd restarts them with the unit. But if the unit does not come up, or is stopped, systemd leaves them stopped
//! (systemd.unit(5), `Requires=`, `BindsTo=`, `Requisite=`, `PartOf=`, `PropagatesStopTo=`). So dynix notes which of
//! them are up before it touches anything, and starts them again afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::host::systemd::{Job, JobFault, ManagerError, ServiceManager, Verb};
use crate::plan::Plan;
use crate::plan::order;
use crate::reconcile::change::Change;

/// How long such a unit may take to come up again. The plan does not have it, so this is systemd's own default
/// (systemd-system.conf(5), `DefaultTimeoutStartSec=`).
const DEADLINE: Duration = Duration::from_secs(90);

/// The units that were up before, by service.
#[derive(Clone, Debug, Default)]
pub struct Dependents(BTreeMap<String, Vec<String>>);

/// The units that did not come up again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revival {
    /// The units that were started.
    pub started: Vec<String>,
    /// Those that stay down, with the reason.
    pub down: BTreeMap<String, String>,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

impl Dependents {
    /// Asks systemd, before anything is touched.
    pub fn note(changes: &[Change<'_>], manager: Option<&dyn ServiceManager>) -> Result<Self, ManagerError> {
        let mut noted = BTreeMap::new();
        for (change, manager) in
            changes.iter().filter(|change| !change.units.is_empty()).zip(std::iter::repeat(manager))
        {
            let Some(manager) = manager else { break };
            let units: Vec<String> = change.units.keys().cloned().collect();
            let up = manager.dependents(&units)?;
            if !up.is_empty() {
                noted.insert(change.name.to_owned(), up);
            }
        }
        Ok(Self(noted))
    }

    /// Those of a service, in an order in which they can be started.
    #[must_use]
    pub fn units(&self, service: &str) -> &[String] {
        self.0.get(service).map_or(&[], Vec::as_slice)
    }

    /// Starts what is down of a service's dependents.
    #[must_use]
    pub fn revive(&self, service: &str, manager: &dyn ServiceManager, interrupted: &dyn Fn() -> bool) -> Revival {
        let noted = self.units(service);
        let mut revival = Revival::default();
        if noted.is_empty() {
            return revival;
        }
        let statuses = match manager.status(noted) {
            Ok(statuses) => statuses,
            Err(error) => {
                revival.down = noted.iter().map(|unit| (unit.clone(), error.to_string())).collect();
                return revival;
            }
        };
        let down: Vec<Job> = statuses
            .into_iter()
            .filter(|status| !status.is_up())
            .map(|status| Job { unit: status.unit, verb: Verb::Start, deadline: DEADLINE, settle: None })
            .collect();
        if down.is_empty() {
            return revival;
        }
        revival.started = down.iter().map(|job| job.unit.clone()).collect();
        match manager.run(&down, interrupted) {
            Err(error) => revival.down = down.into_iter().map(|job| (job.unit, error.to_string())).collect(),
            Ok(results) => {
                for (job, result) in down.into_iter().zip(results) {
                    match result {
                        // Somebody stopped the unit, and wants it down.
                        Ok(()) | Err(JobFault::Stopped(_)) => {}
                        Err(JobFault::Interrupted) => revival.interrupted = true,
                        Err(JobFault::Refused(reason) | JobFault::Hindered(reason) | JobFault::Failed(reason)) => {
                            revival.down.insert(job.unit, reason);
                        }
                    }
                }
            }
        }
        revival
    }
}

/// For each change, the numbers of the changes before it: those that its service comes `after`, and those that share
/// units with it. Services whose units depend on each other, or on which the same unit depends, follow one another, so
/// that the cause of a failure is clear.
#[must_use]
pub fn sequence(plan: &Plan, changes: &[Change<'_>], dependents: &Dependents) -> Vec<BTreeSet<usize>> {
    let names: BTreeMap<&str, usize> =
        changes.iter().enumerate().map(|(number, change)| (change.name, number)).collect();
    let mut before: Vec<BTreeSet<usize>> = changes
        .iter()
        .map(|change| {
            order::predecessors(plan, change.name).iter().filter_map(|name| names.get(name).copied()).collect()
        })
        .collect();
    let mut users: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, change) in changes.iter().enumerate() {
        let units: BTreeSet<&str> =
            change.units.keys().chain(dependents.units(change.name)).map(String::as_str).collect();
        for unit in units {
            users.entry(unit).or_default().push(number);
        }
    }
    let depends_on = |later: usize, earlier: usize| {
        changes[later].units.keys().any(|unit| dependents.units(changes[earlier].name).contains(unit))
    };
    for users in users.values() {
        for (position, one) in users.iter().enumerate() {
            for other in &users[position + 1..] {
                let (mut first, mut second) = (*one, *other);
                if depends_on(first, second) && !depends_on(second, first) {
                    (first, second) = (second, first);
                }
                // The order of the plan comes first. No two changes wait for each other.
                if waits_for(&before, first, second) {
                    continue;
                }
                before[second].insert(first);
            }
        }
    }
    before
}

/// Whether one change waits for another, directly or through others.
fn waits_for(before: &[BTreeSet<usize>], one: usize, other: usize) -> bool {
    let (mut open, mut seen) = (vec![one], BTreeSet::new());
    while let Some(number) = open.pop() {
        if before[number].contains(&other) {
            return true;
        }
        open.extend(before[number].iter().filter(|next| seen.insert(**next)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::order::tests::plan;
    use crate::reconcile::state::InEffect;

    fn change(name: &'static str) -> Change<'static> {
        let units = BTreeMap::from([(format!("{name}.service"), Verb::TryRestart)]);
        Change { units, ..Change::removal(name, &InEffect::default()) }
    }

    fn dependents(noted: &[(&str, &[&str])]) -> Dependents {
        let units = |units: &[&str]| units.iter().map(|unit| (*unit).to_owned()).collect();
        Dependents(noted.iter().map(|(service, up)| ((*service).to_owned(), units(up))).collect())
    }

    #[test]
    fn what_depends_on_another_service_waits_for_it() {
        let changes = ["a", "b", "c", "d"].map(change);
        // a requires c, and something else requires both b and d.
        let noted = dependents(&[("b", &["x.service"]), ("c", &["a.service"]), ("d", &["x.service"])]);
        let before = sequence(&plan(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])]), &changes, &noted);
        assert_eq!(before, [BTreeSet::from([2]), BTreeSet::new(), BTreeSet::new(), BTreeSet::from([1])]);
    }

    #[test]
    fn nobody_waits_for_each_other() {
        let changes = ["a", "b", "c"].map(change);
        // The plan says the opposite of the units, and two units are part of each other.
        let noted = dependents(&[("a", &["b.service"]), ("b", &["a.service", "c.service"]), ("c", &["b.service"])]);
        let before = sequence(&plan(&[("a", &["b"]), ("b", &[]), ("c", &[])]), &changes, &noted);
        assert_eq!(before[0], BTreeSet::from([1]));
        for one in 0..3 {
            assert!(!waits_for(&before, one, one), "{before:?}");
        }
        assert!(waits_for(&before, 1, 2) != waits_for(&before, 2, 1), "{before:?}");
    }
}
