//! What Nix's `toString` gives, for modules that write their file with it.

use serde_json::Value;

use super::lines::refuse_nul;
use super::number;
use super::walk::{self, Part};
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

/// The misreadings of a format of lines: names by `name`, then strings by `text`.
pub fn misreadings(
    value: &Value,
    name: impl Fn(&str) -> Option<String>,
    text: impl Fn(&str) -> Option<String>,
) -> Vec<RenderError> {
    let (mut names, mut strings) = (Vec::new(), Vec::new());
    walk::for_each(value, &mut |path, part| {
        let (found, message) = match part {
            Part::Name(one) => (&mut names, name(one)),
            Part::Value(value) => (&mut strings, value.as_str().and_then(&text)),
        };
        found.extend(message.map(|message| RenderError { path: path.clone(), ..RenderError::here(message) }));
    });
    names.into_iter().chain(strings).collect()
}
