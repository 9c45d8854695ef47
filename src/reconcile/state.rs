//! What is in effect: /run/dynix/state.json. An apply writes it before it touches anything, and when it is done.
//!
//! A service that is not listed is on its static values. The file is gone after a reboot, as is everything that it
//! describes.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watch::Watch;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::{self, FileError};

/// The version of the state file that this dynix writes, and the newest that it reads.
pub const VERSION: u64 = 3;

/// `state.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// Always [`VERSION`].
    pub version: u64,
    /// The last record of the log that services not listed have applied.
    pub log_id: u64,
    /// The services that differ from their static values, from `log_id`, or that were being changed.
    pub services: BTreeMap<String, ServiceState>,
    /// The change that awaits its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The timer that starts dynix when the next override expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// The unit that watches the services that have a [`Watch`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watcher: Option<String>,
    /// The services of an apply under way. After a killed apply they are still here, so that the watcher finishes them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub under_way: BTreeSet<String>,
    /// The services whose newest values are not known to work, and are tried once the system is up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub postponed: BTreeSet<String>,
}

/// A change that rolls back unless it is confirmed. The log has it rejected from the start, so that only a confirmation
/// brings it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trial {
    /// The timer that ends it.
    pub timer: String,
    /// The user who made it.
    pub by: String,
    /// When it ends, in seconds of the monotonic clock (`clock_gettime(2)`, `CLOCK_MONOTONIC`).
    pub end: f64,
    /// Its records.
    pub marks: Vec<Mark>,
    /// The state that each of its services rolls back to.
    pub back: BTreeMap<String, InEffect>,
}

/// A record on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    /// The record.
    pub record: u64,
    /// The record that rejects it, and that a confirmation rejects in its turn.
    pub mark: u64,
}

/// A timer for overrides that end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alarm {
    /// The timer.
    pub name: String,
    /// When it elapses (RFC 3339).
    pub at: String,
    /// Program and arguments that it runs.
    pub command: Vec<String>,
}

/// The last failure of a service's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastFailure {
    /// The state of the service after it.
    pub result: FailureKind,
    /// Why.
    pub reason: String,
    /// When (RFC 3339).
    pub time: String,
}

/// The state that a service has after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// Back to what it had: it did not work on the new values.
    RolledBack,
    /// To its static values: it did not work on what it had either.
    RollbackFailed,
    /// On what it had: nobody confirmed the new values.
    NotConfirmed,
    /// On the new values, but the process of a unit runs on others.
    Unseen,
}

impl FailureKind {
    /// Its name in metrics; those of the journal's results (`DYNIX_RESULT`) where there is one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::NotConfirmed => "not-confirmed",
            Self::Unseen => "unseen",
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            log_id: 0,
            services: BTreeMap::new(),
            trial: None,
            alarm: None,
            watcher: None,
            under_way: BTreeSet::new(),
            postponed: BTreeSet::new(),
        }
    }
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceState {
    /// The last record of the log that this service has applied.
    pub log_id: u64,
    /// The files and drop-ins that its units read.
    #[serde(flatten)]
    pub in_effect: InEffect,
    /// The units that an apply was about to act on; there only from before the swap until the units are confirmed, so
    /// that an apply after a crash finishes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
    /// The last failure, until the service changes well.
    #[serde(rename = "setback", default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// The digest of the overrides that `in_effect` is from ([`super::known_good::digest`]); `None` without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Since when this state is in effect, in seconds of the monotonic clock; `None` in a file of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<f64>,
    /// Whether it was seen to work on these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub works: bool,
    /// How its units are watched since it came to have these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
}

/// The files and drop-ins that a service's units read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InEffect {
    /// The generation that `current` names; `None` for the static files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Identity of each file of the generation, by name; empty for the static files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Text of each installed drop-in, by unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drop_ins: BTreeMap<String, String>,
}

impl InEffect {
    /// Whether all is as built.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.generation.is_none() && self.drop_ins.is_empty()
    }
}

/// The state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// A newer dynix wrote it.
    #[error(
        "{path} has version {version}, and this dynix reads versions up to {VERSION}: use the dynix of the system that \
         runs; or remove the file, and `dynix apply` finds out what is in effect by itself"
    )]
    Newer {
        /// The state file.
        path: String,
        /// Its version.
        version: u64,
    },
    /// The file is not one of ours.
    #[error(
        "{path} is not a state file: {problem}; remove it, and `dynix apply` finds out what is in effect by itself"
    )]
    Malformed {
        /// The state file.
        path: String,
        /// The problem with the file.
        problem: String,
    },
}

/// Only the version of a state file.
#[derive(Deserialize)]
struct Of {
    version: Option<u64>,
}

/// Migrates a state of an earlier version to [`VERSION`]. What is in effect stays in effect: an upgrade touches no
/// unit.
fn migrate(state: &mut Value, from: u64) {
    debug_assert!(from <= VERSION);
    // Version 2 added `trial`, `alarm` and `setback`. Version 3 added `watcher`, `postponed`, and for each service
    // `values`, `since`, `works` and `watch`. A missing key means that there is none.
    state["version"] = VERSION.into();
}

impl State {
    /// Reads the state; a missing file means that nothing is in effect.
    pub fn load(path: &Utf8Path) -> Result<Self, StateError> {
        let Some(bytes) = fs::read_trusted(path, fs::OWN)? else { return Ok(Self::default()) };
        let malformed = |problem: String| StateError::Malformed { path: path.to_string(), problem };
        let Of { version } = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        // The rest of another version's file has an unknown meaning.
        let state = match version {
            Some(VERSION) => serde_json::from_slice(&bytes),
            Some(version) if version > VERSION => {
                return Err(StateError::Newer { path: path.to_string(), version });
            }
            Some(version) => serde_json::from_slice(&bytes).and_then(|mut state| {
                migrate(&mut state, version);
                serde_json::from_value(state)
            }),
            None => return Err(malformed("it has no version".to_owned())),
        };
        state.map_err(|error| malformed(error.to_string()))
    }

    /// Writes the state, whole or not at all.
    pub fn save(&mut self, path: &Utf8Path) -> Result<(), StateError> {
        let log_id = self.log_id;
        self.services.retain(|_, one| {
            !one.in_effect.is_static()
                || !one.pending.is_empty()
                || one.log_id != log_id
                || one.last_failure.is_some()
                || one.watch.is_some()
        });
        let mut text = serde_json::to_vec(self)
            .map_err(|error| StateError::Malformed { path: path.to_string(), problem: error.to_string() })?;
        text.push(b'\n');
        Ok(atomic::write(path, &text, 0o644, Durability::Volatile)?)
    }

    /// The last record that `service` has applied.
    #[must_use]
    pub fn log_id(&self, service: &str) -> u64 {
        self.services.get(service).map_or(self.log_id, |one| one.log_id)
    }

    /// The entry of `service`, to change it.
    pub fn service(&mut self, service: &str) -> &mut ServiceState {
        let log_id = self.log_id;
        self.services.entry(service.to_owned()).or_insert_with(|| ServiceState { log_id, ..ServiceState::default() })
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn file() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("run/state.json")).unwrap();
        (directory, path)
    }

    #[test]
    fn what_is_saved_is_loaded_and_what_is_static_is_left_out() {
        let (_keep, path) = file();
        assert_eq!(State::load(&path).unwrap(), State::default());
        let mut state = State { log_id: 7, ..State::default() };
        state.service("distccd").log_id = 7;
        let harmonia = state.service("harmonia");
        harmonia.in_effect.generation = Some(3);
        harmonia.pending.insert("harmonia.service".to_owned());
        state.save(&path).unwrap();
        assert_eq!(state.services.keys().collect::<Vec<_>>(), ["harmonia"]);
        assert_eq!(State::load(&path).unwrap(), state);
    }

    #[test]
    fn version_2_is_read_with_all_that_it_had() {
        let (_keep, path) = file();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = r#"{"version":2,"logId":7,"services":{"x":{"logId":5,"generation":3,"pending":["x.service"],
            "setback":{"result":"notConfirmed","reason":"not confirmed","time":"2026-11-21T10:00:00Z"}}},
            "trial":{"timer":"dynix-confirm-7","by":"root","end":12.5,"marks":[{"record":6,"mark":7}],
            "back":{"x":{"generation":2}}},
            "alarm":{"name":"dynix-expiry-1","at":"2026-11-21T10:00:00Z","command":["/bin/dynix"]}}"#;
        std::fs::write(&path, text).unwrap();
        let mut state = State::load(&path).unwrap();
        assert_eq!((state.version, state.trial.as_ref().unwrap().end), (VERSION, 12.5));
        assert_eq!(state.services["x"].last_failure.as_ref().unwrap().result, FailureKind::NotConfirmed);
        assert!(state.services["x"].watch.is_none() && !state.services["x"].works && state.watcher.is_none());
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), state);
    }

    #[test]
    fn a_broken_state_is_no_empty_state() {
        let (_keep, path) = file();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        for text in ["", "{", "{}", r#"{"version":1,"logId":0}"#] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(State::load(&path), Err(StateError::Malformed { .. })), "{text}");
        }
        // The other keys of a newer version.
        std::fs::write(&path, format!(r#"{{"version":{},"journal":[]}}"#, VERSION + 1)).unwrap();
        let error = State::load(&path).unwrap_err().to_string();
        assert!(
            error.contains(&format!("has version {}, and this dynix reads versions up to {VERSION}", VERSION + 1)),
            "{error}"
        );
    }
}
