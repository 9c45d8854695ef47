//! What Nix's `toString` gives, for modules that write their file with it.

use serde_json::Value;

use super::lines::refuse_nul;
use super::number;
use super::{At, RenderError};

/// Appends `toString value`.
pub fn write_to_string(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => out.push(b'1'),
        Value::Number(number) => number::write(out, number, number::write_fixed)?,
        Value::String(text) => write_plain(out, text)?,
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                write_to_string(out, item).at_index(index)?;
                // An empty list leaves no blank behind (primops.cc, coerceToString).
                if index + 1 < items.len() && !matches!(item, Value::Array(inner) if inner.is_empty()) {
                    out.push(b' ');
                }
            }
        }
        Value::Object(_) => return Err(RenderError::here("is an attribute set, which has no text")),
    }
    Ok(())
}

/// Appends a string as it is.
pub fn write_plain(out: &mut Vec<u8>, text: &str) -> Result<(), RenderError> {
    refuse_nul(text)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends the elements of a list of strings (`lib.concatStringsSep`, which takes nothing else).
pub fn write_joined(out: &mut Vec<u8>, items: &[Value], separator: &str) -> Result<(), RenderError> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator.as_bytes());
        }
        let Value::String(text) = item else {
            return Err(RenderError::here("has to be a string, as everything in a list here")).at_index(index);
        };
        write_plain(out, text).at_index(index)?;
    }
    Ok(())
}

/// The strings within a value, each with its path, for finding those that read back as something else.
pub fn strings<'v>(value: &'v Value, at: &mut Vec<String>, found: &mut impl FnMut(&[String], &'v str)) {
    match value {
        Value::String(text) => found(at, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(index.to_string());
                strings(item, at, found);
                at.pop();
            }
        }
        Value::Object(attrs) => {
            for (name, below) in attrs {
                at.push(name.clone());
                strings(below, at, found);
                at.pop();
            }
        }
        _ => {}
    }
}

/// The names within a value, each with its path.
pub fn names(value: &Value, at: &mut Vec<String>, found: &mut impl FnMut(&[String], &str)) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(index.to_string());
                names(item, at, found);
                at.pop();
            }
        }
        Value::Object(attrs) => {
            for (name, below) in attrs {
                at.push(name.clone());
                found(at, name);
                names(below, at, found);
                at.pop();
            }
        }
        _ => {}
    }
}

/// An error at a path.
pub fn error_at(path: &[String], message: impl Into<String>) -> RenderError {
    let mut error = RenderError::here(message);
    error.path.0.extend(path.iter().cloned());
    error
}

/// The misreadings of a format of lines: names by `name`, strings by `text`.
pub fn misreadings(
    value: &Value,
    name: impl Fn(&str) -> Option<String>,
    text: impl Fn(&str) -> Option<String>,
) -> Vec<RenderError> {
    let mut all = Vec::new();
    names(value, &mut Vec::new(), &mut |path, one| all.extend(name(one).map(|message| error_at(path, message))));
    strings(value, &mut Vec::new(), &mut |path, one| all.extend(text(one).map(|message| error_at(path, message))));
    all
}
