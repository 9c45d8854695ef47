//! What was done to a fleet, as its log in etcd has it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::{Before, Rollout, State};
use crate::etcd::entry::{Step, Steps};
use crate::etcd::keys::Target;

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Done {
    /// Its name; that of the rollout, if it is one.
    pub id: String,
    /// When, by the clock of who did it.
    pub time: String,
    /// Who.
    pub by: Option<String>,
    /// What was said about it.
    pub message: Option<String>,
    /// What it is.
    pub what: What,
    /// Where.
    pub target: Target,
    /// What became of the paths; nothing, where it was taken back.
    pub steps: Steps,
    /// What they had before.
    pub before: BTreeMap<String, Before>,
    /// What it takes back.
    #[serde(default)]
    pub undoes: Option<String>,
    /// Why it ended.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// Values, at once.
    Change,
    /// A rollout that is under way.
    Rollout,
    /// A rollout that came to its end.
    RolledOut,
    /// A rollout that did not.
    TakenBack,
    /// Something else was undone.
    Undo,
}

impl Done {
    /// A rollout, as it is by now.
    #[must_use]
    pub fn of(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id.clone(),
            time: rollout.time.clone(),
            by: rollout.by.clone(),
            message: rollout.message.clone(),
            what: match rollout.state {
                State::Running | State::Paused => What::Rollout,
                State::Done => What::RolledOut,
                State::Stopped | State::Aborted => What::TakenBack,
            },
            target: rollout.target.clone(),
            steps: rollout.steps.clone(),
            before: rollout.before.clone(),
            undoes: None,
            reason: rollout.reason.clone(),
        }
    }

    /// The steps that bring back what there was.
    #[must_use]
    pub fn back(&self) -> Steps {
        let step = |before: &Before| before.entry.as_ref().map_or(Step::Unset, |entry| Step::Set(entry.value.clone()));
        self.before.iter().map(|(path, before)| (path.clone(), step(before))).collect()
    }
}
