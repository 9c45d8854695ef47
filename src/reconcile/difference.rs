//! Finds what an apply would change. It reads the machine and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde_json::Value;

use super::change::{Change, Sides};
use super::desired::Desired;
use super::links;
use super::observed::{Observed, observe, observe_at};
use super::ownership::{self, Ownership};
use super::report::Outcome;
use super::state::{InEffect, State};
use crate::host::fs::generation::{self, StagedFile};
use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::host::systemd::{Asking, ManagerError, ServiceManager, UnitStatus};
use crate::host::templates;
use crate::plan::order;
use crate::plan::{Plan, Service};
use crate::render::key::Key;
use crate::render::{self, Rendered, Unrenderable};

/// Changes to make, and what is needed to make them.
#[derive(Debug, Default)]
pub struct Difference<'p> {
    /// One for each service that differs from what it shall be.
    pub changes: Vec<Change<'p>>,
    /// The files to stage, by service.
    pub files: BTreeMap<String, Vec<StagedFile>>,
    /// Words of each service's check, by service.
    pub checks: BTreeMap<String, Vec<String>>,
    /// The same check for the files in use, if they are a generation.
    pub controls: BTreeMap<String, Vec<String>>,
    /// Services whose values can't be put into effect.
    pub faults: BTreeMap<String, Outcome>,
    /// Notes for people about the changes.
    pub notes: Vec<String>,
}

/// Finds the changes that lead to the desired state, for the services that `only` takes.
pub fn difference<'p>(
    plan: &'p Plan,
    desired: &Desired,
    state: &'p State,
    paths: &Paths,
    only: impl Fn(&str) -> bool,
) -> Result<Difference<'p>, FileError> {
    let mut difference = Difference::default();
    let key = Key::load(paths)?;
    // One look at all of them: most services of a large plan have nothing there.
    let present: BTreeSet<String> = fs::names(&paths.run())?.into_iter().collect();
    for (name, service) in plan.services.iter().filter(|(name, _)| only(name)) {
        if let Some(awaited) = desired.awaited.get(name).and_then(|awaited| awaited.first()) {
            difference.faults.insert(name.clone(), Outcome::Failed { reason: awaited.reason.clone() });
            continue;
        }
        let values = desired.services.get(name);
        let current = if present.contains(name) { generation::current(&paths.service(name))? } else { None };
        if values.is_none() && !state.services.contains_key(name) && current.is_none() {
            continue;
        }
        let Observed { now: from, confirmed, pending } = observe_at(name, current, Some(service), state, paths, &key)?;
        let (target, as_built) = match target(name, service, values, &key) {
            Ok(found) => found,
            Err(outcome) => {
                difference.faults.insert(name.clone(), outcome);
                continue;
            }
        };
        let Target { in_effect: mut to, contents, notes } = target;
        if to.files == as_built {
            // The very files that the build wrote: no generation is needed.
            to.files.clear();
        }
        if !to.files.is_empty() {
            to.generation = Some(if to.files == from.files && from.generation.is_some() {
                from.generation.unwrap_or_default()
            } else {
                let last = generation::list(&paths.service(name))?.last().copied();
                last.max(from.generation).unwrap_or_default() + 1
            });
        }
        let sides = Sides { from: &from, to: &to, confirmed: &confirmed, as_built: &as_built, pending: &pending };
        let Some(change) = Change::between(name, service, sides) else { continue };
        let obstacle = if change.to.generation.is_some() { links::obstacle(name, service, paths)? } else { None };
        if let Some(reason) = obstacle {
            difference.faults.insert(name.clone(), Outcome::Failed { reason });
            continue;
        }
        if let Err(reason) = difference.prepare(&change, service, contents, paths) {
            difference.faults.insert(name.clone(), Outcome::Failed { reason });
            continue;
        }
        difference.notes.extend(notes.into_iter().map(|note| format!("{name}: {note}")));
        difference.changes.push(change);
    }
    for name in state.services.keys().filter(|name| !plan.services.contains_key(name) && only(name)) {
        let found = observe(name, None, state, paths, &key)?;
        difference.changes.push(Change::removal(name, &found.now));
    }
    let ranks = order::ranks(plan);
    difference.changes.sort_by_key(|change| ranks.get(change.name).copied().unwrap_or_default());
    Ok(difference)
}

/// The desired state of a service, and the identities of its built files. Only an error in the values is the values'
/// fault.
fn target(
    name: &str,
    service: &Service,
    values: Option<&BTreeMap<String, Value>>,
    key: &Key,
) -> Result<(Target, BTreeMap<String, String>), Outcome> {
    let as_built = render::identities_as_built(service)
        .map_err(|error| Outcome::Failed { reason: format!("its built values: {error}") })?;
    let target = values.map_or(Ok(Target::default()), |values| Target::render(name, service, values, key));
    Ok((target.map_err(|error| Outcome::Refused { reason: error.to_string() })?, as_built))
}

/// The rendered state of a service's values.
#[derive(Default)]
struct Target {
    in_effect: InEffect,
    contents: BTreeMap<String, Vec<u8>>,
    notes: Vec<String>,
}

impl Target {
    fn render(
        name: &str,
        service: &Service,
        values: &BTreeMap<String, Value>,
        key: &Key,
    ) -> Result<Self, Unrenderable> {
        let rendered = render::render(name, service, values)?;
        let files = render::identities(service, &rendered, key);
        let Rendered { files: contents, drop_ins, notes } = rendered;
        Ok(Self { in_effect: InEffect { generation: None, files, drop_ins }, contents, notes })
    }
}

impl Difference<'_> {
    /// Collects what a new generation needs, if the change makes one: owners as numbers, and the command of the check.
    fn prepare(
        &mut self,
        change: &Change<'_>,
        service: &Service,
        contents: BTreeMap<String, Vec<u8>>,
        paths: &Paths,
    ) -> Result<(), String> {
        let (true, Some(directory)) = (change.stages(), change.directory(paths)) else { return Ok(()) };
        let mut files = Vec::with_capacity(contents.len());
        for (name, bytes) in contents {
            let Ownership { mode, uid, gid } = ownership::resolve(&service.files[&name], paths)?;
            files.push(StagedFile { name, bytes, mode, uid, gid });
        }
        if let Some(check) = &service.check {
            let command = |directory: &Utf8Path| {
                let files = service.files.keys();
                let staged = files.map(|file| (file.clone(), directory.join(file).into_string())).collect();
                templates::command(&check.command, &staged).map_err(|error| format!("its check: {error}"))
            };
            self.checks.insert(change.name.to_owned(), command(&directory)?);
            let in_use = change.from.generation.filter(|_| change.from.files.keys().eq(service.files.keys()));
            if let Some(number) = in_use {
                let in_use = generation::directory(&paths.service(change.name), number);
                self.controls.insert(change.name.to_owned(), command(&in_use)?);
            }
        }
        self.files.insert(change.name.to_owned(), files);
        Ok(())
    }

    /// Asks systemd about the units; those that it does not know stop their service's change.
    pub fn check_units(&mut self, manager: &dyn ServiceManager) -> Result<(), ManagerError> {
        let faults = check_units(&mut self.changes, manager)?;
        self.faults.extend(faults.into_iter().map(|(service, reason)| (service, Outcome::Failed { reason })));
        Ok(())
    }
}

/// Asks systemd about the units: those that are not running are left alone. Changes with a unit that systemd can't act on
/// are taken out, and given with the reason.
fn check_units(
    changes: &mut Vec<Change<'_>>,
    manager: &dyn ServiceManager,
) -> Result<BTreeMap<String, String>, ManagerError> {
    let statuses = statuses(changes, manager)?;
    let mut faults = BTreeMap::new();
    changes.retain_mut(|change| {
        let status = |unit: &str| statuses.get(unit);
        let obstacle =
            change.units.keys().filter_map(|unit| status(unit)).find_map(|status| in_the_way(status, manager.asking()));
        if let Some(reason) = obstacle {
            faults.insert(change.name.to_owned(), reason);
            return false;
        }
        change.keep_units(|unit| status(unit).is_some_and(UnitStatus::is_wanted));
        true
    });
    Ok(faults)
}

/// The same for changes that have to be made in any case: the units that systemd can't act on are left out, and given by
/// service with the reason.
pub(super) fn check_all_units(
    changes: &mut [Change<'_>],
    manager: &dyn ServiceManager,
) -> Result<BTreeMap<String, (Vec<String>, String)>, ManagerError> {
    let statuses = statuses(changes, manager)?;
    let mut unreached: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for change in changes {
        let obstacles =
            change.units.keys().filter_map(|unit| Some((unit, in_the_way(statuses.get(unit)?, manager.asking())?)));
        for (unit, reason) in obstacles {
            let (units, _) = unreached.entry(change.name.to_owned()).or_insert_with(|| (Vec::new(), reason));
            units.push(unit.clone());
        }
        let reaches = |status: &UnitStatus| status.is_wanted() && in_the_way(status, manager.asking()).is_none();
        change.keep_units(|unit| statuses.get(unit).is_some_and(reaches));
    }
    Ok(unreached)
}

/// Why systemd can't act on a unit that is to be acted on. One that is stopped may be masked, and is left alone; one that
/// is not there at all is a mistake in any case.
fn in_the_way(status: &UnitStatus, asking: Asking) -> Option<String> {
    let concerns = status.is_wanted() || status.load_state == "not-found";
    status.obstacle(asking).filter(|_| concerns)
}

fn statuses(
    changes: &[Change<'_>],
    manager: &dyn ServiceManager,
) -> Result<BTreeMap<String, UnitStatus>, ManagerError> {
    let units: Vec<String> = changes.iter().flat_map(|change| change.units.keys().cloned()).collect();
    let statuses = if units.is_empty() { Vec::new() } else { manager.status(&units)? };
    Ok(statuses.into_iter().map(|status| (status.unit.clone(), status)).collect())
}
