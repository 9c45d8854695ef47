//! Removes what a killed apply left behind. The next apply does this under the lock, so nobody else works on it.

use std::collections::BTreeSet;

use super::links;
use super::planning::drop_in_path;
use super::state::{State, StateError};
use crate::host::fs::{self, atomic, generation};
use crate::host::paths::Paths;
use crate::plan::Plan;

/// Removes what is half-written, and the directories of services that neither the plan nor the state knows.
pub(super) fn clean(plan: &Plan, paths: &Paths) -> Result<(), StateError> {
    let state = State::load(&paths.state())?;
    atomic::clean(&paths.state())?;
    for service in fs::names(&paths.run())? {
        let directory = paths.service(&service);
        if !directory.is_dir() {
            continue;
        }
        if plan.services.contains_key(&service) || state.services.contains_key(&service) {
            generation::clean(&directory)?;
        } else if generation::is_all_there_is(&directory)? {
            generation::forget(&directory)?;
        }
    }
    links::clean(plan, paths)?;
    let planned = plan.services.values().flat_map(|service| service.drop_ins.keys());
    let installed = state.services.values().flat_map(|service| service.in_effect.drop_ins.keys());
    let units: BTreeSet<&String> = planned.chain(installed).collect();
    for unit in units {
        let path = drop_in_path(paths, unit);
        atomic::clean(&path)?;
        path.parent().map_or(Ok(()), fs::remove_empty_dir)?;
    }
    Ok(())
}
