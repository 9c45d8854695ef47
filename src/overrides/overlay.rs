//! The overrides in effect, as a tree: the fold of the records, which is merged with the static values.
//!
//! Pure. The semantics are those of the module system with each override at a priority below every other.
//! `tests/fixtures/overrides/fold.json` has examples that the module system computed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::record::{Kind, Record};
use crate::attr_path::{self, AttrPath};

/// A tree of overrides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay {
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Node {
    /// Overrides below.
    Branch(BTreeMap<String, Node>),
    /// An override. One that is an attribute set was made by `replace`: nothing static shows through.
    Value(Value, u64),
}

/// One override.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Override<'o> {
    /// Its value; an attribute set replaces the whole static one.
    pub value: &'o Value,
    /// The record that set it last.
    pub id: u64,
}

/// An override below a static value that is no attribute set. The module system refuses it as well: a definition that
/// is a set and one that is not can't be merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{path} is {given} in the built configuration, which has nothing below it: give {path} as a whole, with --replace where it becomes an attribute set"
)]
pub struct Conflict {
    /// The path of the static value.
    pub path: AttrPath,
    /// The static value.
    pub given: Value,
}

impl Default for Overlay {
    fn default() -> Self {
        Self { root: Node::Branch(BTreeMap::new()) }
    }
}

impl Overlay {
    /// Folds one record in. Rollbacks and rejections only say which records count, so they do not come here.
    pub fn fold(&mut self, record: &Record) {
        match &record.kind {
            Kind::Set(leaves) => {
                for (path, value) in leaves {
                    self.put(&path.0, value.clone(), record.id);
                }
            }
            Kind::Replace(path, value) => self.put(&path.0, value.clone(), record.id),
            Kind::Unset(path) => self.unset(path),
            // A layer is no part of the host's own overrides.
            Kind::Rollback(_) | Kind::Reject { .. } | Kind::Expression(_) | Kind::Layer(_) => {}
        }
    }

    /// Puts all overrides of another tree on top of these.
    pub fn cover(&mut self, top: &Self) {
        for (path, one) in top.leaves() {
            self.put(&path.0, one.value.clone(), one.id);
        }
    }

    /// The override at just this path.
    #[must_use]
    pub fn at(&self, path: &AttrPath) -> Option<Override<'_>> {
        let mut node = &self.root;
        for name in path.names() {
            let Node::Branch(below) = node else { return None };
            node = below.get(name)?;
        }
        match node {
            Node::Value(value, id) => Some(Override { value, id: *id }),
            Node::Branch(_) => None,
        }
    }

    /// Overrides `path` with `value`. It removes the overrides at `path`, below it, and a scalar above it.
    pub fn put<S: AsRef<str>>(&mut self, path: &[S], value: Value, id: u64) {
        put_at(&mut self.root, path, value, id);
    }

    /// Drops the override at `path`, those below it, and that key of a replaced attribute set.
    pub fn unset(&mut self, path: &AttrPath) {
        if path.0.is_empty() || drop_at(&mut self.root, &path.0) {
            self.root = Node::Branch(BTreeMap::new());
        }
    }

    /// Whether nothing is overridden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.root, Node::Branch(below) if below.is_empty())
    }

    /// All overrides in the order of their paths.
    #[must_use]
    pub fn leaves(&self) -> Vec<(AttrPath, Override<'_>)> {
        let mut leaves = Vec::new();
        collect(&self.root, &mut Vec::new(), &mut leaves);
        leaves
    }

    /// The overrides at and below `path`, as a tree of their own.
    #[must_use]
    pub fn below(&self, path: &AttrPath) -> Self {
        let mut node = &self.root;
        for (index, name) in path.0.iter().enumerate() {
            match node {
                Node::Branch(below) => match below.get(name) {
                    Some(next) => node = next,
                    None => return Self::default(),
                },
                Node::Value(value, id) => {
                    let rest = attr_path::within(&path.0[index..], value);
                    return rest.map_or_else(Self::default, |value| Self { root: Node::Value(value.clone(), *id) });
                }
            }
        }
        Self { root: node.clone() }
    }

    /// The static value with the overrides merged in.
    pub fn effective(&self, static_value: &Value) -> Result<Value, Conflict> {
        if self.is_empty() {
            return Ok(static_value.clone());
        }
        let mut merged = static_value.clone();
        merge(&self.root, Some(&mut merged), &mut Vec::new()).map(|value| value.unwrap_or(merged))
    }
}

fn put_at<S: AsRef<str>>(node: &mut Node, path: &[S], value: Value, id: u64) {
    let Some((first, rest)) = path.split_first() else {
        *node = Node::Value(value, id);
        return;
    };
    match node {
        Node::Value(Value::Object(attributes), last) => {
            *last = id;
            put_in(attributes, path, value);
            return;
        }
        Node::Value(..) => *node = Node::Branch(BTreeMap::new()),
        Node::Branch(below) => {
            // The name is copied only if it is new.
            if let Some(next) = below.get_mut(first.as_ref()) {
                return put_at(next, rest, value, id);
            }
        }
    }
    if let Node::Branch(below) = node {
        let next = below.entry(first.as_ref().to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
        put_at(next, rest, value, id);
    }
}

fn put_in<S: AsRef<str>>(attributes: &mut Map<String, Value>, path: &[S], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        attributes.insert(first.as_ref().to_owned(), value);
        return;
    }
    let next = attributes.entry(first.as_ref()).or_insert_with(|| Value::Object(Map::new()));
    if !next.is_object() {
        *next = Value::Object(Map::new());
    }
    if let Value::Object(below) = next {
        put_in(below, rest, value);
    }
}

/// Drops what is at `path` below `node`; `true` when that leaves `node` with nothing in it.
fn drop_at(node: &mut Node, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match node {
        Node::Branch(below) => {
            if let Entry::Occupied(mut next) = below.entry(first.clone())
                && drop_at(next.get_mut(), rest)
            {
                next.remove();
            }
            below.is_empty()
        }
        Node::Value(value, _) => {
            if let Some((last, above)) = path.split_last()
                && let Some(Value::Object(attributes)) =
                    above.iter().try_fold(value, |value, name| value.get_mut(name.as_str()))
            {
                attributes.remove(last);
            }
            false
        }
    }
}

fn collect<'o>(node: &'o Node, path: &mut Vec<String>, leaves: &mut Vec<(AttrPath, Override<'o>)>) {
    match node {
        Node::Branch(below) => {
            for (name, node) in below {
                path.push(name.clone());
                collect(node, path, leaves);
                path.pop();
            }
        }
        Node::Value(value, id) => leaves.push((AttrPath(path.clone()), Override { value, id: *id })),
    }
}

/// Merges `node` into `value` if there is one; gives the value if there was none or all of it is overridden.
fn merge(node: &Node, value: Option<&mut Value>, path: &mut Vec<String>) -> Result<Option<Value>, Conflict> {
    let below = match node {
        Node::Value(value, _) => return Ok(Some(value.clone())),
        Node::Branch(below) => below,
    };
    match value {
        None => {
            let mut attributes = Map::new();
            merge_below(below, &mut attributes, path)?;
            Ok(Some(Value::Object(attributes)))
        }
        Some(Value::Object(attributes)) => {
            merge_below(below, attributes, path)?;
            Ok(None)
        }
        Some(other) => Err(Conflict { path: AttrPath(path.clone()), given: other.clone() }),
    }
}

fn merge_below(
    below: &BTreeMap<String, Node>,
    attributes: &mut Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), Conflict> {
    for (name, node) in below {
        path.push(name.clone());
        if let Some(value) = merge(node, attributes.get_mut(name), path)? {
            attributes.insert(name.clone(), value);
        }
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> AttrPath {
        AttrPath::parse(text).unwrap()
    }

    #[test]
    fn the_last_record_wins_leaf_by_leaf() {
        let mut overlay = Overlay::default();
        overlay.put(&["a", "b"], json!(1), 1);
        overlay.put(&["a", "c"], json!(2), 2);
        overlay.put(&["a", "b", "d"], json!(3), 3);
        assert_eq!(overlay.effective(&json!({"x": 0})), Ok(json!({"a": {"b": {"d": 3}, "c": 2}, "x": 0})));
        overlay.put(&["a"], json!(null), 4);
        let leaves = overlay.leaves();
        assert_eq!(leaves, vec![(path("a"), Override { value: &json!(null), id: 4 })]);
    }

    #[test]
    fn a_replaced_set_is_edited_in_place() {
        let mut overlay = Overlay::default();
        overlay.put(&["a"], json!({"b": 1, "c": {"d": 2}}), 1);
        overlay.put(&["a", "c", "e"], json!(3), 2);
        overlay.unset(&path("a.b"));
        assert_eq!(overlay.effective(&json!({"a": {"z": 0}})), Ok(json!({"a": {"c": {"d": 2, "e": 3}}})));
        assert_eq!(overlay.below(&path("a.c")).effective(&json!(null)), Ok(json!({"d": 2, "e": 3})));
        overlay.unset(&path("a"));
        assert!(overlay.is_empty());
    }

    #[test]
    fn unset_leaves_no_empty_branches() {
        let mut overlay = Overlay::default();
        overlay.put(&["a", "b", "c"], json!(1), 1);
        overlay.unset(&path("a.b.x"));
        overlay.unset(&path("a.b.c.d"));
        assert!(!overlay.is_empty());
        overlay.unset(&path("a.b.c"));
        assert!(overlay.is_empty());
    }

    #[test]
    fn an_override_below_a_static_scalar_is_a_conflict() {
        let mut overlay = Overlay::default();
        overlay.put(&["a", "b"], json!(1), 1);
        let conflict = overlay.effective(&json!({"a": null})).unwrap_err();
        assert_eq!(conflict, Conflict { path: path("a"), given: json!(null) });
    }
}
