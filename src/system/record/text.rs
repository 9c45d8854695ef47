//! Parses a value on the command line: by the option's type, by its present value, and by the syntax that Nix users
//! write.
//!
//! docs/overrides.md, Values, states the rule.

use serde_json::{Value, json};

use crate::nix::write_value;
use crate::overrides::{Code, Text, written};
use crate::types::{Part, kind_of, number};

/// A value, and the notes about how it was parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub value: Value,
    pub note: Option<String>,
}

/// The place that a text is for.
pub struct For<'a> {
    /// Its type.
    pub part: &'a Part<'a>,
    /// The built value.
    pub built: Option<&'a Value>,
    /// The present value.
    pub present: Option<&'a Value>,
}

/// The problem of a text, without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    pub problem: String,
    /// The text to type instead. It contains the given text.
    pub instead: Option<String>,
}

impl From<String> for Misread {
    fn from(problem: String) -> Self {
        Self { problem, instead: None }
    }
}

/// Reads a text.
pub fn read(text: &str, place: &For<'_>) -> Result<Read, Misread> {
    let string = Value::from(text);
    let takes = |value: &Value| place.part.takes(value, place.built);
    let plain = |value: Value| Ok(Read { value, note: None });
    let expected =
        || Misread { problem: format!("expected {}", place.part.describe()), instead: instead(text, &takes) };
    // If the type allows other values than strings, it does not decide what a word means.
    let several =
        place.part.takes_all_strings() && [json!(true), json!(0), json!(0.5), json!([]), json!({})].iter().any(takes);
    let says_string = takes(&string) && (!several || matches!(place.present, Some(Value::String(_))));
    match literal(text) {
        Literal::Inexact(_) | Literal::Code(Code::Likely) if says_string => plain(string),
        Literal::Inexact(problem) => Err(problem.into()),
        // Quotes are no part of a string, in JSON and in Nix.
        Literal::Value(value) if value.is_string() => {
            if takes(&value) {
                same_kind(value, several, place, "--json")
            } else {
                Err(expected())
            }
        }
        Literal::Value(value) if !takes(&value) => {
            if takes(&string) && !several {
                plain(string)
            } else {
                Err(expected())
            }
        }
        Literal::Value(value) if !takes(&string) => plain(value),
        Literal::Value(value) => match place.present {
            Some(Value::String(_)) if value.is_boolean() || value.is_number() => {
                let kind = kind_of(&value);
                let note = format!("read as a string, as the present value is one; --json makes it {kind}");
                Ok(Read { value: string, note: Some(note) })
            }
            _ => same_kind(value, several, place, "--json"),
        },
        Literal::Code(Code::Certain) => Err(no_literal().into()),
        Literal::Code(Code::Likely) if takes(&string) => Err(no_literal().into()),
        Literal::Code(Code::Likely) => Err(format!("{}; {}", expected().problem, no_literal()).into()),
        Literal::Words if takes(&string) => same_kind(string, several, place, "--string"),
        Literal::Words => Err(expected()),
    }
}

/// The text to type instead of one that the type refuses: the same in a list, a boolean, or an empty set.
fn instead(text: &str, takes: &dyn Fn(&Value) -> bool) -> Option<String> {
    const LONGEST: usize = 100;
    let literal = match literal(text) {
        Literal::Value(value) => value,
        _ => Value::from(text),
    };
    let items = [literal, Value::from(text)].map(|item| json!([item]));
    if let Some(items) = items.iter().find(|items| takes(items)) {
        let mut written = String::new();
        let is_short = write_value(&mut written, items).is_ok() && written.chars().count() <= LONGEST;
        return is_short.then(|| format!("'{}'", written.replace('\'', r"'\''")));
    }
    let booleans = takes(&json!(true)) && takes(&json!(false));
    booleans.then(|| "true or false".to_owned()).or_else(|| {
        let sets = takes(&json!({})) && !takes(&json!([]));
        sets.then(|| "a set, as in '{ name = 1; }'".to_owned())
    })
}

fn no_literal() -> String {
    "it is a Nix expression and no literal: --expr evaluates it, --string takes it as text".to_owned()
}

/// A value of another kind than the present one has to be meant.
fn same_kind(value: Value, several: bool, place: &For<'_>, insist: &str) -> Result<Read, Misread> {
    let kind = kind_of(&value);
    match place.present.map(kind_of) {
        // A set in the place of another value needs --replace. The message about that comes when the change is checked.
        Some(present) if several && present != "null" && present != kind && !value.is_object() => {
            let hint = match (place.present, &value) {
                (Some(Value::Number(_)), Value::Number(number)) if number.is_i64() => {
                    format!("write {number}.0, or say ")
                }
                (Some(Value::Array(_)), Value::String(text)) => {
                    format!("write [ {} ], or say ", Value::from(text.as_str()))
                }
                _ => "say ".to_owned(),
            };
            Err(format!("it is {kind}, and the present value is {present}; {hint}{insist} to set it all the same")
                .into())
        }
        _ => Ok(Read { value, note: None }),
    }
}

enum Literal {
    Value(Value),
    Inexact(String),
    Code(Code),
    Words,
}

/// The literal value of a text, in JSON or in Nix.
fn literal(text: &str) -> Literal {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return match number::first_fault(text.as_bytes()) {
            Some(problem) => Literal::Inexact(problem),
            None => Literal::Value(value),
        };
    }
    // A number that no JSON reader holds at all.
    let looks = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if let Some(problem) = number::fault(text).filter(|_| looks && !text.is_empty()) {
        return Literal::Inexact(problem);
    }
    match written(text) {
        Text::Literal(value) => Literal::Value(value),
        Text::Wrong(problem) => Literal::Inexact(problem),
        Text::Code(code) => Literal::Code(code),
        Text::Words => Literal::Words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Below, compile};

    fn by(schema: &Value, present: Option<&Value>, text: &str) -> Result<Value, String> {
        let kind = compile(schema).unwrap();
        let Below::Part(part) = kind.below(&[]) else { panic!("the whole is there") };
        read(text, &For { part: &part, built: None, present }).map(|read| read.value).map_err(|misread| {
            [Some(misread.problem), misread.instead].into_iter().flatten().collect::<Vec<_>>().join("; write ")
        })
    }

    fn open(present: Option<&Value>, text: &str) -> Result<Value, String> {
        by(&json!({}), present, text)
    }

    #[test]
    fn the_type_decides_between_a_number_and_a_string() {
        assert_eq!(by(&json!({"type": "string"}), None, "20"), Ok(json!("20")));
        assert_eq!(by(&json!({"type": "string"}), None, "[ 1 ]"), Ok(json!("[ 1 ]")));
        assert_eq!(by(&json!({"type": "integer"}), None, "20"), Ok(json!(20)));
        assert_eq!(by(&json!({"enum": ["true", "false"]}), None, "true"), Ok(json!("true")));
        assert_eq!(by(&json!({"type": ["string", "null"]}), None, "null"), Ok(json!(null)));
        let auto = json!({"anyOf": [{"type": "integer"}, {"enum": ["auto"]}]});
        assert_eq!(by(&auto, Some(&json!(3)), "auto"), Ok(json!("auto")));
        assert_eq!(by(&auto, Some(&json!("auto")), "3"), Ok(json!(3)));
        assert_eq!(
            by(&json!({"type": "integer", "minimum": 1}), None, "many"),
            Err("expected integer of at least 1".to_owned())
        );
        assert!(by(&json!({"type": "integer"}), None, "8e3").is_err());
    }

    #[test]
    fn what_a_type_refuses_is_answered_with_what_to_type() {
        let strings = json!({"type": "array", "items": {"type": "string"}});
        let numbers = json!({"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "integer"}}]});
        for (schema, text, instead) in [
            (&strings, "foo", r#"; write '[ "foo" ]'"#),
            (&strings, "5", r#"; write '[ "5" ]'"#),
            (&strings, "\"foo\"", r#"; write '[ "foo" ]'"#),
            (&strings, "it's", r#"; write '[ "it'\''s" ]'"#),
            (&numbers, "5", "; write '[ 5 ]'"),
            (&json!({"type": "boolean"}), "yes", "; write true or false"),
            (&json!({"type": ["null", "boolean"]}), "1", "; write true or false"),
            (&json!({"type": "object"}), "foo", "; write a set, as in '{ name = 1; }'"),
        ] {
            let error = by(schema, None, text).unwrap_err();
            assert!(error.ends_with(instead), "{text}: {error}");
            // What is to be typed is taken.
            if let Some(typed) = instead.strip_prefix("; write '") {
                let typed = typed.trim_end_matches('\'').replace(r"'\''", "'");
                assert!(by(schema, None, &typed).is_ok(), "{typed}");
            }
        }
        for (schema, text) in [(&numbers, "foo"), (&json!({"type": "integer"}), "foo"), (&strings, &"x".repeat(200))] {
            assert!(!by(schema, None, text).unwrap_err().contains("write"), "{text}");
        }
    }

    #[test]
    fn where_the_type_is_open_the_present_value_decides() {
        assert_eq!(open(Some(&json!("1.10")), "1.20"), Ok(json!("1.20")));
        assert_eq!(open(Some(&json!("yes")), "true"), Ok(json!("true")));
        assert_eq!(open(Some(&json!(1)), "2"), Ok(json!(2)));
        assert_eq!(open(Some(&json!(null)), "2"), Ok(json!(2)));
        for (present, text, insist) in [
            (json!(1), "2.5", "--json"),
            (json!(1.5), "2", "write 2.0"),
            (json!(1), "many", "--string"),
            (json!(true), "yes", "--string"),
            (json!("x"), "null", "--json"),
            (json!("x"), "[ 1 ]", "--json"),
            (json!(["x"]), "y", "write [ \"y\" ]"),
        ] {
            let error = open(Some(&present), text).unwrap_err();
            assert!(error.contains(insist), "{text} over {present}: {error}");
        }
    }

    #[test]
    fn literals_are_those_of_json_and_of_nix() {
        for (text, value) in [
            ("[ 1 2 ]", json!([1, 2])),
            ("[1, 2]", json!([1, 2])),
            ("{ a = 1; b.c = [ (-2) ]; }", json!({"a": 1, "b": {"c": [-2]}})),
            ("''text''", json!("text")),
            ("\"a\\tb\"", json!("a\tb")),
            ("-3", json!(-3)),
            (".5", json!(0.5)),
            ("true", json!(true)),
            ("null", json!(null)),
        ] {
            assert_eq!(open(None, text), Ok(value), "{text}");
        }
    }

    #[test]
    fn code_is_no_text_and_words_are() {
        for text in [
            "pkgs.hello",
            "lib.mkForce 3",
            "a + b",
            "mkForce 3",
            "[ pkgs.hello ]",
            "{ a = lib.x; }",
            "config.services.x",
            "2 * 8",
            "let a = 1; in a",
            "if a then b else c",
            "rec { a = 1; }",
            "\"${pkgs.hello}/bin\" + \"x\"",
            "with pkgs; [ hello ]",
            "{ pkgs, ... }: pkgs",
            "builtins.readFile ./x",
            "''${x}''",
        ] {
            assert!(open(None, text).is_err(), "{text}");
        }
        for text in ["pkgs.hello", "lib.mkForce 3", "mkForce 3", "[ pkgs.hello ]"] {
            assert!(by(&json!({"type": "string"}), None, text).is_err(), "{text}");
        }
        for text in [
            "",
            "debug",
            "info",
            "a-b",
            "/var/lib",
            "./x",
            "http://x",
            "hello world",
            "example.org",
            "en_US.UTF-8",
            "127.0.0.1",
            "127.0.0.1:80",
            "10.0.0.0/8",
            "2026-11-21",
            "1-5",
            "10s",
            "5 min",
            "!include x.yaml",
            "--verbose",
            "-Xmx2g",
            "key: value",
            "a+b",
            "x->y",
            "c++",
            "user@host",
            "$HOME",
            "50%",
            "*.log",
            "0644",
            "1.2.3",
            "a=b",
            "say \"hi\"",
            "My server (test)",
            "yay!",
            "[1",
            "lib",
            "~/x",
            "a:b",
            "{host}",
        ] {
            assert_eq!(open(None, text), Ok(json!(text)), "{text}");
            assert_eq!(open(Some(&json!("x")), text), Ok(json!(text)), "{text}");
        }
        assert_eq!(open(Some(&json!("x")), "a + b"), Ok(json!("a + b")));
    }

    #[test]
    fn what_64_bits_do_not_hold_is_refused() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "1e-400",
            "1e400",
            "0.1234567890123456789",
            "[1e400]",
            "[ 18446744073709551616 ]",
        ] {
            assert!(open(None, text).is_err(), "{text}");
            assert!(by(&json!({"type": "integer"}), None, text).is_err(), "{text}");
        }
        assert_eq!(by(&json!({"type": "string"}), None, "1e400"), Ok(json!("1e400")));
        assert_eq!(open(Some(&json!("x")), "18446744073709551616"), Ok(json!("18446744073709551616")));
    }
}
