//! Settings that are variables of a unit's environment: `Environment=`, or a file of the store in `EnvironmentFile=`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::store::{Entry, Store};
use super::unit::settings;
use super::value::is_empty;
use crate::build::checks::names;
use crate::format::environment;
use crate::fs::FileError;
use crate::plan::{Attach, File, Find, FormatSpec, OnChange, Unit, ValueSpec};

/// What was found of an option.
#[derive(Clone, Debug)]
pub struct Variables {
    /// How they are spelled.
    parameters: Map<String, Value>,
    /// The variables with their built values.
    pub built: BTreeMap<String, String>,
    /// The units that have them.
    pub units: Vec<String>,
}

/// The units that have every attribute of `value` as a variable.
pub fn find(value: &Value, find: &Find, store: &Store<'_>) -> Result<Option<Variables>, FileError> {
    if is_empty(value) {
        return Ok(None);
    }
    let mut environments = Vec::new();
    for (unit, text) in find.units.iter().filter(|(unit, _)| names::unit(unit).is_ok()) {
        environments.push((unit, environment_of(text, store)?));
    }
    for booleans in environment::BOOLEANS {
        let parameters = match *booleans {
            "true/false" => Map::new(),
            spelled => Map::from_iter([("booleans".to_owned(), spelled.into())]),
        };
        let Ok(built) = environment::variables(&parameters, value) else { return Ok(None) };
        let has = |environment: &BTreeMap<String, String>| {
            built.iter().all(|(name, text)| environment.get(name) == Some(text))
        };
        let having = environments.iter().filter(|(_, environment)| has(environment));
        let units: Vec<String> = having.map(|(unit, _)| (*unit).clone()).collect();
        if !units.is_empty() {
            return Ok(Some(Variables { parameters, built, units }));
        }
    }
    Ok(None)
}

impl Variables {
    /// Puts the file of variables, and the units, into a service.
    pub fn attach(self, value: ValueSpec, files: &mut BTreeMap<String, File>, units: &mut BTreeMap<String, Unit>) {
        for unit in &self.units {
            units.entry(unit.clone()).or_insert_with(|| Unit::with(OnChange::Restart));
        }
        let first = self.units.first().cloned().unwrap_or_default();
        let mut name = "environment".to_owned();
        while files.contains_key(&name) {
            name.push('-');
        }
        let file = File {
            format: FormatSpec { name: "environment".to_owned(), dialect: None, parameters: self.parameters },
            value,
            // It is the unit itself that says them.
            static_file: Utf8Path::new("/etc/systemd/system").join(&first),
            mode: "0444".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            attach: Attach::Variables(self.built),
            found: Some(format!("environment of {}", self.units.join(", "))),
            units: Some(self.units),
            proof: None,
        };
        files.insert(name, file);
    }
}

/// The variables of a unit, the later setting of one on top; a file's are on top of the unit's own (systemd.exec(5)).
fn environment_of(text: &str, store: &Store<'_>) -> Result<BTreeMap<String, String>, FileError> {
    let mut variables = BTreeMap::new();
    let settings = settings(text);
    for setting in settings.iter().filter(|setting| setting.key == "Environment") {
        variables.extend(assignment(&setting.value));
    }
    for setting in settings.iter().filter(|setting| setting.key == "EnvironmentFile") {
        let path = Utf8Path::new(setting.value.trim_start_matches('-'));
        if path.starts_with(&store.place)
            && let Entry::Text(_, text) = store.at(path)?
        {
            variables.extend(text.lines().filter_map(plain));
        }
    }
    Ok(variables)
}

/// One assignment, as nixpkgs writes it: `"NAME=VALUE"` with the escapes of JSON (nixos/lib/systemd-lib.nix). A specifier
/// is something else than what it is written as.
fn assignment(value: &str) -> Option<(String, String)> {
    let text: String = if value.starts_with('"') { serde_json::from_str(value).ok()? } else { value.to_owned() };
    let is_one = value.starts_with('"') || !value.contains(char::is_whitespace);
    let (name, value) = text.split_once('=').filter(|_| is_one && !text.contains('%'))?;
    Some((name.to_owned(), value.to_owned()))
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
    fn assignments_are_those_of_nixpkgs() {
        for (value, pair) in [
            (r#""A=b c""#, Some(("A", "b c"))),
            (r#""A=\"b\"""#, Some(("A", "\"b\""))),
            ("A=b", Some(("A", "b"))),
            ("A=b C=d", None),
            (r#""A=%n""#, None),
        ] {
            assert_eq!(assignment(value), pair.map(|(name, value)| (name.to_owned(), value.to_owned())), "{value}");
        }
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
