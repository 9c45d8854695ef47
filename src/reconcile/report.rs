//! The result of an apply, for people and programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::desired::LeftOut;
use super::trial::Awaiting;
use crate::exit::Exit;
use crate::render::secrets::Awaited;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum Outcome {
    /// The recorded values are in effect.
    Applied,
    /// Nothing was touched, or everything is back on what it had; the values are not to blame.
    Failed {
        /// Why.
        reason: String,
    },
    /// Its own check, or its format, refused the values; nothing was touched.
    Refused {
        /// Why.
        reason: String,
    },
    /// It did not work on the new values, and is back on what it had.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// The recorded values are in place, but the process of a unit runs on others.
    Unseen {
        /// Which, and what it has instead.
        reason: String,
    },
    /// It did not work on the new values, nor on what it had; it is on its static values.
    RollbackFailed {
        /// Why, first and then.
        reason: String,
    },
}

impl Outcome {
    /// The exit code for this outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Applied => Exit::Done,
            Self::Failed { .. } => Exit::Failed,
            Self::Refused { .. } => Exit::Refused,
            Self::RolledBack { .. } => Exit::RolledBack,
            Self::Unseen { .. } => Exit::Unseen,
            Self::RollbackFailed { .. } => Exit::RollbackFailed,
        }
    }

    /// The failure, if there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Applied => None,
            Self::Failed { reason }
            | Self::Refused { reason }
            | Self::RolledBack { reason }
            | Self::Unseen { reason }
            | Self::RollbackFailed { reason } => Some(reason),
        }
    }
}

/// One text of the system that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The name of the text: `firewall.service`, `/etc/hosts`.
    pub name: String,
    /// The built text; empty if it is missing.
    pub old: String,
    /// The text with the overrides.
    pub new: String,
}

/// A record that was undone before it took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenBack {
    /// The record.
    pub id: u64,
    /// The one that took it back.
    pub record: u64,
    /// The user who recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The reason, if it is a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl std::fmt::Display for TakenBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, record, by, reason } = self;
        let by = by.as_deref().unwrap_or("somebody");
        write!(f, "record {id} is not in effect: {by} took it back with record {record} before it was applied")?;
        reason.iter().try_for_each(|reason| write!(f, ", because {reason}"))?;
        write!(f, "; to have it in effect, record it again")
    }
}

/// An apply, or what one would do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The steps that ran, or would run, in order.
    pub actions: Vec<Action>,
    /// The unit actions that were not run, because there is no service manager (`--root`).
    pub left_to_do: Vec<Action>,
    /// The services that changed, or should have.
    pub services: BTreeMap<String, Outcome>,
    /// Overrides that are recorded and do not hold.
    pub left_out: Vec<LeftOut>,
    /// Records that this apply rejected.
    pub rejected: Vec<u64>,
    /// Records of this apply that others undid before it had its turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<TakenBack>,
    /// Whether it was interrupted, and rolled back what was under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Secrets that services wait for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub awaited: BTreeMap<String, Vec<Awaited>>,
    /// The trial, which rolls back unless it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// The services that are watched from now on, each with the seconds. They roll back if a unit fails.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub watched: BTreeMap<String, f64>,
    /// The texts of the system that options of no service would change, for a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// The output of NixOS's switch-to-configuration, or of its dry run, if options of no service change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switched: Vec<String>,
    /// How many microseconds it took, with the jobs of units; only where a service manager is.
    #[serde(default, rename = "tookUSec", skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// Warnings for people.
    pub warnings: Vec<String>,
}

impl Report {
    /// The exit code of the worst outcome.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.worst(|_| true)
    }

    /// The exit code of an apply in the background: a missing secret is not its failure.
    #[must_use]
    pub fn exit_in_background(&self) -> Exit {
        self.worst(|service| !self.awaited.contains_key(service))
    }

    fn worst(&self, counts: impl Fn(&str) -> bool) -> Exit {
        let left_out = if self.left_out.is_empty() { Exit::Done } else { Exit::Refused };
        let taken_back = if self.taken_back.is_empty() { Exit::Done } else { Exit::Failed };
        let outcomes = self.services.iter().filter(|(service, _)| counts(service)).map(|(_, outcome)| outcome);
        outcomes.map(Outcome::exit).max().unwrap_or_default().max(left_out).max(taken_back)
    }
}
