//! What an apply does, step by step, as data: a dry run prints the very list that would run.

use std::fmt;

use camino::Utf8PathBuf;
use serde::Serialize;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "action")]
pub enum Action {
    /// Write a generation's files beside the ones in use.
    Stage {
        /// The service.
        service: String,
        /// The generation's number.
        generation: u64,
        /// Names of all of its files.
        files: Vec<String>,
    },
    /// Let the service's own check look at the staged files.
    Check {
        /// The service.
        service: String,
        /// Program and arguments.
        command: Vec<String>,
    },
    /// Point `current` at a generation, or remove it.
    Swap {
        /// The service.
        service: String,
        /// The generation; `None` for the static files.
        generation: Option<u64>,
    },
    /// Write a drop-in.
    InstallDropIn {
        /// The service.
        service: String,
        /// The unit.
        unit: String,
        /// The drop-in.
        path: Utf8PathBuf,
    },
    /// Remove a drop-in.
    RemoveDropIn {
        /// The service.
        service: String,
        /// The unit.
        unit: String,
        /// The drop-in.
        path: Utf8PathBuf,
    },
    /// `systemctl daemon-reload`
    ReloadConfiguration,
    /// `systemctl bind --read-only UNIT SOURCE TARGET`
    Bind {
        /// The service.
        service: String,
        /// The unit.
        unit: String,
        /// The file that the unit shall see.
        source: Utf8PathBuf,
        /// Where it shall see it.
        target: Utf8PathBuf,
    },
    /// `systemctl restart UNIT`, awaited.
    Restart {
        /// The service.
        service: String,
        /// The unit.
        unit: String,
    },
    /// `systemctl reload UNIT`, awaited.
    Reload {
        /// The service.
        service: String,
        /// The unit.
        unit: String,
    },
    /// Wait until the service is healthy.
    Probe {
        /// The service.
        service: String,
    },
}

impl Action {
    /// The service that it is for; `None` for what serves all.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Stage { service, .. }
            | Self::Check { service, .. }
            | Self::Swap { service, .. }
            | Self::InstallDropIn { service, .. }
            | Self::RemoveDropIn { service, .. }
            | Self::Bind { service, .. }
            | Self::Restart { service, .. }
            | Self::Reload { service, .. }
            | Self::Probe { service } => Some(service),
            Self::ReloadConfiguration => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage { service, generation, files } => {
                write!(f, "{service}: write generation {generation} ({})", files.join(", "))
            }
            Self::Check { service, command } => write!(f, "{service}: check with {}", command.join(" ")),
            Self::Swap { service, generation: Some(generation) } => {
                write!(f, "{service}: switch to generation {generation}")
            }
            Self::Swap { service, generation: None } => write!(f, "{service}: switch to the static files"),
            Self::InstallDropIn { service, path, .. } => write!(f, "{service}: write {path}"),
            Self::RemoveDropIn { service, path, .. } => write!(f, "{service}: remove {path}"),
            Self::ReloadConfiguration => f.write_str("systemd: reload unit files"),
            Self::Bind { service, unit, source, target } => {
                write!(f, "{service}: show {unit} {source} as {target}")
            }
            Self::Restart { service, unit } => write!(f, "{service}: restart {unit}"),
            Self::Reload { service, unit } => write!(f, "{service}: reload {unit}"),
            Self::Probe { service } => write!(f, "{service}: wait until it is healthy"),
        }
    }
}
