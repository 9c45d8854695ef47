//! KDL, read back with the crate `kdl`: its own parsers for both versions of the language.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use kdl::{KdlDocument, KdlEntry, KdlIdentifier, KdlValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::readers::{scalar, text};

fn spec(version: u64) -> FormatSpec {
    let parameters = Map::from_iter([("version".to_owned(), json!(version))]);
    FormatSpec { name: "kdl".to_owned(), dialect: None, parameters }
}

fn render(version: u64, value: &Value) -> String {
    String::from_utf8(format::render(&spec(version), value).unwrap()).unwrap()
}

/// The parser of version 1 panics at some of what it can't read, such as `(null)1`.
fn read(version: u64, text: &str) -> Result<Value, String> {
    let parse = || if version == 1 { KdlDocument::parse_v1(text) } else { KdlDocument::parse_v2(text) };
    match std::panic::catch_unwind(parse) {
        Ok(document) => document.map(|document| nodes(&document)).map_err(|error| error.to_string()),
        Err(_) => Err("the parser panicked".to_owned()),
    }
}

fn nodes(document: &KdlDocument) -> Value {
    document
        .nodes()
        .iter()
        .map(|node| {
            let (properties, arguments): (Vec<&KdlEntry>, Vec<_>) =
                node.iter().partition(|entry| entry.name().is_some());
            let properties: Map<_, _> =
                properties.iter().map(|entry| (entry.name().unwrap().value().to_owned(), typed(entry))).collect();
            json!({
                "name": node.name().value(),
                "type": node.ty().map(KdlIdentifier::value),
                "arguments": arguments.into_iter().map(typed).collect::<Value>(),
                "properties": properties,
                "children": node.children().map_or_else(|| json!([]), nodes),
            })
        })
        .collect()
}

fn typed(entry: &KdlEntry) -> Value {
    let value = match entry.value() {
        KdlValue::String(text) => json!(text),
        KdlValue::Integer(integer) => json!(i64::try_from(*integer).unwrap()),
        KdlValue::Float(float) => json!(float),
        KdlValue::Bool(boolean) => json!(boolean),
        KdlValue::Null => Value::Null,
    };
    json!({ "type": entry.ty().map(KdlIdentifier::value), "value": value })
}

/// A scalar, or one with a type. jsonkdl moves some floats by a bit; those are in the fixtures.
fn entry() -> impl Strategy<Value = Value> {
    let scalar = scalar().prop_map(|value| if value.is_f64() { json!(0.25) } else { value });
    (scalar, prop::option::of(prop::option::of(text()))).prop_map(|(value, kind)| match kind {
        None => value,
        Some(kind) => json!({ "type": kind, "value": value }),
    })
}

fn document() -> impl Strategy<Value = Value> {
    let node = |children: BoxedStrategy<Value>| {
        let arguments = prop::collection::vec(entry(), 0..4);
        let properties = prop::collection::btree_map(text(), entry(), 0..4);
        (text(), prop::option::of(text()), arguments, properties, children).prop_map(
            |(name, kind, arguments, properties, children)| {
                json!({ "name": name, "type": kind, "arguments": arguments, "properties": properties, "children": children })
            },
        )
    };
    let leaf = prop::collection::vec(node(Just(json!([])).boxed()), 0..3).prop_map(Value::from);
    leaf.prop_recursive(3, 16, 3, move |inner| prop::collection::vec(node(inner), 0..3).prop_map(Value::from))
}

/// As `read` gives it: every entry with a type or null.
fn with_types(document: &Value) -> Value {
    let typed = |entry: &Value| if entry.is_object() { entry.clone() } else { json!({ "type": null, "value": entry }) };
    let nodes = document.as_array().unwrap().iter().map(|node| {
        let mut node = node.clone();
        node["arguments"] = node["arguments"].as_array().unwrap().iter().map(typed).collect();
        let properties = node["properties"].as_object().unwrap();
        node["properties"] =
            properties.iter().map(|(name, one)| (name.clone(), typed(one))).collect::<Map<_, _>>().into();
        node["children"] = with_types(&node["children"]);
        node
    });
    nodes.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// What reads back as something else, or not at all, is what `ambiguities` names.
    #[test]
    fn kdl_reads_back(document in document(), version in 1..=2_u64) {
        prop_assume!(format::ambiguities(&spec(version), &Value::Null, &document).is_ok());
        let text = render(version, &document);
        let read = read(version, &text);
        prop_assert_eq!(read, Ok(with_types(&document)), "{}", text);
    }

    /// One string at each place: it is refused exactly when it does not read back.
    #[test]
    fn kdl_misreadings_are_real(text in text(), version in 1..=2_u64, place in 0..5) {
        let document = match place {
            0 => json!([{ "name": text }]),
            1 => json!([{ "name": "n", "type": text }]),
            2 => json!([{ "name": "n", "arguments": [text] }]),
            3 => json!([{ "name": "n", "properties": { text: 1 } }]),
            _ => json!([{ "name": "n", "arguments": [{ "type": text, "value": 1 }] }]),
        };
        let written = render(version, &document);
        let mut expected = document[0].as_object().unwrap().clone();
        for (part, empty) in [("type", json!(null)), ("arguments", json!([])), ("properties", json!({})), ("children", json!([]))] {
            expected.entry(part).or_insert(empty);
        }
        let comes_back = read(version, &written).is_ok_and(|read| read == with_types(&json!([expected])));
        let ambiguity = format::ambiguities(&spec(version), &Value::Null, &document);
        prop_assert_eq!(comes_back, ambiguity.is_ok(), "{} {:?}", written, ambiguity);
    }
}

#[test]
fn what_kdl_cannot_say() {
    let refused = |value: Value, expected: &str| {
        let error = format::render(&spec(2), &value).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    refused(json!({}), "has to be a list of nodes");
    refused(json!([1]), "\"0\": has to be a node, an attribute set with a name");
    refused(json!([{ "name": "a" }, { "children": [] }]), "\"1\".name: is missing; every node has a name");
    refused(json!([{ "name": 1 }]), "\"0\".name: has to be a string");
    refused(json!([{ "name": "a", "type": 1 }]), "\"0\".type: has to be a string or null");
    refused(
        json!([{ "name": "a", "argument": [] }]),
        "\"0\".argument: is not known here; a node has name, type, arguments, properties, children",
    );
    refused(
        json!([{ "name": "a", "children": [{ "name": "b", "properties": { "c d": [1] } }] }]),
        "\"0\".children.\"0\".properties.\"c d\": is a list, which an argument or property can't be",
    );
    refused(
        json!([{ "name": "a", "arguments": [1, { "type": "u8", "value": {} }] }]),
        "\"0\".arguments.\"1\".value: is an attribute set, which an argument or property can't be",
    );
    refused(
        json!([{ "name": "a", "arguments": [{ "type": "u8" }] }]),
        "\"0\".arguments.\"0\".value: is missing; a typed value is { type, value }",
    );
    refused(
        json!([{ "name": "a", "arguments": [u64::MAX] }]),
        "\"0\".arguments.\"0\": the integer 18446744073709551615 is above 9223372036854775807, the largest that Nix has",
    );
    let spec = FormatSpec { parameters: Map::from_iter([("version".to_owned(), json!(3))]), ..spec(1) };
    assert_eq!(
        format::check(&spec).unwrap_err().to_string(),
        "parameter version of format kdl is 3, but has to be 1 or 2"
    );
}

#[test]
fn overrides_that_kdl_would_read_as_something_else() {
    let misread =
        |version: u64, value: Value| format::ambiguities(&spec(version), &json!([]), &value).unwrap_err().to_string();
    assert_eq!(
        misread(2, json!([{ "name": "a", "arguments": ["true"] }])),
        "\"0\".arguments.\"0\": \"true\" is written without quotes, and is no name then"
    );
    assert_eq!(
        misread(1, json!([{ "name": "a", "properties": { "a,b": 1 } }])),
        "\"0\".properties.\"a,b\": \"a,b\" is written without quotes, and is no name then"
    );
    assert_eq!(
        misread(2, json!([{ "name": "a", "arguments": ["\u{1}"] }])),
        "\"0\".arguments.\"0\": has the character '\\u{1}', which KDL 2 does not have in a string as it is written here"
    );
    let ordinary = json!([{ "name": "log-level", "type": "x", "arguments": ["a b", "\n", "é", "10", ""], "properties": { "a b": "" } }]);
    assert_eq!(format::ambiguities(&spec(1), &json!([]), &ordinary), Ok(()));
    assert_eq!(format::ambiguities(&spec(2), &json!([]), &ordinary), Ok(()));
}
