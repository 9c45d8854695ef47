//! `json`: what `jq .` (1.7 and later) writes over Nix's `toJSON`, as `pkgs.formats.json` does.

use serde_json::Value;

use super::number::{self, NixNumber};
use super::{At, Format, RenderError, Settings, never_misread, toml};

pub(super) static FORMAT: Format = Format {
    name: "json",
    summary: "JSON as jq 1.7 and later write it, indented by 2",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread: never_misread,
};

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    write_value(out, value, 0)?;
    out.push(b'\n');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), RenderError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(float) => number::write_jq(out, float),
        },
        Value::String(text) => write_string(out, text),
        Value::Array(items) if items.is_empty() => out.extend_from_slice(b"[]"),
        Value::Array(items) => {
            let mut separator = b'[';
            for (index, item) in items.iter().enumerate() {
                out.push(separator);
                separator = b',';
                new_line(out, depth + 1);
                write_value(out, item, depth + 1).at_index(index)?;
            }
            new_line(out, depth);
            out.push(b']');
        }
        Value::Object(attrs) if attrs.is_empty() => out.extend_from_slice(b"{}"),
        Value::Object(attrs) => {
            let mut separator = b'{';
            for (name, item) in attrs {
                out.push(separator);
                separator = b',';
                new_line(out, depth + 1);
                write_string(out, name);
                out.extend_from_slice(b": ");
                write_value(out, item, depth + 1).at(name)?;
            }
            new_line(out, depth);
            out.push(b'}');
        }
    }
    Ok(())
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

/// jq escapes `"`, `\`, the control characters and DEL (`jvp_dump_string`).
fn write_string(out: &mut Vec<u8>, text: &str) {
    write_quoted(out, text, true);
}

/// Nix's `toJSON` of a string, which leaves DEL as it is.
pub(super) fn write_nix_string(out: &mut Vec<u8>, text: &str) {
    write_quoted(out, text, false);
}

fn write_quoted(out: &mut Vec<u8>, text: &str, escape_delete: bool) {
    out.push(b'"');
    let bytes = text.as_bytes();
    if toml::is_basic(bytes) {
        out.extend_from_slice(bytes);
        return out.push(b'"');
    }
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' && (byte != 0x7f || !escape_delete) {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(control));
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}
