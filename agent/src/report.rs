//! What a host says of itself in etcd. Pure.

use serde::{Deserialize, Serialize};

/// What became of a host's layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// The host.
    pub host: String,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// The agent's version.
    pub agent: String,
    /// The revision of its layer; 0 before there was one.
    pub revision: i64,
    /// What became of it.
    pub result: Outcome,
    /// Why, if it is not in effect.
    #[serde(default)]
    pub reason: Option<String>,
    /// What is wrong with the source, other than what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What was found of the values in effect (`dynix verify`).
    #[serde(default)]
    pub verified: Option<String>,
    /// When this was said, by the host's clock.
    pub time: String,
}

impl Report {
    /// Whether the host is well on this revision or a later one; `None` while that is not known. A host with which something
    /// is wrong speaks of what it had before: it may be of another history, with revisions of the same numbers.
    #[must_use]
    pub fn became(&self, revision: i64) -> Option<bool> {
        if self.revision < revision || self.trouble.is_some() { None } else { self.result.is_well() }
    }
}

/// What became of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is not known yet.
    Waiting,
    /// It is in effect.
    Applied,
    /// A value, or the caller, was refused; the layer before holds.
    Refused,
    /// A service did not work on it, and the layer before holds.
    RolledBack,
    /// A service did not work on it, nor on what it had.
    RollbackFailed,
    /// A unit's process goes on with other values.
    Unseen,
    /// Something else failed; it is tried again.
    Failed,
    /// What the source has is no layer; the one before holds.
    NoLayer,
}

impl Outcome {
    /// Whether the host is well on what it was given; `None` while that is not known.
    #[must_use]
    pub fn is_well(self) -> Option<bool> {
        match self {
            Self::Waiting | Self::Failed => None,
            Self::Applied => Some(true),
            _ => Some(false),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::RolledBack => "rolled back",
            Self::RollbackFailed => "rollback failed",
            Self::Unseen => "unseen",
            Self::Failed => "failed",
            Self::NoLayer => "no layer",
        })
    }
}

/// What is known of a host whether it is there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// Its machine.
    pub machine: Option<String>,
}
