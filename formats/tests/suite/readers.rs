//! Whatever value is rendered, a reader that is not ours gets it back.

use dynix_formats as format;
use dynix_formats::FormatSpec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Strings that mean something to one format or another.
const HOSTILE: &[&str] = &[
    "",
    " ",
    " lead",
    "trail ",
    "a  b",
    "null",
    "~",
    "true",
    "False",
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "n",
    "0",
    "-1",
    "007",
    "0o17",
    "0x1F",
    "1_000",
    "1.",
    ".5",
    "1e3",
    "-.inf",
    "nan",
    "12:30",
    "12:30:45",
    "2020-01-01",
    "2020-01-01T10:00:00Z",
    "<<",
    "=",
    "-",
    "- a",
    "?",
    ": a",
    "a: b",
    "a:",
    "a #b",
    "#c",
    "!x",
    "&x",
    "*x",
    "%x",
    "@x",
    "`x`",
    "|",
    ">",
    "[x]",
    "{x}",
    ",",
    "a,b",
    "---",
    "--- a",
    "...",
    "'",
    "''",
    "it's",
    "\"",
    "\"\"\"",
    "'''",
    "a\"'b",
    "'''\"\"\"",
    "\\",
    "C:\\x",
    "\\n",
    "a\\",
    "\n",
    "a\nb",
    "a\n\nb\n",
    "a\n b",
    "a \nb",
    "\r\n",
    "\t",
    "a\tb",
    "\u{1}",
    "\u{7f}",
    "\u{a0}",
    "\u{feff}",
    "\u{fffd}",
    "é",
    "日本",
    "😀",
    "${x}",
    "$(x)",
    "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x/bin",
    "http://[::1]:8080/?a=b&c=d",
    "[section]\nkey = value",
];

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => "[ -~\n\té日😀]{0,12}",
        1 => "[a-z]{1,9}( [a-z'\":#-]{1,30}){0,20}",
        1 => any::<String>(),
    ]
}

pub fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => prop::num::f64::NORMAL.prop_map(Value::from),
        1 => prop::sample::select(&[0.0, -0.0, 1.0, 1e15, 1e16, 1e-5, 1e-7, 5e-324, 0.1][..]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

/// The same value with all floats alike, for readers that do not get them back to the last digit.
pub fn without_floats(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!(0.25),
        Value::Array(items) => items.into_iter().map(without_floats).collect(),
        Value::Object(attrs) => {
            attrs.into_iter().map(|(name, value)| (name, without_floats(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

pub fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner.clone(), 0..6).prop_map(|map| json!(map)),
            prop::collection::vec(prop::collection::btree_map(text(), inner, 0..4), 0..4).prop_map(|list| json!(list)),
        ]
    })
}

fn table() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), value().prop_map(without_null), 0..6).prop_map(|map| json!(map))
}

fn without_null(value: Value) -> Value {
    match value {
        Value::Null => Value::from("was null"),
        Value::Array(items) => items.into_iter().map(without_null).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, value)| (name, without_null(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// Strings that YAML 1.1 and 1.2 read differently, which PyYAML leaves plain; replaced where a reader of 1.2 reads.
fn without_version_differences(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(agreed(text)),
        Value::Array(items) => items.into_iter().map(without_version_differences).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| (agreed(name), without_version_differences(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

fn agreed(text: String) -> String {
    let number = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    let word =
        matches!(text.as_str(), "y" | "Y" | "n" | "N" | "t" | "T" | "f" | "F") || text.eq_ignore_ascii_case("nan");
    if number || word { format!("s{text}") } else { text }
}

/// JSON knows no difference between 1 and 1.0, and jq makes use of it.
fn is_same_json(read: &Value, value: &Value) -> bool {
    match (read, value) {
        (Value::Number(read), Value::Number(value)) if value.is_f64() => read.as_f64() == value.as_f64(),
        (Value::Array(read), Value::Array(value)) => {
            read.len() == value.len() && read.iter().zip(value).all(|(read, value)| is_same_json(read, value))
        }
        (Value::Object(read), Value::Object(value)) => {
            read.len() == value.len()
                && read.iter().zip(value).all(|((a, read), (b, value))| a == b && is_same_json(read, value))
        }
        (read, value) => read == value,
    }
}

fn spec(name: &str, dialect: &str) -> FormatSpec {
    let dialect = (!dialect.is_empty()).then(|| dialect.to_owned());
    FormatSpec { name: name.to_owned(), dialect, parameters: Map::new() }
}

fn render(name: &str, dialect: &str, value: &Value) -> String {
    String::from_utf8(format::render(&spec(name, dialect), value).unwrap()).unwrap()
}

fn read_yaml(text: &str, booleans_of_1_1: bool) -> Value {
    let options = serde_yaml::options! {
        strict_booleans: !booleans_of_1_1,
        merge_keys: serde_yaml::options::MergeKeyPolicy::Error,
    };
    serde_yaml::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn json_reads_back(value in value()) {
        let text = render("json", "", &value);
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(is_same_json(&read, &value), "{}", text);
    }

    /// nixpkgs' json2x is `toml::to_string` of this very crate, so its text is the expected one.
    #[test]
    fn toml_rs_is_the_toml_crate(value in table()) {
        prop_assert_eq!(render("toml", "toml-rs", &value), toml::to_string(&value).unwrap());
    }

    #[test]
    fn toml_reads_back(value in table(), dialect in prop::sample::select(format::dialects("toml"))) {
        let text = render("toml", dialect, &value);
        let read: Value = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(read, value, "{}", text);
    }

    #[test]
    fn yaml_1_2_reads_back(value in value(), dialect in prop::sample::select(format::dialects("yaml_1_2"))) {
        prop_assume!(format::ambiguities(&spec("yaml_1_2", dialect), &Value::Null, &value).is_ok());
        let text = render("yaml_1_2", dialect, &value);
        prop_assert_eq!(read_yaml(&text, false), value, "{}", text);
    }

    #[test]
    fn yaml_1_1_reads_back(value in value(), dialect in prop::sample::select(format::dialects("yaml_1_1"))) {
        let value = without_version_differences(value);
        prop_assume!(format::ambiguities(&spec("yaml_1_1", dialect), &Value::Null, &value).is_ok());
        let text = render("yaml_1_1", dialect, &value);
        prop_assert_eq!(read_yaml(&text, true), value, "{}", text);
    }
}
