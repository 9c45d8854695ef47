//! The `toml` dialects of older nixpkgs: remarshal, which writes with Python's tomlkit.
//!
//! tomlkit builds a table item by item. It moves a plain value that comes after a table before the first table, and the
//! empty lines between tables depend on that order (`Container.append` and `Container._insert_at`). remarshal 1.x also
//! breaks arrays of six and more items over lines, but only arrays that are directly in a table.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::toml::{is_array_of_tables, is_bare, is_basic, null};
use super::{At, RenderError};

/// How the two remarshals differ.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Arrays of this many items stand on lines of their own.
    multi_line_from: usize,
    /// Whether a table of several tables, and nothing else, gets no header of its own (tomlkit 0.13 and later); one of
    /// a single table never does.
    headers_implied: bool,
    /// Whether a table that had plain values moved before it gets an empty line (tomlkit 0.13 and later).
    spaced: bool,
}

impl Layout {
    pub(super) const REMARSHAL_1: Self = Self { multi_line_from: 6, headers_implied: true, spaced: true };
    pub(super) const REMARSHAL_0_17: Self = Self { multi_line_from: usize::MAX, headers_implied: false, spaced: false };
}

/// The position of a table, which decides what of it is written.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Table,
    /// An element of an array of tables.
    Element,
}

pub(super) fn write(out: &mut Vec<u8>, table: &Map<String, Value>, layout: Layout) -> Result<(), RenderError> {
    Writer { out, layout, header: Vec::new() }.write_body(table, Place::Root, true)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    layout: Layout,
    /// The dotted key of the present table, as written.
    header: Vec<u8>,
}

impl Writer<'_> {
    /// The plain values of a table, then its tables. `breakable`: arrays may be broken over lines.
    fn write_body(&mut self, table: &Map<String, Value>, place: Place, breakable: bool) -> Result<(), RenderError> {
        for (name, value) in table.iter().filter(|(_, value)| !is_table(value)) {
            write_key(self.out, name);
            self.out.extend_from_slice(b" = ");
            match value {
                Value::Array(items) if breakable && items.len() >= self.layout.multi_line_from => {
                    self.out.extend_from_slice(b"[\n");
                    for (index, item) in items.iter().enumerate() {
                        self.out.extend_from_slice(b"    ");
                        write_item(self.out, item).at_index(index).at(name)?;
                        self.out.extend_from_slice(b",\n");
                    }
                    self.out.push(b']');
                }
                _ => write_value(self.out, value).at(name)?,
            }
            self.out.push(b'\n');
        }
        self.write_tables(table, place, breakable)
    }

    fn write_tables(&mut self, table: &Map<String, Value>, place: Place, breakable: bool) -> Result<(), RenderError> {
        // An element's own tables come last (`item` sorts them so); otherwise the order is that of the keys.
        let (own, others): (Vec<_>, Vec<_>) =
            table.iter().partition(|(_, value)| place == Place::Element && value.is_object());
        let order = || others.iter().chain(&own);
        let has_plain = table.values().any(|value| !is_table(value));
        let starts_plain = order().next().is_some_and(|(_, value)| !is_table(value));
        let mut first = true;
        for (name, value) in order().filter(|(_, value)| is_table(value)) {
            let spaced = !first || starts_plain || self.layout.spaced && has_plain && value.is_object();
            first = false;
            let outer = self.header.len();
            if outer > 0 {
                self.header.push(b'.');
            }
            write_key(&mut self.header, name);
            match value {
                Value::Object(inner) => self.write_table(inner, spaced, breakable).at(name)?,
                Value::Array(items) => self.write_array(items, spaced).at(name)?,
                _ => {}
            }
            self.header.truncate(outer);
        }
        Ok(())
    }

    fn write_table(&mut self, table: &Map<String, Value>, spaced: bool, breakable: bool) -> Result<(), RenderError> {
        if spaced {
            self.out.push(b'\n');
        }
        // A table of nothing but tables is implied by their headers (`is_super_table`).
        let implied = !table.is_empty() && table.values().all(is_table);
        if !implied || !self.layout.headers_implied && table.len() > 1 {
            self.write_header(b"[", b"]\n");
        }
        self.write_body(table, Place::Table, breakable)
    }

    fn write_array(&mut self, items: &[Value], spaced: bool) -> Result<(), RenderError> {
        let mut spaced = spaced;
        for (index, item) in items.iter().enumerate() {
            let Value::Object(table) = item else { continue };
            if spaced {
                self.out.push(b'\n');
            }
            // An empty table is false in Python (`if prev_table` in `AoT.insert`).
            spaced = !table.is_empty();
            self.write_header(b"[[", b"]]\n");
            self.write_body(table, Place::Element, false).at_index(index)?;
        }
        Ok(())
    }

    fn write_header(&mut self, open: &[u8], close: &[u8]) {
        self.out.extend_from_slice(open);
        self.out.extend_from_slice(&self.header);
        self.out.extend_from_slice(close);
    }
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => is_array_of_tables(items),
        _ => false,
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Null => return Err(null()),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(float) => number::write_python(out, float, false),
        },
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_item(out, item).at_index(index)?;
            }
            out.push(b']');
        }
        Value::Object(table) => write_inline(out, table.iter(), b",")?,
    }
    Ok(())
}

/// An item of an array. Of a table in there, the tables come last, as in an element of an array of tables. Deeper ones
/// stand in the order of their keys, without a space after the comma (`item` and `InlineTable` in tomlkit's items.py).
fn write_item(out: &mut Vec<u8>, item: &Value) -> Result<(), RenderError> {
    let Value::Object(table) = item else { return write_value(out, item) };
    let others = table.iter().filter(|(_, value)| !value.is_object());
    write_inline(out, others.chain(table.iter().filter(|(_, value)| value.is_object())), b", ")
}

fn write_inline<'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
    separator: &[u8],
) -> Result<(), RenderError> {
    out.push(b'{');
    for (index, (name, item)) in entries.enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        write_key(out, name);
        out.extend_from_slice(b" = ");
        write_value(out, item).at(name)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_key(out: &mut Vec<u8>, name: &str) {
    if !name.is_empty() && name.bytes().all(is_bare) {
        out.extend_from_slice(name.as_bytes());
    } else {
        write_string(out, name);
    }
}

/// A basic string; tomlkit chooses no other for data (`escape_string`).
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    if is_basic(bytes) {
        out.extend_from_slice(bytes);
        return out.push(b'"');
    }
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f | 0x7f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        if escape.is_empty() {
            // Writing to a Vec can't fail.
            let _ = std::io::Write::write_fmt(out, format_args!("\\u{byte:04x}"));
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}
