//! The kinds of types: a tree in which nothing can be wrong.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::pattern::Pattern;

/// An option's type. [`super::compile`] makes it of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    pub(super) root: Node,
    /// The parts that have a name, for [`Kind::Named`].
    pub(super) named: Vec<Node>,
}

/// A part of a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub kind: Kind,
    /// The name that its author gave it.
    pub description: Option<String>,
    /// The default of an option of this type.
    pub default: Option<Value>,
}

/// The rules for a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Anything,
    Nothing,
    Null,
    Bool,
    /// An integer of 64 bits; never a float.
    Int(Range),
    /// A float; never an integer.
    Float(Range),
    /// Either of both.
    Number(Range),
    Str(Text),
    List(List),
    Set(Set),
    /// A set with exactly one of these attributes (`attrTag`).
    Tagged(BTreeMap<String, Node>),
    /// One of these values, as `==` of Nix compares them.
    Enum(Vec<Value>),
    /// This very value, and why.
    Const(Value, Option<String>),
    /// The first of these that accepts the top of the value decides alone (`either`, `nullOr`, `oneOf`).
    Either(Vec<Node>),
    /// All of these.
    All(Vec<Node>),
    /// Not this, which is no set and no list.
    Not(Box<Node>),
    /// Only the built value: the other values of the type are not known here. This is the name of the type.
    AsBuilt(String),
    /// A part by its name, so that types can contain themselves.
    Named(usize),
}

/// Bounds of numbers; `None` if there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Range {
    pub least: Option<Bound>,
    pub most: Option<Bound>,
}

/// One bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    pub number: Number,
    /// Whether the number itself is within.
    pub inclusive: bool,
}

/// The rules for a string.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text {
    pub pattern: Option<Pattern>,
    /// In characters.
    pub length: Count,
}

/// How many of something there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub least: usize,
    pub most: Option<usize>,
}

impl Count {
    pub fn allows(self, count: usize) -> bool {
        self.least <= count && self.most.is_none_or(|most| count <= most)
    }
}

/// The rules for a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    pub items: Box<Node>,
    pub count: Count,
    pub unique: bool,
}

/// The rules for an attribute set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    pub properties: BTreeMap<String, Node>,
    pub required: Vec<String>,
    /// The type of all other attributes.
    pub rest: Box<Node>,
    pub count: Count,
    /// Whether this is a rule for sets only, and accepts everything else: a rule beside another type.
    pub sets_only: bool,
}

impl Kind {
    /// A node without description and default.
    pub fn plain(self) -> Node {
        Node { kind: self, description: None, default: None }
    }
}

impl Type {
    /// The node itself, or what it names.
    pub(super) fn resolve<'t>(&'t self, mut node: &'t Node) -> &'t Node {
        // Names lead to no name in a circle: `compile` sees to it.
        while let Kind::Named(index) = node.kind {
            match self.named.get(index) {
                Some(named) => node = named,
                None => break,
            }
        }
        node
    }
}
