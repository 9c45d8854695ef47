//! CDN, read back with a model of the library's own reader (`CdnReader` with the `StandardModule`), written from its
//! description: lines, of which those with a bracket at their end open a section.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::readers::{text, value, without_floats};

fn spec(dialect: &str) -> FormatSpec {
    FormatSpec { name: "cdn".to_owned(), dialect: Some(dialect.to_owned()), parameters: Map::new() }
}

fn render(dialect: &str, value: &Value) -> String {
    String::from_utf8(format::render(&spec(dialect), value).unwrap()).unwrap()
}

/// Quotes around it are left away; a line break is written as two characters.
fn unquoted(text: &str) -> String {
    if text.chars().count() <= 1 {
        return text.to_owned();
    }
    let text = text.replace("\\n", "\n");
    for quote in ['\'', '"', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    text
}

/// A section as a list of pairs, an array as a list; every scalar is a text.
fn read<'a>(lines: &mut impl Iterator<Item = &'a str>, is_array: bool) -> Value {
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        let line = line.trim_matches(|ch| ch <= ' ');
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let line = line.strip_suffix(',').unwrap_or(line);
        if let Some(name) = line.strip_suffix(['{', '[']) {
            let inner = read(lines, line.ends_with('['));
            items.push(if is_array { inner } else { json!([unquoted(name.trim_end_matches(' ')), inner]) });
        } else if line == "}" || line == "]" {
            break;
        } else if is_array {
            items.push(json!(unquoted(line)));
        } else {
            let (name, value) = line.split_once(": ").unwrap();
            items.push(json!([unquoted(name), unquoted(value)]));
        }
    }
    if is_array { json!(items) } else { json!({ "section": items }) }
}

/// What can come back: the escapes of JSON but that of the line break stay in the texts.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(attrs) => {
            let pairs = attrs.iter().map(|(name, value)| json!([literal(&json!(name)), texts(value)]));
            json!({ "section": pairs.collect::<Value>() })
        }
        Value::Array(items) => items.iter().map(texts).collect(),
        scalar => json!(literal(scalar)),
    }
}

fn literal(scalar: &Value) -> String {
    let json = serde_json::to_string(scalar).unwrap();
    if scalar.is_string() { json[1..json.len() - 1].replace("\\n", "\n") } else { json }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 8192, ..ProptestConfig::default() })]

    #[test]
    fn cdn_reads_back(attrs in prop::collection::btree_map(text(), value(), 0..5)) {
        let value = without_floats(json!(attrs));
        prop_assume!(format::ambiguities(&spec("json2cdn-utf-8"), &Value::Null, &value).is_ok());
        let text = render("json2cdn-utf-8", &value);
        prop_assert_eq!(read(&mut text.lines(), false), texts(&value), "{}", text);
    }
}

#[test]
fn without_a_locale_java_writes_ascii() {
    assert_eq!(render("json2cdn", &json!({ "é": ["a😀b"] })), "? [\n  \"a?b\"\n]\n");
    assert_eq!(render("json2cdn-utf-8", &json!({ "é": ["a😀b"] })), "é [\n  \"a😀b\"\n]\n");
}

#[test]
fn what_cdn_cannot_say() {
    let refused = |value: Value, expected: &str| {
        assert_eq!(format::render(&spec("json2cdn"), &value).unwrap_err().to_string(), expected);
    };
    refused(json!(1), "has to be an attribute set or a list");
    refused(
        json!({ "a": { "b": [1, u64::MAX] } }),
        "a.b.\"1\": the integer 18446744073709551615 is above 9223372036854775807, the largest that Nix has",
    );
    refused(json!({ "a": "\"}}}" }), "has quotes and brackets in its strings that json2cdn can't keep apart");
    refused(
        json!({ "a": "\"},[\"" }),
        "has quotes and brackets in its strings from which json2cdn makes several documents",
    );
}

#[test]
fn overrides_that_cdn_would_read_as_something_else() {
    let misread = |dialect: &str, value: Value| {
        assert!(format::render(&spec(dialect), &value).is_ok(), "the writer itself is faithful");
        format::ambiguities(&spec(dialect), &json!({}), &value).map_err(|error| error.to_string()).unwrap_err()
    };
    let utf8 = "json2cdn-utf-8";
    let quotes = "has quotes in it, which json2cdn takes for the end of the string";
    assert_eq!(misread(utf8, json!({ "a": { "b": "x\", y: \"" } })), format!("a.b: {quotes}"));
    assert_eq!(misread(utf8, json!({ "a": ["\""] })), format!("a.\"0\": {quotes}"));
    assert_eq!(
        misread("json2cdn", json!({ "a": "é" })),
        "a: has characters that are not ASCII, which json2cdn writes as ?"
    );
    assert_eq!(
        misread(utf8, json!({ "a": [-1, -2.5] })),
        "a: is a list of negative numbers only: a reader takes their signs for the marks of a list"
    );
    assert_eq!(misread(utf8, json!({ "a:b": 1 })), "\"a:b\": the key has a : in it, at which a reader splits it");
    assert_eq!(
        misread(utf8, json!({ "a\nroot": {} })),
        "\"a\\nroot\": the section's name has a line break: what follows it would be read as a line of its own"
    );
    assert_eq!(
        misread(utf8, json!({ "//a": { "root": 1 } })),
        "\"//a\": the section's name starts with a character that means a comment or a quote to a reader"
    );
    assert_eq!(
        misread(utf8, json!({ "": { "root": 1 } })),
        "\"\": the section's name is empty, which a reader takes for the document"
    );
    let ordinary = json!({ "a b": "it's \"quoted\" = [x] {y}, #z\n", "log-level": { "x": [1, -1, "a:b"] } });
    assert_eq!(format::ambiguities(&spec(utf8), &json!({}), &json!({ "log-level": ordinary["log-level"] })), Ok(()));
    assert_eq!(format::ambiguities(&spec("json2cdn"), &json!({}), &json!({ "a b": "it's {y}, #z\n" })), Ok(()));
}
