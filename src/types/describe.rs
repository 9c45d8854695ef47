//! A schema in the words that the NixOS manual uses for option types (nixpkgs lib/types.nix, `description`).

use serde_json::Value;

/// What `schema` allows, as a noun phrase: `integer between 1 and 64`, `one of "info", "error"`, `null or string`.
#[must_use]
pub fn describe(schema: &Value) -> String {
    let text = phrase(schema, 0);
    if text.is_empty() { "anything".to_owned() } else { text }
}

fn phrase(schema: &Value, depth: usize) -> String {
    if depth > 4 {
        return "...".to_owned();
    }
    if schema == &Value::Bool(false) {
        return "nothing".to_owned();
    }
    if let Some(allowed) = schema.get("const") {
        // Why it is this one: the modules pin a value that something else follows.
        let reason = schema.get("description").and_then(Value::as_str);
        return reason.map_or_else(|| format!("exactly {allowed}"), |reason| format!("exactly {allowed} ({reason})"));
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        return format!("one of {}", words.join(", "));
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(members) = schema.get(keyword).and_then(Value::as_array) {
            return alternatives(members.iter().map(|member| phrase(member, depth + 1)));
        }
    }
    match schema.get("type") {
        Some(Value::Array(types)) => {
            alternatives(types.iter().filter_map(Value::as_str).map(|one| of_type(one, schema, depth)))
        }
        Some(Value::String(one)) => of_type(one, schema, depth),
        _ => String::new(),
    }
}

fn alternatives(phrases: impl Iterator<Item = String>) -> String {
    let (nulls, mut rest): (Vec<String>, Vec<String>) = phrases.partition(|phrase| phrase == "null");
    if rest.iter().any(String::is_empty) {
        return String::new();
    }
    if let Some(null) = nulls.into_iter().next() {
        rest.insert(0, null);
    }
    rest.join(" or ")
}

fn of_type(name: &str, schema: &Value, depth: usize) -> String {
    match name {
        "integer" | "number" => number(name, schema),
        "string" => string(schema),
        "array" => match schema.get("items").map(|items| phrase(items, depth + 1)) {
            Some(items) if !items.is_empty() => format!("list of ({items})"),
            _ => "list".to_owned(),
        },
        "object" => match schema.get("additionalProperties").map(|rest| phrase(rest, depth + 1)) {
            Some(rest) if !rest.is_empty() && rest != "nothing" => format!("attribute set of ({rest})"),
            _ => "attribute set".to_owned(),
        },
        other => other.to_owned(),
    }
}

fn number(name: &str, schema: &Value) -> String {
    let bound = |keyword: &str| schema.get(keyword).filter(|bound| bound.is_number());
    let name = if name == "number" { "number" } else { "integer" };
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("{name} between {least} and {most}"),
        (Some(least), None) => format!("{name} of at least {least}"),
        (None, Some(most)) => format!("{name} of at most {most}"),
        (None, None) => match (bound("exclusiveMinimum"), bound("exclusiveMaximum")) {
            (Some(above), Some(under)) => format!("{name} above {above} and below {under}"),
            (Some(above), None) => format!("{name} above {above}"),
            (None, Some(under)) => format!("{name} below {under}"),
            (None, None) => name.to_owned(),
        },
    }
}

fn string(schema: &Value) -> String {
    match (schema.get("pattern").and_then(Value::as_str), schema.get("maxLength")) {
        (Some(pattern), _) => format!("string matching {pattern}"),
        (None, Some(longest)) => format!("string of at most {longest} characters"),
        (None, None) if schema.get("minLength").is_some_and(|least| least == 1) => "non-empty string".to_owned(),
        (None, None) => "string".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_read_as_in_the_manual() {
        for (schema, text) in [
            (json!({}), "anything"),
            (json!({"type": "integer", "minimum": 0, "maximum": 65535}), "integer between 0 and 65535"),
            (json!({"type": ["integer", "null"]}), "null or integer"),
            (json!({"const": 80}), "exactly 80"),
            (
                json!({"const": 80, "description": "the firewall is open for it"}),
                "exactly 80 (the firewall is open for it)",
            ),
            (json!({"anyOf": [{"type": "null"}, {"enum": ["info", "error"]}]}), r#"null or one of "info", "error""#),
            (json!({"type": "array", "items": {"type": "string"}}), "list of (string)"),
            (json!({"type": "object", "additionalProperties": {"type": "boolean"}}), "attribute set of (boolean)"),
            (json!({"type": "object", "additionalProperties": false}), "attribute set"),
            (json!({"type": "string", "pattern": "[a-z]+"}), "string matching [a-z]+"),
            (json!({"anyOf": [{"type": "string"}, {}]}), "anything"),
        ] {
            assert_eq!(describe(&schema), text, "{schema}");
        }
    }
}
