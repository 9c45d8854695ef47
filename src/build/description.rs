//! Reads the description strictly: a misspelt key is an error with its place, not a default.
//!
//! Takes the text; gives the plan without what `generate` adds, or every key that is unknown, missing or of the wrong
//! kind. `docs/description.schema.json` is the one definition of the keys. Editors and other programs read it as well.

use serde_json::Value;

use super::json;
use super::problem::{Place, Problem, Problems};
use crate::plan::documentation::Documentation;
use crate::plan::{Plan, VERSION};
use crate::types::{Fault, Mismatch, compile};

/// JSON Schema of the description.
pub const SCHEMA: &str = include_str!("../../docs/description.schema.json");

/// The key of what is for people alone.
const DOCUMENTATION: &str = "documentation";

/// Reads a description.
pub fn read(text: &str) -> Result<Plan, Vec<Problem>> {
    let value = json::read(text)?;
    let top = Place::top();
    let mut problems = Problems::default();
    // A description of another version can't be checked further.
    match value.get("version") {
        Some(version) if *version != VERSION => {
            problems.add(&top.key("version"), format!("it is {version}, and this dynix reads version {VERSION}"));
            return problems.or(()).and_then(|()| typed(value));
        }
        _ => {}
    }
    match compile(&serde_json::from_str(SCHEMA).unwrap_or_default()) {
        Err(error) => problems.add(&top, format!("its schema is broken: {error}")),
        Ok(kind) => {
            for mismatch in kind.mismatches(&value, None) {
                explain(&mismatch, &value, &mut problems);
            }
        }
    }
    problems.or(value).and_then(typed)
}

/// What the description says of options to people, which the plan does not have: of a text that [`read`] accepts.
#[must_use]
pub fn documentation(text: &str) -> Documentation {
    let value: Option<Value> = serde_json::from_str(text).ok();
    value.and_then(|mut value| serde_json::from_value(value.get_mut(DOCUMENTATION)?.take()).ok()).unwrap_or_default()
}

/// The schema and the types of [`crate::plan`] agree (tests/suite/description.rs), so this fails for nothing that the
/// schema accepted.
fn typed(mut value: Value) -> Result<Plan, Vec<Problem>> {
    if let Some(keys) = value.as_object_mut() {
        keys.remove(DOCUMENTATION);
    }
    serde_json::from_value(value).map_err(|error| vec![Problem { place: Place::top(), problem: error.to_string() }])
}

/// Explains a mismatch to the author of a description.
fn explain(mismatch: &Mismatch, document: &Value, problems: &mut Problems) {
    let Mismatch { path, given, fault, allowed } = mismatch;
    let place = place(path.names(), document);
    match fault {
        Fault::NoSuchName(keys) => {
            let key = path.names().last().map_or("", String::as_str);
            problems.add(&place, format!("unknown key; {}", known(key, keys)));
        }
        Fault::Lacks(keys) => keys.iter().for_each(|key| problems.add(&place.key(key), "it is missing")),
        Fault::Count(_, keys) if !keys.is_empty() => {
            problems.add(&place, format!("it has to have exactly one of the keys {}", keys.join(", ")));
        }
        Fault::Count(..) => problems.add(&place, "it is empty"),
        Fault::Kind(_) | Fault::NoneOf if kind(given) != allowed => {
            problems.add(&place, format!("it is {}, expected {allowed}", kind(given)));
        }
        fault => problems.add(&place, format!("{given} is refused: {fault}; expected {allowed}")),
    }
}

fn known(key: &str, keys: &[String]) -> String {
    let nearest =
        keys.iter().max_by(|one, other| strsim::jaro_winkler(one, key).total_cmp(&strsim::jaro_winkler(other, key)));
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

/// The place in `document` that names and indexes lead to.
fn place(steps: &[String], document: &Value) -> Place {
    let mut place = Place::top();
    let mut value = document;
    for step in steps {
        let index = step.parse().ok().filter(|_| value.is_array());
        let below = if let Some(index) = index {
            place = place.element(index);
            value.get(index)
        } else {
            place = place.key(step);
            value.get(step)
        };
        value = below.unwrap_or(&Value::Null);
    }
    place
}
