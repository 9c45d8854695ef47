//! `toml`: TOML 1.0 in the layouts that `pkgs.formats.toml` has had.
//!
//! * `toml-rs`, current: json2x, which uses the Rust crate `toml` 1.1 (`toml::to_string`); see below.
//! * `tomlkit` and `tomlkit-0.17`: remarshal 1.x and 0.17 (Python's tomlkit); see [`super::tomlkit`].

use serde_json::{Map, Value};

use super::number;
use super::{At, Format, RenderError, Settings, never_misread, tomlkit};

pub(super) static FORMAT: Format = Format {
    name: "toml",
    summary: "TOML 1.0",
    dialects: &["toml-rs", "tomlkit", "tomlkit-0.17"],
    parameters: &[],
    validate: None,
    write,
    misread: never_misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(table) = value else {
        return Err(RenderError::here(format!("a TOML document is a table, not {}", kind(value))));
    };
    match settings.dialect {
        "tomlkit" => tomlkit::write(out, table, tomlkit::Layout::REMARSHAL_1),
        "tomlkit-0.17" => tomlkit::write(out, table, tomlkit::Layout::REMARSHAL_0_17),
        _ => write_table(out, &mut Vec::new(), table, false),
    }
}

/// The kind of a value, in TOML's words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

pub(super) fn null() -> RenderError {
    RenderError::here("is null, which TOML doesn't have; leave the attribute out")
}

/// Whether a value is written below the table's other values, with a header of its own.
fn is_table(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => is_array_of_tables(items),
        _ => false,
    }
}

pub(super) fn is_array_of_tables(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_object)
}

/// One table: its plain values, then the tables in it. `header` is its dotted key, as written. A table that has
/// nothing but tables needs no header, unless it is an element of an array.
fn write_table(
    out: &mut Vec<u8>,
    header: &mut Vec<u8>,
    table: &Map<String, Value>,
    element: bool,
) -> Result<(), RenderError> {
    let has_values = table.is_empty() || table.values().any(|value| !is_table(value));
    if !header.is_empty() && (element || has_values) {
        if !out.is_empty() {
            out.push(b'\n');
        }
        let (open, close): (&[u8], &[u8]) = if element { (b"[[", b"]]\n") } else { (b"[", b"]\n") };
        out.extend_from_slice(open);
        out.extend_from_slice(header);
        out.extend_from_slice(close);
    }
    if has_values {
        for (name, value) in table.iter().filter(|(_, value)| !is_table(value)) {
            write_key(out, name);
            out.extend_from_slice(b" = ");
            write_value(out, value).at(name)?;
            out.push(b'\n');
        }
    }
    for (name, value) in table {
        let outer = header.len();
        match value {
            Value::Object(inner) => {
                extend_header(header, name);
                write_table(out, header, inner, false).at(name)?;
            }
            Value::Array(items) if is_array_of_tables(items) => {
                extend_header(header, name);
                for (index, item) in items.iter().enumerate() {
                    if let Value::Object(inner) = item {
                        write_table(out, header, inner, true).at_index(index).at(name)?;
                    }
                }
            }
            _ => {}
        }
        header.truncate(outer);
    }
    Ok(())
}

fn extend_header(header: &mut Vec<u8>, name: &str) {
    if !header.is_empty() {
        header.push(b'.');
    }
    write_key(header, name);
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Null => return Err(null()),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number::write(out, number, number::write_positional)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_value(out, item).at_index(index)?;
            }
            out.push(b']');
        }
        Value::Object(table) if table.is_empty() => out.extend_from_slice(b"{}"),
        Value::Object(table) => {
            let mut separator: &[u8] = b"{ ";
            for (name, item) in table {
                out.extend_from_slice(separator);
                separator = b", ";
                write_key(out, name);
                out.extend_from_slice(b" = ");
                write_value(out, item).at(name)?;
            }
            out.extend_from_slice(b" }");
        }
    }
    Ok(())
}

/// Bytes that a bare key may have (TOML 1.0, `unquoted-key`).
pub(super) fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Writes a key bare if it can, otherwise as `"..."`, or as `'...'` if that saves escapes
/// (`TomlKeyBuilder::as_default`).
fn write_key(out: &mut Vec<u8>, name: &str) {
    let bytes = name.as_bytes();
    if !bytes.is_empty() && bytes.iter().copied().all(is_bare) {
        return out.extend_from_slice(bytes);
    }
    let needs = Needs::scan(bytes);
    let control = needs.control || needs.newline;
    if !control && (needs.backslash || needs.double_quotes > 0) && needs.single_quotes == 0 {
        quote(out, b"'", bytes);
    } else {
        write_basic(out, bytes);
    }
}

/// Whether a basic string needs no escape. Without short-circuits, so that many bytes are looked at at once.
pub(super) fn is_basic(bytes: &[u8]) -> bool {
    let matters = |byte: u8| byte < b' ' || byte == 0x7f || byte == b'"' || byte == b'\\';
    bytes.chunks(32).all(|chunk| !chunk.iter().fold(false, |any, &byte| any | matters(byte)))
}

/// Writes a string with the first of `"..."`, `'...'`, `"""..."""` and `'''...'''` that needs no escape, otherwise with
/// an escaped one (`TomlStringBuilder::as_default`). A newline allows only the last two.
fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if is_basic(bytes) {
        return quote(out, b"\"", bytes);
    }
    let needs = Needs::scan(bytes);
    let verbatim = !needs.control && !needs.backslash;
    if verbatim && needs.double_quotes == 0 && !needs.newline {
        // A tab gets an escape all the same.
        write_basic(out, bytes);
    } else if !needs.control && needs.single_quotes == 0 && !needs.newline {
        quote(out, b"'", bytes);
    } else if verbatim && needs.double_quotes <= 2 {
        write_multi_line_basic(out, bytes, needs.newline);
    } else if !needs.control && needs.single_quotes <= 2 {
        out.extend_from_slice(b"'''");
        if needs.newline {
            out.push(b'\n');
        }
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"'''");
    } else if needs.newline {
        write_multi_line_basic(out, bytes, true);
    } else {
        write_basic(out, bytes);
    }
}

fn quote(out: &mut Vec<u8>, delimiter: &[u8], bytes: &[u8]) {
    out.extend_from_slice(delimiter);
    out.extend_from_slice(bytes);
    out.extend_from_slice(delimiter);
}

/// The properties of a string that decide its quotes.
#[derive(Default)]
struct Needs {
    /// The longest run of `'`.
    single_quotes: usize,
    /// The longest run of `"`.
    double_quotes: usize,
    backslash: bool,
    newline: bool,
    /// A control character that only an escape can give.
    control: bool,
}

impl Needs {
    fn scan(bytes: &[u8]) -> Self {
        let mut needs = Self::default();
        let mut run = 0;
        let mut previous = 0;
        for &byte in bytes {
            run = if byte == previous { run + 1 } else { 1 };
            previous = byte;
            match byte {
                b'\'' => needs.single_quotes = needs.single_quotes.max(run),
                b'"' => needs.double_quotes = needs.double_quotes.max(run),
                b'\\' => needs.backslash = true,
                b'\n' => needs.newline = true,
                b'\t' => {}
                0..=0x1f | 0x7f => needs.control = true,
                _ => {}
            }
        }
        needs
    }
}

fn write_multi_line_basic(out: &mut Vec<u8>, bytes: &[u8], newline: bool) {
    out.extend_from_slice(b"\"\"\"");
    if newline {
        // The newline after the delimiter is not part of the string.
        out.push(b'\n');
    }
    write_escaped(out, bytes, true);
    out.extend_from_slice(b"\"\"\"");
}

fn write_basic(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    write_escaped(out, bytes, false);
    out.push(b'"');
}

/// The inside of a basic string. In a multi-line one newlines stand for themselves, and so do up to two `"` in a row.
fn write_escaped(out: &mut Vec<u8>, bytes: &[u8], multi_line: bool) {
    let allowed_quotes = if multi_line { 2 } else { 0 };
    let mut quotes = 0;
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let is_quote = byte == b'"';
        quotes = if is_quote { quotes + 1 } else { 0 };
        let escape: &[u8] = match byte {
            b'"' if quotes > allowed_quotes => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' if !multi_line => b"\\n",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => continue,
            0..=0x1f | 0x7f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        quotes = 0;
        if escape.is_empty() {
            // Writing to a Vec can't fail.
            let _ = std::io::Write::write_fmt(out, format_args!("\\u{byte:04X}"));
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[written..]);
}
