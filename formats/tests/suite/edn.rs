//! EDN, read back with a small reader written from the specification (github.com/edn-format/edn).

use dynix_formats as format;
use dynix_formats::FormatSpec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::readers::{text, value, without_floats};

fn spec(dialect: &str) -> FormatSpec {
    FormatSpec { name: "edn".to_owned(), dialect: Some(dialect.to_owned()), parameters: Map::new() }
}

fn render(dialect: &str, value: &Value) -> String {
    String::from_utf8(format::render(&spec(dialect), value).unwrap()).unwrap()
}

/// Reads one value. Vectors become lists, maps of keywords attribute sets.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, String> {
        if self.eats('[') {
            let mut items = Vec::new();
            while !self.eats(']') {
                items.push(self.value()?);
            }
            return Ok(items.into());
        }
        if self.eats('{') {
            let mut attrs = Map::new();
            while !self.eats('}') {
                let name = self.eats(':').then(|| self.token().to_owned()).ok_or("the key is no keyword")?;
                let value = self.value()?;
                if attrs.insert(name, value).is_some() {
                    return Err("a key is there twice".to_owned());
                }
            }
            return Ok(attrs.into());
        }
        if self.eats('"') {
            return self.string().map(Value::from);
        }
        match self.token() {
            "nil" => Ok(Value::Null),
            token => serde_json::from_str(token).map_err(|_| format!("bad token {token:?}")),
        }
    }

    /// A comma is white space.
    fn eats(&mut self, first: char) -> bool {
        self.rest = self.rest.trim_start_matches(|ch: char| ch.is_whitespace() || ch == ',');
        self.rest.strip_prefix(first).map(|rest| self.rest = rest).is_some()
    }

    fn token(&mut self) -> &str {
        let end = self.rest.find(|ch: char| ch.is_whitespace() || ",\"[]{}()".contains(ch));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    fn string(&mut self) -> Result<String, String> {
        let mut chars = self.rest.char_indices();
        let mut text = String::new();
        while let Some((index, ch)) = chars.next() {
            match ch {
                '"' => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, ch @ ('\\' | '"'))) => text.push(ch),
                    other => return Err(format!("bad escape {other:?}")),
                },
                ch => text.push(ch),
            }
        }
        Err("the string does not end".to_owned())
    }
}

fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text };
    let value = reader.value()?;
    if reader.rest.is_empty() { Ok(value) } else { Err(format!("more follows: {}", reader.rest)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_global_rejects: 16384, ..ProptestConfig::default() })]

    #[test]
    fn edn_reads_back(
        names in prop::collection::vec("[a-z*!_?<>=.-][a-z0-9é.*-]{0,8}", 0..5),
        values in prop::collection::vec(prop_oneof![text().prop_map(Value::from), value()], 5),
        dialect in prop::sample::select(format::dialects("edn")),
    ) {
        let attrs: Map<_, _> = names.into_iter().zip(values.into_iter().map(without_floats)).collect();
        let value = Value::from(attrs);
        let rendered = format::render(&spec(dialect), &value);
        prop_assume!(rendered.is_ok() && format::ambiguities(&spec(dialect), &Value::Null, &value).is_ok());
        let text = String::from_utf8(rendered.unwrap()).unwrap();
        prop_assert_eq!(read(&text), Ok(value), "{}", text);
    }
}

#[test]
fn what_edn_cannot_say() {
    let refused = |dialect: &str, value: Value, expected: &str| {
        assert_eq!(format::render(&spec(dialect), &value).unwrap_err().to_string(), expected);
    };
    refused(
        "cat",
        json!({ "a": { "_ednType": "taggedElement", "tag": "inst", "value": "" } }),
        "a: is a tagged element, which nixpkgs' generator fails to write",
    );
    refused(
        "cat",
        json!({ "a": [{ "_ednType": "sets", "value": [] }] }),
        "a.\"0\": _ednType is raw, keyword or symbol, with a string, or list, set or map, with a list",
    );
    refused("cat", json!({ "_ednType": "set", "value": [], "x": 1 }), "x: is not known here; an _ednType has a value");
    refused(
        "zprint",
        json!({ "a": "x".repeat(80) }),
        "takes more than 80 columns, and how zprint breaks such a line is not known here; use formatter = \"cat\"",
    );
    refused(
        "zprint",
        json!({ "a": ["#"] }),
        "a.\"0\": has a #, which nixpkgs escapes with a backslash, and zprint does not take that",
    );
    refused(
        "zprint",
        json!({ "a": { "b c": 1 } }),
        "a.\"b c\": is no plain keyword, so what zprint makes of it is not known here",
    );
    refused(
        "zprint",
        json!({ "a": { "_ednType": "set", "value": [2, 1] } }),
        "a: is a set, which zprint sorts in a way that is not known here",
    );
}

#[test]
fn overrides_that_edn_would_read_as_something_else() {
    let misread = |value: Value| {
        assert!(format::render(&spec("cat"), &value).is_ok(), "the writer itself is faithful");
        format::ambiguities(&spec("cat"), &json!({}), &value).map_err(|error| error.to_string()).unwrap_err()
    };
    assert_eq!(
        misread(json!({ "a 1 :b": 1 })),
        "\"a 1 :b\": is no name of an EDN keyword: a reader would see several values"
    );
    assert_eq!(misread(json!({ "a": "#x" })), "a: has a #, whose escape \\# EDN does not have");
    assert_eq!(misread(json!({ "a": { "_ednType": "raw", "value": "1} :b {" } })), "a: is EDN code, not data: 1} :b {");
    assert_eq!(misread(json!({ "a": { "_ednType": "symbol", "value": "x y" } })), "a: is no EDN symbol: x y");
    assert_eq!(misread(json!({ ":a": 1, "a": 2 })), "has :a with and without its colon, which is the same key");
    let ordinary = json!({ "log-level": "it's \"x\" {:b 1} \\", "a/b?": [1, null, { "x": {} }] });
    assert_eq!(format::ambiguities(&spec("cat"), &json!({}), &ordinary), Ok(()));
}

#[test]
fn both_dialects() {
    let value = json!({ "b": [1, 2, {}], "a": 1.5 });
    assert_eq!(render("cat", &value), "{:a 1.500000, :b [1, 2, {}]}");
    assert_eq!(render("zprint", &value), "{:a 1.500000, :b [1 2 {}]}");
}
