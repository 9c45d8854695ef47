//! The actions of an apply, as data: a dry run prints the same list that would run.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Let a link under /etc lead to the service's file, or to the static one.
    Link {
        /// The service.
        service: String,
        /// The name of the file.
        file: String,
        /// The link.
        path: Utf8PathBuf,
        /// Whether it leads to the static file.
        is_static: bool,
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
        /// The path at which the unit sees it.
        target: Utf8PathBuf,
    },
    /// `systemctl start UNIT`, awaited: it went down with a unit that it depends on.
    Start {
        /// The service that it went down with.
        service: String,
        /// The unit.
        unit: String,
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
            | Self::Link { service, .. }
            | Self::InstallDropIn { service, .. }
            | Self::RemoveDropIn { service, .. }
            | Self::Bind { service, .. }
            | Self::Start { service, .. }
            | Self::Restart { service, .. }
            | Self::Reload { service, .. }
            | Self::Probe { service } => Some(service),
            Self::ReloadConfiguration => None,
        }
    }
}

impl Action {
    /// The step as text, without its service.
    #[must_use]
    pub fn step(&self) -> Step<'_> {
        Step(self)
    }
}

/// Displays an action as text.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a>(&'a Action);

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::Stage { generation, files, .. } => {
                write!(f, "write generation {generation} ({})", files.join(", "))
            }
            Action::Check { command, .. } => write!(f, "check with {}", command.join(" ")),
            Action::Swap { generation: Some(generation), .. } => write!(f, "switch to generation {generation}"),
            Action::Swap { generation: None, .. } => f.write_str("switch to the static files"),
            Action::Link { path, is_static: false, .. } => write!(f, "let {path} lead to it"),
            Action::Link { path, is_static: true, .. } => write!(f, "let {path} lead to the static file"),
            Action::InstallDropIn { path, .. } => write!(f, "write {path}"),
            Action::RemoveDropIn { path, .. } => write!(f, "remove {path}"),
            Action::ReloadConfiguration => f.write_str("reload systemd's unit files"),
            Action::Bind { unit, source, target, .. } => write!(f, "show {unit} {source} as {target}"),
            Action::Start { unit, .. } => write!(f, "start {unit}"),
            Action::Restart { unit, .. } => write!(f, "restart {unit}"),
            Action::Reload { unit, .. } => write!(f, "reload {unit}"),
            Action::Probe { .. } => f.write_str("wait until it is healthy"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service() {
            Some(service) => write!(f, "{service}: {}", self.step()),
            None => write!(f, "{}", self.step()),
        }
    }
}
