//! The parts of a schema that speak of one path below it.

use serde_json::Value;

/// What a schema says of one path.
#[derive(Clone, Debug, PartialEq)]
pub enum Subschemas<'s> {
    /// Nothing: anything goes (a freeform setting).
    Open,
    /// Any of these.
    Any(Vec<&'s Value>),
    /// There can't be such a name; the names that there are, where the schema lists them.
    NoSuchName {
        /// The first name of the path that is not allowed.
        name: String,
        /// The names beside it that are.
        known: Vec<String>,
    },
}

/// What `schema` says of the attribute at `path` (names, outermost first).
#[must_use]
pub fn below<'s>(schema: &'s Value, path: &[String]) -> Subschemas<'s> {
    let mut found = vec![schema];
    for name in path {
        let mut next = Vec::new();
        let mut known = Vec::new();
        let mut open = false;
        for alternative in found.into_iter().flat_map(|part| alternatives(schema, part)) {
            match step(alternative, name) {
                Step::To(part) => next.push(part),
                Step::Open => open = true,
                Step::Closed => known.extend(names(alternative)),
            }
        }
        if next.is_empty() {
            if open {
                return Subschemas::Open;
            }
            return Subschemas::NoSuchName { name: name.clone(), known };
        }
        found = next;
    }
    if found.iter().all(|part| is_open(part)) { Subschemas::Open } else { Subschemas::Any(found) }
}

/// The schemas that `part` combines, itself included, references resolved (`anyOf`, `oneOf`, `allOf`, `$ref`).
fn alternatives<'s>(root: &'s Value, part: &'s Value) -> Vec<&'s Value> {
    fn collect<'s>(root: &'s Value, part: &'s Value, depth: usize, found: &mut Vec<&'s Value>) {
        // A schema whose references form a loop is refused when it is compiled; this only bounds the search.
        if depth > 32 {
            return;
        }
        let mut combined = false;
        for keyword in ["anyOf", "oneOf", "allOf"] {
            for member in part.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                combined = true;
                collect(root, member, depth + 1, found);
            }
        }
        if let Some(target) =
            part.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')).and_then(|to| root.pointer(to))
        {
            combined = true;
            collect(root, target, depth + 1, found);
        }
        if !combined || part.get("properties").is_some() || part.get("additionalProperties").is_some() {
            found.push(part);
        }
    }
    let mut found = Vec::new();
    collect(root, part, 0, &mut found);
    found
}

enum Step<'s> {
    To(&'s Value),
    Open,
    Closed,
}

fn step<'s>(schema: &'s Value, name: &str) -> Step<'s> {
    if schema == &Value::Bool(false) {
        return Step::Closed;
    }
    if let Some(property) = schema.get("properties").and_then(|properties| properties.get(name)) {
        return Step::To(property);
    }
    if !may_be_object(schema) {
        return Step::Closed;
    }
    match schema.get("additionalProperties") {
        // Which pattern applies is left to the validator.
        _ if schema.get("patternProperties").is_some() => Step::Open,
        Some(Value::Bool(false)) => Step::Closed,
        Some(rest @ Value::Object(_)) => Step::To(rest),
        _ => Step::Open,
    }
}

fn may_be_object(schema: &Value) -> bool {
    match schema.get("type") {
        None => schema.get("enum").is_none() && schema.get("const").is_none(),
        Some(Value::Array(types)) => types.iter().any(|one| one == "object"),
        Some(one) => one == "object",
    }
}

fn names(schema: &Value) -> Vec<String> {
    schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned()).collect()
}

fn is_open(schema: &Value) -> bool {
    match schema {
        Value::Bool(allowed) => *allowed,
        Value::Object(keywords) => {
            keywords.keys().all(|keyword| matches!(keyword.as_str(), "title" | "description" | "default" | "$schema"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_freeform_setting_is_open() {
        assert_eq!(below(&json!({"type": "object"}), &path(&["workers"])), Subschemas::Open);
        assert_eq!(below(&json!({}), &path(&["a", "b"])), Subschemas::Open);
    }

    #[test]
    fn a_declared_name_has_its_own_schema_and_the_rest_the_freeform_one() {
        let schema = json!({"properties": {"port": {"type": "integer"}}, "additionalProperties": {"type": "string"}});
        assert_eq!(below(&schema, &path(&["port"])), Subschemas::Any(vec![&json!({"type": "integer"})]));
        assert_eq!(below(&schema, &path(&["name"])), Subschemas::Any(vec![&json!({"type": "string"})]));
    }

    #[test]
    fn a_closed_set_names_what_it_has() {
        let schema = json!({"type": "object", "properties": {"port": {}}, "additionalProperties": false});
        assert_eq!(
            below(&schema, &path(&["prt"])),
            Subschemas::NoSuchName { name: "prt".to_owned(), known: vec!["port".to_owned()] }
        );
    }

    #[test]
    fn combinations_and_references_are_followed() {
        let schema = json!({
            "anyOf": [{"type": "null"}, {"$ref": "#/$defs/section"}],
            "$defs": {"section": {"type": "object", "additionalProperties": {"type": "integer"}}}
        });
        assert_eq!(below(&schema, &path(&["a"])), Subschemas::Any(vec![&json!({"type": "integer"})]));
        assert_eq!(
            below(&json!({"type": "integer"}), &path(&["a"])),
            Subschemas::NoSuchName { name: "a".to_owned(), known: vec![] }
        );
    }
}
