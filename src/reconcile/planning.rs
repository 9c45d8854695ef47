//! The plan of actions: the steps from the observed to the desired state of a service. Pure.
//!
//! All files come first, then systemd reloads its unit files at most once, then the units of each service follow. A
//! unit is touched only if something that it reads changed.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::action::Action;
use super::change::Change;
use crate::host::paths::Paths;
use crate::host::systemd::{Job, Verb};
use crate::plan::Attach;

/// The path of a unit's drop-in.
#[must_use]
pub fn drop_in_path(paths: &Paths, unit: &str) -> Utf8PathBuf {
    paths.runtime_units().join(format!("{unit}.d")).join(Utf8Path::new("50-dynix.conf"))
}

/// The steps before anything in use is touched: write and check. `check` gives the command of a service's check.
#[must_use]
pub fn preparation(changes: &[Change<'_>], check: impl Fn(&Change<'_>) -> Option<Vec<String>>) -> Vec<Action> {
    let staged = changes.iter().filter(|change| change.stages());
    let mut actions: Vec<Action> = Vec::new();
    for change in staged.clone() {
        actions.push(Action::Stage {
            service: change.name.to_owned(),
            generation: change.to.generation.unwrap_or_default(),
            files: change.to.files.keys().cloned().collect(),
        });
    }
    for change in staged {
        actions.extend(check(change).map(|command| Action::Check { service: change.name.to_owned(), command }));
    }
    actions
}

/// The steps that put the changes into effect: all files first, then the units of each service.
#[must_use]
pub fn switch(changes: &[Change<'_>], paths: &Paths, live: bool) -> Vec<Action> {
    let mut actions = file_steps(changes, paths, live);
    if live {
        actions.extend(changes.iter().flat_map(|change| change.unit_steps(paths)));
    }
    actions
}

/// The steps for the files of all changes, and what systemd has to know of them, at most once.
#[must_use]
pub fn file_steps(changes: &[Change<'_>], paths: &Paths, live: bool) -> Vec<Action> {
    let mut actions: Vec<Action> = Vec::new();
    for change in changes.iter().filter(|change| change.from.generation != change.to.generation) {
        let swap = Action::Swap { service: change.name.to_owned(), generation: change.to.generation };
        // A link never leads to what is not there.
        if change.to.generation.is_some() {
            actions.push(swap);
            actions.extend(change.links());
        } else {
            actions.extend(change.links());
            actions.push(swap);
        }
    }
    let files = actions.len();
    actions.extend(changes.iter().flat_map(|change| change.drop_in_actions(paths)));
    if live && actions.len() > files {
        actions.push(Action::ReloadConfiguration);
    }
    actions
}

/// The actions for the units that read something that changed.
pub fn unit_actions<'c>(changes: &'c [Change<'_>]) -> impl Iterator<Item = Action> + 'c {
    changes.iter().flat_map(|change| {
        change.in_order().into_iter().map(|(unit, verb)| {
            let (service, unit) = (change.name.to_owned(), unit.clone());
            match verb {
                Verb::Start => Action::Start { service, unit },
                Verb::Restart | Verb::TryRestart => Action::Restart { service, unit },
                Verb::Reload => Action::Reload { service, unit },
            }
        })
    })
}

impl Change<'_> {
    /// Its units, each after those that it comes after: systemd orders only jobs that it has.
    fn in_order(&self) -> Vec<(&String, &Verb)> {
        let mut rest: Vec<(&String, &Verb)> = self.units.iter().collect();
        let mut ordered = Vec::new();
        let after = |unit: &str| self.service.and_then(|service| service.units.get(unit)).map(|unit| &unit.after);
        while !rest.is_empty() {
            let waits =
                |unit: &str| after(unit).is_some_and(|after| rest.iter().any(|(other, _)| after.contains(other)));
            // Who waits for each other is in no order.
            let next = rest.iter().position(|(unit, _)| !waits(unit)).unwrap_or(0);
            ordered.push(rest.remove(next));
        }
        ordered
    }

    fn drop_in_actions<'c>(&'c self, paths: &'c Paths) -> impl Iterator<Item = Action> + 'c {
        let (service, from, to) = (self.name.to_owned(), &self.from.drop_ins, &self.to.drop_ins);
        let units: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        units.into_iter().filter(|unit| from.get(*unit) != to.get(*unit)).map(move |unit| {
            let (service, unit, path) = (service.clone(), unit.clone(), drop_in_path(paths, unit));
            if to.contains_key(&unit) {
                Action::InstallDropIn { service, unit, path }
            } else {
                Action::RemoveDropIn { service, unit, path }
            }
        })
    }

    /// The links under /etc, each to what shall be read.
    fn links(&self) -> impl Iterator<Item = Action> + '_ {
        let is_static = self.to.generation.is_none();
        let files = self.service.into_iter().flat_map(|service| &service.files);
        files.filter_map(move |(name, file)| match &file.attach {
            Attach::Etc(path) => {
                Some(Action::Link { service: self.name.to_owned(), file: name.clone(), path: path.clone(), is_static })
            }
            _ => None,
        })
    }

    /// The binds that each reloading unit needs first: it sees the files that were bound when it was started.
    fn binds<'c>(&'c self, paths: &'c Paths) -> impl Iterator<Item = Action> + 'c {
        let directory = self.directory(paths);
        let reloading = self.units.iter().filter(|(_, verb)| **verb == Verb::Reload).map(|(unit, _)| unit);
        reloading.flat_map(move |unit| {
            let directory = directory.clone();
            let files = self.service.into_iter().flat_map(|service| &service.files);
            files.filter(|(_, file)| file.is_read_by(unit)).filter_map(move |(name, file)| match &file.attach {
                Attach::Bind(target) => Some(Action::Bind {
                    service: self.name.to_owned(),
                    unit: unit.clone(),
                    source: directory
                        .as_ref()
                        .map_or_else(|| file.static_file.clone(), |directory| directory.join(name)),
                    target: target.clone(),
                }),
                Attach::Environment { .. } | Attach::Variables { .. } | Attach::Credential(_) | Attach::Etc(_) => None,
            })
        })
    }

    /// The steps for its units: what they shall see, their jobs, and the probe.
    #[must_use]
    pub fn unit_steps(&self, paths: &Paths) -> Vec<Action> {
        let mut steps: Vec<Action> = self.binds(paths).collect();
        steps.extend(unit_actions(std::slice::from_ref(self)));
        if !self.units.is_empty() && self.service.is_some_and(|service| service.health.is_some()) {
            steps.push(Action::Probe { service: self.name.to_owned() });
        }
        steps
    }

    /// The job for one of its units.
    #[must_use]
    pub fn job(&self, unit: &str) -> Option<Job> {
        let spec = self.service?.units.get(unit)?;
        let settle = spec.settle.map(Duration::from_secs_f64).or(self.is_watched.then_some(Duration::ZERO));
        let deadline = Duration::from_secs_f64(spec.deadline);
        Some(Job { unit: unit.to_owned(), verb: *self.units.get(unit)?, deadline, settle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::change::Sides;
    use crate::reconcile::change::tests::{built, generation, service};
    use crate::reconcile::state::InEffect;

    #[test]
    fn all_files_come_first_then_systemd_once() {
        let service = service();
        let (from, mut to) = (InEffect::default(), generation(1, "a1", "b1"));
        to.drop_ins.insert("a.service".to_owned(), "[Service]".to_owned());
        let sides = Sides { from: &from, to: &to, confirmed: &from, as_built: &built(), pending: &BTreeSet::new() };
        let change = Change::between("s", &service, sides).unwrap();
        let paths = Paths::new(Utf8Path::new("/"), None, None);
        let steps: Vec<String> = switch(&[change], &paths, true).iter().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            [
                "s: switch to generation 1",
                "s: write /run/systemd/system/a.service.d/50-dynix.conf",
                "reload systemd's unit files",
                "s: show b.service /run/dynix/s/generation-1/b as /nix/store/x",
                "s: restart a.service",
                "s: reload b.service",
            ]
        );
    }

    #[test]
    fn a_unit_comes_after_those_that_it_comes_after() {
        let (from, to) = (InEffect::default(), generation(1, "a1", "b1"));
        let sides = Sides { from: &from, to: &to, confirmed: &from, as_built: &built(), pending: &BTreeSet::new() };
        for (after, expected) in [
            ([("a.service", "b.service"), ("a.service", "b.service")], ["b.service", "a.service"]),
            ([("b.service", "a.service"), ("b.service", "a.service")], ["a.service", "b.service"]),
            // Each after the other.
            ([("a.service", "b.service"), ("b.service", "a.service")], ["a.service", "b.service"]),
        ] {
            let mut service = service();
            for (unit, before) in after {
                service.units.get_mut(unit).unwrap().after = vec![before.to_owned()];
            }
            let change = Change::between("s", &service, sides).unwrap();
            let units: Vec<&str> = change.in_order().into_iter().map(|(unit, _)| unit.as_str()).collect();
            assert_eq!(units, expected);
        }
    }
}
