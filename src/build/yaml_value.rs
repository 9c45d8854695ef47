//! Reads YAML that a person gives as data.
//!
//! Scalars are read by YAML 1.2 (its core schema). One that a reader of YAML 1.1 takes for something else (`yes`, `0644`) is
//! an error: which of the two was meant can't be known.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::types::read_json;

type Next<'n, 't> = dyn FnMut() -> Result<Event<'t>, String> + 'n;

/// The value of a document.
pub fn read(text: &str) -> Result<Value, String> {
    let mut events =
        Parser::new_from_str(text).map(|event| event.map(|(event, _)| event).map_err(|error| error.to_string()));
    let mut next = || loop {
        match events.next().unwrap_or_else(|| Err("it ends too early".to_owned()))? {
            Event::Comment(..) => {}
            event => return Ok(event),
        }
    };
    let one = "it has to be one document";
    let (Event::StreamStart, Event::DocumentStart(..)) = (next()?, next()?) else { return Err(one.to_owned()) };
    let first = next()?;
    let value = node(first, &mut next)?;
    match (next()?, next()?) {
        (Event::DocumentEnd, Event::StreamEnd) => Ok(value),
        _ => Err(one.to_owned()),
    }
}

fn node<'t>(event: Event<'t>, next: &mut Next<'_, 't>) -> Result<Value, String> {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, 0, None) => plain(&text),
        Event::Scalar(text, _, 0, None) => Ok(Value::String(text.into_owned())),
        Event::SequenceStart(_, 0, None) => {
            let mut items = Vec::new();
            loop {
                match next()? {
                    Event::SequenceEnd => return Ok(Value::Array(items)),
                    event => items.push(node(event, next)?),
                }
            }
        }
        Event::MappingStart(_, 0, None) => {
            let mut attributes = Map::new();
            loop {
                let name = match next()? {
                    Event::MappingEnd => return Ok(Value::Object(attributes)),
                    Event::Scalar(text, style, 0, None) if style != ScalarStyle::Plain || text != "<<" => {
                        text.into_owned()
                    }
                    _ => return Err("a name has to be a plain text".to_owned()),
                };
                let first = next()?;
                let value = node(first, next)?;
                if attributes.insert(name.clone(), value).is_some() {
                    return Err(format!("{name} is there twice"));
                }
            }
        }
        _ => Err("anchors, aliases and tags are not read; write the values out".to_owned()),
    }
}

/// A scalar without quotes.
fn plain(text: &str) -> Result<Value, String> {
    let lower = text.to_ascii_lowercase();
    let unclear =
        || Err(format!("what {text} is depends on the reader; write it another way, or in quotes if it is text"));
    match lower.as_str() {
        "" | "~" | "null" => return Ok(Value::Null),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        "y" | "n" | "yes" | "no" | "on" | "off" | ".inf" | "-.inf" | "+.inf" | ".nan" => return unclear(),
        _ => {}
    }
    let digits = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Ok(Value::String(text.to_owned()));
    }
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_decimal && digits.len() > 1 && digits.starts_with('0') {
        return unclear();
    }
    let number = text.strip_prefix('+').unwrap_or(text);
    match read_json(number) {
        Ok(value @ Value::Number(_)) => Ok(value),
        _ if is_other_number(digits) => unclear(),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// What is a number to some readers: `0x1f`, `0o17`, `1_000`, `12:30`, `.5`, `1e400`.
fn is_other_number(digits: &str) -> bool {
    let rest = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0o")).or_else(|| digits.strip_prefix("0b"));
    let of = |text: &str, more: &str| text.chars().all(|ch| ch.is_ascii_hexdigit() || more.contains(ch));
    if let Some(rest) = rest {
        return of(rest, "_");
    }
    let plain = digits.chars().all(|ch| ch.is_ascii_digit() || "_:.e+-".contains(ch));
    let is_date = digits.matches('-').count() == 2;
    plain && digits.matches('.').count() <= 1 && !is_date
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_data() {
        let text = "a: 1\nb:\n  - x\n  - \"no\"\n  - -2.5\nc: {d: true, e: ~}\nhost: 127.0.0.1\nnet: 10.0.0.0/8\nday: 2026-11-21\n# end\n";
        let value = json!({"a": 1, "b": ["x", "no", -2.5], "c": {"d": true, "e": null}, "host": "127.0.0.1",
            "net": "10.0.0.0/8", "day": "2026-11-21"});
        assert_eq!(read(text), Ok(value));
    }

    #[test]
    fn what_readers_disagree_about_is_an_error() {
        for scalar in ["yes", "Off", "0644", "0x1f", "1_000", "12:30", ".inf", "1e400", ".5"] {
            let problem = read(&format!("a: {scalar}\n")).unwrap_err();
            assert!(problem.contains("depends on the reader"), "{scalar}: {problem}");
        }
        for text in [
            "a: 1\na: 2\n",
            "a: &x 1\nb: *x\n",
            "a: !t 1\n",
            "<<: {a: 1}\n",
            "a: [",
            "a: 1\n---\nb: 2\n",
            "? [a]\n: 1\n",
            "",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
    }
}
