//! Renderers: nothing makes them panic, and readers that are not ours get the value back.

use dynix::format;
use dynix::plan::FormatSpec;
use serde_json::{Map, Value};

use super::Bytes;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let formats = format::all();
    let format = &formats[usize::from(bytes.byte()) % formats.len()];
    let dialect = match format.dialects {
        [] => None,
        dialects => Some(dialects[usize::from(bytes.byte()) % dialects.len()].to_owned()),
    };
    let spec = FormatSpec { name: format.name.to_owned(), dialect, parameters: Map::new() };
    let value = match bytes.byte() % 4 {
        0 => bytes.value(0),
        // Sections, as most formats have them.
        1 => (0..bytes.byte() % 4).map(|_| (bytes.text(), Value::Object(bytes.table(4)))).collect::<Map<_, _>>().into(),
        _ => Value::Object(bytes.table(0)),
    };
    let Ok(text) = format::render(&spec, &value) else { return };
    assert_eq!(format::render(&spec, &value).as_ref(), Ok(&text), "the same each time");
    if format::ambiguities(&spec, &Value::Null, &value).is_err() {
        return;
    }
    let text = String::from_utf8(text).unwrap();
    let read = match format.name {
        "json" => serde_json::from_str(&text).map_err(|error| error.to_string()),
        "toml" => toml::from_str(&text).map_err(|error| error.to_string()),
        "yaml_1_1" if has(&value, differs_by_version) => return,
        "yaml_1_2" if has(&value, has_capital_base) => return,
        "yaml_1_1" => read_yaml(&text, false),
        "yaml_1_2" => read_yaml(&text, true),
        "ini" => Ok(read_ini(&text)),
        _ => return,
    };
    let read: Value = read.unwrap_or_else(|error| panic!("{} {value}: {error}\n{text}", format.name));
    let expected = match format.name {
        "ini" => of_text(&value, 2),
        _ => value.clone(),
    };
    assert!(is_same(&read, &expected), "{} {expected}:\n{read}\n{text}", format.name);
}

fn read_yaml(text: &str, strict: bool) -> Result<Value, String> {
    let options = serde_yaml::options! {
        strict_booleans: strict,
        merge_keys: serde_yaml::options::MergeKeyPolicy::Error,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Strings that YAML 1.1 and 1.2 read differently, which PyYAML leaves plain, and our reader is one of 1.2; and `oN`, which
/// is a boolean to that reader and to no version.
fn differs_by_version(text: &str) -> bool {
    let number = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    let words = ["y", "n", "t", "f", "nan", "yes", "no", "on", "off", "true", "false"];
    number || words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `0B1`, `0O7` and `0XA`, which are integers to our reader and to no version.
fn has_capital_base(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    ["0B", "0O", "0X"].iter().any(|base| digits.starts_with(base))
}

/// Whether a string of the value is such a one.
fn has(value: &Value, is_one: fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_one(text),
        Value::Array(items) => items.iter().any(|item| has(item, is_one)),
        Value::Object(map) => map.iter().any(|(name, value)| is_one(name) || has(value, is_one)),
        _ => false,
    }
}

/// Sections and `name=value`, as the simplest reader has it.
fn read_ini(text: &str) -> Value {
    let mut sections = Map::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
            sections.entry(name).or_insert_with(|| Value::Object(Map::new()));
        } else {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            sections.entry(&section).or_insert_with(|| Value::Object(Map::new()))[name] = value.into();
        }
    }
    Value::Object(sections)
}

/// With the text that stands for each value, so many levels down.
fn of_text(value: &Value, depth: u32) -> Value {
    match value {
        Value::Object(map) if depth > 0 => {
            map.iter().map(|(name, value)| (name.clone(), of_text(value, depth - 1))).collect::<Map<_, _>>().into()
        }
        Value::String(text) => text.as_str().into(),
        // Spelled by Nix's rules, which other tests compare.
        other => Value::String(format!("?{other}")),
    }
}

/// JSON knows no difference between 1 and 1.0; what is `?` stands for any text.
fn is_same(read: &Value, expected: &Value) -> bool {
    match (read, expected) {
        (Value::Number(read), Value::Number(expected)) if expected.is_f64() => read.as_f64() == expected.as_f64(),
        (Value::Array(read), Value::Array(expected)) => {
            read.len() == expected.len() && read.iter().zip(expected).all(|(read, expected)| is_same(read, expected))
        }
        (Value::Object(read), Value::Object(expected)) => {
            read.len() == expected.len()
                && read.iter().zip(expected).all(|((a, read), (b, expected))| a == b && is_same(read, expected))
        }
        (Value::String(_), Value::String(expected)) if expected.starts_with('?') => true,
        (read, expected) => read == expected,
    }
}
