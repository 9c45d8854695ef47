//! The result of `lib/evaluated`: the changes that a rebuild with the recorded values would make to the system.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The only version that this dynix reads.
pub const VERSION: u64 = 1;

/// The answer of an evaluation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Always [`VERSION`].
    pub version: u64,
    /// Overrides that can't be evaluated. If there are some, nothing else was evaluated.
    pub problems: Vec<Problem>,
    /// The system without the overrides, to be kept, if that was asked for.
    #[serde(default)]
    pub built: Option<Value>,
    /// The change set; empty if there are problems.
    #[serde(flatten)]
    pub changes: ChangeSet,
}

/// Why an override can't be evaluated, as the option tree says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Problem {
    /// There is no such option.
    Missing {
        /// The overridden path.
        path: Vec<String>,
        /// How far there is something.
        below: Vec<String>,
        /// The missing name.
        name: String,
        /// The names that exist there.
        names: Vec<String>,
    },
    /// It is a set of options.
    Set {
        /// The overridden path.
        path: Vec<String>,
        /// The names in it.
        names: Vec<String>,
    },
    /// The option is read-only.
    ReadOnly {
        /// The overridden path.
        path: Vec<String>,
        /// The option.
        option: Vec<String>,
    },
    /// It is for modules alone.
    Internal {
        /// The overridden path.
        path: Vec<String>,
        /// The option.
        option: Vec<String>,
    },
}

/// The changes that a rebuild would make.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChangeSet {
    /// The system that the configuration is without the overrides.
    pub system: String,
    /// Units, by name.
    pub units: BTreeMap<String, Sides<Unit>>,
    /// Units of the users' service managers.
    pub user_units: BTreeMap<String, Sides<Unit>>,
    /// Entries of /etc.
    pub etc: BTreeMap<String, Sides<Entry>>,
    /// Whether /etc is an overlay.
    pub overlay: bool,
    /// The directories of units as Nix makes them, if they can't be computed from the units alone: `system` and `user`.
    pub unit_directories: BTreeMap<String, String>,
    /// Packages of the system's path, by name.
    pub packages: BTreeMap<String, Sides<Vec<String>>>,
    /// Packages that have units.
    pub unit_packages: BTreeMap<String, Sides<Vec<String>>>,
    /// Options that decide something whose parts can't be separated.
    pub options: BTreeMap<String, Sides<Value>>,
    /// The activation script.
    pub activation: String,
    /// The same for a dry activation.
    pub dry_activation: String,
    /// The rest of what the system is made of.
    pub whole: BTreeMap<String, Sides<Value>>,
    /// The parts that may have changed it.
    pub rest_parts: BTreeMap<String, Sides<Value>>,
    /// Dynamic services whose built values change.
    pub services: BTreeMap<String, Sides<Value>>,
    /// The store paths in the changed texts: derivations with their outputs, and other paths with none.
    pub context: BTreeMap<String, Vec<String>>,
    /// Assertions that fail with the overrides alone.
    pub failed_assertions: Vec<String>,
    /// Warnings that the overrides bring.
    pub warnings: Vec<String>,
}

/// A part of the system without and with the overrides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "T: serde::de::DeserializeOwned"))]
pub struct Sides<T> {
    /// Whether one of the sides can't be evaluated.
    #[serde(default)]
    pub fails: bool,
    /// The value without the overrides; `None` if it is missing.
    #[serde(default = "none")]
    pub before: Option<T>,
    /// The value with the overrides.
    #[serde(default = "none")]
    pub after: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// A unit (nixpkgs, nixos/lib/systemd-unit-options.nix and systemd-lib.nix).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unit {
    /// A unit that is not enabled is masked.
    pub enable: bool,
    /// Its text.
    pub text: String,
    /// Whether it is a unit of its own: `asDropinIfExists` or `asDropin`.
    pub override_strategy: String,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// Units that want it.
    pub wanted_by: Vec<String>,
    /// Units that require it.
    pub required_by: Vec<String>,
    /// Units that uphold it.
    pub upheld_by: Vec<String>,
}

/// An entry of /etc (nixpkgs, nixos/modules/system/etc/etc.nix).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry {
    /// Whether it exists; a disabled one has no other contents.
    #[serde(default = "yes")]
    pub enable: bool,
    /// Its path below /etc.
    pub target: String,
    /// `symlink`, `direct-symlink`, or the octal mode of a copy.
    pub mode: String,
    /// The path in the store.
    pub source: String,
    /// A copy's owner.
    pub user: String,
    /// A copy's group.
    pub group: String,
    /// Its content, if the configuration has it as text.
    pub text: Option<String>,
}

fn yes() -> bool {
    true
}

impl ChangeSet {
    /// Whether a rebuild would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.user_units.is_empty() && self.etc.is_empty() && self.unit_directories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer: Answer = serde_json::from_str(
            r#"{"version":1,"problems":[],"system":"/nix/store/x","units":{"a.service":{"before":null,"after":{"enable":true,
            "text":"[Unit]\n","overrideStrategy":"asDropinIfExists","aliases":[],"wantedBy":["b.target"],"requiredBy":[],
            "upheldBy":[]}},"c.service":{"fails":true}},"etc":{"x":{"before":{"enable":false},"after":null}}}"#,
        )
        .unwrap();
        let changes = answer.changes;
        assert_eq!(changes.units["a.service"].after.as_ref().unwrap().wanted_by, ["b.target"]);
        assert!(changes.units["c.service"].fails);
        assert!(!changes.etc["x"].before.as_ref().unwrap().enable);
        let answer: Answer = serde_json::from_str(
            r#"{"version":1,"problems":[{"kind":"missing","path":["a","b"],"below":["a"],"name":"b","names":["c"]}]}"#,
        )
        .unwrap();
        assert!(matches!(&answer.problems[0], Problem::Missing { name, .. } if name == "b"));
    }
}
