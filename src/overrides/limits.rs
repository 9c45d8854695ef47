//! The limits of a record, checked before anything is written.

use serde_json::Value;

use super::hand;
use super::record::{Draft, Layer, Stamp, write_line};
use crate::attr_path::AttrPath;
use crate::nix;

/// Most bytes that a record's line may have.
pub const LINE: usize = 1 << 20;
/// The last id that a record can have: every program that reads JSON can hold it (RFC 8259, 6).
pub const LAST_ID: u64 = (1 << 53) - 1;

/// A change that can't be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrecordable {
    /// Its value can't.
    #[error("{path}: {problem}")]
    Value {
        /// The path of the value.
        path: AttrPath,
        /// Why not.
        problem: String,
    },
    /// A source can't say this.
    #[error("{0}")]
    Layer(String),
    /// Its values contradict each other.
    #[error("{0}")]
    Overlapping(String),
    /// It is too large.
    #[error("the record would have {size} bytes; at most {LINE} are possible")]
    TooLarge {
        /// Its size.
        size: usize,
    },
}

impl Unrecordable {
    /// Why `change` can't be written.
    #[must_use]
    pub fn new(change: &Draft, error: &nix::ValueError) -> Self {
        Self::Value { path: first(change), problem: error.to_string() }
    }
}

/// Checks a change.
pub fn check(change: &Draft) -> Result<(), Unrecordable> {
    if let Draft::SetAll(values) = change {
        unless_overlapping(values).map_err(Unrecordable::Overlapping)?;
    }
    let problem = match change {
        Draft::Set(_, value) => unless_empty(value),
        Draft::SetAll(values) => values.iter().try_for_each(|(_, value)| unless_empty(value)),
        Draft::Layer(layer) => layer_problem(layer),
        Draft::Expression { text, .. } => hand::is_expression(text),
        _ => Ok(()),
    };
    let path = first(change);
    let paths = change.paths();
    let mut text = String::new();
    let stamp = Stamp { time: "", by: "", until: None, message: None };
    problem
        .and_then(|()| paths.into_iter().try_for_each(possible))
        .and_then(|()| write_line(&mut text, 0, &stamp, change).map_err(|error| error.to_string()))
        .and_then(|()| match change {
            // The expression has to be readable again.
            Draft::Expression { .. } => match hand::reserved(&text) {
                Some(name) => Err(nix::ValueError::Reserved(name).to_string()),
                None => hand::record(text.trim_end()).map(drop).map_err(|problem| format!("as a record it {problem}")),
            },
            _ => Ok(()),
        })
        .map_err(|problem| match change {
            Draft::Layer(_) => Unrecordable::Layer(problem),
            _ => Unrecordable::Value { path, problem },
        })?;
    if text.len() > LINE { Err(Unrecordable::TooLarge { size: text.len() }) } else { Ok(()) }
}

/// The path that messages name.
fn first(change: &Draft) -> AttrPath {
    change.paths().first().map(|path| (*path).clone()).unwrap_or_default()
}

fn possible(path: &AttrPath) -> Result<(), String> {
    match path.names().iter().find(|name| nix::is_reserved(name)) {
        Some(name) => Err(nix::ValueError::Reserved(name.clone()).to_string()),
        None if path.names().len() > nix::MAX_DEPTH => Err(nix::ValueError::TooDeep.to_string()),
        None if path.names().is_empty() => Err("an override needs a path".to_owned()),
        None => Ok(()),
    }
}

/// Whether a source can have this name.
pub fn source(name: &str) -> Result<(), String> {
    let is_of_name = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | '.');
    if name.is_empty() || name.len() > SOURCE || !name.chars().all(is_of_name) {
        return Err(format!(
            "{name:?} is no name of a source: 1 to {SOURCE} letters, digits, and the characters - _ ."
        ));
    }
    Ok(())
}

/// The name of a source is one word; a revision is one line.
fn layer_problem(layer: &Layer) -> Result<(), String> {
    source(&layer.source)?;
    let revision = layer.revision.as_deref().unwrap_or("none");
    if revision.is_empty() || revision.len() > REVISION || revision.contains(char::is_control) {
        return Err(format!("{revision:?} is no revision: 1 to {REVISION} bytes without line breaks"));
    }
    if let Some((path, _)) = layer.values.iter().find(|(_, value)| value.is_object()) {
        return Err(format!("{path} is an attribute set; a layer has plain values alone"));
    }
    unless_overlapping(&layer.values)
}

/// Most bytes of a source's name, and of a revision.
const SOURCE: usize = 64;
const REVISION: usize = 256;

/// In one record, a path has one value.
fn unless_overlapping(values: &[(AttrPath, Value)]) -> Result<(), String> {
    let mut paths: Vec<&AttrPath> = values.iter().map(|(path, _)| path).collect();
    paths.sort();
    match paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        Some(pair) if pair[0] == pair[1] => Err(format!("{} is given twice", pair[0])),
        Some(pair) => Err(format!("{} is below {}, which has a value as well; give one of them", pair[1], pair[0])),
        None => Ok(()),
    }
}

/// Most characters of a message.
pub const MESSAGE: usize = 1000;

/// A message as it is recorded, or why it can't be.
pub fn message(text: &str) -> Result<&str, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("the message is empty".to_owned()),
        length if length > MESSAGE => {
            Err(format!("the message has {length} characters; at most {MESSAGE} are possible"))
        }
        _ if text.contains(|ch: char| ch.is_control()) => {
            Err("the message has a line break or another control character; it is one line of text".to_owned())
        }
        _ => Ok(text),
    }
}

fn unless_empty(value: &Value) -> Result<(), String> {
    match value {
        Value::Object(attributes) if attributes.is_empty() => {
            Err("{ } sets nothing; to have nothing but an empty set there, use --replace".to_owned())
        }
        Value::Object(attributes) => attributes.values().try_for_each(unless_empty),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nix_can_not_say_is_refused() {
        let path = AttrPath(vec!["a".to_owned()]);
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        let empty = "{ } sets nothing; to have nothing but an empty set there, use --replace";
        for (value, problem) in [
            (json!({}), empty),
            (json!({"b": {}}), empty),
            (
                json!(u64::MAX),
                "18446744073709551615 is not a Nix integer: only -9223372036854775808 to 9223372036854775807 are",
            ),
            (json!(["a\0"]), "a string holds the character NUL, which Nix strings can't"),
            (deep, "it nests deeper than 128 levels"),
        ] {
            let refused = check(&Draft::Set(path.clone(), value)).unwrap_err();
            assert_eq!(refused, Unrecordable::Value { path: path.clone(), problem: problem.to_owned() });
        }
        assert!(check(&Draft::Replace(path.clone(), json!({"_type": "if"}))).is_err());
        assert!(check(&Draft::Unset(AttrPath(vec!["_type".to_owned()]))).is_err());
        for names in [0, nix::MAX_DEPTH + 1] {
            assert!(check(&Draft::Unset(AttrPath(vec!["a".to_owned(); names]))).is_err());
        }
        assert_eq!(check(&Draft::Replace(path.clone(), json!({}))), Ok(()));
        let large = check(&Draft::Replace(path, json!("x".repeat(LINE))));
        assert!(matches!(large, Err(Unrecordable::TooLarge { .. })), "{large:?}");
    }
}
