//! The observed state: what each service has in effect, by its files, its drop-ins and the state file. It changes
//! nothing.

pub mod dependents;
pub mod files;
pub(super) mod processes;

use std::collections::{BTreeMap, BTreeSet};

use super::links;
use super::planning::drop_in_path;
use super::state::{InEffect, State};
use crate::host::fs::generation;
use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::plan::Service;
use crate::render;
use crate::render::key::Key;

/// How an apply finds a service.
pub(super) struct Observed {
    /// The state that its units read now.
    pub now: InEffect,
    /// The state that was last seen to work.
    pub confirmed: InEffect,
    /// The units that an apply before may have left half-way.
    pub pending: BTreeSet<String>,
}

/// Finds a service.
pub(super) fn observe(
    name: &str,
    service: Option<&Service>,
    state: &State,
    paths: &Paths,
    key: &Key,
) -> Result<Observed, FileError> {
    observe_at(name, generation::current(&paths.service(name))?, service, state, paths, key)
}

/// Finds a service that has the generation `current`.
pub(super) fn observe_at(
    name: &str,
    current: Option<u64>,
    service: Option<&Service>,
    state: &State,
    paths: &Paths,
    key: &Key,
) -> Result<Observed, FileError> {
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
            (Some(number), Some(service)) => files::files(name, number, service, &known.files, (paths, key))?,
            _ => known.files.clone(),
        };
        // A generation that lacks something is none to go back to: the static files are.
        let is_whole = files == known.files;
        let now = InEffect { files, drop_ins, ..known };
        let confirmed = if is_whole { unfinished.unwrap_or_else(|| now.clone()) } else { InEffect::default() };
        return Ok(Observed { now, confirmed, pending });
    }
    // Another program moved the link, or the state file is gone. So this reads the files themselves.
    let mut files = BTreeMap::new();
    if let (Some(number), Some(service)) = (current, service) {
        for (file_name, file) in &service.files {
            if let Some(bytes) = generation::read(&directory, number, file_name)?
                && links::leads(name, file_name, file, paths)?
            {
                files.insert(file_name.clone(), render::identity(service, file, &bytes, key));
            }
        }
    }
    let pending = service.into_iter().flat_map(|service| service.units.keys().cloned()).collect();
    let now = InEffect { generation: current, files, drop_ins };
    Ok(Observed { confirmed: unfinished.unwrap_or_else(|| now.clone()), now, pending })
}
