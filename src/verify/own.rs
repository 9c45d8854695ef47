//! Subtracts dynix's own changes of a unit from the difference between two texts of it.
//!
//! A unit of a dynamic service names the file that Nix generated. With other values that is another file, and dynix
//! puts its own in the place of the first. Values in the unit itself (variables, flags) are in dynix's stub. The
//! effects of a value on a declared drop-in are in that drop-in. Every other change is one that only a rebuild would
//! make.

use std::collections::BTreeMap;

use serde_json::Value;

use super::comparison::Sides;
use super::{Values, summary};
use crate::format::{environment, flags};
use crate::host::systemd::written;
use crate::host::templates;
use crate::plan::{Attach, File, Plan, Service};
use crate::render::static_values;

/// The rest of a difference.
#[derive(Debug)]
pub enum Remaining {
    /// The unit is of no service of ours.
    Foreign,
    /// dynix made all of it.
    Nothing,
    /// The changes that dynix did not make.
    Changes(Vec<String>),
}

/// The changes that a rebuild would make to `unit` beyond dynix's own. `sides`: the services in both evaluations.
pub fn remaining(
    plan: &Plan,
    effective: &Values,
    sides: &BTreeMap<String, Sides>,
    unit: &str,
    before: &Value,
    after: &Value,
) -> Remaining {
    if services(plan, unit).next().is_none() {
        return Remaining::Foreign;
    }
    let (Some(old), Some(new)) = (before["text"].as_str(), after["text"].as_str()) else {
        return Remaining::Changes(summary::changes(before, after));
    };
    let new = with_built_paths(plan, sides, unit, new);
    let mut drop_ins = Vec::new();
    let mut said = Vec::new();
    for (name, service) in services(plan, unit) {
        if let Some(values) = effective.get(name) {
            match drop_in(service, values, unit) {
                Ok(text) => drop_ins.extend(text),
                Err(error) => return Remaining::Changes(vec![error.to_string()]),
            }
            for file in service.files.values().filter(|file| file.is_read_by(unit)) {
                match in_the_unit(file, values) {
                    Ok(one) => said.extend(one),
                    Err(error) => return Remaining::Changes(vec![error]),
                }
            }
        }
    }
    let mut old_settings = Settings::read(old).with(&drop_ins);
    let mut new_settings = Settings::read(&new);
    for (before, after) in said {
        old_settings.take(&before);
        new_settings.take(&after);
    }
    let mut left = differences(&old_settings, &new_settings);
    let without_text = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().map(|value| value.remove("text"));
        value
    };
    left.extend(summary::changes(&without_text(before), &without_text(after)));
    if left.is_empty() { Remaining::Nothing } else { Remaining::Changes(left) }
}

/// The services of a unit.
fn services<'p>(plan: &'p Plan, unit: &str) -> impl Iterator<Item = (&'p String, &'p Service)> {
    plan.services.iter().filter(move |(_, service)| service.units.contains_key(unit))
}

/// A unit's text with the files of its services as they are named without the overrides.
#[must_use]
pub fn with_built_paths(plan: &Plan, sides: &BTreeMap<String, Sides>, unit: &str, text: &str) -> String {
    let paths = services(plan, unit).flat_map(|(name, service)| replaced(sides, name, service, unit));
    paths.fold(text.to_owned(), |text, (path, other)| text.replace(&other, &path))
}

/// Whether values themselves are in the text of a unit, as variables or flags.
#[must_use]
pub fn has_values(plan: &Plan, unit: &str) -> bool {
    let files = services(plan, unit).flat_map(|(_, service)| service.files.values());
    files.filter(|file| file.is_read_by(unit)).any(|file| file.attach.is_of_the_unit())
}

/// The values of a service in the text of a unit.
#[derive(Debug)]
enum Said {
    Variables(BTreeMap<String, String>),
    Command(Vec<String>),
}

/// The text in the unit for the built values, and for the present ones.
fn in_the_unit(file: &File, values: &BTreeMap<String, Value>) -> Result<Option<(Said, Said)>, String> {
    let value = || file.value.evaluate(values).map_err(|error| error.to_string());
    match &file.attach {
        Attach::Variables { built, .. } => {
            let now = environment::variables(&file.format.parameters, &*value()?).map_err(|error| error.to_string())?;
            Ok(Some((Said::Variables(built.clone()), Said::Variables(now))))
        }
        Attach::Environment { command, built: Some(built), .. } => {
            let words = flags::words(&file.format.parameters, &*value()?).map_err(|error| error.to_string())?;
            Ok(Some((Said::Command(built.clone()), Said::Command([command.clone(), words].concat()))))
        }
        Attach::Bind(_) | Attach::Credential(_) | Attach::Etc(_) | Attach::Environment { .. } => Ok(None),
    }
}

/// The drop-in of `unit` that is there with these values.
fn drop_in(
    service: &Service,
    values: &BTreeMap<String, Value>,
    unit: &str,
) -> Result<Option<String>, templates::TemplateError> {
    let Some(template) = service.drop_ins.get(unit) else { return Ok(None) };
    let text = templates::drop_in(template, values)?;
    let built = templates::drop_in(template, &static_values(service))?;
    Ok((text != built).then_some(text))
}

/// The generated files that `unit` reads: what was named, and what is named with the overrides.
fn replaced(sides: &BTreeMap<String, Sides>, name: &str, service: &Service, unit: &str) -> Vec<(String, String)> {
    let Some(sides) = sides.get(name) else { return Vec::new() };
    let Some(after) = &sides.after else { return Vec::new() };
    let read = service.files.iter().filter(|(_, file)| file.is_read_by(unit)).map(|(file, _)| file);
    read.filter_map(|file| Some((sides.before.files.get(file)?.clone(), after.files.get(file)?.clone()))).collect()
}

/// Section and key to values, with systemd's rule that an empty assignment forgets the earlier ones.
#[derive(Debug, Default)]
struct Settings(BTreeMap<(String, String), Vec<String>>);

impl Settings {
    fn read(text: &str) -> Self {
        let mut settings = Self::default();
        settings.add(text, false);
        settings
    }

    fn with(mut self, drop_ins: &[String]) -> Self {
        for text in drop_ins {
            self.add(text, true);
        }
        self
    }

    /// Removes exactly these settings.
    fn take(&mut self, said: &Said) {
        let service = |key: &str| ("Service".to_owned(), key.to_owned());
        match said {
            Said::Variables(variables) => {
                if let Some(values) = self.0.get_mut(&service("Environment")) {
                    values.retain(|value| {
                        written::assignment(value).is_none_or(|(name, text)| variables.get(&name) != Some(&text))
                    });
                }
            }
            Said::Command(words) => {
                if let Some(values) = self.0.get_mut(&service("ExecStart")) {
                    values.retain(|value| written::words(value).as_ref() != Some(words));
                }
            }
        }
        self.0.retain(|_, values| !values.is_empty());
    }

    fn add(&mut self, text: &str, drop_in: bool) {
        let mut section = String::new();
        // A backslash at the end of a line joins it with the next (systemd.syntax(7)).
        let text = text.replace("\\\n", " ");
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim(), value.trim());
                // Read by switch-to-configuration alone, to know what to restart.
                if matches!(key, "X-Restart-Triggers" | "X-Reload-Triggers") {
                    continue;
                }
                let values = self.0.entry((section.clone(), key.to_owned())).or_default();
                if value.is_empty() || drop_in && is_single(key) {
                    values.clear();
                }
                match same_variable(values, value).filter(|_| drop_in && key == "Environment") {
                    Some(before) => *before = in_its_place(before, value),
                    None if value.is_empty() => {}
                    None => values.push(value.to_owned()),
                }
            }
        }
        self.0.retain(|_, values| !values.is_empty());
    }
}

/// The assignment of the same variable.
fn same_variable<'v>(values: &'v mut [String], value: &str) -> Option<&'v mut String> {
    let (name, _) = written::assignment(value)?;
    values.iter_mut().find(|other| written::assignment(other).is_some_and(|(other, _)| other == name))
}

/// A later assignment, quoted as the earlier one.
fn in_its_place(before: &str, value: &str) -> String {
    match written::assignment(value) {
        Some((name, text)) if before.starts_with('"') => Value::from(format!("{name}={text}")).to_string(),
        _ => value.to_owned(),
    }
}

/// Settings of which a later one replaces an earlier one (systemd.exec(5), systemd.resource-control(5),
/// systemd.service(5)). A drop-in adds to all others.
fn is_single(key: &str) -> bool {
    const SINGLE: [&str; 9] =
        ["Group", "Nice", "OOMScoreAdjust", "Restart", "RestartSec", "Type", "UMask", "User", "WorkingDirectory"];
    const FAMILIES: [&str; 7] = ["CPU", "Limit", "Memory", "Private", "Protect", "Tasks", "Timeout"];
    SINGLE.contains(&key) || FAMILIES.iter().any(|family| key.starts_with(family))
}

fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let mut keys: Vec<_> = old.0.keys().chain(new.0.keys()).collect();
    keys.sort();
    keys.dedup();
    let values = |settings: &Settings, key| settings.0.get(key).map_or(Value::Null, |values| joined(values));
    let told = keys.into_iter().map(|key| (key, summary::changes(&values(old, key), &values(new, key))));
    told.flat_map(|((_, key), changes)| summary::under(key, changes)).collect()
}

fn joined(values: &[String]) -> Value {
    match values {
        [one] => Value::from(one.as_str()),
        several => Value::from(several.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(old: &str, drop_in: &str, new: &str) -> Vec<String> {
        differences(&Settings::read(old).with(&[drop_in.to_owned()]), &Settings::read(new))
    }

    #[test]
    fn a_drop_in_explains_what_it_sets() {
        let new = "[Service]\nExecStart=/x\nAmbientCapabilities=CAP_A\n";
        assert_eq!(left("[Service]\nExecStart=/x\n", "[Service]\nAmbientCapabilities=CAP_A\n", new), [""; 0]);
        assert_eq!(left("[Service]\nExecStart=/x\n", "", new), ["AmbientCapabilities CAP_A is new"]);
        let reset = "[Service]\nAmbientCapabilities=\n";
        assert_eq!(left(new, reset, "[Service]\nExecStart=/x\n"), [""; 0]);
    }

    #[test]
    fn a_list_is_added_to_and_a_single_value_replaced() {
        let old = "[Service]\nEnvironment=A=1\nLimitNOFILE=5\n";
        let drop_in = "[Service]\nEnvironment=B=2\nLimitNOFILE=6\n";
        assert_eq!(left(old, drop_in, "[Service]\nEnvironment=A=1\nEnvironment=B=2\nLimitNOFILE=6\n"), [""; 0]);
        assert_eq!(left(old, drop_in, "[Service]\nEnvironment=B=2\nLimitNOFILE=6\n").len(), 1);
        let old = "[Service]\nEnvironment=\"PORT=1\"\nEnvironment=\"Z=1\"\nProtectClock=true\n";
        let drop_in = "[Service]\nEnvironment=PORT=2\nProtectClock=false\n";
        let new =
            |port: &str| format!("[Service]\nEnvironment=\"PORT={port}\"\nEnvironment=\"Z=1\"\nProtectClock=false\n");
        assert_eq!(left(old, drop_in, &new("2")), [""; 0]);
        assert_eq!(left(old, drop_in, &new("3")).len(), 1);
    }

    #[test]
    fn what_the_unit_says_of_the_values_is_taken_off() {
        let left = |old: &str, new: &str, before: &Said, after: &Said| {
            let (mut old, mut new) = (Settings::read(old), Settings::read(new));
            old.take(before);
            new.take(after);
            differences(&old, &new)
        };
        let variables = |port: &str| Said::Variables(BTreeMap::from([("PORT".to_owned(), port.to_owned())]));
        let unit = |port: &str, path: &str| {
            format!("[Service]\nEnvironment=\"PATH={path}\"\nEnvironment=\"PORT={port}\"\nExecStart=/x\n")
        };
        let (before, after) = (variables("80"), variables("81"));
        assert_eq!(left(&unit("80", "/a"), &unit("81", "/a"), &before, &after), [""; 0]);
        // Another value than dynix gives it, and what else there is.
        assert_eq!(left(&unit("80", "/a"), &unit("82", "/a"), &before, &after).len(), 1);
        assert_eq!(left(&unit("80", "/a"), &unit("81", "/b"), &before, &after).len(), 1);
        let words = |port: &str| Said::Command(vec!["/x".to_owned(), format!("--port={port}")]);
        let unit = |port: &str| format!("[Service]\nExecStart=/x '--port={port}'\n");
        assert_eq!(left(&unit("80"), &unit("81"), &words("80"), &words("81")), [""; 0]);
        assert_eq!(left(&unit("80"), &unit("82"), &words("80"), &words("81")), ["ExecStart /x '--port=82' is new"]);
    }

    #[test]
    fn triggers_and_comments_are_no_settings() {
        assert_eq!(left("[Unit]\nX-Restart-Triggers=a\n# x\n", "", "[Unit]\nX-Restart-Triggers=b\n"), [""; 0]);
    }

    #[test]
    fn joined_lines_are_one() {
        assert_eq!(
            left("[Service]\nExecStart=/x \\\n  --a\n", "", "[Service]\nExecStart=/x \\\n  --b\n"),
            ["ExecStart /x --a -> --b"]
        );
    }
}
