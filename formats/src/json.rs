//! `json`: the output of `jq .` (1.7 and later) over Nix's `toJSON`, as in `pkgs.formats.json`. And `hcl1`, which is
//! the same after every attribute set below the top is put into a list of its own, as HCL 1 wants its blocks.

use serde_json::{Map, Value};

use super::number;
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

pub(super) static HCL1: Format = Format {
    name: "hcl1",
    summary: "JSON for HCL 1, every attribute set below the top in a list",
    dialects: &[],
    parameters: &[],
    validate: None,
    write: write_hcl1,
    misread: never_misread,
};

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    Writer { out, blocks: false }.write_value(value, 0)?;
    out.push(b'\n');
    Ok(())
}

fn write_hcl1(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set"));
    };
    Writer { out, blocks: true }.write_attrs(attrs, 0)?;
    out.push(b'\n');
    Ok(())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether attribute sets are put into lists.
    blocks: bool,
}

impl Writer<'_> {
    fn write_value(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) => number::write(self.out, number, number::write_jq)?,
            Value::String(text) => write_string(self.out, text),
            Value::Array(items) if items.is_empty() => self.out.extend_from_slice(b"[]"),
            Value::Array(items) => {
                let mut separator = b'[';
                for (index, item) in items.iter().enumerate() {
                    self.out.push(separator);
                    separator = b',';
                    self.new_line(depth + 1);
                    self.write_value(item, depth + 1).at_index(index)?;
                }
                self.new_line(depth);
                self.out.push(b']');
            }
            Value::Object(attrs) if self.blocks => {
                self.out.push(b'[');
                self.new_line(depth + 1);
                self.write_attrs(attrs, depth + 1)?;
                self.new_line(depth);
                self.out.push(b']');
            }
            Value::Object(attrs) => self.write_attrs(attrs, depth)?,
        }
        Ok(())
    }

    fn write_attrs(&mut self, attrs: &Map<String, Value>, depth: usize) -> Result<(), RenderError> {
        if attrs.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let mut separator = b'{';
        for (name, item) in attrs {
            self.out.push(separator);
            separator = b',';
            self.new_line(depth + 1);
            write_string(self.out, name);
            self.out.extend_from_slice(b": ");
            self.write_value(item, depth + 1).at(name)?;
        }
        self.new_line(depth);
        self.out.push(b'}');
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 2 * depth, b' ');
    }
}

/// jq escapes `"`, `\`, the control characters and DEL (`jvp_dump_string`).
fn write_string(out: &mut Vec<u8>, text: &str) {
    write_quoted(out, text, b'"', true);
}

/// Nix's `toJSON` of a string, which leaves DEL as it is.
pub(super) fn write_nix_string(out: &mut Vec<u8>, text: &str) {
    write_quoted(out, text, b'"', false);
}

/// The same with another quote.
pub(super) fn write_nix_string_in(out: &mut Vec<u8>, text: &str, quote: u8) {
    write_quoted(out, text, quote, false);
}

fn write_quoted(out: &mut Vec<u8>, text: &str, quote: u8, escape_delete: bool) {
    out.push(quote);
    let bytes = text.as_bytes();
    if quote == b'"' && toml::is_basic(bytes) {
        out.extend_from_slice(bytes);
        return out.push(quote);
    }
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != quote && byte != b'\\' && (byte != 0x7f || !escape_delete) {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            byte if byte == quote || byte == b'\\' => out.extend_from_slice(&[b'\\', byte]),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(control));
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(quote);
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}
