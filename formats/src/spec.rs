//! The name of a format with its dialect and parameters, for descriptions, plans and the registry.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A format of `pkgs.formats` (or `flags`), by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FormatSpec {
    /// As in `pkgs.formats` (`toml`, `yaml_1_1`, ...) or `flags`.
    pub name: String,
    /// Which generator's output; `None` in a description lets `generate` find it.
    #[serde(default)]
    pub dialect: Option<String>,
    /// The format's parameters, named as in nixpkgs (`listsAsDuplicateKeys`).
    #[serde(default)]
    pub parameters: serde_json::Map<String, Value>,
}
