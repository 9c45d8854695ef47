//! XML, read back with roxmltree.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use proptest::prelude::*;
use roxmltree::{Document, Node};
use serde_json::{Map, Value, json};

use crate::readers::scalar;

fn spec(dialect: &str, parameters: &Value) -> FormatSpec {
    let parameters = parameters.as_object().unwrap().clone();
    FormatSpec { name: "xml".to_owned(), dialect: Some(dialect.to_owned()), parameters }
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "log-level", "_x", "Z.9", "日本"][..]).prop_map(str::to_owned)
}

/// An element: a scalar, or attributes, children, and a text, which xmltodict 0.14 wants to be a string.
fn element() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 4, |inner| {
        let child = prop_oneof![2 => inner.clone(), 1 => prop::collection::vec(inner, 1..4).prop_map(Value::from)];
        let children = prop::collection::btree_map(name(), child, 0..4);
        let attributes = prop::collection::btree_map(name().prop_map(|name| format!("@{name}")), scalar(), 0..3);
        (attributes, children, prop::option::of("[a-z<&>'\" ]{0,9}")).prop_map(|(mut all, children, text)| {
            all.extend(children);
            all.extend(text.map(|text| ("#text".to_owned(), Value::from(text))));
            json!(all)
        })
    })
}

/// What a scalar is in XML; null and booleans in attributes are what the dialect says.
fn text(value: &Value, dialect: &str, in_attribute: bool) -> String {
    let python = in_attribute && dialect != "xmltodict";
    match value {
        Value::Null => if python { "None" } else { "" }.to_owned(),
        Value::Bool(true) => if python { "True" } else { "true" }.to_owned(),
        Value::Bool(false) => if python { "False" } else { "false" }.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Floats are compared as such: their text is Python's.
fn is_same(read: &str, value: &Value, dialect: &str, in_attribute: bool) -> bool {
    match value.as_f64() {
        Some(float) if value.is_f64() => read.parse() == Ok(float),
        _ => read == text(value, dialect, in_attribute),
    }
}

fn has_element(node: Node, value: &Value, dialect: &str) -> bool {
    let own_text: String = node.children().filter(Node::is_text).filter_map(|node| node.text()).collect();
    let Value::Object(attrs) = value else {
        return node.children().all(|child| child.is_text()) && is_same(&own_text, value, dialect, false);
    };
    let attributes: Vec<_> = attrs.iter().filter_map(|(name, value)| Some((name.strip_prefix('@')?, value))).collect();
    let children: Vec<_> = attrs
        .iter()
        .filter(|(name, _)| !name.starts_with(['@', '#']))
        .flat_map(|(name, value)| match value {
            Value::Array(items) => items.iter().map(|item| (name, item)).collect(),
            one => vec![(name, one)],
        })
        .collect();
    let read: Vec<_> = node.children().filter(Node::is_element).collect();
    let text = attrs.get("#text").and_then(Value::as_str).unwrap_or_default();
    // Between the elements are line breaks and indentation, and the text stands after them.
    let has_text = if children.is_empty() { own_text == text } else { own_text.trim() == text.trim() };
    has_text
        && node.attributes().len() == attributes.len()
        && attributes
            .iter()
            .all(|(name, value)| node.attribute(*name).is_some_and(|read| is_same(read, value, dialect, true)))
        && read.len() == children.len()
        && read
            .iter()
            .zip(children)
            .all(|(node, (name, value))| node.tag_name().name() == name && has_element(*node, value, dialect))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn xml_reads_back(
        name in name(),
        element in element(),
        dialect in prop::sample::select(format::dialects("xml")),
        with_header in any::<bool>(),
    ) {
        let value = json!({ &name: element });
        let spec = spec(dialect, &json!({ "withHeader": with_header }));
        let Ok(bytes) = format::render(&spec, &value) else {
            // Control characters, which XML does not have.
            let is_control = |ch: char| ch.is_control() || matches!(ch, '\u{fffe}' | '\u{ffff}');
            let written: String = serde_json::to_string(&value).unwrap();
            prop_assert!(written.contains("\\u00") || written.contains("\\b") || written.contains("\\f") || written.contains(is_control));
            return Ok(());
        };
        prop_assume!(format::ambiguities(&spec, &Value::Null, &value).is_ok());
        let text = String::from_utf8(bytes).unwrap();
        let document = Document::parse(&text).unwrap();
        let root = document.root_element();
        prop_assert_eq!(root.tag_name().name(), name);
        prop_assert!(has_element(root, &element, dialect), "{}", text);
    }
}

#[test]
fn what_xml_cannot_say() {
    let refused = |dialect: &str, value: Value, expected: &str| {
        let error = format::render(&spec(dialect, &json!({})), &value).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let current = "xmltodict";
    refused(current, json!([]), "has to be an attribute set with one attribute, the root element");
    refused(current, json!({}), "has 0 root elements; an XML document has one");
    refused(current, json!({ "a": 1, "b": 2 }), "has 2 root elements; an XML document has one");
    refused(current, json!({ "a": [1, 2] }), "has 2 root elements; an XML document has one");
    refused(current, json!({ "a": [] }), "has 0 root elements; an XML document has one");
    refused(
        current,
        json!({ "@a": 1 }),
        "\"@a\": is no name of an XML element or attribute; attributes, #text and comments are in an element",
    );
    refused(current, json!({ "a": { "b c": 1 } }), "a.\"b c\": is no name of an XML element or attribute");
    refused(current, json!({ "a": { "@9": 1 } }), "a.\"@9\": is no name of an XML element or attribute");
    refused(
        current,
        json!({ "a": { "b": [1, [2]] } }),
        "a.b.\"1\": is a list where XML has one text; xmltodict would write Python code",
    );
    refused(
        current,
        json!({ "a": { "@b": {} } }),
        "a.\"@b\": is an attribute set where XML has one text; xmltodict would write Python code",
    );
    refused(current, json!({ "a": { "b": "\u{1}" } }), "a.b: has the character '\\u{1}', which XML does not have");
    refused(current, json!({ "a": { "@b": "\0" } }), "a.\"@b\": has the character '\\0', which XML does not have");
    refused(
        current,
        json!({ "a": { "#comment": "a -- b" } }),
        "a.\"#comment\": has -- in it or - at its end, which an XML comment can't have",
    );
    refused(
        "xmltodict-0.14",
        json!({ "a": { "#text": 1 } }),
        "a.\"#text\": has to be a string; xmltodict 0.14 takes nothing else beside attributes",
    );
    refused(
        "xmltodict-0.14",
        json!({ "a": { "#comment": "b" } }),
        "a.\"#comment\": is no name of an XML element or attribute; attributes, #text and comments are in an element",
    );
}

#[test]
fn overrides_that_xml_would_read_as_something_else() {
    let spec = spec("xmltodict", &Value::Object(Map::new()));
    let misread = |value: Value| format::ambiguities(&spec, &json!({}), &value).map_err(|error| error.to_string());
    assert_eq!(
        misread(json!({ "a": { "b": ["x", "y\rz"] } })),
        Err("a.b.\"1\": has a carriage return, which XML gives back as a newline".to_owned())
    );
    assert_eq!(misread(json!({ "a": { "@b": "y\r\nz", "#text": "</a><b>\n" } })), Ok(()));
}
