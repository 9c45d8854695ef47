//! Values from the command line, read by the option's type.

use serde_json::Value;

use super::Part;

/// A text that is no value of the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableValue {
    /// `--json` was asked for.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// Neither as JSON nor as a string.
    #[error("expected {allowed}")]
    WrongType {
        /// As a noun phrase.
        allowed: String,
    },
}

/// Reads JSON.
pub fn read_json(text: &str) -> Result<Value, UnreadableValue> {
    serde_json::from_str::<Value>(text).map_err(|error| UnreadableValue::NotJson(error.to_string()))
}

/// Reads `text` by what the type says of the place it is for; `built` is what the build has there.
pub fn read(part: &Part<'_>, text: &str, built: Option<&Value>) -> Result<Value, UnreadableValue> {
    // Who writes null means it.
    let string = (text != "null" || part.describe() == "string").then(|| Value::String(text.to_owned()));
    let mut candidates = [read_json(text).ok(), string].into_iter().flatten();
    let allowed = || UnreadableValue::WrongType { allowed: part.describe() };
    candidates.find(|value| part.takes(value, built)).ok_or_else(allowed)
}
