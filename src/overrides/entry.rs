//! One record as it is read: names and strings are borrowed from the log's text if they need no unescaping.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::record::{Draft, Kind, Layer, Record, leaves_at};
use crate::attr_path::AttrPath;
use crate::nix;

/// A path of names.
pub(super) type Names<'a> = Vec<Cow<'a, str>>;

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    /// Its id, if it says one.
    pub id: Option<u64>,
    /// RFC 3339, as is `until`; the reader has checked both.
    pub time: Option<Cow<'a, str>>,
    pub by: Option<Cow<'a, str>>,
    pub until: Option<Cow<'a, str>>,
    pub message: Option<Cow<'a, str>>,
    pub operation: Operation<'a>,
}

/// The effect of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation<'a> {
    /// Sets the leaves of `value` at `path`, which may be empty: then `value` is the whole tree.
    Set {
        path: Names<'a>,
        value: Value,
    },
    Replace {
        path: Names<'a>,
        value: Value,
    },
    /// By far the most there are: one leaf, at a path of names without quotes, as it is written (`a.b.c`).
    Leaf {
        path: &'a str,
        value: Value,
    },
    Unset(Names<'a>),
    Rollback(u64),
    Reject {
        id: u64,
        reason: Option<Cow<'a, str>>,
    },
    /// A `set` or `replace` whose value only the evaluator knows: the text of the whole record.
    Expression(String),
    /// The whole of what a source says: a tree of values.
    Layer {
        source: Cow<'a, str>,
        revision: Option<Cow<'a, str>>,
        value: Value,
    },
}

impl<'a> Operation<'a> {
    /// The operation of a record that names a source, or the problem with that.
    pub fn with_source(
        self,
        source: Option<Cow<'a, str>>,
        revision: Option<Cow<'a, str>>,
    ) -> Result<Self, &'static str> {
        match (source, revision, self) {
            (None, None, operation) => Ok(operation),
            (None, Some(_), _) => Err("has a revision, which belongs to a `source`"),
            (Some(source), revision, Self::Set { path, value }) => {
                let value = path
                    .into_iter()
                    .rev()
                    .fold(value, |value, name| Value::Object(Map::from_iter([(name.into_owned(), value)])));
                Ok(Self::Layer { source, revision, value })
            }
            (Some(source), revision, Self::Leaf { path, value }) => {
                Self::Set { path: plain_names(path), value }.with_source(Some(source), revision)
            }
            (Some(_), _, Self::Expression(_)) => Err("has a `source` and computes its values, which have to be plain"),
            (Some(_), ..) => Err("has a `source`, which belongs to a `set`"),
        }
    }
}

impl Entry<'_> {
    /// The record, for people.
    pub fn into_record(self, id: u64) -> Record {
        let kind = match self.operation {
            Operation::Set { path, value } => Kind::Set(leaves_at(attr_path(path), value)),
            Operation::Leaf { path, value } => Kind::Set(vec![(attr_path(plain_names(path)), value)]),
            Operation::Replace { path, value } => Kind::Replace(attr_path(path), value),
            Operation::Unset(path) => Kind::Unset(attr_path(path)),
            Operation::Rollback(to) => Kind::Rollback(to),
            Operation::Reject { id, reason } => {
                Kind::Reject { id, reason: reason.map(Cow::into_owned).unwrap_or_default() }
            }
            Operation::Expression(text) => Kind::Expression(text),
            Operation::Layer { source, revision, value } => Kind::Layer(Layer {
                source: source.into_owned(),
                revision: revision.map(Cow::into_owned),
                values: leaves_at(AttrPath::default(), value),
            }),
        };
        let marks = [self.time, self.by, self.until, self.message];
        let [time, by, until, message] = marks.map(|mark| mark.map(Cow::into_owned));
        Record { id, time, by, until, message, kind }
    }
}

impl Entry<'static> {
    /// The entry that a reader gets after `change`, which has been checked, is recorded.
    pub fn from_draft(change: &Draft) -> Self {
        let operation = match change {
            Draft::Set(path, value) => Operation::Set { path: names(path), value: nix::normalized(value.clone()) },
            Draft::SetAll(values) => Operation::Set { path: Vec::new(), value: nix::normalized(tree(values)) },
            Draft::Replace(path, value) => {
                Operation::Replace { path: names(path), value: nix::normalized(value.clone()) }
            }
            Draft::Unset(path) => Operation::Unset(names(path)),
            Draft::Layer(Layer { source, revision, values }) => Operation::Layer {
                source: source.clone().into(),
                revision: revision.clone().map(Cow::Owned),
                value: nix::normalized(tree(values)),
            },
            Draft::Rollback(to) => Operation::Rollback(*to),
            Draft::Reject { id, reason } => Operation::Reject { id: *id, reason: Some(reason.clone().into()) },
            Draft::Expression { path, text, replace: false } => {
                Operation::Expression(format!("{{ set.{path} = ({text}); }}"))
            }
            Draft::Expression { path, text, replace: true } => {
                let names: Vec<String> = path.0.iter().map(|name| nix::quoted(name)).collect();
                Operation::Expression(format!(
                    "{{ replace = {{ path = [ {} ]; value = ({text}); }}; }}",
                    names.join(" ")
                ))
            }
        };
        Self { id: None, time: None, by: None, until: None, message: None, operation }
    }
}

/// The set that has each value at its path.
#[must_use]
pub fn tree(values: &[(AttrPath, Value)]) -> Value {
    let mut tree = Map::new();
    for (path, value) in values {
        put(&mut tree, path.names(), value);
    }
    Value::Object(tree)
}

fn put(tree: &mut Map<String, Value>, names: &[String], value: &Value) {
    match names {
        [] => {}
        [last] => drop(tree.insert(last.clone(), value.clone())),
        [first, rest @ ..] => {
            let below = tree.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                put(below, rest, value);
            }
        }
    }
}

/// The names as a path.
pub(super) fn attr_path(names: Names<'_>) -> AttrPath {
    AttrPath(names.into_iter().map(Cow::into_owned).collect())
}

/// The names of a path that needs no quotes.
pub(super) fn plain_names(path: &str) -> Names<'_> {
    path.split('.').map(Cow::Borrowed).collect()
}

fn names(path: &AttrPath) -> Names<'static> {
    path.0.iter().cloned().map(Cow::Owned).collect()
}
