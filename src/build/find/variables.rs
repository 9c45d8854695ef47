//! Settings that are variables of a unit's environment: in `Environment=`, or in a file of the store in
//! `EnvironmentFile=`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::Found;
use super::agrees;
use super::store::{Entry, Store};
use super::unit::{Setting, settings};
use super::value::is_empty;
use crate::build::checks::names;
use crate::format::environment;
use crate::host::fs::FileError;
use crate::host::systemd::written;
use crate::plan::{Attach, File, Find, FormatSpec, OnChange, OwnFiles, Unit, ValueSpec};

/// The findings for an option.
#[derive(Clone, Debug)]
pub struct Variables {
    /// How they are spelled.
    parameters: Map<String, Value>,
    /// The variables with their built values.
    built: BTreeMap<String, String>,
    /// The units that have them, each with its own files.
    units: BTreeMap<String, OwnFiles>,
}

/// The units that have every attribute of `value` as a variable.
pub fn find(value: &Value, find: &Find, store: &Store<'_>) -> Result<Option<Variables>, FileError> {
    if is_empty(value) {
        return Ok(None);
    }
    let mut environments = Vec::new();
    for (unit, text) in find.units.iter().filter(|(unit, _)| names::unit(unit).is_ok()) {
        environments.push((unit, Environment::parse(text, store)?));
    }
    let default = |_: &str| environment::BOOLEANS[0].into();
    for parameters in conventions().filter(|parameters| agrees(parameters, &find.parameters, default)) {
        let Ok(built) = environment::variables(&parameters, value) else { return Ok(None) };
        let own = environments.iter().filter_map(|(unit, one)| Some(((*unit).clone(), one.own_files(&built)?)));
        let units: BTreeMap<String, OwnFiles> = own.collect();
        if !units.is_empty() {
            return Ok(Some(Variables { parameters, built, units }));
        }
    }
    Ok(None)
}

/// How variables may be spelled, the commonest first.
fn conventions() -> impl Iterator<Item = Map<String, Value>> {
    let others = environment::BOOLEANS[1..].iter();
    std::iter::once(Map::new()).chain(others.map(|one| Map::from_iter([("booleans".to_owned(), (*one).into())])))
}

impl Variables {
    /// Puts the file of variables, and the units, into a service.
    pub fn attach(self, value: ValueSpec, files: &mut BTreeMap<String, File>, units: &mut BTreeMap<String, Unit>) {
        for unit in self.units.keys() {
            units.entry(unit.clone()).or_insert_with(|| Unit::with(OnChange::Restart));
        }
        let names: Vec<String> = self.units.keys().cloned().collect();
        let first = names.first().cloned().unwrap_or_default();
        let mut name = "environment".to_owned();
        while files.contains_key(&name) {
            name.push('-');
        }
        let file = Found {
            format: FormatSpec { name: "environment".to_owned(), dialect: None, parameters: self.parameters },
            value,
            // It is the unit itself that says them.
            static_file: Utf8Path::new("/etc/systemd/system").join(&first),
            attach: Attach::Variables {
                built: self.built,
                files: self.units.into_iter().filter(|(_, own)| !own.above.is_empty()).collect(),
            },
            around: None,
            how: format!("environment of {}", names.join(", ")),
            units: names,
        };
        files.insert(name, file.file());
    }
}

/// The sources of a unit's variables; a later one overrides an earlier one (systemd.exec(5)).
#[derive(Debug, Default)]
struct Environment {
    /// By the unit itself.
    own: BTreeMap<String, String>,
    /// By each of its files, with the value of the setting; nothing is known of those outside of the store.
    files: Vec<(String, BTreeMap<String, String>)>,
}

impl Environment {
    fn parse(text: &str, store: &Store<'_>) -> Result<Self, FileError> {
        let mut environment = Self::default();
        for Setting { key, value } in settings(text) {
            match (key.as_str(), value.is_empty()) {
                ("Environment", true) => environment.own.clear(),
                ("Environment", false) => environment.own.extend(written::assignment(&value)),
                ("EnvironmentFile", true) => environment.files.clear(),
                ("EnvironmentFile", false) => {
                    let path = Utf8Path::new(value.trim_start_matches('-'));
                    // A file outside of the store may be secret, and differs between machines.
                    let known = if path.starts_with(&store.place)
                        && let Entry::Text(_, text) = store.at(path)?
                    {
                        text.lines().filter_map(plain).collect()
                    } else {
                        BTreeMap::new()
                    };
                    environment.files.push((value, known));
                }
                _ => {}
            }
        }
        Ok(environment)
    }

    /// The place of a file of variables among the unit's own: over the source of `built`, and below the files after
    /// that, if there are any. `None` if the unit does not have them.
    fn own_files(&self, built: &BTreeMap<String, String>) -> Option<OwnFiles> {
        let mut variables = self.own.clone();
        let has =
            |variables: &BTreeMap<String, String>| built.iter().all(|(name, text)| variables.get(name) == Some(text));
        let mut below = has(&variables).then_some(0);
        for (number, (_, known)) in self.files.iter().enumerate() {
            variables.extend(known.clone());
            below = if has(&variables) { below.or(Some(number + 1)) } else { None };
        }
        let (under, over) = self.files.split_at(below?);
        if over.is_empty() {
            return Some(OwnFiles::default());
        }
        let values = |files: &[(String, _)]| -> Option<Vec<String>> {
            files.iter().map(|(value, _)| without_specifiers(value)).collect()
        };
        Some(OwnFiles { below: values(under)?, above: values(over)? })
    }
}

/// The value of a setting, if it has no specifiers for systemd.
fn without_specifiers(value: &str) -> Option<String> {
    let text = value.replace("%%", "\0");
    (!text.contains('%')).then(|| text.replace('\0', "%"))
}

/// A line of an environment file without quotes and escapes, or with quotes around all of its value.
fn plain(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let value = inner.unwrap_or(value);
    let is_plain = !value.contains(['"', '\'', '\\', '$', '`']) && (inner.is_some() || value.trim() == value);
    is_plain.then(|| (name.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_plain() {
        for (line, pair) in [
            ("A=b", Some(("A", "b"))),
            ("A=\"b c\"", Some(("A", "b c"))),
            ("A=b\\", None),
            ("# A=b", None),
            ("A= b", None),
        ] {
            assert_eq!(plain(line), pair.map(|(name, value)| (name.to_owned(), value.to_owned())), "{line}");
        }
    }
}
