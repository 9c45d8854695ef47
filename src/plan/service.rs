//! A dynamic-enabled service: its options, its files, its units, and how it is checked.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::{Around, EtcFile, File, ValueSpec};
use crate::attr_path::AttrPath;
use crate::types::Schema;

/// One dynamic-enabled service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// The options whose values can be overridden, by their full name (`services.harmonia.settings`).
    pub options: BTreeMap<String, OptionSpec>,
    /// The files that follow from the options, by file name.
    pub files: BTreeMap<String, File>,
    /// Unit properties that follow a value: unit name to minijinja template of a drop-in's text, over the effective
    /// values as `services.NAME...`; every interpolation is escaped by systemd's rules. Installed only while the text
    /// differs from what the static values give.
    #[serde(default)]
    pub drop_ins: BTreeMap<String, String>,
    /// The parts of the system that a rebuild would change with the values, and that need not follow them.
    #[serde(default)]
    pub exempt: Vec<Exempt>,
    /// Run on the staged files before the swap; a failure refuses the values.
    #[serde(default)]
    pub check: Option<Check>,
    /// Polled after the units were acted on.
    #[serde(default)]
    pub health: Option<Health>,
    /// The units that read the files, by full unit name (`harmonia.service`).
    pub units: BTreeMap<String, Unit>,
    /// The services whose units are acted on, and seen to work, before those of this one.
    #[serde(default)]
    pub after: Vec<String>,
    /// Seconds for which its units are watched after an apply; `None`: as long as all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<f64>,
    /// Where `generate` looks for the files of a service that has none; absent in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
}

/// The units and files in which `generate` looks for the files of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Find {
    /// The store (`/nix/store`).
    pub store: String,
    /// The description of the option's type (`TOML value`).
    #[serde(rename = "type", default)]
    pub type_description: String,
    /// The value of the file; `None` for one file of each option.
    #[serde(default)]
    pub value: Option<ValueSpec>,
    /// Parameters of its format that are known: what the built values don't show of how it is written.
    #[serde(default)]
    pub parameters: serde_json::Map<String, Value>,
    /// The texts of the service's units, by full name.
    pub units: BTreeMap<String, String>,
    /// The service's files under /etc, by name.
    #[serde(default)]
    pub etc: BTreeMap<String, EtcFile>,
    /// What is around the settings in the file; `None` for nothing.
    #[serde(default)]
    pub around: Option<Around>,
    /// Whether commands with the prefix `+` only pass the file's path on to the unit's program.
    #[serde(default)]
    pub passed_on: bool,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptionSpec {
    /// The value that the build decided.
    #[serde(rename = "static")]
    pub static_value: Value,
    /// The option's type.
    pub schema: Schema,
    /// Paths below the option that may change at run time, each a list of names (`[]` is the option itself); `None`
    /// for all of them.
    #[serde(default)]
    pub dynamic: Option<Vec<AttrPath>>,
    /// Paths below the option whose values nobody else may see, each a list of names; see [`crate::render::secrets`].
    #[serde(default)]
    pub secret: Vec<AttrPath>,
    /// The files that define the option's value, for messages (`/etc/nixos/configuration.nix`).
    #[serde(default)]
    pub defined_in: Vec<String>,
}

impl OptionSpec {
    /// Whether the path below the option may change at run time.
    #[must_use]
    pub fn may_change(&self, below: &[String]) -> bool {
        self.dynamic.as_ref().is_none_or(|paths| paths.iter().any(|path| below.starts_with(&path.0)))
    }
}

/// A part of the system that keeps the built values, and may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exempt {
    /// The kind in `dynix verify`: `unit`, `etc`, `package`, ...
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Why it may.
    pub reason: String,
}

/// A command with a deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// Program and arguments; each word is a minijinja template with `files`, the staged paths by file name
    /// (`{{ files["prometheus.yml"] }}`), and `file`, the first of them. No shell.
    pub command: Vec<String>,
    /// `generate` tries it on the static values, and leaves it out if it does not accept them; always false in the
    /// plan.
    #[serde(default)]
    pub on_trial: bool,
    /// Seconds.
    #[serde(default = "default_check_deadline")]
    pub deadline: f64,
}

fn default_check_deadline() -> f64 {
    10.0
}

/// How to see that the service works on its new values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// The probe.
    pub probe: Probe,
    /// Seconds after the units were acted on in which nothing is tried.
    #[serde(default)]
    pub grace: f64,
    /// Seconds between tries.
    #[serde(default = "default_interval")]
    pub interval: f64,
    /// Seconds after the grace until it has to succeed.
    #[serde(default = "default_check_deadline")]
    pub deadline: f64,
}

fn default_interval() -> f64 {
    0.1
}

/// One way to probe a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Probe {
    /// Exit status 0 is healthy. No shell.
    Command(Vec<String>),
    /// Answers a GET with a status of 2xx: `"http://127.0.0.1:9090/-/ready"`.
    Http(String),
    /// Accepts a connection: `"127.0.0.1:9090"`.
    Tcp(String),
    /// Accepts a connection on a Unix socket.
    Unix(Utf8PathBuf),
}

/// One unit and what is done to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unit {
    /// See [`OnChange`].
    #[serde(default)]
    pub on_change: OnChange,
    /// Seconds until its job has to be done and it has to be active.
    #[serde(default = "default_unit_deadline")]
    pub deadline: f64,
    /// Seconds for which the apply itself waits to see a unit without readiness (`Type=simple`) stay up. `None`: not at
    /// all if the unit is watched afterwards, otherwise the default.
    #[serde(default)]
    pub settle: Option<f64>,
    /// Whether it may have a mount namespace of its own although it starts sessions or mounts for others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_mounts: bool,
    /// The units of the service that come before it (`After=`), as its text says; only in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Its text, for `generate` to look at; absent in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn default_unit_deadline() -> f64 {
    90.0
}

impl Unit {
    /// A unit with the defaults otherwise.
    #[must_use]
    pub fn with(on_change: OnChange) -> Self {
        Self {
            on_change,
            deadline: default_unit_deadline(),
            settle: None,
            private_mounts: false,
            after: Vec::new(),
            text: None,
        }
    }
}

/// The action on a unit when a file changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// Restart it.
    #[default]
    Restart,
    /// Reload it; for bound files, after `systemctl bind` put the new file in its namespace.
    Reload,
}
