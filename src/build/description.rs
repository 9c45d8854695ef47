//! Reads the description: strictly, so that a misspelt key is an error with its place and not a default.
//!
//! Takes the text, gives the plan without what `generate` adds, or every key that is unknown, missing or of the wrong
//! kind. What is a key is said once, in `docs/description.schema.json`, which editors and other programs read as well.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::json;
use super::problem::{Place, Problem, Problems};
use crate::plan::{Plan, VERSION};
use crate::types::describe;

/// JSON Schema of the description.
pub const SCHEMA: &str = include_str!("../../docs/description.schema.json");

/// Reads a description.
pub fn read(text: &str) -> Result<Plan, Vec<Problem>> {
    let value = json::read(text)?;
    let top = Place::top();
    let mut problems = Problems::default();
    // Of a description of another version, nothing else can be said.
    match value.get("version") {
        Some(version) if *version != VERSION => {
            problems.add(&top.key("version"), format!("it is {version}, and this dynix reads version {VERSION}"));
            return problems.or(()).and_then(|()| typed(value));
        }
        _ => {}
    }
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    match jsonschema::draft202012::new(&schema) {
        Err(error) => problems.add(&top, format!("its schema is broken: {error}")),
        Ok(validator) => {
            for error in validator.iter_errors(&value) {
                explain(&error, &schema, &value, &mut problems);
            }
        }
    }
    problems.or(value).and_then(typed)
}

/// The schema and the types of [`crate::plan`] say the same (tests/suite/description.rs), so this fails for nothing
/// that the schema took.
fn typed(value: Value) -> Result<Plan, Vec<Problem>> {
    serde_json::from_value(value).map_err(|error| vec![Problem { place: Place::top(), problem: error.to_string() }])
}

/// Says what the validator found in the words of someone who writes a description.
fn explain(error: &ValidationError<'_>, schema: &Value, document: &Value, problems: &mut Problems) {
    let place = place(error.instance_path().as_str(), document);
    let keyword = error.schema_path().as_str();
    let holder = keyword.rsplit_once('/').and_then(|(holder, _)| schema.pointer(holder));
    let keys: Vec<&str> = holder
        .and_then(|holder| holder["properties"].as_object())
        .into_iter()
        .flat_map(|keys| keys.keys())
        .map(String::as_str)
        .collect();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                problems.add(&place.key(key), format!("unknown key; {}", known(key, &keys)));
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            problems.add(&place.key(key), "it is missing");
        }
        ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } if !keys.is_empty() => {
            problems.add(&place, format!("it has to have exactly one of the keys {}", keys.join(", ")));
        }
        ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MinItems { .. } => {
            problems.add(&place, "it is empty");
        }
        ValidationErrorKind::AnyOf { context } => {
            // Null or an object: what is wrong with the object is what its writer wants to know.
            let not_null = context.iter().filter(|errors| !errors.iter().any(is_null_wanted));
            for error in not_null.flatten() {
                explain(error, schema, document, problems);
            }
        }
        ValidationErrorKind::Type { .. } => {
            let allowed = holder.map_or_else(String::new, describe);
            problems.add(&place, format!("it is {}, expected {allowed}", kind(error.instance())));
        }
        _ => problems.add(&place, format!("{} is refused: {}", error.instance(), error.masked_with("it"))),
    }
}

fn is_null_wanted(error: &ValidationError<'_>) -> bool {
    use jsonschema::JsonType;
    matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) })
}

fn known(key: &str, keys: &[&str]) -> String {
    let nearest = keys
        .iter()
        .copied()
        .max_by(|one, other| strsim::jaro_winkler(one, key).total_cmp(&strsim::jaro_winkler(other, key)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(nearest, key) > 0.8 => format!("did you mean {nearest}?"),
        _ => format!("the keys here are {}", keys.join(", ")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The place that a JSON pointer (RFC 6901) names in `document`.
fn place(pointer: &str, document: &Value) -> Place {
    let mut place = Place::top();
    let mut value = document;
    for step in pointer.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        let index = name.parse().ok().filter(|_| value.is_array());
        let below = if let Some(index) = index {
            place = place.element(index);
            value.get(index)
        } else {
            place = place.key(&name);
            value.get(&name)
        };
        value = below.unwrap_or(&Value::Null);
    }
    place
}
