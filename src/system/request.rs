//! The requests, as data: the command line and the daemon's socket use the same.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use super::record::elements::ListEdit;

/// One request that changes something.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// See [`Append`].
    Append(Append),
    /// See [`Set`].
    Set(Set),
    /// See [`SetLayer`].
    SetLayer(SetLayer),
    /// See [`Unset`].
    Unset(Unset),
    /// See [`Rollback`].
    Rollback(Rollback),
    /// See [`Undo`].
    Undo(Undo),
    /// See [`Redo`].
    Redo(Redo),
    /// See [`Reject`].
    Reject(Reject),
    /// See [`Prune`].
    Prune(Prune),
    /// See [`Reset`].
    Reset(Reset),
    /// See [`Apply`].
    Apply(Apply),
    /// See [`Confirm`].
    Confirm(Confirm),
}

impl Request {
    /// What the user says about it.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Append(one) => one.message.as_deref(),
            Self::Set(one) => one.message.as_deref(),
            Self::SetLayer(one) => one.message.as_deref(),
            Self::Unset(one) => one.message.as_deref(),
            Self::Rollback(one) => one.message.as_deref(),
            Self::Undo(one) => one.message.as_deref(),
            Self::Redo(one) => one.message.as_deref(),
            Self::Prune(one) => one.message.as_deref(),
            Self::Reset(one) => one.message.as_deref(),
            // It is the reason.
            Self::Reject(_) | Self::Apply(_) | Self::Confirm(_) => None,
        }
    }
}

/// How long a command waits for the verdict on the units that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until they are not watched any more.
    ToTheEnd,
    /// For so long.
    For(Duration),
}

/// A new value for an option: one of `text`, `value`, `expression` and `secret_file`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Append {
    /// The option, and names below it.
    pub path: String,
    /// The value as a person writes it: read by the option's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The value as it is. A null value differs from a missing one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// A Nix expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The file that has the value of an option that is marked as secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<Utf8PathBuf>,
    /// Whether the value is an element that is added to the list at the path, or removed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListEdit>,
    /// Whether nothing is left of the built value's attributes.
    #[serde(default)]
    pub replace: bool,
    /// How long it holds.
    #[serde(default, rename = "durationUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Whether Nix may build and download what it needs. Only the user who runs dynix directly may allow it.
    #[serde(skip)]
    pub build: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl From<Append> for Set {
    fn from(append: Append) -> Self {
        let Append { path, text, value, expression, secret_file, list, replace, .. } = append;
        let change = Assignment { path, text, value, expression, secret_file, list, replace, unset: false };
        let Append { duration, apply, build, confirm, message, .. } = append;
        Self { changes: vec![change], duration, apply, build, confirm, message }
    }
}

/// New values for options, in one record: all of them hold, or none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Set {
    /// The values.
    pub changes: Vec<Assignment>,
    /// How long they hold.
    #[serde(default, rename = "durationUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// Whether they are applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Whether Nix may build and download what it needs. Only the user who runs dynix directly may allow it.
    #[serde(skip)]
    pub build: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One value of several: one of `text`, `value`, `expression`, `secret_file` and `unset`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assignment {
    /// The option, and names below it.
    pub path: String,
    /// The value as a person writes it: read by the option's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The value as it is. A null value differs from a missing one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// A Nix expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The file that has the value of an option that is marked as secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<Utf8PathBuf>,
    /// Whether the value is an element that is added to the list at the path, or removed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListEdit>,
    /// Whether nothing is left of the built value's attributes.
    #[serde(default)]
    pub replace: bool,
    /// Whether the override at the path no longer holds, instead of a new value.
    #[serde(default)]
    pub unset: bool,
}

/// All that a source says by now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetLayer {
    /// The source.
    pub source: String,
    /// What the source calls this state of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The values, as a tree of attributes.
    pub values: Map<String, Value>,
    /// Who says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What that user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
}

/// An override no longer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unset {
    /// The path of the option, or of a part of it.
    pub path: String,
    /// Whether the override before it holds again, if there was one.
    #[serde(default)]
    pub previous: bool,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Back to what held after an earlier record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// The id of the record; without it, the one before the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One record no longer counts; later ones do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Undo {
    /// The id of the record; without it, the last one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One record that was taken back counts again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redo {
    /// The id of the record; without it, the one that was taken back last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One record no longer counts, for a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reject {
    /// The id of the record.
    pub id: u64,
    /// Whether it is applied at once.
    #[serde(default)]
    pub apply: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// The reason.
    pub message: String,
}

/// Overrides that say what is built no longer hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prune {
    /// Only these services; all if empty.
    #[serde(default)]
    pub services: Vec<String>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Back to what was built, and applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reset {
    /// Only these services; all if empty.
    #[serde(default)]
    pub services: Vec<String>,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
    /// What the user says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A request to put the records into effect.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apply {
    /// Only these services; all if empty.
    #[serde(default)]
    pub services: Vec<String>,
    /// Only overrides that have expired. Only a timer asks for it.
    #[serde(skip)]
    pub expired: bool,
    /// Another try of changes that failed because of the machine. Only a timer asks for it.
    #[serde(skip)]
    pub retry: bool,
    /// Only what was postponed at the boot. Only the system asks for it.
    #[serde(skip)]
    pub after_boot: bool,
    /// The services' units start only after it. Only systemd asks for it.
    #[serde(skip)]
    pub before_units: bool,
    /// Whether Nix may build and download what it needs. Only the user who runs dynix directly may allow it.
    #[serde(skip)]
    pub build: bool,
    /// Goes back after this time unless it is confirmed.
    #[serde(default, rename = "confirmUSec", with = "microseconds", skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Duration>,
}

/// A request to keep the trial, or to roll it back at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirm {
    /// Whether the trial rolls back.
    #[serde(default)]
    pub revert: bool,
    /// Only if the trial has this timer. Only a timer asks for it.
    #[serde(skip)]
    pub of: Option<String>,
}

/// A value that is there, as null may be.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Durations as Varlink interfaces of systemd have them.
mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option)] // serde gives the field as it is
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|one| u64::try_from(one.as_micros()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_value() {
        let read = |text| serde_json::from_str::<Append>(text).unwrap();
        assert_eq!(read(r#"{"path":"a","value":null}"#).value, Some(Value::Null));
        assert_eq!(read(r#"{"path":"a"}"#).value, None);
        let lasting = read(r#"{"path":"a","durationUSec":1500000,"confirmUSec":null}"#);
        assert_eq!((lasting.duration, lasting.confirm), (Some(Duration::from_millis(1500)), None));
        let written = serde_json::to_value(&lasting).unwrap();
        assert_eq!(written, serde_json::json!({"path":"a","replace":false,"durationUSec":1_500_000,"apply":false}));
    }
}
