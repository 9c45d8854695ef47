//! The files of secrets: systemd starts dynix when one that a service waits for appears or was repaired, and when one that a
//! service has changes (secrets that rotate).
//!
//! At boot the activation may run before the secrets are installed. Then the units of the service start on the built
//! values, or on the secret if it comes before them: see [`Watch::files`].

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::Request;
use super::execution::Machine;
use super::rerun::AlarmError;
use super::view::View;
use crate::attr_path::AttrPath;
use crate::host::fs::{self, atomic, json_file};
use crate::host::systemd::{Until, Watch};
use crate::overrides::Overlay;
use crate::plan::{Plan, Service};
use crate::render::secrets::{self, Awaited, File};

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

/// Makes systemd run dynix when a missing secret appears or another one changes, and stops that when there is none. The files
/// of services that `request` does not take are watched as before. Gives whether all waiting services are watched: without
/// systemd on another tree, none is.
pub(super) fn set(plan: &Plan, view: &View, request: &Request, machine: &Machine<'_>) -> Result<bool, AlarmError> {
    let awaited = &view.desired.awaited;
    if machine.manager.is_none() && !machine.recall.before_boot {
        return Ok(awaited.is_empty());
    }
    let note = machine.paths.run().join(NOTE);
    let before: Option<Watching> = json_file::load(&note)?;
    let mut services = before.as_ref().map(|before| before.services.clone()).unwrap_or_default();
    services.retain(|service, _| plan.services.contains_key(service) && !request.takes(service));
    for (service, spec) in plan.services.iter().filter(|(service, _)| request.takes(service)) {
        let files = files(spec, awaited.get(service).map(Vec::as_slice).unwrap_or_default(), &view.folded.overlay);
        if !files.is_empty() {
            services.insert(service.clone(), files);
        }
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
            None => write(plan, &watch, awaited, machine)?,
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

/// The files that a service's overrides name, those that it waits for among them.
fn files(service: &Service, awaited: &[Awaited], overlay: &Overlay) -> BTreeSet<File> {
    let mut files: BTreeSet<File> = awaited.iter().map(|one| one.file.clone()).collect();
    for (name, option) in service.options.iter().filter(|(_, option)| !option.secret.is_empty()) {
        let overrides = AttrPath::parse(name).map(|path| overlay.below(&path)).unwrap_or_default();
        if overrides.is_empty() {
            continue;
        }
        // What can't be merged is left out of the desired values, too.
        let value = overrides.effective(&option.static_value).unwrap_or_default();
        let named = secrets::files_of(option, &value).into_iter();
        let known: Vec<File> = named
            .filter(|path| !awaited.iter().any(|one| one.file.path == *path))
            .map(|path| File { path, is_there: true })
            .collect();
        files.extend(known);
    }
    files
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
        description: "Puts secrets into effect that come or change".to_owned(),
        until: files.map(until).collect(),
        command: machine.recall.with(&words),
    }
}

fn write(
    plan: &Plan,
    watch: &Watch,
    awaited: &BTreeMap<String, Vec<Awaited>>,
    machine: &Machine<'_>,
) -> Result<(), AlarmError> {
    let units = |service: &str| plan.services.get(service).into_iter().flat_map(|one| one.units.keys());
    let early: Vec<&str> = awaited
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
