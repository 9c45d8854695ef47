//! What the options' modules say of them to people: description, default, example, and where they are declared.
//!
//! It is beside the plan, in a file that `dynix options` alone reads, so that it costs no other command anything.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::attr_path::AttrPath;
use crate::host::fs::{self, FileError};

/// The name of the file, beside the plan.
pub const FILE: &str = "options.json";

/// What stands for any name, and for any element, in the paths that the module system gives.
const ANY: [&str; 2] = ["<name>", "*"];

/// What is said of the options, by their full names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Documentation(BTreeMap<String, Vec<Documented>>);

/// What is said of one option, or of one within its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Documented {
    /// Its path below the option; `<name>` stands for any name, `*` for any element.
    pub path: AttrPath,
    /// What it is for, in NixOS's Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A default that is no plain value, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// An example, as Nix writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// The source files that declare it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_in: Vec<String>,
}

impl Documentation {
    /// What is said beside a plan; nothing if there is no such file.
    pub fn load(plan: &Utf8Path) -> Result<Self, FileError> {
        let file = plan.parent().map_or_else(|| Utf8PathBuf::from(FILE), |directory| directory.join(FILE));
        // What can't be read as that says nothing: nothing depends on it.
        Ok(fs::read_trusted(&file, fs::OWN)?.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of the path below an option: by its own name rather than by one that stands for any.
    #[must_use]
    pub fn of(&self, option: &str, below: &AttrPath) -> Option<&Documented> {
        let fits = |one: &&Documented| {
            let (own, names) = (one.path.names(), below.names());
            own.len() == names.len()
                && own.iter().zip(names).all(|(own, name)| own == name || ANY.contains(&own.as_str()))
        };
        let wild = |one: &&Documented| one.path.names().iter().filter(|name| ANY.contains(&name.as_str())).count();
        self.0.get(option)?.iter().filter(fits).min_by_key(wild)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_of_its_own_comes_before_one_that_stands_for_any() {
        let documentation: Documentation = serde_json::from_value(json!({ "a": [
            { "path": [], "description": "all" },
            { "path": ["<name>", "port"], "description": "any" },
            { "path": ["web", "port"], "description": "one" },
            { "path": ["list", "*", "x"], "description": "element" },
        ] }))
        .unwrap();
        let of = |path: &str| {
            let below = if path.is_empty() { AttrPath::default() } else { AttrPath::parse(path).unwrap() };
            documentation.of("a", &below).and_then(|one| one.description.clone()).unwrap_or_default()
        };
        assert_eq!(
            ["", "web.port", "db.port", "db.host", "list.\"0\".x", "db"].map(of),
            ["all", "one", "any", "", "element", ""]
        );
        assert_eq!(documentation.of("b", &AttrPath::default()), None);
    }
}
