//! The part of a type that concerns one path below an option.

use std::collections::BTreeSet;

use serde_json::Value;

use super::describe::{alternatives, describe_node, together, written};
use super::kind::{Kind, Node, Type};
use crate::attr_path::AttrPath;

/// The rules of a type for one path.
#[derive(Clone, Debug)]
pub enum Below<'t> {
    /// The rules for a value there.
    Part(Part<'t>),
    /// There can't be such a name. It has the possible names, if the type lists them.
    NoSuchName {
        /// The first name of the path that is not allowed.
        name: String,
        /// The names beside it that are.
        known: Vec<String>,
    },
}

/// The rules for a value at one path.
#[derive(Clone, Debug)]
pub struct Part<'t> {
    whole: &'t Type,
    piece: Piece<'t>,
}

#[derive(Clone, Debug)]
enum Piece<'t> {
    One(&'t Node),
    /// One of these, as the values around it are.
    Any(Vec<Piece<'t>>),
    All(Vec<Piece<'t>>),
}

/// The rules of a part for one name.
enum Step<'t> {
    Open,
    To(Piece<'t>),
    Closed(Vec<String>),
}

/// Stands for any element of a list where a path has names: no attribute has this name.
pub const ELEMENT: &str = "\0";

impl Type {
    /// The rules for the value at `path` (names, outermost first).
    #[must_use]
    pub fn below(&self, path: &[String]) -> Below<'_> {
        let mut piece = Piece::One(&self.root);
        for name in path {
            match self.step(&piece, name) {
                // A type that accepts anything accepts anything below.
                Step::Open => return Below::Part(Part { whole: self, piece: Piece::All(Vec::new()) }),
                Step::To(next) => piece = next,
                Step::Closed(known) => {
                    let known: BTreeSet<String> = known.into_iter().collect();
                    return Below::NoSuchName { name: name.clone(), known: known.into_iter().collect() };
                }
            }
        }
        Below::Part(Part { whole: self, piece })
    }

    fn step<'t>(&'t self, piece: &Piece<'t>, name: &str) -> Step<'t> {
        match piece {
            Piece::One(node) => self.step_node(node, name),
            Piece::Any(pieces) => any(pieces.iter().map(|piece| self.step(piece, name))),
            Piece::All(pieces) => all(pieces.iter().map(|piece| self.step(piece, name))),
        }
    }

    fn step_node<'t>(&'t self, node: &'t Node, name: &str) -> Step<'t> {
        match &node.kind {
            Kind::Anything => Step::Open,
            // The built value stays as a whole: its parts are of the same kind.
            Kind::AsBuilt(_) => Step::To(Piece::One(node)),
            Kind::List(list) if name == ELEMENT => match list.items.kind {
                Kind::Anything => Step::Open,
                _ => Step::To(Piece::One(&list.items)),
            },
            // Lists only have elements, and nothing else has one.
            _ if name == ELEMENT && !matches!(node.kind, Kind::Either(_) | Kind::All(_) | Kind::Named(_)) => {
                Step::Closed(Vec::new())
            }
            Kind::Set(set) => match (set.properties.get(name), &set.rest.kind) {
                (Some(property), _) => Step::To(Piece::One(property)),
                (None, Kind::Nothing) => Step::Closed(set.properties.keys().cloned().collect()),
                (None, Kind::Anything) => Step::Open,
                (None, _) => Step::To(Piece::One(&set.rest)),
            },
            Kind::Tagged(tags) => match tags.get(name) {
                Some(node) => Step::To(Piece::One(node)),
                None => Step::Closed(tags.keys().cloned().collect()),
            },
            Kind::Either(parts) => any(parts.iter().map(|part| self.step_node(part, name))),
            Kind::All(parts) => all(parts.iter().map(|part| self.step_node(part, name))),
            Kind::Named(_) => self.step_node(self.resolve(node), name),
            _ => Step::Closed(Vec::new()),
        }
    }
}

fn any<'t>(steps: impl Iterator<Item = Step<'t>>) -> Step<'t> {
    let (mut pieces, mut known) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Open => return Step::Open,
            Step::To(piece) => pieces.push(piece),
            Step::Closed(names) => known.extend(names),
        }
    }
    match pieces.len() {
        0 => Step::Closed(known),
        1 => Step::To(pieces.remove(0)),
        _ => Step::To(Piece::Any(pieces)),
    }
}

fn all<'t>(steps: impl Iterator<Item = Step<'t>>) -> Step<'t> {
    let mut pieces = Vec::new();
    for step in steps {
        match step {
            Step::Open => {}
            Step::To(piece) => pieces.push(piece),
            closed @ Step::Closed(_) => return closed,
        }
    }
    match pieces.len() {
        0 => Step::Open,
        1 => Step::To(pieces.remove(0)),
        _ => Step::To(Piece::All(pieces)),
    }
}

impl Part<'_> {
    /// Whether a value can be there; `built` is what the build has in its place.
    #[must_use]
    pub fn takes(&self, value: &Value, built: Option<&Value>) -> bool {
        holds(&self.piece, &|node| self.whole.fits(node, value, built))
    }

    /// Whether any string at all can be there.
    #[must_use]
    pub fn takes_all_strings(&self) -> bool {
        holds(&self.piece, &|node| all_strings(self.whole, node))
    }

    /// The allowed values, as a noun phrase.
    #[must_use]
    pub fn describe(&self) -> String {
        let text = self.phrase(&self.piece);
        if text.is_empty() { "anything".to_owned() } else { text }
    }

    fn phrase(&self, piece: &Piece<'_>) -> String {
        match piece {
            Piece::One(node) => describe_node(self.whole, node),
            Piece::Any(pieces) => alternatives(pieces.iter().map(|piece| self.phrase(piece))),
            Piece::All(pieces) => {
                let nodes = pieces.iter().flat_map(nodes);
                together(self.whole, nodes.map(|node| (node, describe_node(self.whole, node)))).join(" and ")
            }
        }
    }

    /// The values that the type lists, as they are written on the command line.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        let mut found = Vec::new();
        for node in nodes(&self.piece) {
            list(self.whole, node, &mut found);
        }
        let mut texts: Vec<String> = Vec::new();
        for text in found.iter().filter(|value| self.takes(value, None)).map(written) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// The default value.
    #[must_use]
    pub fn default(&self) -> Option<Value> {
        nodes(&self.piece).into_iter().find_map(|node| default(self.whole, node))
    }
}

fn holds(piece: &Piece<'_>, of_one: &dyn Fn(&Node) -> bool) -> bool {
    match piece {
        Piece::One(node) => of_one(node),
        Piece::Any(pieces) => pieces.iter().any(|piece| holds(piece, of_one)),
        Piece::All(pieces) => pieces.iter().all(|piece| holds(piece, of_one)),
    }
}

/// The parts of a type that a piece is made of.
fn nodes<'t>(piece: &Piece<'t>) -> Vec<&'t Node> {
    match piece {
        Piece::One(node) => vec![*node],
        Piece::Any(pieces) | Piece::All(pieces) => pieces.iter().flat_map(nodes).collect(),
    }
}

fn all_strings(whole: &Type, node: &Node) -> bool {
    match &node.kind {
        Kind::Anything => true,
        Kind::Str(text) => *text == super::kind::Text::default(),
        Kind::Set(set) => set.sets_only,
        Kind::Either(parts) => parts.iter().any(|part| all_strings(whole, part)),
        Kind::All(parts) => parts.iter().all(|part| all_strings(whole, part)),
        Kind::Named(_) => all_strings(whole, whole.resolve(node)),
        _ => false,
    }
}

fn list(whole: &Type, node: &Node, found: &mut Vec<Value>) {
    match &whole.resolve(node).kind {
        Kind::Enum(values) => found.extend(values.iter().cloned()),
        Kind::Const(value, _) => found.push(value.clone()),
        Kind::Bool => found.extend([true.into(), false.into()]),
        Kind::Null => found.push(Value::Null),
        Kind::Either(parts) | Kind::All(parts) => parts.iter().for_each(|part| list(whole, part, found)),
        _ => {}
    }
}

fn default(whole: &Type, node: &Node) -> Option<Value> {
    if node.default.is_some() {
        return node.default.clone();
    }
    match &whole.resolve(node).kind {
        Kind::All(parts) => parts.iter().find_map(|part| default(whole, part)),
        _ => None,
    }
}

impl Type {
    /// The paths of all settings that the type names, at most `depth` types within each other.
    #[must_use]
    pub fn paths(&self, depth: usize) -> BTreeSet<AttrPath> {
        let mut found = BTreeSet::new();
        self.collect_paths(&self.root, &AttrPath::default(), depth, &mut found);
        found
    }

    fn collect_paths(&self, node: &Node, path: &AttrPath, depth: usize, found: &mut BTreeSet<AttrPath>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let named = match &self.resolve(node).kind {
            Kind::Either(parts) | Kind::All(parts) => {
                return parts.iter().for_each(|part| self.collect_paths(part, path, depth, found));
            }
            Kind::Set(set) => &set.properties,
            Kind::Tagged(tags) => tags,
            _ => return,
        };
        for (name, node) in named.iter().filter(|(_, node)| node.kind != Kind::Nothing) {
            let path = path.child(name);
            found.insert(path.clone());
            self.collect_paths(node, &path, depth, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::compile;
    use super::*;

    fn described(schema: &Value, path: &[&str]) -> String {
        let names: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
        match compile(schema).unwrap().below(&names) {
            Below::Part(part) => part.describe(),
            Below::NoSuchName { name, known } => format!("no {name} in {known:?}"),
        }
    }

    #[test]
    fn a_freeform_setting_is_open() {
        assert_eq!(described(&json!({"type": "object"}), &["workers"]), "anything");
        assert_eq!(described(&json!({}), &["a", "b"]), "anything");
    }

    #[test]
    fn a_declared_name_has_its_own_type_and_the_rest_the_freeform_one() {
        let schema = json!({"properties": {"port": {"type": "integer"}}, "additionalProperties": {"type": "string"}});
        assert_eq!(described(&schema, &["port"]), "integer");
        assert_eq!(described(&schema, &["name"]), "string");
    }

    #[test]
    fn a_closed_set_names_what_it_has() {
        let schema = json!({"type": "object", "properties": {"port": {}}, "additionalProperties": false});
        assert_eq!(described(&schema, &["prt"]), r#"no prt in ["port"]"#);
        assert_eq!(described(&json!({"type": "integer"}), &["a"]), "no a in []");
    }

    #[test]
    fn alternatives_references_and_rules_are_followed() {
        let schema = json!({
            "anyOf": [{"type": "null"}, {"$ref": "#/$defs/section"}],
            "$defs": {"section": {"type": "object", "additionalProperties": {"type": "integer"}}}
        });
        assert_eq!(described(&schema, &["a"]), "integer");
        // Each of several rules has to allow a name.
        let ruled = json!({"allOf": [
            {"type": "object", "additionalProperties": {"anyOf": [{"type": "null"}, {"type": "string"}]}},
            {"properties": {"a": {"type": "string"}, "b": false}},
        ]});
        assert_eq!(described(&ruled, &["a"]), "string");
        assert_eq!(described(&ruled, &["b"]), "nothing");
        let kind = compile(&ruled).unwrap();
        let Below::Part(part) = kind.below(&["a".to_owned()]) else { panic!("there is an a") };
        assert!(part.takes(&json!("x"), None) && !part.takes(&json!(null), None) && part.takes_all_strings());
        assert_eq!(part.listed(), [""; 0]);
    }
}
