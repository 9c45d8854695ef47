//! Describes a type in the words of the NixOS manual (nixpkgs lib/types.nix, `description`).

use serde_json::Value;

use super::kind::{Kind, Node, Range, Text, Type};

/// How many types within types are named.
const DEPTH: usize = 4;

const ANYTHING: &str = "anything";
const AS_BUILT: &str = "the built value";

impl Type {
    /// The allowed values, as a noun phrase: `integer between 1 and 64`, `one of "info", "error"`, `null or string`.
    #[must_use]
    pub fn describe(&self) -> String {
        describe_node(self, &self.root)
    }
}

/// The values that a part of a type allows.
pub(super) fn describe_node(whole: &Type, node: &Node) -> String {
    phrase(whole, node, &[])
}

/// `around` are the types that contain this one: a type that contains itself is not described again.
fn phrase(whole: &Type, node: &Node, around: &[&Node]) -> String {
    let node = whole.resolve(node);
    if around.iter().any(|one| std::ptr::eq(*one, node)) {
        return ANYTHING.to_owned();
    }
    if around.len() > DEPTH {
        return "...".to_owned();
    }
    let around: Vec<&Node> = around.iter().copied().chain([node]).collect();
    let inner = |node: &Node| phrase(whole, node, &around);
    match &node.kind {
        Kind::Anything => ANYTHING.to_owned(),
        Kind::Nothing => "nothing".to_owned(),
        Kind::Null => "null".to_owned(),
        Kind::Bool => "boolean".to_owned(),
        Kind::Int(range) => number("integer", range),
        Kind::Float(range) => number("floating point number", range),
        Kind::Number(range) => number("number", range),
        Kind::Str(text) => string(text, node.description.as_deref()),
        Kind::List(list) => match inner(&list.items).as_str() {
            ANYTHING => "list".to_owned(),
            items => format!("list of ({items})"),
        },
        Kind::Set(set) if set.sets_only => ANYTHING.to_owned(),
        Kind::Set(set) => match inner(&set.rest).as_str() {
            ANYTHING | "nothing" => "attribute set".to_owned(),
            rest => format!("attribute set of ({rest})"),
        },
        Kind::Tagged(tags) => {
            let names: Vec<&str> = tags.keys().map(String::as_str).collect();
            format!("attribute set with one of {}", names.join(", "))
        }
        Kind::Enum(values) if values.is_empty() => "nothing".to_owned(),
        Kind::Enum(values) => {
            let words: Vec<String> = values.iter().map(ToString::to_string).collect();
            format!("one of {}", words.join(", "))
        }
        // The reason for the constant: the module pins a value that something else follows.
        Kind::Const(value, Some(reason)) => format!("exactly {value} ({reason})"),
        Kind::Const(value, None) => format!("exactly {value}"),
        Kind::Either(parts) => alternatives(parts.iter().map(inner)),
        Kind::All(parts) => {
            let words = together(whole, parts.iter().map(|part| (part, inner(part))));
            if words.iter().any(|one| one == AS_BUILT) {
                return AS_BUILT.to_owned();
            }
            if words.is_empty() { ANYTHING.to_owned() } else { words.join(" and ") }
        }
        Kind::Not(part) => format!("not {}", inner(part)),
        Kind::AsBuilt(_) => AS_BUILT.to_owned(),
        Kind::Named(_) => "...".to_owned(),
    }
}

/// The values that all of several parts allow: beside a plain type, alternatives add nothing.
pub(super) fn together<'t>(whole: &'t Type, parts: impl Iterator<Item = (&'t Node, String)>) -> Vec<String> {
    let is_choice = |node: &Node| matches!(whole.resolve(node).kind, Kind::Either(_));
    let (choices, plain): (Vec<_>, Vec<_>) =
        parts.filter(|(_, words)| words != ANYTHING).partition(|(node, _)| is_choice(node));
    let described = if plain.is_empty() { choices } else { plain };
    let mut words: Vec<String> = described.into_iter().map(|(_, words)| words).collect();
    words.dedup();
    words
}

/// Null comes first. Types that only the build can judge come last, and only if there is no other.
pub(super) fn alternatives(phrases: impl Iterator<Item = String>) -> String {
    let (mut nulls, mut rest): (Vec<String>, Vec<String>) = phrases.partition(|phrase| phrase == "null");
    if rest.iter().any(|one| one == ANYTHING) {
        return ANYTHING.to_owned();
    }
    let known = rest.iter().filter(|one| *one != AS_BUILT).count();
    if known + nulls.len() > 0 {
        rest.retain(|one| one != AS_BUILT);
    }
    nulls.truncate(1);
    nulls.extend(rest);
    let mut words: Vec<String> = Vec::new();
    for one in nulls {
        if !words.contains(&one) {
            words.push(one);
        }
    }
    words.join(" or ")
}

fn number(name: &str, range: &Range) -> String {
    let words = |bound: &super::kind::Bound, inclusive: &str, exclusive: &str| {
        format!("{} {}", if bound.inclusive { inclusive } else { exclusive }, bound.number)
    };
    match (&range.least, &range.most) {
        (Some(least), Some(most)) if least.inclusive && most.inclusive => {
            format!("{name} between {} and {}", least.number, most.number)
        }
        (Some(least), Some(most)) => {
            format!("{name} {} and {}", words(least, "of at least", "above"), words(most, "of at most", "below"))
        }
        (Some(least), None) => format!("{name} {}", words(least, "of at least", "above")),
        (None, Some(most)) => format!("{name} {}", words(most, "of at most", "below")),
        (None, None) => name.to_owned(),
    }
}

fn string(text: &Text, description: Option<&str>) -> String {
    match (&text.pattern, text.length.most, description) {
        (Some(_), _, Some(description)) => description.to_owned(),
        (Some(pattern), _, None) => format!("string matching {}", pattern.as_str()),
        (None, Some(longest), _) => format!("string of at most {longest} characters"),
        (None, None, _) if text.length.least == 1 => "non-empty string".to_owned(),
        (None, None, _) if text.length.least > 1 => format!("string of at least {} characters", text.length.least),
        (None, None, _) => "string".to_owned(),
    }
}

/// A value as it is written on the command line.
pub(super) fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value on one line, as in the log, cut if it is long.
#[must_use]
pub fn brief(value: &Value) -> String {
    const LONGEST: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::compile;

    #[test]
    fn types_read_as_in_the_manual() {
        for (schema, text) in [
            (json!({}), "anything"),
            (json!({"type": "integer", "minimum": 0, "maximum": 65535}), "integer between 0 and 65535"),
            (json!({"type": "integer", "minimum": 1}), "integer of at least 1"),
            (json!({"type": "number", "exclusiveMinimum": 0}), "number above 0"),
            (json!({"type": "number", "not": {"type": "integer"}}), "floating point number"),
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
            (json!({"type": "string", "posixPattern": "[a-z]+"}), "string matching [a-z]+"),
            (json!({"type": "string", "posixPattern": "/.*", "description": "absolute path"}), "absolute path"),
            (json!({"anyOf": [{"type": "string"}, {}]}), "anything"),
            (json!({"unchecked": "systemd option"}), "the built value"),
            (json!({"anyOf": [{"type": "string"}, {"unchecked": "module"}]}), "string"),
            (json!({"allOf": [{"type": "object"}, {"properties": {"a": false}}]}), "attribute set"),
        ] {
            assert_eq!(compile(&schema).unwrap().describe(), text, "{schema}");
        }
    }
}
