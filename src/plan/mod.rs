//! The plan: what `dynix generate` compiled from the description. Run time knows the system only from it.
//!
//! Takes JSON, gives plain data. The description (`docs/description.md`) has the same shape for services. The plan adds
//! what `generate` decided (each file's dialect, its proof, digests of the static text).

pub mod allowed;
pub mod index;
pub mod options;
pub mod order;
pub mod reading;
pub mod rule;
pub mod services;
pub mod value_spec;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
pub use dynix_formats::FormatSpec;
pub use reading::{PlanError, load, open, read};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
pub use services::Services;

use crate::attr_path::AttrPath;
use crate::host::evaluator::Evaluator;
use crate::types::Schema;

/// The only version of the plan (and of the description) that this dynix reads and writes.
pub const VERSION: u64 = 1;

/// How `nixos-rebuild switch` treats recorded overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSwitch {
    /// The built configuration is in effect when the switch returns; going static is recorded in the log.
    #[default]
    Static,
    /// Overrides are applied on top of the new configuration.
    Reapply,
}

/// How dynix treats values with which a rebuild would differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// They stay, and `dynix status` and the journal report it.
    #[default]
    Warn,
    /// They roll back, and their records are rejected.
    Rollback,
    /// Nothing is verified.
    Off,
}

/// `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Always [`VERSION`].
    pub version: u64,
    /// See [`OnSwitch`].
    #[serde(default)]
    pub on_switch: OnSwitch,
    /// How records that are not literal are evaluated; `None` refuses them.
    #[serde(default)]
    pub evaluator: Option<Evaluator>,
    /// See [`Verify`].
    #[serde(default)]
    pub verify: Verify,
    /// The log of overrides; `None` for /etc/nixos/dynamic.nix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides_file: Option<Utf8PathBuf>,
    /// Option paths that can be overridden besides those of the services, as [`rule::Pattern`] reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Generations kept per service for going back.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Seconds for which units are watched after an apply; with 0 they are not.
    #[serde(default = "default_watch")]
    pub watch: f64,
    /// The daemon, if the system has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<DaemonSpec>,
    /// The metrics file, if the system has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,
    /// The dynamic-enabled services by name (`harmonia`).
    pub services: Services,
    /// Services that are enabled and have settings, and are not dynamic.
    #[serde(default)]
    pub candidates: BTreeMap<String, Candidate>,
}

/// A service that could be dynamic, or why it could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    /// Its settings, by the options' full names.
    pub options: Vec<String>,
    /// Why their values can't change at run time; `None` if the evaluation shows no reason.
    #[serde(default)]
    pub problem: Option<String>,
}

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

/// The metrics file for a collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsSpec {
    /// The directory of the node exporter's textfile collector.
    pub textfile: Utf8PathBuf,
}

fn default_keep() -> usize {
    10
}

fn default_watch() -> f64 {
    30.0
}

impl Plan {
    /// Services that are enabled and have settings, and are not dynamic; none before all of a plan is read
    /// ([`Services::require_all`]).
    #[must_use]
    pub fn candidates(&self) -> &BTreeMap<String, Candidate> {
        self.services.candidates().unwrap_or(&self.candidates)
    }

    /// For how long the units of a service are watched after an apply; `None` if they are not.
    #[must_use]
    pub fn watch(&self, service: &str) -> Option<f64> {
        let own = self.services.get(service)?.watch;
        Some(own.unwrap_or(self.watch)).filter(|seconds| *seconds > 0.0)
    }
}

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
    /// Units of the users' service managers.
    #[serde(default)]
    pub user_units: Vec<String>,
}

/// A file under /etc.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EtcFile {
    /// Its path below /etc.
    pub target: Utf8PathBuf,
    /// Its path in the store.
    pub source: Utf8PathBuf,
    /// `symlink`, `direct-symlink`, or the octal mode of a copy.
    pub mode: String,
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

/// One rendered file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// How the text is written.
    pub format: FormatSpec,
    /// The value that is written.
    pub value: ValueSpec,
    /// The file that Nix generated for the static values, for the proof.
    #[serde(rename = "static")]
    pub static_file: Utf8PathBuf,
    /// Octal permissions, as in `"0444"`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// User name or number.
    #[serde(default = "default_owner")]
    pub owner: String,
    /// Group name or number.
    #[serde(default = "default_owner")]
    pub group: String,
    /// How the running unit sees the file.
    pub attach: Attach,
    /// The units that read it; `None` for all units of the service.
    #[serde(default)]
    pub units: Option<Vec<String>>,
    /// How `generate` found it, for people; absent in a description, and for a file that was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The result of the proof by `generate`; absent in a description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

impl File {
    /// Whether everybody may read this file.
    #[must_use]
    pub fn is_public(&self) -> bool {
        u32::from_str_radix(&self.mode, 8).is_ok_and(|mode| mode & 0o004 != 0)
    }

    /// Whether `unit` reads this file.
    #[must_use]
    pub fn is_read_by(&self, unit: &str) -> bool {
        self.units.as_ref().is_none_or(|units| units.iter().any(|one| one == unit))
    }
}

fn default_mode() -> String {
    "0444".to_owned()
}

fn default_owner() -> String {
    "root".to_owned()
}

/// A file's value, put together from effective option values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ValueSpec {
    /// The effective value of an option, by full name.
    Option(String),
    /// This value as it is.
    Literal(Value),
    /// An attribute set.
    Attrs(BTreeMap<String, ValueSpec>),
    /// A list; elements that are [`ValueSpec::When`] with a false condition are left out.
    List(Vec<ValueSpec>),
    /// `then` if the condition's value is `true`, otherwise nothing (in a list) or null.
    When {
        /// Gives a boolean.
        condition: Box<ValueSpec>,
        /// The value.
        then: Box<ValueSpec>,
    },
    /// One attribute of a value (`{"select": {"from": {"option": "services.x.settings"}, "path": ["a", "b"]}}`); null
    /// if it is missing.
    Select {
        /// The attribute set.
        from: Box<ValueSpec>,
        /// Names below it.
        path: AttrPath,
    },
    /// A value without what is empty.
    Prune {
        /// The value.
        from: Box<ValueSpec>,
        /// The values that are left out.
        drop: Vec<Drop>,
        /// The places where they are left out.
        within: Within,
    },
    /// Attribute sets on top of each other, the later on top, below each name as well (`lib.recursiveUpdate`).
    Merge(Vec<ValueSpec>),
}

/// A property for which a value can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drop {
    /// It is null.
    Null,
    /// It is an empty attribute set, or one of which nothing is left.
    Set,
    /// It is an empty list.
    List,
    /// It is an empty string.
    String,
}

/// The places where values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// The attributes of the set itself.
    Top,
    /// Also those of attribute sets within attribute sets (`lib.filterAttrsRecursive`).
    Sets,
    /// Also those of attribute sets within lists.
    All,
}

/// How a running unit sees a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Attach {
    /// `BindReadOnlyPaths=-/run/dynix/SERVICE/current/FILE:PATH` in each unit that reads it.
    Bind(Utf8PathBuf),
    /// The text is an environment file with one variable of words; the stub replaces `ExecStart`.
    Environment {
        /// Name of the variable.
        variable: String,
        /// Program (absolute path) and leading arguments, before the variable's words.
        command: Vec<String>,
        /// Further environment that the start script had set (`PATH`).
        #[serde(default)]
        environment: BTreeMap<String, String>,
        /// All words of the unit's own `ExecStart=`, if that is no start script.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        built: Option<Vec<String>>,
    },
    /// The text is an environment file whose variables come on top of the unit's own.
    Variables {
        /// The unit's own variables for the static values.
        built: BTreeMap<String, String>,
        /// The `EnvironmentFile=` of each unit that has some which are to stay on top.
        #[serde(default)]
        files: BTreeMap<String, OwnFiles>,
    },
    /// `LoadCredential=ID:/run/dynix/SERVICE/current/FILE`, with the static text as the fallback if that file is
    /// missing.
    Credential(String),
}

/// The values of a unit's own `EnvironmentFile=`, as they are written: systemd reads them in order, the later on top.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnFiles {
    /// Those below the dynamic file.
    pub below: Vec<String>,
    /// The files on top of it.
    pub above: Vec<String>,
}

impl Attach {
    /// Whether it is the unit itself that says the static values, and no file.
    #[must_use]
    pub fn is_of_the_unit(&self) -> bool {
        matches!(self, Self::Variables { .. } | Self::Environment { built: Some(_), .. })
    }
}

/// How equal the rendered static file is to what Nix generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofLevel {
    /// Byte for byte (for flags: word for word).
    Bytes,
    /// An independent parser reads the same data from both.
    Data,
}

/// Proof of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// See [`ProofLevel`].
    pub level: ProofLevel,
    /// SHA-256 of what Nix generated, lower-case hex.
    pub nix: String,
    /// SHA-256 of what our serialiser writes for the static values.
    pub rendered: String,
    /// Parameters of the format that the description leaves open and the static values do not show, and `prune` if they
    /// do not show what is left out. A value that depends on one of them is refused ([`crate::render::undecided`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<String>,
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
        Self { on_change, deadline: default_unit_deadline(), settle: None, private_mounts: false, text: None }
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
