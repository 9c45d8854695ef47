//! Reads JSON from people and programs.

use serde_json::Value;

use super::number;

/// A text that is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableValue {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It has a number that 64 bits don't hold.
    #[error("{0}")]
    Number(String),
}

/// Reads JSON.
pub fn read_json(text: &str) -> Result<Value, UnreadableValue> {
    let value = serde_json::from_str::<Value>(text);
    match number::first_fault(text.as_bytes()) {
        Some(problem) => Err(UnreadableValue::Number(problem)),
        None => value.map_err(|error| UnreadableValue::NotJson(error.to_string())),
    }
}
