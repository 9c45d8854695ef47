//! Who may ask the daemon for what (`dynamicism.daemon`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DaemonSpec {
    /// The rules for users other than root, by any name.
    #[serde(default)]
    pub allow: BTreeMap<String, Rule>,
    /// Seconds for which a request waits for others to become one apply with.
    #[serde(default = "default_window")]
    pub window: f64,
    /// Seconds after which the daemon ends if it has no client.
    #[serde(default = "default_idle")]
    pub idle: f64,
    /// Connections that a user may have at a time.
    #[serde(default = "default_connections")]
    pub connections_per_user: usize,
}

/// Only root may ask for anything.
impl Default for DaemonSpec {
    fn default() -> Self {
        Self {
            allow: BTreeMap::new(),
            window: default_window(),
            idle: default_idle(),
            connections_per_user: default_connections(),
        }
    }
}

fn default_window() -> f64 {
    0.02
}

fn default_idle() -> f64 {
    60.0
}

fn default_connections() -> usize {
    256
}

/// A rule: what some users may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Users by name.
    #[serde(default)]
    pub users: Vec<String>,
    /// Groups by name.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Only for what comes from this source; without it, for all that comes from none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Bounds by option path, also for what is below it; `*` stands for any one name.
    pub options: BTreeMap<String, Bounds>,
}

/// Within which bounds an option may be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// How it may be changed.
    #[serde(default = "default_methods")]
    pub methods: Vec<Method>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Number>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Number>,
    /// The only values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
    /// How often, as in `"10/min"`, by each user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

fn default_methods() -> Vec<Method> {
    vec![Method::Append, Method::Unset, Method::Apply]
}

/// A way to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// See [`crate::system::request::Append`].
    Append,
    /// See [`crate::system::request::Unset`].
    Unset,
    /// See [`crate::system::request::Rollback`].
    Rollback,
    /// See [`crate::system::request::Reset`].
    Reset,
    /// See [`crate::system::request::Apply`].
    Apply,
}
