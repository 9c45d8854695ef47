//! Says whether a value has a type, and if not, where and why.
//!
//! The meaning is that of the NixOS module system (nixpkgs lib/types.nix) for one definition. An integer is never a
//! float. A pattern matches bytes. Of several types, the first that accepts the top of the value alone decides about
//! everything below.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

use super::describe::describe_node;
use super::kind::{Bound, Kind, List, Node, Range, Set, Text, Type};
use super::number::compare;
use crate::attr_path::AttrPath;

/// One place where a value is not of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The path below the option; list elements by index.
    pub path: AttrPath,
    /// The value there; null if it is missing.
    pub given: Value,
    /// The fault of the value.
    pub fault: Fault,
    /// The allowed values, as a noun phrase.
    pub allowed: String,
}

/// The fault of a value, without the value itself, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is of another kind, as an integer in the place of a string.
    Kind(&'static str),
    /// None of several types accepts it.
    NoneOf,
    /// Its set can't have an attribute of this name, but of these.
    NoSuchName(Vec<String>),
    /// It is a set without these attributes.
    Lacks(Vec<String>),
    /// It has so many elements, or attributes of which there can be these.
    Count(usize, Vec<String>),
    /// It is not as it has to be.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "it is {kind}"),
            Self::NoneOf => f.write_str("it is none of what its type allows"),
            Self::NoSuchName(_) => f.write_str("there can't be such a name"),
            Self::Lacks(names) => write!(f, "it lacks {}", names.join(", ")),
            Self::Count(count, known) if known.is_empty() => write!(f, "it has {count} elements"),
            Self::Count(count, known) => write!(f, "it has {count} of the attributes {}", known.join(", ")),
            Self::Other(problem) => f.write_str(problem),
        }
    }
}

impl Type {
    /// Every place where `value` does not have this type; none for a value that does. `built` is the built value in its
    /// place: a type that can't be judged accepts only that.
    #[must_use]
    pub fn mismatches(&self, value: &Value, built: Option<&Value>) -> Vec<Mismatch> {
        let mut found = Vec::new();
        self.judge(&self.root, value, built, &mut AttrPath::default(), &mut found);
        found
    }

    /// Whether `value` is of the type of this part.
    pub(super) fn fits(&self, node: &Node, value: &Value, built: Option<&Value>) -> bool {
        let mut found = Vec::new();
        self.judge(node, value, built, &mut AttrPath::default(), &mut found);
        found.is_empty()
    }

    /// Whether a part accepts the top of the value, which is all that `check` of a type looks at.
    fn takes(&self, node: &Node, value: &Value) -> bool {
        match &node.kind {
            Kind::Anything | Kind::AsBuilt(_) => true,
            Kind::Nothing => false,
            Kind::Null => value.is_null(),
            Kind::Bool => value.is_boolean(),
            Kind::Int(_) | Kind::Float(_) | Kind::Number(_) | Kind::Str(_) => scalar(&node.kind, value).is_none(),
            Kind::List(List { count, .. }) => value.as_array().is_some_and(|items| count.allows(items.len())),
            Kind::Set(set) => match value {
                Value::Object(attributes) => set.count.allows(attributes.len()) && set.is_meant(value),
                _ => set.sets_only,
            },
            Kind::Tagged(tags) => tag(value).is_some_and(|(name, _)| tags.contains_key(name)),
            Kind::Enum(values) => values.iter().any(|one| equal(one, value)),
            Kind::Const(one, _) => one == value,
            Kind::Either(parts) => parts.iter().any(|part| self.takes(part, value)),
            Kind::All(parts) => parts.iter().all(|part| self.takes(part, value)),
            Kind::Not(part) => !self.takes(part, value),
            Kind::Named(_) => self.takes(self.resolve(node), value),
        }
    }

    fn judge(&self, node: &Node, value: &Value, built: Option<&Value>, path: &mut AttrPath, found: &mut Vec<Mismatch>) {
        let mut refuse = |fault: Fault| {
            let allowed = describe_node(self, node);
            found.push(Mismatch { path: path.clone(), given: value.clone(), fault, allowed });
        };
        match &node.kind {
            Kind::Nothing => refuse(Fault::Other("there can't be anything".to_owned())),
            Kind::AsBuilt(kind) if built != Some(value) => refuse(Fault::Other(format!(
                "its type ({kind}) can't be judged on the running system, so the built value has to stay"
            ))),
            Kind::Anything | Kind::AsBuilt(_) => {}
            Kind::List(list) => match value {
                Value::Array(items) => {
                    if let Some(fault) = list.fault(items) {
                        refuse(fault);
                    }
                    for (index, item) in items.iter().enumerate() {
                        let built = built.and_then(|built| built.get(index));
                        below(path, &index.to_string(), |path| self.judge(&list.items, item, built, path, found));
                    }
                }
                other => refuse(Fault::Kind(kind_of(other))),
            },
            Kind::Set(set) => match value {
                Value::Object(attributes) => {
                    if let Some(fault) = set.fault(attributes) {
                        refuse(fault);
                    }
                    for (name, value) in attributes {
                        let built = built.and_then(|built| built.get(name));
                        let known = set.properties.get(name);
                        below(path, name, |path| match known {
                            None if set.rest.kind == Kind::Nothing => found.push(set.unknown(path, value)),
                            _ => self.judge(known.unwrap_or(&set.rest), value, built, path, found),
                        });
                    }
                }
                _ if set.sets_only => {}
                other => refuse(Fault::Kind(kind_of(other))),
            },
            Kind::Tagged(tags) => match tag(value).and_then(|(name, value)| Some((name, tags.get(name)?, value))) {
                Some((name, node, value)) => {
                    let built = built.and_then(|built| built.get(name));
                    below(path, name, |path| self.judge(node, value, built, path, found));
                }
                None if value.is_object() => {
                    refuse(Fault::Count(
                        value.as_object().map_or(0, serde_json::Map::len),
                        tags.keys().cloned().collect(),
                    ));
                }
                None => refuse(Fault::Kind(kind_of(value))),
            },
            Kind::Either(parts) => match parts.iter().find(|part| self.takes(part, value)) {
                Some(part) => self.judge(part, value, built, path, found),
                None => refuse(self.near_miss(parts, value)),
            },
            Kind::All(parts) => {
                let before = found.len();
                for part in parts {
                    // A fault of all the types is reported already; the built value would be refused as well.
                    if found.len() == before || !matches!(part.kind, Kind::AsBuilt(_)) {
                        self.judge(part, value, built, path, found);
                    }
                }
            }
            Kind::Named(_) => self.judge(self.resolve(node), value, built, path, found),
            kind => {
                if let Some(fault) = scalar(kind, value) {
                    refuse(fault);
                }
            }
        }
    }

    /// The fault of a value that none of several types accepts: the one of the type that it comes nearest to.
    fn near_miss(&self, parts: &[Node], value: &Value) -> Fault {
        let mut near = parts.iter().filter_map(|part| {
            let kind = &self.resolve(part).kind;
            let fault = scalar(kind, value)?;
            is_kin(kind, value).then_some(fault)
        });
        match (near.next(), near.next()) {
            (Some(fault), None) => fault,
            _ => Fault::NoneOf,
        }
    }
}

fn below(path: &mut AttrPath, name: &str, judge: impl FnOnce(&mut AttrPath)) {
    path.0.push(name.to_owned());
    judge(path);
    path.0.pop();
}

/// The only attribute of a set that has one.
fn tag(value: &Value) -> Option<(&String, &Value)> {
    let attributes = value.as_object()?;
    attributes.iter().next().filter(|_| attributes.len() == 1)
}

impl List {
    fn fault(&self, items: &[Value]) -> Option<Fault> {
        if !self.count.allows(items.len()) {
            return Some(Fault::Count(items.len(), Vec::new()));
        }
        let twice = |(index, item): (usize, &Value)| items[..index].contains(item);
        (self.unique && items.iter().enumerate().any(twice)).then(|| Fault::Other("it has an element twice".to_owned()))
    }
}

impl Set {
    /// Whether the value has the attributes that distinguish this type (`_type` of inline Lua).
    fn is_meant(&self, value: &Value) -> bool {
        self.required.iter().all(|name| match self.properties.get(name).map(|node| &node.kind) {
            Some(Kind::Const(one, _)) => value.get(name) == Some(one),
            _ => true,
        })
    }

    fn fault(&self, attributes: &serde_json::Map<String, Value>) -> Option<Fault> {
        let missing: Vec<String> =
            self.required.iter().filter(|name| !attributes.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Some(Fault::Lacks(missing));
        }
        let known = || self.properties.keys().cloned().collect();
        (!self.count.allows(attributes.len())).then(|| Fault::Count(attributes.len(), known()))
    }

    fn unknown(&self, path: &AttrPath, value: &Value) -> Mismatch {
        let known: Vec<String> = self.properties.keys().cloned().collect();
        let allowed = if known.is_empty() { "no name".to_owned() } else { format!("one of {}", known.join(", ")) };
        Mismatch { path: path.clone(), given: value.clone(), fault: Fault::NoSuchName(known), allowed }
    }
}

/// Whether the value is a number where numbers are wanted, or a string where strings are.
fn is_kin(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Int(_) | Kind::Float(_) | Kind::Number(_) => value.is_number(),
        Kind::Str(_) => value.is_string(),
        _ => false,
    }
}

/// The fault of a value without its parts.
fn scalar(kind: &Kind, value: &Value) -> Option<Fault> {
    let other = |is: bool, words: &str| is.then(|| Fault::Other(words.to_owned()));
    match (kind, value) {
        (Kind::Null, Value::Null) | (Kind::Bool, Value::Bool(_)) => None,
        (Kind::Int(range), Value::Number(number)) if number.is_i64() => range.fault(number),
        (Kind::Float(range), Value::Number(number)) if number.is_f64() => range.fault(number),
        (Kind::Number(range), Value::Number(number)) if number.is_i64() || number.is_f64() => range.fault(number),
        (Kind::Str(text), Value::String(given)) => text.fault(given),
        (Kind::Enum(values), value) => other(!values.iter().any(|one| equal(one, value)), "it is none of them"),
        (Kind::Const(one, _), value) => other(one != value, "it is another value"),
        (Kind::Not(node), value) => other(is_excluded(node, value), "it is what may not be"),
        (_, Value::Number(number)) if number.is_u64() && !number.is_i64() => {
            Some(Fault::Other("it is beyond 64 bits".to_owned()))
        }
        (_, other) => Some(Fault::Kind(kind_of(other))),
    }
}

/// Whether a value is of a type that is excluded; that one is a plain type.
fn is_excluded(node: &Node, value: &Value) -> bool {
    match &node.kind {
        Kind::All(parts) => parts.iter().all(|part| scalar(&part.kind, value).is_none()),
        Kind::Either(parts) => parts.iter().any(|part| scalar(&part.kind, value).is_none()),
        kind => scalar(kind, value).is_none(),
    }
}

/// The kind of a value, as a noun phrase.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a floating point number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}

impl Text {
    fn fault(&self, given: &str) -> Option<Fault> {
        let length = given.chars().count();
        if !self.length.allows(length) {
            return Some(Fault::Other(format!("it has {length} characters")));
        }
        let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.matches(given));
        (!matches).then(|| Fault::Other("it does not match".to_owned()))
    }
}

impl Range {
    fn fault(&self, number: &Number) -> Option<Fault> {
        let breaks = |bound: &Option<Bound>, wrong: Ordering| {
            bound.clone().filter(|bound| {
                let order = compare(number, &bound.number);
                order == wrong || order == Ordering::Equal && !bound.inclusive
            })
        };
        if let Some(bound) = breaks(&self.least, Ordering::Less) {
            let words = if bound.inclusive { "less than" } else { "not more than" };
            return Some(Fault::Other(format!("it is {words} {}", bound.number)));
        }
        let bound = breaks(&self.most, Ordering::Greater)?;
        let words = if bound.inclusive { "more than" } else { "not less than" };
        Some(Fault::Other(format!("it is {words} {}", bound.number)))
    }
}

/// Equality as `==` of Nix has it: 1 is 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other) == Ordering::Equal,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| equal(value, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::compile;
    use super::*;

    fn faults(schema: &Value, value: &Value) -> Vec<String> {
        let found = compile(schema).unwrap().mismatches(value, None);
        found.into_iter().map(|one| format!("{}: {}; expected {}", one.path, one.fault, one.allowed)).collect()
    }

    #[test]
    fn a_mismatch_names_the_place_what_is_wrong_and_what_is_allowed() {
        let schema = json!({"properties": {"a/b": {"properties": {"port": {"type": "integer", "maximum": 65535}}}}});
        assert_eq!(
            faults(&schema, &json!({"a/b": {"port": 70000}})),
            [r#""a/b".port: it is more than 65535; expected integer of at most 65535"#]
        );
        assert_eq!(faults(&schema, &json!({"a/b": {"port": 80}})), [""; 0]);
        assert_eq!(faults(&schema, &json!({"a/b": 3})), [""; 0]);
    }

    #[test]
    fn a_mismatch_within_an_alternative_is_found_where_it_is() {
        // As the type of pkgs.formats.toml is.
        let schema = json!({"$ref": "#/$defs/value", "$defs": {"value": {"anyOf": [
            {"type": "integer"},
            {"type": "string"},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
            {"type": "array", "items": {"$ref": "#/$defs/value"}},
        ]}}});
        assert_eq!(
            faults(&schema, &json!({"workers": 4, "listen": [{"port": null}]})),
            [
                r#"listen."0".port: it is none of what its type allows; expected integer or string or attribute set or list"#
            ]
        );
    }

    #[test]
    fn the_first_type_that_takes_a_value_at_its_top_decides() {
        let lists = json!({"anyOf": [
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "string"}},
        ]});
        // As either (listOf int) (listOf str) of nixpkgs.
        assert_eq!(faults(&lists, &json!(["a"])), [r#""0": it is a string; expected integer"#]);
        let tagged = json!({"anyOf": [
            {"type": "object", "properties": {"_type": {"const": "x"}}, "required": ["_type"]},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ]});
        assert_eq!(faults(&tagged, &json!({"a": 1})), [""; 0]);
        assert_eq!(faults(&tagged, &json!({"_type": "x", "a": "b"})), [""; 0]);
        assert_eq!(faults(&tagged, &json!({"_type": "y"})).len(), 1);
    }

    #[test]
    fn integers_and_floats_are_apart() {
        let int = json!({"type": "integer"});
        let float = json!({"type": "number", "not": {"type": "integer"}});
        for (text, is_int) in [("8080", true), ("8080.0", false), ("8e3", false), ("-0.0", false), ("0", true)] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(faults(&int, &value).is_empty(), is_int, "{text}");
            assert_eq!(faults(&float, &value).is_empty(), !is_int, "{text}");
            assert!(faults(&json!({"type": "number"}), &value).is_empty(), "{text}");
        }
        for kind in [int, json!({"type": "number"}), json!({"anyOf": [{"type": "null"}, {"type": "integer"}]})] {
            assert!(faults(&kind, &json!(u64::MAX))[0].contains("it is beyond 64 bits"));
        }
    }

    #[test]
    fn what_can_not_be_judged_stays_as_it_is_built() {
        let kind = compile(&json!({"type": "object", "additionalProperties": {"unchecked": "module"}})).unwrap();
        let built = json!({"a": [1]});
        assert_eq!(kind.mismatches(&built, Some(&built)), []);
        assert_eq!(kind.mismatches(&json!({}), Some(&built)), []);
        assert_eq!(kind.mismatches(&json!({"a": [2]}), Some(&built)).len(), 1);
        assert_eq!(kind.mismatches(&json!({"a": [1], "b": 1}), Some(&built)).len(), 1);
        assert_eq!(kind.mismatches(&built, None).len(), 1);
    }
}
