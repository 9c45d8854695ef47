//! Secrets that services wait for: systemd starts dynix when they appear, or were repaired.
//!
//! At boot the activation may run before the secrets are installed. Then the units of the service start on the built
//! values, or on the secret if it comes before them: see [`Watch::files`].

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::Request;
use super::execution::Machine;
use super::rerun::AlarmError;
use crate::host::fs::{self, atomic, json_file};
use crate::host::systemd::{Until, Watch};
use crate::plan::Plan;
use crate::render::secrets::{Awaited, File};

/// The units that a system about to boot finds.
const AT_BOOT: &str = "dynix-secrets";
const MULTI_USER: &str = "multi-user.target.wants";
/// The file that lists the watched secrets.
const NOTE: &str = "secrets.json";

/// The secrets that are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watching {
    /// The units' name.
    name: String,
    /// The files, by service.
    services: BTreeMap<String, BTreeSet<File>>,
}

/// Makes systemd run dynix when a missing secret appears, and stops that when none is missing. Services that `request`
/// does not take wait as before. Gives whether all waiting services are watched: without systemd on another tree, none
/// is.
pub(super) fn set(
    plan: &Plan,
    awaited: &BTreeMap<String, Vec<Awaited>>,
    request: &Request,
    machine: &Machine<'_>,
) -> Result<bool, AlarmError> {
    if machine.manager.is_none() && !machine.recall.before_boot {
        return Ok(awaited.is_empty());
    }
    let note = machine.paths.run().join(NOTE);
    let before: Option<Watching> = json_file::load(&note)?;
    let mut services = before.as_ref().map(|before| before.services.clone()).unwrap_or_default();
    services.retain(|service, _| plan.services.contains_key(service) && !request.takes(service));
    for (service, awaited) in awaited {
        services.insert(service.clone(), awaited.iter().map(|one| one.file.clone()).collect());
    }
    // A look at the boot's own units is worth nothing once systemd runs.
    let is_same = |before: &Watching| before.services == services && !machine.recall.before_boot;
    if services.is_empty() && before.is_none() || before.as_ref().is_some_and(is_same) {
        return Ok(true);
    }
    if services.is_empty() {
        fs::remove(&note)?;
    } else {
        let name = match machine.manager {
            Some(_) => format!("{AT_BOOT}-{}", machine.clock.monotonic().as_millis()),
            None => AT_BOOT.to_owned(),
        };
        let watch = watch(&name, &services, machine);
        match machine.manager {
            Some(manager) => manager.start_watch(&watch)?,
            None => write(plan, &watch, &services, machine)?,
        }
        json_file::save(&note, &Watching { name, services }, 0o644)?;
    }
    if let (Some(manager), Some(before)) = (machine.manager, before) {
        manager.stop_watch(&before.name)?;
        if before.name == AT_BOOT {
            remove(machine)?;
        }
    }
    Ok(true)
}

fn watch(name: &str, services: &BTreeMap<String, BTreeSet<File>>, machine: &Machine<'_>) -> Watch {
    let files: BTreeSet<&File> = services.values().flatten().collect();
    let until = |file: &File| {
        let path = file.path.clone();
        if file.is_there { Until::Changes(path) } else { Until::Exists(path) }
    };
    // A line of a unit file can't hold others; what is named like that is looked at by the next apply.
    let files = files.into_iter().filter(|file| !file.path.as_str().contains(char::is_control));
    let words: Vec<&str> = ["apply", "--retry"].into_iter().chain(services.keys().map(String::as_str)).collect();
    Watch {
        name: name.to_owned(),
        description: "Puts secrets into effect that were not there before".to_owned(),
        until: files.map(until).collect(),
        command: machine.recall.with(&words),
    }
}

fn write(
    plan: &Plan,
    watch: &Watch,
    services: &BTreeMap<String, BTreeSet<File>>,
    machine: &Machine<'_>,
) -> Result<(), AlarmError> {
    let units = |service: &str| plan.services.get(service).into_iter().flat_map(|one| one.units.keys());
    let early: Vec<&str> = services
        .keys()
        .map(String::as_str)
        .filter(|service| units(service).all(|unit| may_be_behind(unit, machine)))
        .collect();
    let before: Vec<String> = early.iter().flat_map(|service| units(service)).cloned().collect();
    let words: Vec<&str> = ["apply", "--before-units"].into_iter().chain(early.iter().copied()).collect();
    let command = machine.recall.with(&words);
    let directory = machine.paths.runtime_units();
    for (name, text) in watch.files(&command, &before)? {
        atomic::write(&directory.join(name), text.as_bytes(), 0o644, atomic::Durability::Volatile)?;
    }
    // Without a service named it would be for all of them.
    let links = links(&watch.name).into_iter().filter(|(wants, _)| !early.is_empty() || *wants != MULTI_USER);
    for (wants, unit) in links {
        fs::create_dir(&directory.join(wants))?;
        atomic::link(&directory.join(wants).join(&unit), &format!("../{unit}"))?;
    }
    Ok(())
}

/// The links through which the boot finds its units.
fn links(name: &str) -> [(&'static str, String); 2] {
    [("paths.target.wants", format!("{name}.path")), (MULTI_USER, format!("{name}-boot.service"))]
}

/// Whether a unit may be ordered after one of dynix's, which needs the system's bus. A unit that the bus itself needs
/// may not, and neither may one that can't be inspected.
fn may_be_behind(unit: &str, machine: &Machine<'_>) -> bool {
    let path = machine.paths.below_root(Utf8Path::new("/etc/systemd/system")).join(unit);
    let text = fs::read(&path).ok().flatten();
    text.is_some_and(|text| !String::from_utf8_lossy(&text).contains("DefaultDependencies"))
}

fn remove(machine: &Machine<'_>) -> Result<(), AlarmError> {
    let directory = machine.paths.runtime_units();
    for (wants, unit) in links(AT_BOOT) {
        fs::remove(&directory.join(wants).join(&unit))?;
        fs::remove(&directory.join(unit))?;
    }
    // The service stays: it may be the one that runs this.
    Ok(())
}
