//! ConfigObj files, read back with a model of ConfigObj's reader, written from its documentation.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::readers::{scalar, text};

fn spec() -> FormatSpec {
    FormatSpec { name: "configobj".to_owned(), dialect: None, parameters: Map::new() }
}

/// The whole text as sections of `Value`s, or what is wrong with it.
struct Reader<'a> {
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
}

impl Reader<'_> {
    fn section(&mut self, depth: usize) -> Result<Value, String> {
        let mut found = Map::new();
        while let Some(&line) = self.lines.peek() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                self.lines.next();
                continue;
            }
            if line.starts_with('[') {
                let open = line.len() - line.trim_start_matches('[').len();
                let close = line.len() - line.trim_end_matches(']').len();
                if open != close || open > depth + 1 {
                    return Err(format!("bad section {line}"));
                }
                if open <= depth {
                    break;
                }
                self.lines.next();
                let (name, rest) = token(&line[open..line.len() - close])?;
                if !rest.is_empty() || name.trim().is_empty() {
                    return Err(format!("bad section {line}"));
                }
                let section = self.section(depth + 1)?;
                insert(&mut found, name, section)?;
                continue;
            }
            self.lines.next();
            let (name, rest) = if line.starts_with(['"', '\'']) {
                token(line)?
            } else {
                let (name, _) = line.split_once('=').ok_or_else(|| format!("bad line {line}"))?;
                (name.trim().to_owned(), &line[name.len()..])
            };
            let value = rest.trim_start().strip_prefix('=').ok_or_else(|| format!("bad line {line}"))?;
            let value = self.value(value.trim_start())?;
            insert(&mut found, name, value)?;
        }
        Ok(found.into())
    }

    fn value(&mut self, text: &str) -> Result<Value, String> {
        for quote in ["\"\"\"", "'''"] {
            if let Some(first) = text.strip_prefix(quote) {
                let mut value = first.to_owned();
                while !value.ends_with(quote) {
                    let line = self.lines.next().ok_or("the value does not end")?;
                    value = format!("{value}\n{line}");
                }
                return Ok(json!(value[..value.len() - quote.len()]));
            }
        }
        if text == "," {
            return Ok(json!([]));
        }
        let mut items = Vec::new();
        let mut rest = text;
        loop {
            let (item, after) = token(rest)?;
            items.push(json!(item));
            match after.strip_prefix(',').map(str::trim_start) {
                None if !after.is_empty() => return Err(format!("bad value {text}")),
                None if items.len() == 1 => return Ok(items.remove(0)),
                None | Some("") => return Ok(items.into()),
                Some(next) => rest = next,
            }
        }
    }
}

/// Up to a comma, or between quotes; and what follows.
fn token(text: &str) -> Result<(String, &str), String> {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            let end = inner.find(quote).ok_or_else(|| format!("no end of {text}"))?;
            return Ok((inner[..end].to_owned(), &inner[end + 1..]));
        }
    }
    let end = text.find(',').unwrap_or(text.len());
    if text[..end].contains('#') {
        return Err(format!("a comment in {text}"));
    }
    Ok((text[..end].trim().to_owned(), &text[end..]))
}

fn insert(found: &mut Map<String, Value>, name: String, value: Value) -> Result<(), String> {
    let twice = format!("{name} is there twice");
    found.insert(name, value).map_or(Ok(()), |_| Err(twice))
}

/// What can come back: everything is text, and that of Python.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(attrs) => {
            attrs.iter().map(|(name, value)| (name.clone(), texts(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Null => json!("None"),
        Value::Bool(true) => json!("True"),
        Value::Bool(false) => json!("False"),
        Value::String(text) => json!(text),
        number => json!(number.to_string()),
    }
}

fn section() -> impl Strategy<Value = Value> {
    // Floats have Python's text, which the fixtures check.
    let scalar = || scalar().prop_map(|value| if value.is_f64() { json!(0.25) } else { value });
    let value = prop_oneof![3 => scalar(), 1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::from)];
    let leaf = prop::collection::btree_map(text(), value.clone(), 0..4).prop_map(|attrs| json!(attrs));
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let value = prop_oneof![value.clone(), inner];
        prop::collection::btree_map(text(), value, 0..4).prop_map(|attrs| json!(attrs))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 16384, ..ProptestConfig::default() })]

    #[test]
    fn configobj_reads_back(value in section()) {
        let rendered = format::render(&spec(), &value);
        prop_assume!(rendered.is_ok() && format::ambiguities(&spec(), &Value::Null, &value).is_ok());
        let text = String::from_utf8(rendered.unwrap()).unwrap();
        let read = Reader { lines: text.trim_end_matches('\n').split('\n').peekable() }.section(0);
        prop_assert_eq!(read, Ok(texts(&value)), "{}", text);
    }
}

#[test]
fn what_configobj_cannot_say() {
    let refused = |value: Value, expected: &str| {
        assert_eq!(format::render(&spec(), &value).unwrap_err().to_string(), expected);
    };
    refused(json!([]), "has to be an attribute set");
    refused(json!({ "a": { "b": [1, [2]] } }), "a.b.\"1\": is a list in a list, which ConfigObj does not have");
    refused(json!({ "a": [{}] }), "a.\"0\": is an attribute set in a list, which ConfigObj does not have");
    let line = "has a line break, which ConfigObj has only in a value of its own";
    refused(json!({ "a": ["x\ny"] }), &format!("a.\"0\": {line}"));
    refused(json!({ "a\nb": 1 }), &format!("\"a\\nb\": {line}"));
    refused(json!({ "a": { "b\n": {} } }), &format!("a.\"b\\n\": {line}"));
    refused(
        json!({ "a": ["it's \"x\","] }),
        "a.\"0\": has both ' and \", which ConfigObj can't quote in a name or a list",
    );
    refused(json!({ "a": "'''\n\"\"\"" }), "a: has both ''' and \"\"\", so ConfigObj finds no quotes for it");
    refused(json!({ "a": "\0" }), "a: has a NUL character, which no text file of this format can hold");
}

#[test]
fn overrides_that_configobj_would_read_as_something_else() {
    let misread = |value: Value| {
        assert!(format::render(&spec(), &value).is_ok(), "the writer itself is faithful");
        format::ambiguities(&spec(), &json!({}), &value).map_err(|error| error.to_string()).unwrap_err()
    };
    assert_eq!(misread(json!({ "a=b": 1 })), "\"a=b\": the key has a = in it, at which a reader splits it");
    assert_eq!(misread(json!({ "[a": "b]" })), "\"[a\": the key starts with [, so it may be read as a section");
    assert_eq!(
        misread(json!({ "s": { "a]": {} } })),
        "s.\"a]\": the section's name has a bracket at its start or end, which a reader counts to those around it"
    );
    assert_eq!(
        misread(json!({ " ": {} })),
        "\" \": the section's name is empty or white space, which a reader does not take"
    );
    assert_eq!(
        misread(json!({ "a": "x\n'''\nroot = 1\n'''" })),
        "a: has the three quotes in it that ConfigObj puts around it"
    );
    let ordinary = json!({ "a b": "x = y", "c,d": "# [s]\nroot = 1", "s": { "t": ["a", "b c", ""] } });
    assert_eq!(format::ambiguities(&spec(), &json!({}), &ordinary), Ok(()));
}
