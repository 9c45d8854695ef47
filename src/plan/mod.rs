//! The plan: what `dynix generate` compiled from the description. Run time knows the system only from it.
//!
//! Takes JSON, gives plain data. The description (`docs/description.md`) has the same shape for services. The plan adds
//! what `generate` decided (each file's dialect, its proof, digests of the static text).

pub mod allowed;
pub mod daemon;
pub mod documentation;
pub mod file;
pub mod index;
pub mod options;
pub mod order;
pub mod reading;
pub mod rule;
pub mod service;
pub mod services;
pub mod value_spec;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
pub use daemon::{Bounds, DaemonSpec, Method, Rule};
pub use dynix_formats::FormatSpec;
pub use file::{Around, Attach, Drop, EtcFile, File, OwnFiles, Proof, ProofLevel, ValueSpec, Within};
pub use reading::{PlanError, load, open, read};
use serde::{Deserialize, Serialize};
pub use service::{Check, Exempt, Find, Health, OnChange, OptionSpec, Probe, Service, Unit};
pub use services::Services;

use crate::host::evaluator::Evaluator;

/// The only version of the plan (and of the description) that this dynix reads and writes.
pub const VERSION: u64 = 1;

/// Whose services a plan is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The system's.
    #[default]
    System,
    /// A user's own, in the user's service manager (systemd --user).
    User,
}

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
    /// What a rebuild would also change is put into effect as well.
    Complete,
    /// Nothing is verified.
    Off,
}

/// `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Always [`VERSION`].
    pub version: u64,
    /// See [`Scope`].
    #[serde(default, skip_serializing_if = "is_of_the_system")]
    pub scope: Scope,
    /// See [`OnSwitch`].
    #[serde(default)]
    pub on_switch: OnSwitch,
    /// How records that are not literal are evaluated; `None` refuses them.
    #[serde(default)]
    pub evaluator: Option<Evaluator>,
    /// See [`Verify`].
    #[serde(default)]
    pub verify: Verify,
    /// The log of overrides; `None` for /etc/nixos/dynamic.nix, or /var/lib/dynix/dynamic.nix where /etc/nixos can't keep it.
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
    /// Places outside of the host that overrides come from: the lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSpec>,
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

/// A place outside of the host that overrides come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Whether its values count over those that the host itself records.
    #[serde(default)]
    pub over_host: bool,
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

/// The metrics file for a collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsSpec {
    /// The directory of the node exporter's textfile collector.
    pub textfile: Utf8PathBuf,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_of_the_system(scope: &Scope) -> bool {
    *scope == Scope::System
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

    /// Whether a link under /etc leads to a service's file: `name` as in `environment.etc`.
    #[must_use]
    pub fn has_link(&self, name: &str) -> bool {
        let mut files = self.services.values().flat_map(|service| service.files.values());
        files.any(
            |file| matches!(&file.attach, Attach::Etc(path) if path.strip_prefix("/etc").is_ok_and(|one| one == name)),
        )
    }

    /// For how long the units of a service are watched after an apply; `None` if they are not.
    #[must_use]
    pub fn watch(&self, service: &str) -> Option<f64> {
        let own = self.services.get(service)?.watch;
        Some(own.unwrap_or(self.watch)).filter(|seconds| *seconds > 0.0)
    }
}
