//! `configobj`: `pkgs.formats.configobj`, written by Python's ConfigObj 5: scalars first, then sections. The number of
//! brackets around a section's name is its depth. Values have quotes where ConfigObj needs them (`_quote` in its
//! `__init__.py`).

use serde_json::{Map, Value};

use super::lines::refuse_nul;
use super::number::{self, NixNumber};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "configobj",
    summary: "nested INI sections as Python's ConfigObj writes them",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set"));
    };
    if attrs.is_empty() {
        out.push(b'\n');
    }
    write_section(out, attrs, 1)
}

fn write_section(out: &mut Vec<u8>, attrs: &Map<String, Value>, depth: usize) -> Result<(), RenderError> {
    for (name, value) in attrs.iter().filter(|(_, value)| !value.is_object()) {
        write_part(out, name).at(name)?;
        out.extend_from_slice(b" = ");
        write_value(out, value).at(name)?;
        out.push(b'\n');
    }
    for (name, value) in attrs {
        if let Value::Object(attrs) = value {
            out.resize(out.len() + depth, b'[');
            write_part(out, name).at(name)?;
            out.resize(out.len() + depth, b']');
            out.push(b'\n');
            write_section(out, attrs, depth + 1).at(name)?;
        }
    }
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                match item {
                    Value::String(text) => write_part(out, text),
                    Value::Array(_) => Err(RenderError::here("is a list in a list, which ConfigObj does not have")),
                    Value::Object(_) => {
                        Err(RenderError::here("is an attribute set in a list, which ConfigObj does not have"))
                    }
                    scalar => write_scalar(out, scalar),
                }
                .at_index(index)?;
            }
            if items.len() < 2 {
                out.push(b',');
            }
            Ok(())
        }
        Value::String(text) => match triple_quote(text) {
            None => write_part(out, text),
            Some(quote) => {
                refuse_nul(text)?;
                let other = if quote == "'''" { "\"\"\"" } else { "'''" };
                if quote == "\"\"\"" && text.contains(other) {
                    return Err(RenderError::here("has both ''' and \"\"\", so ConfigObj finds no quotes for it"));
                }
                for part in [quote, text, quote] {
                    out.extend_from_slice(part.as_bytes());
                }
                Ok(())
            }
        },
        scalar => write_scalar(out, scalar),
    }
}

/// Python's `str` of what is no string.
fn write_scalar(out: &mut Vec<u8>, scalar: &Value) -> Result<(), RenderError> {
    match scalar {
        Value::Bool(true) => out.extend_from_slice(b"True"),
        Value::Bool(false) => out.extend_from_slice(b"False"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(float) => number::write_python(out, float, false),
        },
        _ => out.extend_from_slice(b"None"),
    }
    Ok(())
}

/// The quotes of a value that has several lines, or both kinds of quotes. ConfigObj takes double ones where the value has
/// three double ones itself: its names for the two are mixed up.
fn triple_quote(text: &str) -> Option<&'static str> {
    let needed = text.contains('\n') || text.contains('\'') && text.contains('"');
    needed.then(|| if text.contains("\"\"\"") { "\"\"\"" } else { "'''" })
}

/// Writes a text that has to be on one line: a name, an item of a list, an ordinary value.
fn write_part(out: &mut Vec<u8>, text: &str) -> Result<(), RenderError> {
    refuse_nul(text)?;
    let is_outside = |ch: char| matches!(ch, ' ' | '\r' | '\n' | '\u{b}' | '\t' | '\'' | '"');
    if text.is_empty() {
        out.extend_from_slice(b"\"\"");
        return Ok(());
    }
    if text.contains('\n') {
        return Err(RenderError::here("has a line break, which ConfigObj has only in a value of its own"));
    }
    if !text.starts_with(is_outside) && !text.ends_with(is_outside) && !text.contains([',', '#']) {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let quote = match (text.contains('"'), text.contains('\'')) {
        (true, true) => {
            return Err(RenderError::here("has both ' and \", which ConfigObj can't quote in a name or a list"));
        }
        (true, false) => b'\'',
        (false, _) => b'"',
    };
    out.push(quote);
    out.extend_from_slice(text.as_bytes());
    out.push(quote);
    Ok(())
}

/// Values that ConfigObj itself reads as something else, or not at all (`_parse`, `_keyword` and `_sectionmarker`).
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Name(name) => {
                let is_section =
                    path.0.iter().try_fold(value, |value, name| value.get(name)).is_some_and(Value::is_object);
                if is_section { section_problem(name) } else { key_problem(name) }
            }
            Part::Value(Value::String(text)) => value_problem(text),
            Part::Value(_) => None,
        };
        found.extend(message.map(|message| RenderError { path: path.clone(), message: message.to_owned() }));
    });
    found
}

/// White space for a reader that is none for the writer, so that it stands there without quotes.
fn is_stripped(text: &str) -> bool {
    // Python's `\s` in a regular expression has these four besides Unicode's.
    let is_space = |ch: char| ch.is_whitespace() || matches!(ch, '\u{1c}'..='\u{1f}');
    let is_quoted = |ch: char| matches!(ch, ' ' | '\r' | '\n' | '\u{b}' | '\t');
    let bad = |ch: char| is_space(ch) && !is_quoted(ch);
    let is_written_plain = !text.contains([',', '#']) && triple_quote(text).is_none();
    let outside = |ch: char| is_quoted(ch) || matches!(ch, '\'' | '"');
    is_written_plain
        && !text.starts_with(outside)
        && !text.ends_with(outside)
        && (text.starts_with(bad) || text.ends_with(bad))
}

fn key_problem(name: &str) -> Option<&'static str> {
    let outside = |ch: char| matches!(ch, ' ' | '\r' | '\u{b}' | '\t' | '\'' | '"');
    let is_plain =
        !name.is_empty() && !name.starts_with(outside) && !name.ends_with(outside) && !name.contains([',', '#']);
    if name.starts_with('\u{feff}') {
        Some("the key starts with U+FEFF, which a reader drops at the start of a file")
    } else if is_plain && name.contains('=') {
        Some("the key has a = in it, at which a reader splits it")
    } else if name.starts_with('[') && is_plain {
        Some("the key starts with [, so it may be read as a section")
    } else if is_stripped(name) {
        Some("the key starts or ends with white space that a reader strips")
    } else {
        None
    }
}

fn section_problem(name: &str) -> Option<&'static str> {
    let outside = |ch: char| matches!(ch, ' ' | '\r' | '\u{b}' | '\t' | '\'' | '"');
    let is_plain = !name.starts_with(outside) && !name.ends_with(outside) && !name.contains([',', '#']);
    if name.chars().all(|ch| ch.is_whitespace() || matches!(ch, '\u{1c}'..='\u{1f}')) {
        Some("the section's name is empty or white space, which a reader does not take")
    } else if is_plain && (name.starts_with('[') || name.ends_with(']')) {
        Some("the section's name has a bracket at its start or end, which a reader counts to those around it")
    } else if is_stripped(name) {
        Some("the section's name starts or ends with white space that a reader strips")
    } else {
        None
    }
}

fn value_problem(text: &str) -> Option<&'static str> {
    match triple_quote(text) {
        Some(quote) if text.contains(quote) => Some("has the three quotes in it that ConfigObj puts around it"),
        Some(_) if text.contains("\r\n") => Some("has a carriage return at the end of a line, which a reader drops"),
        None if is_stripped(text) => Some("starts or ends with white space that a reader strips"),
        _ => None,
    }
}
