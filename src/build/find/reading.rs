//! Finds who reads a file, and whether they would see a bound one.

use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::reach::{Reached, Way};
use super::unit::{Reader, Setting, can_reload, last, settings};
use crate::build::checks::names;
use crate::build::checks::namespace::is_yes;
use crate::plan::{Find, OnChange};

/// How a unit reads the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The unit.
    pub unit: String,
    /// The action on the unit when the file changed.
    pub on_change: OnChange,
    /// How it is known that it reads it, for people.
    pub how: String,
    /// The name of the credential that systemd reads it for.
    pub credential: Option<String>,
}

/// The units that read a file, or why a bound one would not do for each of them.
pub fn readings(find: &Find, path: &Utf8Path, file: &Reached) -> Result<Vec<Reading>, String> {
    let mut ways: BTreeMap<&str, Vec<&Way>> = BTreeMap::new();
    for way in &file.ways {
        ways.entry(&way.unit).or_default().push(way);
    }
    let mut readings = Vec::new();
    let mut templates = Vec::new();
    for (unit, ways) in ways {
        // Instances come and go; those that are to follow are named in `units`.
        if names::unit(unit).is_err() {
            templates.push(unit);
        } else {
            readings.push(reading(find, unit, &ways, path)?);
        }
    }
    match (readings.is_empty(), templates.as_slice()) {
        (false, _) => Ok(readings),
        (true, []) => Ok(vec![alone(find, path, file)?]),
        (true, templates) => Err(format!(
            "{path} is read by {} only, which can't be acted on as such; name its instances in units",
            templates.join(", ")
        )),
    }
}

fn reading(find: &Find, unit: &str, ways: &[&Way], path: &Utf8Path) -> Result<Reading, String> {
    let by = |reader: Reader| ways.iter().find(|way| way.reader == reader).copied();
    let reads = by(Reader::Program).or_else(|| by(Reader::Preparation));
    let text = find.units.get(unit).map_or("", String::as_str);
    let settings = settings(text);
    if reads.is_none()
        && by(Reader::Privileged).is_none()
        && let Some((way, id)) = by(Reader::Credential).and_then(|way| Some((way, credential(&settings, way)?)))
    {
        let (unit, how) = (unit.to_owned(), said(way));
        return Ok(Reading { unit, on_change: OnChange::Restart, how, credential: Some(id) });
    }
    if reads.is_none() {
        let is_passed_on = |reader: &Reader| *reader == Reader::Privileged && find.passed_on;
        for (reader, why) in [
            (Reader::Privileged, "has the prefix +, so it runs outside the unit's mount namespace"),
            (Reader::Environment, "is read by systemd itself, before the unit has a mount namespace"),
            (Reader::Credential, "is read by systemd itself, before the unit has a mount namespace"),
            (Reader::Mount, "is the source of a mount of the unit's own"),
        ] {
            if let Some(way) = by(reader).filter(|way| !is_passed_on(&way.reader)) {
                return Err(format!(
                    "{path} can't be bound for {unit}: {} {why}, and would see the built file",
                    way.key
                ));
            }
        }
    }
    let trigger = by(Reader::ReloadTrigger).or_else(|| by(Reader::RestartTrigger));
    // Only units that read the file have a way to it.
    let how = reads.or(trigger).or_else(|| by(Reader::Privileged)).map_or_else(String::new, said);
    // A file that is copied before the start is copied again only by a restart.
    let is_copied = by(Reader::Preparation).is_some() || by(Reader::Privileged).is_some();
    let reloads = !is_copied && reloads(&settings, by(Reader::ReloadTrigger).is_some());
    let on_change = if reloads { OnChange::Reload } else { OnChange::Restart };
    Ok(Reading { unit: unit.to_owned(), on_change, how, credential: None })
}

/// Whether a unit is to be reloaded for a change, and can be. `is_trigger`: the file is among its reload triggers.
fn reloads(settings: &[Setting], is_trigger: bool) -> bool {
    (is_trigger || last(settings, "X-ReloadIfChanged").is_some_and(is_yes)) && can_reload(settings)
}

/// The name under which the unit loads the very file: `ID:PATH`. One of a directory is not it, nor an encrypted one.
fn credential(settings: &[Setting], way: &Way) -> Option<String> {
    let [path] = way.through.as_slice() else { return None };
    let loads = settings.iter().filter(|setting| setting.key == "LoadCredential");
    let mut pairs = loads.filter_map(|setting| setting.value.split_once(':'));
    pairs.find(|(_, loaded)| loaded == path).map(|(id, _)| id.to_owned())
}

/// `ExecStart of x.service, through /nix/store/...-start`
fn said(way: &Way) -> String {
    let mut text = format!("{} of {}", way.key, way.unit);
    if let Some((_, before)) = way.through.split_last()
        && !before.is_empty()
    {
        // Writing to a String can't fail.
        let _ = write!(text, ", through {}", before.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(", "));
    }
    text
}

/// A file under /etc that no unit names: the program looks there by itself. It is the service's if only one of its
/// units keeps running.
fn alone(find: &Find, path: &Utf8Path, file: &Reached) -> Result<Reading, String> {
    let place = file.etc.first().map_or(path, Utf8PathBuf::as_path);
    let runs = |text: &str| {
        let settings = settings(text);
        last(&settings, "Type") != Some("oneshot") && last(&settings, "ExecStart").is_some()
    };
    let running: Vec<&String> = find
        .units
        .iter()
        .filter(|(unit, text)| names::unit(unit).is_ok() && runs(text))
        .map(|(unit, _)| unit)
        .collect();
    match running.as_slice() {
        [unit] => Ok(Reading {
            unit: (*unit).clone(),
            on_change: if reloads(&settings(&find.units[*unit]), false) { OnChange::Reload } else { OnChange::Restart },
            how: format!("{place}, which no unit names; {unit} is the only one that runs"),
            credential: None,
        }),
        [] => Err(format!("{place} is named by no unit, and none of the service's units goes on running")),
        several => {
            let several: Vec<&str> = several.iter().map(|unit| unit.as_str()).collect();
            Err(format!(
                "{place} is named by no unit, and several could read it: {}; say which in units",
                several.join(", ")
            ))
        }
    }
}
