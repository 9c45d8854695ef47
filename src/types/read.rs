//! Values from the command line, read by the option's type.

use serde_json::Value;

use super::{Subschemas, Type, describe};

/// How VALUE is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAs {
    /// By the option's type; where that is open, as JSON if it parses, else as a string.
    Type,
    /// As a string.
    String,
    /// As JSON.
    Json,
}

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

/// Reads `text` by what the type says of the place it is for.
pub fn read(places: &Subschemas<'_>, text: &str, read_as: ReadAs) -> Result<Value, UnreadableValue> {
    let json = || serde_json::from_str::<Value>(text);
    let string = || Value::String(text.to_owned());
    match read_as {
        ReadAs::String => Ok(string()),
        ReadAs::Json => json().map_err(|error| UnreadableValue::NotJson(error.to_string())),
        ReadAs::Type => {
            let candidates = [json().ok(), Some(string())].into_iter().flatten();
            let Subschemas::Any(schemas) = places else {
                return Ok(json().unwrap_or_else(|_| string()));
            };
            let types: Vec<Type<'_>> = schemas.iter().filter_map(|schema| Type::new(schema).ok()).collect();
            // A part that can't be compiled by itself (it refers to its whole) decides nothing here.
            if types.len() < schemas.len() {
                return Ok(json().unwrap_or_else(|_| string()));
            }
            candidates
                .into_iter()
                .find(|value| types.iter().any(|one| one.mismatches(value).is_empty()))
                .ok_or_else(|| UnreadableValue::WrongType { allowed: allowed(schemas) })
        }
    }
}

fn allowed(schemas: &[&Value]) -> String {
    let phrases: Vec<String> = schemas.iter().map(|schema| describe(schema)).collect();
    phrases.join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn by(schema: &Value, text: &str) -> Result<Value, UnreadableValue> {
        read(&Subschemas::Any(vec![schema]), text, ReadAs::Type)
    }

    #[test]
    fn the_type_decides_between_a_number_and_a_string() {
        assert_eq!(by(&json!({"type": "string"}), "20"), Ok(json!("20")));
        assert_eq!(by(&json!({"type": "integer"}), "20"), Ok(json!(20)));
        assert_eq!(by(&json!({"enum": ["true", "false"]}), "true"), Ok(json!("true")));
        assert_eq!(by(&json!({"type": ["string", "null"]}), "null"), Ok(json!(null)));
    }

    #[test]
    fn an_open_place_takes_json_else_a_string() {
        assert_eq!(read(&Subschemas::Open, "20", ReadAs::Type), Ok(json!(20)));
        assert_eq!(read(&Subschemas::Open, "yay!", ReadAs::Type), Ok(json!("yay!")));
        assert_eq!(read(&Subschemas::Open, "[1", ReadAs::Type), Ok(json!("[1")));
        assert_eq!(read(&Subschemas::Open, "20", ReadAs::String), Ok(json!("20")));
        assert!(read(&Subschemas::Open, "yay!", ReadAs::Json).is_err());
    }

    #[test]
    fn a_value_of_no_type_says_what_is_allowed() {
        assert_eq!(
            by(&json!({"type": "integer", "minimum": 1}), "many").unwrap_err().to_string(),
            "expected integer of at least 1"
        );
    }
}
