//! `php`: `pkgs.formats.php`: a file for PHP's `include`, with everything in one expression on one line.

use serde_json::{Map, Value};

use super::number;
use super::parameters::{Kind, Parameter};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "php",
    summary: "a PHP file that returns a value, or sets a variable",
    dialects: &[],
    parameters: &[Parameter {
        name: "finalVariable",
        kind: Kind::OptionalText,
        summary: "the variable to set, without its $ (default null: return the value)",
    }],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    out.extend_from_slice(b"<?php\ndeclare(strict_types=1);\n");
    match settings.string("finalVariable") {
        Some(variable) => out.extend_from_slice(format!("${variable} = ").as_bytes()),
        None => out.extend_from_slice(b"return "),
    }
    write_value(out, value)?;
    out.extend_from_slice(b";\n");
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number::write(out, number, number::write_fixed)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            write_items(out, items)?;
            out.push(b']');
        }
        Value::Object(attrs) => match attrs.get("_phpType") {
            None => {
                out.push(b'[');
                write_attrs(out, attrs)?;
                out.push(b']');
            }
            Some(kind) => write_special(out, kind, attrs.get("value").unwrap_or(&Value::Null))?,
        },
    }
    Ok(())
}

fn write_items(out: &mut Vec<u8>, items: &[Value]) -> Result<(), RenderError> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(out, item).at_index(index)?;
    }
    Ok(())
}

fn write_attrs(out: &mut Vec<u8>, attrs: &Map<String, Value>) -> Result<(), RenderError> {
    for (index, (name, item)) in attrs.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        write_string(out, name);
        out.extend_from_slice(b" => ");
        write_value(out, item).at(name)?;
    }
    Ok(())
}

/// `mkRaw` and `mkMixedArray`.
fn write_special(out: &mut Vec<u8>, kind: &Value, value: &Value) -> Result<(), RenderError> {
    match (kind.as_str(), value) {
        (Some("raw"), Value::String(code)) => out.extend_from_slice(code.as_bytes()),
        (Some("mixed_array"), Value::Object(parts)) => {
            let (Some(Value::Array(list)), Some(set)) = (parts.get("list"), parts.get("set")) else {
                return Err(RenderError::here("has to be { list, set }")).at("value");
            };
            if list.is_empty() {
                return write_value(out, set);
            }
            let Value::Object(set) = set else {
                return Err(RenderError::here("has to be an attribute set")).at("set").at("value");
            };
            out.push(b'[');
            write_items(out, list).at("list").at("value")?;
            out.extend_from_slice(b", ");
            write_attrs(out, set).at("set").at("value")?;
            out.push(b']');
        }
        _ => return Err(RenderError::here("_phpType is raw, with code, or mixed_array, with { list, set }")),
    }
    Ok(())
}

/// Writes a string in single quotes, in which only `'` and `\` have an escape.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'\'');
    for byte in text.bytes() {
        if matches!(byte, b'\'' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'\'');
}

/// PHP code is no data, and the least integer no integer.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Value(Value::Object(attrs)) if attrs.get("_phpType").is_some_and(|kind| kind == "raw") => {
                format!("is PHP code, not data: {}", attrs.get("value").and_then(Value::as_str).unwrap_or_default())
            }
            Part::Value(value) if value.as_i64() == Some(i64::MIN) => number::LEAST_IS_FLOAT.to_owned(),
            _ => return,
        };
        found.push(RenderError { path: path.clone(), message });
    });
    found
}
