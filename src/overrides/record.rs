//! One record of the log: the meaning of a line.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::attr_path::AttrPath;
use crate::nix::{self, ValueError, write_name, write_string, write_value};

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Greater than that of every record before.
    pub id: u64,
    /// When it was made (RFC 3339); people may leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The user who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What who made it says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its kind, with its content.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kind of a record, with its content.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Values for these paths, each without attribute sets: those were descended into.
    Set(Vec<(AttrPath, Value)>),
    /// The whole value at a path.
    Replace(AttrPath, Value),
    /// The override at a path and those below it no longer hold.
    Unset(AttrPath),
    /// Returns to what held right after this record; 0 for nothing.
    Rollback(u64),
    /// This record does not hold.
    Reject {
        /// The record.
        id: u64,
        /// Why not.
        reason: String,
    },
    /// Something that only the Nix evaluator can read: the record's own text.
    Expression(String),
    /// All that a source says by now.
    Layer(Layer),
}

/// The whole of what a source says: the values that are not in it no longer hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The source's name.
    pub source: String,
    /// What the source calls this state of its values: a commit, for example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its values, each without attribute sets; of no path is another below it.
    pub values: Vec<(AttrPath, Value)>,
}

impl Layer {
    /// A source that says nothing.
    #[must_use]
    pub fn nothing(source: &str) -> Self {
        Self { source: source.to_owned(), revision: None, values: Vec::new() }
    }
}

impl Record {
    /// The paths that it speaks of; none for those that speak of records.
    #[must_use]
    pub fn paths(&self) -> Vec<&AttrPath> {
        match &self.kind {
            Kind::Set(leaves) | Kind::Layer(Layer { values: leaves, .. }) => {
                leaves.iter().map(|(path, _)| path).collect()
            }
            Kind::Replace(path, _) | Kind::Unset(path) => vec![path],
            Kind::Rollback(_) | Kind::Reject { .. } | Kind::Expression(_) => Vec::new(),
        }
    }

    /// Reads a record from its attribute set. `before` is the id of the one before it.
    pub fn from_attributes(mut attributes: Map<String, Value>, before: u64) -> Result<Self, String> {
        let id = match attributes.remove("id") {
            None => before + 1,
            Some(id) => id.as_u64().ok_or_else(|| format!("its id is {id}, expected a number"))?,
        };
        let mut text = |name: &str| match attributes.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("its {name} is {other}, expected a string")),
        };
        let (time, by, until) = (text("time")?, text("by")?, text("until")?);
        let (message, reason) = (text("message")?, text("reason")?);
        let (source, revision) = (text("source")?, text("revision")?);
        let mut kinds = attributes.into_iter();
        let Some((name, value)) = kinds.next() else {
            return Err("it says nothing; expected one of set, replace, unset, rollback or reject".to_owned());
        };
        if let Some((other, _)) = kinds.next() {
            return Err(format!("it has both {name} and {other}"));
        }
        let number = |value: &Value| value.as_u64().ok_or_else(|| format!("its {name} is {value}, expected an id"));
        let kind = match name.as_str() {
            "set" => Kind::Set(leaves(value)?),
            "replace" => replacement(value)?,
            "unset" => Kind::Unset(path(value)?),
            "rollback" => Kind::Rollback(number(&value)?),
            "reject" => Kind::Reject { id: number(&value)?, reason: reason.clone().unwrap_or_default() },
            _ => return Err(format!("unknown word {name}; expected set, replace, unset, rollback or reject")),
        };
        if reason.is_some() && !matches!(kind, Kind::Reject { .. }) {
            return Err("only a reject has a reason".to_owned());
        }
        let kind = match (source, revision, kind) {
            (Some(source), revision, Kind::Set(values)) => Kind::Layer(Layer { source, revision, values }),
            (Some(_), ..) => return Err("only a set has a source".to_owned()),
            (None, Some(_), _) => return Err("only what has a source has a revision".to_owned()),
            (None, None, kind) => kind,
        };
        Ok(Self { id, time, by, until, message, kind })
    }
}

fn leaves(tree: Value) -> Result<Vec<(AttrPath, Value)>, String> {
    let Value::Object(tree) = tree else { return Err(format!("its set is {tree}, expected an attribute set")) };
    let mut leaves = Vec::new();
    descend(tree, &mut Vec::new(), &mut leaves)?;
    Ok(leaves)
}

/// The leaves of a tree.
pub(super) fn descend(
    tree: Map<String, Value>,
    above: &mut Vec<String>,
    leaves: &mut Vec<(AttrPath, Value)>,
) -> Result<(), String> {
    for (name, value) in tree {
        if nix::is_reserved(&name) {
            return Err(reserved(&name));
        }
        above.push(name);
        match value {
            Value::Object(below) => descend(below, above, leaves)?,
            leaf => {
                literal(&leaf)?;
                leaves.push((AttrPath(above.clone()), leaf));
            }
        }
        above.pop();
    }
    Ok(())
}

fn reserved(name: &str) -> String {
    format!("it has an attribute {name}, which gives its set a meaning of its own; give the plain value")
}

/// A set with a reserved name is not what it says.
pub(super) fn literal(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(literal),
        Value::Object(attributes) => attributes
            .iter()
            .try_for_each(|(name, value)| if nix::is_reserved(name) { Err(reserved(name)) } else { literal(value) }),
        _ => Ok(()),
    }
}

fn replacement(value: Value) -> Result<Kind, String> {
    let wrong = "its replace is not { path = [ ... ]; value = ...; }";
    let Value::Object(mut attributes) = value else { return Err(wrong.to_owned()) };
    let (Some(at), Some(value), true) = (attributes.remove("path"), attributes.remove("value"), attributes.is_empty())
    else {
        return Err(wrong.to_owned());
    };
    literal(&value)?;
    Ok(Kind::Replace(path(at)?, value))
}

fn path(value: Value) -> Result<AttrPath, String> {
    let names: Option<Vec<String>> = match value {
        Value::Array(names) => names.into_iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    match names {
        Some(names) if !names.is_empty() => Ok(AttrPath(names)),
        _ => Err("its path is not a list of names".to_owned()),
    }
}

/// A change to record.
#[derive(Clone, Debug, PartialEq)]
pub enum Draft {
    /// A value for a path; not an attribute set.
    Set(AttrPath, Value),
    /// Values for several paths, of which none is below another.
    SetAll(Vec<(AttrPath, Value)>),
    /// The whole value at a path.
    Replace(AttrPath, Value),
    /// A Nix expression for the value at a path, on one line; whether as a whole.
    Expression {
        /// The path.
        path: AttrPath,
        /// Its text.
        text: String,
        /// Whether static attributes show through.
        replace: bool,
    },
    /// The override at a path and those below it no longer hold.
    Unset(AttrPath),
    /// Returns to what held right after this record; 0 for nothing.
    Rollback(u64),
    /// This record does not hold.
    Reject {
        /// The record.
        id: u64,
        /// Why not.
        reason: String,
    },
    /// All that a source says by now.
    Layer(Layer),
}

impl Draft {
    /// One record of these values, of which none is below another; `None` without any.
    #[must_use]
    pub fn of_values(mut values: Vec<(AttrPath, Value)>) -> Option<Self> {
        if values.len() > 1 {
            return Some(Self::SetAll(values));
        }
        values.pop().map(|(path, value)| Self::Set(path, value))
    }

    /// The paths that it is about; none for one that is about records.
    #[must_use]
    pub fn paths(&self) -> Vec<&AttrPath> {
        match self {
            Self::Set(path, _) | Self::Replace(path, _) | Self::Unset(path) | Self::Expression { path, .. } => {
                vec![path]
            }
            Self::SetAll(values) | Self::Layer(Layer { values, .. }) => values.iter().map(|(path, _)| path).collect(),
            Self::Rollback(_) | Self::Reject { .. } => Vec::new(),
        }
    }
}

/// The author and the time of a record, and its end.
#[derive(Clone, Debug)]
pub struct Stamp<'s> {
    /// Now (RFC 3339).
    pub time: &'s str,
    /// The author.
    pub by: &'s str,
    /// The end (RFC 3339).
    pub until: Option<&'s str>,
    /// What the author says about it.
    pub message: Option<&'s str>,
}

/// Writes a record's line, its end included.
pub fn write_line(text: &mut String, id: u64, stamp: &Stamp<'_>, change: &Draft) -> Result<(), ValueError> {
    text.push_str("{ id = ");
    text.push_str(&id.to_string());
    text.push_str("; time = ");
    write_string(text, stamp.time)?;
    text.push_str("; by = ");
    write_string(text, stamp.by)?;
    if let Some(until) = stamp.until {
        text.push_str("; until = ");
        write_string(text, until)?;
    }
    if let Some(message) = stamp.message {
        text.push_str("; message = ");
        write_string(text, message)?;
    }
    text.push_str("; ");
    match change {
        Draft::Set(path, value) => {
            write_set(text, path)?;
            write_value(text, value)?;
        }
        Draft::SetAll(values) => {
            write_tree(text, values)?;
        }
        Draft::Layer(Layer { source, revision, values }) => {
            text.push_str("source = ");
            write_string(text, source)?;
            if let Some(revision) = revision {
                text.push_str("; revision = ");
                write_string(text, revision)?;
            }
            text.push_str("; ");
            write_tree(text, values)?;
        }
        Draft::Expression { path, text: expression, replace: false } => {
            write_set(text, path)?;
            write_expression(text, expression);
        }
        Draft::Replace(path, value) => {
            write_replace(text, path)?;
            write_value(text, value)?;
            text.push_str("; }");
        }
        Draft::Expression { path, text: expression, replace: true } => {
            write_replace(text, path)?;
            write_expression(text, expression);
            text.push_str("; }");
        }
        Draft::Unset(path) => {
            text.push_str("unset = ");
            write_path(text, path)?;
        }
        Draft::Rollback(id) => {
            text.push_str("rollback = ");
            text.push_str(&id.to_string());
        }
        Draft::Reject { id, reason } => {
            text.push_str("reject = ");
            text.push_str(&id.to_string());
            text.push_str("; reason = ");
            write_string(text, reason)?;
        }
    }
    text.push_str("; }\n");
    Ok(())
}

fn write_tree(text: &mut String, values: &[(AttrPath, Value)]) -> Result<(), ValueError> {
    text.push_str("set = {");
    for (path, value) in values {
        text.push(' ');
        write_names(text, path)?;
        text.push_str(" = ");
        write_value(text, value)?;
        text.push(';');
    }
    text.push_str(" }");
    Ok(())
}

fn write_expression(text: &mut String, expression: &str) {
    text.push('(');
    text.push_str(expression);
    text.push(')');
}

fn write_set(text: &mut String, path: &AttrPath) -> Result<(), ValueError> {
    text.push_str("set.");
    write_names(text, path)?;
    text.push_str(" = ");
    Ok(())
}

fn write_names(text: &mut String, path: &AttrPath) -> Result<(), ValueError> {
    for (index, name) in path.0.iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        write_name(text, name)?;
    }
    Ok(())
}

fn write_replace(text: &mut String, path: &AttrPath) -> Result<(), ValueError> {
    text.push_str("replace = { path = ");
    write_path(text, path)?;
    text.push_str("; value = ");
    Ok(())
}

fn write_path(text: &mut String, path: &AttrPath) -> Result<(), ValueError> {
    text.push_str("[ ");
    for name in &path.0 {
        write_string(text, name)?;
        text.push(' ');
    }
    text.push(']');
    Ok(())
}

/// The leaves of a value whose names were checked when it was read.
#[must_use]
pub fn leaves_at(path: AttrPath, value: Value) -> Vec<(AttrPath, Value)> {
    let Value::Object(attributes) = value else { return vec![(path, value)] };
    attributes.into_iter().flat_map(|(name, value)| leaves_at(path.child(&name), value)).collect()
}
