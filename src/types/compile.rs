//! Compiles a schema, the form in which a description states a type, to the type.
//!
//! Takes JSON Schema (2020-12), of which it knows what docs/description.md lists; gives a [`Type`], or what is wrong
//! with the schema and where. A keyword that is unknown, or that has no effect in its place, is an error: it would be a
//! rule that nobody follows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use super::kind::{Bound, Count, Kind, List, Node, Range, Set, Text, Type};
use super::pattern::Pattern;

/// Why a schema says no type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// The keys and indexes that lead to the place.
    pub place: Vec<String>,
    /// The problem at that place.
    pub problem: String,
}

impl SchemaError {
    fn new(problem: impl Into<String>) -> Self {
        Self { place: Vec::new(), problem: problem.into() }
    }

    /// Seen from one step further out.
    fn at(mut self, step: impl Into<String>) -> Self {
        self.place.insert(0, step.into());
        self
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "at {}: ", self.place.join("."))?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for SchemaError {}

type Compiled<T> = Result<T, SchemaError>;

/// Keywords that only describe the schema.
const ANNOTATIONS: &[&str] = &["$schema", "$comment", "title", "description", "default", "examples"];

/// Keywords that mean something whatever the type.
const OF_ALL: &[&str] = &["type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "$ref", "unchecked"];

/// Keywords that mean something for one type.
const OF_NUMBERS: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
const OF_STRINGS: &[&str] = &["posixPattern", "minLength", "maxLength"];
const OF_LISTS: &[&str] = &["items", "minItems", "maxItems", "uniqueItems"];
const OF_SETS: &[&str] = &["properties", "required", "additionalProperties", "minProperties", "maxProperties"];

/// Keywords of sets that are a rule for sets alone if there is no `type`.
const RULES: &[&str] = &["properties", "required", "additionalProperties"];

/// The types, each with its own keywords.
const TYPES: &[(&str, &[&str])] = &[
    ("null", &[]),
    ("boolean", &[]),
    ("integer", OF_NUMBERS),
    ("number", OF_NUMBERS),
    ("string", OF_STRINGS),
    ("array", OF_LISTS),
    ("object", OF_SETS),
];

/// Compiles a schema.
pub fn compile(schema: &Value) -> Compiled<Type> {
    let none = Map::new();
    let definitions = match schema.get("$defs") {
        None => &none,
        Some(Value::Object(definitions)) => definitions,
        Some(_) => return Err(SchemaError::new("it has to be an object").at("$defs")),
    };
    let compiler = Compiler { names: definitions.keys().map(String::as_str).collect() };
    let root = match schema {
        Value::Object(keys) => compiler.object(&keys.iter().filter(|(key, _)| *key != "$defs").collect())?,
        other => compiler.node(other)?,
    };
    let mut named = Vec::with_capacity(definitions.len());
    for (name, definition) in definitions {
        named.push(compiler.node(definition).map_err(|error| error.at(name).at("$defs"))?);
    }
    for (index, name) in compiler.names.iter().enumerate() {
        if leads_to(&Kind::Named(index).plain(), index, &named, &mut BTreeSet::new()) {
            return Err(SchemaError::new("its references lead nowhere but to itself").at(*name).at("$defs"));
        }
    }
    Ok(Type { root, named })
}

/// Whether references that speak of one and the same value come back to a definition.
fn leads_to(node: &Node, wanted: usize, named: &[Node], seen: &mut BTreeSet<usize>) -> bool {
    match &node.kind {
        Kind::Named(index) if !seen.insert(*index) => *index == wanted,
        Kind::Named(index) => named.get(*index).is_some_and(|node| leads_to(node, wanted, named, seen)),
        Kind::Either(parts) | Kind::All(parts) => parts.iter().any(|part| leads_to(part, wanted, named, seen)),
        _ => false,
    }
}

/// The keys of one schema.
type Keys<'s> = BTreeMap<&'s String, &'s Value>;

struct Compiler<'s> {
    /// The names that references can use.
    names: Vec<&'s str>,
}

impl Compiler<'_> {
    fn node(&self, schema: &Value) -> Compiled<Node> {
        match schema {
            Value::Bool(true) => Ok(Kind::Anything.plain()),
            Value::Bool(false) => Ok(Kind::Nothing.plain()),
            Value::Object(keys) => self.object(&keys.iter().collect()),
            _ => Err(SchemaError::new("a schema is an object, true or false")),
        }
    }

    fn nodes(&self, schemas: &Value) -> Compiled<Vec<Node>> {
        match schemas.as_array().filter(|schemas| !schemas.is_empty()) {
            Some(schemas) => {
                let each = schemas.iter().enumerate();
                each.map(|(index, schema)| self.node(schema).map_err(|error| error.at(index.to_string()))).collect()
            }
            None => Err(SchemaError::new("it has to be a list of schemas")),
        }
    }

    fn object(&self, keys: &Keys<'_>) -> Compiled<Node> {
        let types = types(keys)?;
        check_keywords(keys, &types)?;
        let key = |name: &str| keys.get(&name.to_owned()).copied();
        let mut parts: Vec<Kind> = Vec::new();
        match types.as_slice() {
            [] if RULES.iter().any(|rule| key(rule).is_some()) => parts.push(Kind::Set(self.set(keys, true)?)),
            [] => {}
            [one] => parts.push(self.of_type(one, keys)?),
            several => {
                let each: Compiled<Vec<Node>> =
                    several.iter().map(|one| self.of_type(one, keys).map(Kind::plain)).collect();
                parts.push(Kind::Either(each?));
            }
        }
        let part = |name: &str, compile: &dyn Fn(&Value) -> Compiled<Kind>| {
            key(name).map(|value| compile(value).map_err(|error| error.at(name))).transpose()
        };
        let description = key("description").and_then(Value::as_str).map(str::to_owned);
        parts.extend(part("enum", &|values| {
            let values = values.as_array().ok_or_else(|| SchemaError::new("it has to be a list of values"))?;
            Ok(Kind::Enum(values.clone()))
        })?);
        parts.extend(part("const", &|value| Ok(Kind::Const(value.clone(), description.clone())))?);
        parts.extend(part("anyOf", &|schemas| self.nodes(schemas).map(Kind::Either))?);
        parts.extend(part("oneOf", &|schemas| tags(self.nodes(schemas)?))?);
        parts.extend(part("allOf", &|schemas| self.nodes(schemas).map(Kind::All))?);
        if !is_float(keys) {
            parts.extend(part("not", &|schema| refused(self.node(schema)?))?);
        }
        parts.extend(part("$ref", &|target| self.reference(target))?);
        parts.extend(part("unchecked", &|text| {
            let text =
                text.as_str().ok_or_else(|| SchemaError::new("it has to be a string: what the type is called"))?;
            Ok(Kind::AsBuilt(text.to_owned()))
        })?);
        let kind = match parts.len() {
            0 => Kind::Anything,
            1 => parts.remove(0),
            _ => Kind::All(parts.into_iter().map(Kind::plain).collect()),
        };
        Ok(Node { kind, description, default: key("default").cloned() })
    }

    fn of_type(&self, name: &str, keys: &Keys<'_>) -> Compiled<Kind> {
        Ok(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Bool,
            "integer" => Kind::Int(range(keys)?),
            "number" if is_float(keys) => Kind::Float(range(keys)?),
            "number" => Kind::Number(range(keys)?),
            "string" => Kind::Str(text(keys)?),
            "array" => Kind::List(List {
                items: Box::new(self.optional("items", keys)?),
                count: count("minItems", "maxItems", keys)?,
                unique: flag("uniqueItems", keys)?,
            }),
            _ => Kind::Set(self.set(keys, false)?),
        })
    }

    fn set(&self, keys: &Keys<'_>, sets_only: bool) -> Compiled<Set> {
        let mut properties = BTreeMap::new();
        if let Some(schemas) = get(keys, "properties") {
            let schemas = schemas
                .as_object()
                .ok_or_else(|| SchemaError::new("it has to be an object of schemas").at("properties"))?;
            for (name, schema) in schemas {
                let node = self.node(schema).map_err(|error| error.at(name).at("properties"))?;
                properties.insert(name.clone(), node);
            }
        }
        let required = match get(keys, "required") {
            None => Vec::new(),
            Some(names) => {
                strings(names).ok_or_else(|| SchemaError::new("it has to be a list of names").at("required"))?
            }
        };
        let rest = Box::new(self.optional("additionalProperties", keys)?);
        Ok(Set { properties, required, rest, count: count("minProperties", "maxProperties", keys)?, sets_only })
    }

    /// The schema of a key; any value if it is missing.
    fn optional(&self, key: &str, keys: &Keys<'_>) -> Compiled<Node> {
        get(keys, key).map_or(Ok(Kind::Anything.plain()), |schema| self.node(schema).map_err(|error| error.at(key)))
    }

    fn reference(&self, target: &Value) -> Compiled<Kind> {
        let name = target.as_str().and_then(|target| target.strip_prefix("#/$defs/"));
        let name = name.map(|name| name.replace("~1", "/").replace("~0", "~"));
        let index = name.and_then(|name| self.names.iter().position(|one| *one == name));
        index
            .map(Kind::Named)
            .ok_or_else(|| SchemaError::new(format!("{target} is not #/$defs/ and a name from there")))
    }
}

fn get<'s>(keys: &Keys<'s>, name: &str) -> Option<&'s Value> {
    keys.get(&name.to_owned()).copied()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

/// The names in `type`.
fn types(keys: &Keys<'_>) -> Compiled<Vec<String>> {
    let Some(value) = get(keys, "type") else { return Ok(Vec::new()) };
    let names = match value {
        Value::String(name) => Some(vec![name.clone()]),
        other => strings(other).filter(|names| !names.is_empty()),
    };
    let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let names = names.filter(|names| names.iter().all(|name| known.contains(&name.as_str())));
    names.ok_or_else(|| SchemaError::new(format!("it is {value}; the types are {}", known.join(", "))).at("type"))
}

fn check_keywords(keys: &Keys<'_>, types: &[String]) -> Compiled<()> {
    for keyword in keys.keys().map(|keyword| keyword.as_str()) {
        if ANNOTATIONS.contains(&keyword) || OF_ALL.contains(&keyword) {
            continue;
        }
        let owners: Vec<&str> =
            TYPES.iter().filter(|(_, keywords)| keywords.contains(&keyword)).map(|(name, _)| *name).collect();
        let problem = if owners.is_empty() {
            unknown(keyword)
        } else if types.is_empty() && RULES.contains(&keyword) || types.iter().any(|one| owners.contains(&one.as_str()))
        {
            continue;
        } else {
            format!("it is for {}; say `type`", owners.join(" and "))
        };
        return Err(SchemaError::new(problem).at(keyword));
    }
    Ok(())
}

fn unknown(keyword: &str) -> String {
    match keyword {
        "pattern" => "dynix does not read ECMA 262; say posixPattern, as builtins.match takes it".to_owned(),
        "$defs" => "definitions stand at the top of the schema alone".to_owned(),
        _ => {
            let own = TYPES.iter().flat_map(|(_, keywords)| keywords.iter());
            let known: BTreeSet<&str> = OF_ALL.iter().chain(ANNOTATIONS).chain(own).copied().collect();
            let known: Vec<&str> = known.into_iter().collect();
            format!("dynix does not know this keyword; it knows {}", known.join(", "))
        }
    }
}

/// JSON Schema has no type for floats that are not integers.
fn is_float(keys: &Keys<'_>) -> bool {
    get(keys, "type").is_some_and(|name| name == "number")
        && get(keys, "not").is_some_and(|not| *not == json!({ "type": "integer" }))
}

fn range(keys: &Keys<'_>) -> Compiled<Range> {
    let bound = |plain: &str, exclusive: &str| -> Compiled<Option<Bound>> {
        let number = |name: &str| match get(keys, name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(_) => Err(SchemaError::new("it has to be a number").at(name)),
        };
        match (number(plain)?, number(exclusive)?) {
            (Some(_), Some(_)) => Err(SchemaError::new(format!("there is {plain} as well")).at(exclusive)),
            (Some(number), None) => Ok(Some(Bound { number, inclusive: true })),
            (None, Some(number)) => Ok(Some(Bound { number, inclusive: false })),
            (None, None) => Ok(None),
        }
    };
    Ok(Range { least: bound("minimum", "exclusiveMinimum")?, most: bound("maximum", "exclusiveMaximum")? })
}

fn text(keys: &Keys<'_>) -> Compiled<Text> {
    let pattern = match get(keys, "posixPattern") {
        None => None,
        Some(Value::String(pattern)) => {
            Some(Pattern::new(pattern).map_err(|error| SchemaError::new(error.to_string()).at("posixPattern"))?)
        }
        Some(_) => return Err(SchemaError::new("it has to be a string").at("posixPattern")),
    };
    Ok(Text { pattern, length: count("minLength", "maxLength", keys)? })
}

fn count(least: &str, most: &str, keys: &Keys<'_>) -> Compiled<Count> {
    let number = |name: &str| match get(keys, name) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(SchemaError::new("it has to be a whole number, 0 or more").at(name)),
        },
    };
    Ok(Count { least: number(least)?.unwrap_or_default(), most: number(most)? })
}

fn flag(name: &str, keys: &Keys<'_>) -> Compiled<bool> {
    match get(keys, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(SchemaError::new("it has to be true or false").at(name)),
    }
}

/// `oneOf` has the meaning of nixpkgs' `attrTag`, and no other.
fn tags(members: Vec<Node>) -> Compiled<Kind> {
    let mut tags = BTreeMap::new();
    for (index, member) in members.into_iter().enumerate() {
        let set = match member.kind {
            Kind::Set(set) if !set.sets_only && set.rest.kind == Kind::Nothing && set.properties.len() == 1 => set,
            _ => return Err(no_tag().at(index.to_string())),
        };
        for (name, node) in set.properties {
            if set.required != [name.as_str()] || tags.insert(name, node).is_some() {
                return Err(no_tag().at(index.to_string()));
            }
        }
    }
    Ok(Kind::Tagged(tags))
}

fn no_tag() -> SchemaError {
    SchemaError::new(
        "it has to be an object with one property, a name of its own, that is required, and no other property",
    )
}

fn refused(node: Node) -> Compiled<Kind> {
    let is_plain = match &node.kind {
        Kind::All(parts) | Kind::Either(parts) => parts.iter().all(|part| is_scalar(&part.kind)),
        kind => is_scalar(kind),
    };
    if is_plain { Ok(Kind::Not(Box::new(node))) } else { Err(SchemaError::new("only plain types can be excluded")) }
}

fn is_scalar(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Null
            | Kind::Bool
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Number(_)
            | Kind::Str(_)
            | Kind::Enum(_)
            | Kind::Const(..)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(schema: &Value) -> String {
        compile(schema).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_that_is_none_is_refused_with_its_place() {
        for (schema, expected) in [
            (json!(3), "a schema is an object, true or false"),
            (json!({"type": "intger"}), "at type: it is \"intger\"; the types are null, "),
            (json!({"type": []}), "at type: it is []"),
            (json!({"properties": {"a": {"items": {}}}}), "at properties.a.items: it is for array; say `type`"),
            (json!({"type": "string", "minimum": 1}), "at minimum: it is for integer and number; say `type`"),
            (json!({"type": "integer", "minimum": "1"}), "at minimum: it has to be a number"),
            (json!({"type": "integer", "minimum": 1, "exclusiveMinimum": 1}), "at exclusiveMinimum: there is minimum"),
            (json!({"anyOf": [{}, {"patternProperties": {}}]}), "at anyOf.1.patternProperties: dynix does not know"),
            (json!({"anyOf": []}), "at anyOf: it has to be a list of schemas"),
            (json!({"type": "string", "pattern": "a"}), "at pattern: dynix does not read ECMA 262"),
            (json!({"type": "string", "posixPattern": "*"}), "at posixPattern: \"*\" is no regular expression"),
            (json!({"$ref": "#"}), "at $ref: \"#\" is not"),
            (json!({"$ref": "#/$defs/a"}), "at $ref: "),
            (json!({"$defs": {"a": {"$ref": "#/$defs/a"}}}), "at $defs.a: its references lead nowhere"),
            (
                json!({"$defs": {"a": {"anyOf": [{}, {"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
                "at $defs.a: its references lead nowhere",
            ),
            (json!({"oneOf": [{"type": "integer"}]}), "at oneOf.0: it has to be an object with one property"),
            (json!({"not": {"type": "object"}}), "at not: only plain types"),
            (json!({"type": "object", "properties": {"a": 1}}), "at properties.a: a schema is"),
            (json!({"type": "object", "required": "a"}), "at required: it has to be a list of names"),
            (json!({"type": "array", "minItems": -1}), "at minItems: it has to be a whole number"),
            (json!({"enum": 1}), "at enum: it has to be a list"),
            (json!({"type": "object", "properties": {"a": {"$defs": {}}}}), "at properties.a.$defs: definitions stand"),
        ] {
            let given = fault(&schema);
            assert!(given.starts_with(expected), "{schema}: {given}");
        }
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        let same = |one: Value, other: Value| assert_eq!(compile(&one), compile(&other), "{one}");
        same(json!({}), json!(true));
        same(json!({"allOf": [{"type": "null"}, {"enum": [1]}]}), json!({"type": "null", "enum": [1]}));
        same(json!({"type": ["null", "string"]}), json!({"anyOf": [{"type": "null"}, {"type": "string"}]}));
    }
}
