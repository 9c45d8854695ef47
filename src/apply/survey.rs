//! What an apply would change: read from the machine, changing nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::change::{Change, Sides, drop_in_path};
use super::desired::Desired;
use super::intact;
use super::key::Key;
use super::ownership::{self, Ownership};
use super::rendered::{self, Rendered};
use super::report::Outcome;
use super::state::{InEffect, State};
use crate::fs::generation::{self, StagedFile};
use crate::fs::{self, FileError};
use crate::order;
use crate::paths::Paths;
use crate::plan::{Plan, Service};
use crate::systemd::{ManagerError, ServiceManager};
use crate::templates;

/// Changes to make, and what is needed to make them.
#[derive(Debug, Default)]
pub struct Survey<'p> {
    /// One for each service that differs from what it shall be.
    pub changes: Vec<Change<'p>>,
    /// The files to stage, by service.
    pub files: BTreeMap<String, Vec<StagedFile>>,
    /// Words of each service's check, by service.
    pub checks: BTreeMap<String, Vec<String>>,
    /// Services whose values can't be put into effect.
    pub faults: BTreeMap<String, Outcome>,
    /// What a person should know of what changes.
    pub notes: Vec<String>,
}

/// How an apply finds a service.
pub(super) struct Found {
    /// What its units read now.
    pub now: InEffect,
    /// What was last seen to work.
    pub confirmed: InEffect,
    /// The units that an apply before may have left half-way.
    pub pending: BTreeSet<String>,
}

/// Finds a service.
pub(super) fn find(
    name: &str,
    service: Option<&Service>,
    state: &State,
    paths: &Paths,
    key: &Key,
) -> Result<Found, FileError> {
    find_at(name, generation::current(&paths.service(name))?, service, state, paths, key)
}

/// Finds a service that has the generation `current`.
fn find_at(
    name: &str,
    current: Option<u64>,
    service: Option<&Service>,
    state: &State,
    paths: &Paths,
    key: &Key,
) -> Result<Found, FileError> {
    let directory = paths.service(name);
    let recorded = state.services.get(name);
    let mut units: BTreeSet<&String> = service.into_iter().flat_map(|service| service.drop_ins.keys()).collect();
    units.extend(recorded.into_iter().flat_map(|one| one.in_effect.drop_ins.keys()));
    let mut drop_ins = BTreeMap::new();
    for unit in units {
        if let Some(text) = fs::read_in_place(&drop_in_path(paths, unit), fs::OWN)? {
            drop_ins.insert(unit.clone(), String::from_utf8_lossy(&text).into_owned());
        }
    }
    let known = recorded.map(|one| &one.in_effect).cloned().unwrap_or_default();
    let pending = recorded.map(|one| one.pending.clone()).unwrap_or_default();
    // An apply that did not come to its end says in the state what it set out from.
    let kept = |number| Ok(generation::list(&directory)?.contains(&number));
    let unfinished = !pending.is_empty() && known.generation.map_or(Ok(true), kept)?;
    let unfinished = unfinished.then(|| known.clone());
    if known.generation == current {
        let files = match (current, service) {
            (Some(number), Some(service)) => intact::files(&directory, number, service, &known.files, key)?,
            _ => known.files.clone(),
        };
        // A generation that lacks something is none to go back to: the static files are.
        let is_whole = files == known.files;
        let now = InEffect { files, drop_ins, ..known };
        let confirmed = if is_whole { unfinished.unwrap_or_else(|| now.clone()) } else { InEffect::default() };
        return Ok(Found { now, confirmed, pending });
    }
    // Something else moved the link, or the state file is gone: look at the files themselves.
    let mut files = BTreeMap::new();
    if let (Some(number), Some(service)) = (current, service) {
        for (file_name, file) in &service.files {
            if let Some(bytes) = generation::read(&directory, number, file_name)? {
                files.insert(file_name.clone(), rendered::identity(service, file, &bytes, key));
            }
        }
    }
    let pending = service.into_iter().flat_map(|service| service.units.keys().cloned()).collect();
    let now = InEffect { generation: current, files, drop_ins };
    Ok(Found { confirmed: unfinished.unwrap_or_else(|| now.clone()), now, pending })
}

/// Finds the changes that make the machine what is desired, for the services that `only` takes.
pub fn survey<'p>(
    plan: &'p Plan,
    desired: &Desired,
    state: &'p State,
    paths: &Paths,
    only: impl Fn(&str) -> bool,
) -> Result<Survey<'p>, FileError> {
    let mut survey = Survey::default();
    let key = Key::load(paths)?;
    // One look at all of them: most services of a large plan have nothing there.
    let present: BTreeSet<String> = fs::names(&paths.run())?.into_iter().collect();
    for (name, service) in plan.services.iter().filter(|(name, _)| only(name)) {
        let values = desired.services.get(name);
        let current = if present.contains(name) { generation::current(&paths.service(name))? } else { None };
        if values.is_none() && !state.services.contains_key(name) && current.is_none() {
            continue;
        }
        let Found { now: from, confirmed, pending } = find_at(name, current, Some(service), state, paths, &key)?;
        let (target, as_built) = match target(name, service, values, paths, &key) {
            Ok(found) => found,
            Err(reason) => {
                survey.faults.insert(name.clone(), Outcome::Refused { reason });
                continue;
            }
        };
        let Target { in_effect: mut to, files, notes } = target;
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
        if let (true, Some(check), Some(directory)) = (change.stages(), &service.check, change.directory(paths)) {
            let staged = service.files.keys().map(|file| (file.clone(), directory.join(file).into_string())).collect();
            match templates::command(&check.command, &staged) {
                Ok(command) => drop(survey.checks.insert(name.clone(), command)),
                Err(error) => {
                    survey.faults.insert(name.clone(), Outcome::Failed { reason: format!("its check: {error}") });
                    continue;
                }
            }
        }
        survey.files.insert(name.clone(), files);
        survey.notes.extend(notes.into_iter().map(|note| format!("{name}: {note}")));
        survey.changes.push(change);
    }
    for name in state.services.keys().filter(|name| !plan.services.contains_key(*name) && only(name)) {
        let found = find(name, None, state, paths, &key)?;
        survey.changes.push(Change::removal(name, &found.now));
    }
    let ranks = order::ranks(plan);
    survey.changes.sort_by_key(|change| ranks.get(change.name).copied().unwrap_or_default());
    Ok(survey)
}

/// What a service shall have, and the identities of the files that the build gave it.
fn target(
    name: &str,
    service: &Service,
    values: Option<&BTreeMap<String, Value>>,
    paths: &Paths,
    key: &Key,
) -> Result<(Target, BTreeMap<String, String>), String> {
    let target = values.map_or(Ok(Target::default()), |values| Target::of(name, service, values, paths, key))?;
    let as_built = rendered::identities_as_built(service).map_err(|error| error.to_string())?;
    Ok((target, as_built))
}

/// What a service's values come to.
#[derive(Default)]
struct Target {
    in_effect: InEffect,
    files: Vec<StagedFile>,
    notes: Vec<String>,
}

impl Target {
    fn of(
        name: &str,
        service: &Service,
        values: &BTreeMap<String, Value>,
        paths: &Paths,
        key: &Key,
    ) -> Result<Self, String> {
        let rendered = rendered::render(name, service, values).map_err(|error| error.to_string())?;
        let identities = rendered::identities(service, &rendered, key);
        let Rendered { files: contents, drop_ins, notes } = rendered;
        let mut files = Vec::with_capacity(contents.len());
        for (name, bytes) in contents {
            let Ownership { mode, uid, gid } = ownership::of(&service.files[&name], paths)?;
            files.push(StagedFile { name, bytes, mode, uid, gid });
        }
        Ok(Self { in_effect: InEffect { generation: None, files: identities, drop_ins }, files, notes })
    }
}

impl Survey<'_> {
    /// Asks systemd about the units; those that it does not know stop their service's change.
    pub fn meet(&mut self, manager: &dyn ServiceManager) -> Result<(), ManagerError> {
        let faults = meet(&mut self.changes, manager)?;
        self.faults.extend(faults.into_iter().map(|(service, reason)| (service, Outcome::Failed { reason })));
        Ok(())
    }
}

/// Asks systemd about the units: those that are not running are left alone. Changes with a unit that it does not know are
/// taken out, and given with the reason.
pub(super) fn meet(
    changes: &mut Vec<Change<'_>>,
    manager: &dyn ServiceManager,
) -> Result<BTreeMap<String, String>, ManagerError> {
    let units: Vec<String> = changes.iter().flat_map(|change| change.units.keys().cloned()).collect();
    let mut faults = BTreeMap::new();
    if units.is_empty() {
        return Ok(faults);
    }
    let statuses: BTreeMap<String, _> =
        manager.status(&units)?.into_iter().map(|status| (status.unit.clone(), status)).collect();
    changes.retain_mut(|change| {
        let unknown = change.units.keys().find(|unit| {
            statuses.get(*unit).is_some_and(|status| status.load_state == "not-found" && !status.is_wanted())
        });
        if let Some(unit) = unknown {
            faults
                .insert(change.name.to_owned(), format!("systemd knows no unit {unit}; see `systemctl status {unit}`"));
            return false;
        }
        change.keep_units(|unit| statuses.get(unit).is_some_and(crate::systemd::UnitStatus::is_wanted));
        true
    });
    Ok(faults)
}
