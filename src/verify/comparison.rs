//! The result of `lib/verify`: the differences between the whole system without and with the overrides.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The only version that this dynix reads.
pub const VERSION: u64 = 1;

/// The comparison of two evaluations of one system.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// Always [`VERSION`].
    pub version: u64,
    /// The differences, by kind and name.
    pub changed: BTreeMap<String, BTreeMap<String, Difference>>,
    /// How many parts were compared one by one; the rest of the system was compared as a whole.
    pub compared: usize,
    /// Assertions that hold without the overrides alone.
    pub failed_assertions: Vec<String>,
    /// Warnings that only the overrides bring.
    pub new_warnings: Vec<String>,
    /// The services that dynix changes.
    pub services: BTreeMap<String, Sides>,
}

/// How one part differs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Raw")]
pub enum Difference {
    /// It can't be evaluated with the overrides.
    Fails,
    /// It has another value; null if it is missing.
    Changed {
        /// Without the overrides.
        before: Value,
        /// The value with the overrides.
        after: Value,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
}

impl From<Raw> for Difference {
    fn from(raw: Raw) -> Self {
        if raw.fails { Self::Fails } else { Self::Changed { before: raw.before, after: raw.after } }
    }
}

/// A service in both evaluations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// Without the overrides.
    pub before: Parts,
    /// The parts with the overrides; `None` if they can't be evaluated.
    pub after: Option<Parts>,
}

/// dynix's own changes of a service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The options' values.
    pub options: BTreeMap<String, Value>,
    /// The path of what Nix generates, by file.
    pub files: BTreeMap<String, String>,
}
