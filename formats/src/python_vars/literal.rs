//! Names and literals: the text of Python's `repr`, after black.

use std::io::Write;

use serde_json::Value;
use unicode_width::UnicodeWidthChar;

use super::super::number::{self, NixNumber};
use super::super::{At, RenderError};
use super::code;

/// The keywords of Python 3, which are no names (`keyword.kwlist`); soft keywords are names too.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Whether `name` can be assigned to; others than ASCII letters could be, but Python changes them (NFKC).
pub fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&name)
        && name != "__debug__"
}

/// A scalar, or code; `keeps_raw` is for [`code::format`].
pub fn write(out: &mut Vec<u8>, value: &Value, keeps_raw: bool) -> Result<(), RenderError> {
    match value {
        Value::Null => out.extend_from_slice(b"None"),
        Value::Bool(true) => out.extend_from_slice(b"True"),
        Value::Bool(false) => out.extend_from_slice(b"False"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(float) => write_float(out, float),
        },
        Value::String(text) => write_string(out, text),
        code => {
            let text = code.get("value").and_then(Value::as_str).and_then(|text| code::format(text, keeps_raw));
            let known = "names, attributes, calls, subscripts, plain strings, integers, a if b else c";
            let message = || format!("is Python code, and what black makes of it is not known; there are {known}");
            out.extend_from_slice(&text.ok_or_else(|| RenderError::here(message())).at("value")?);
        }
    }
    Ok(())
}

/// black drops the plus sign of an exponent (`format_scientific_notation` in its numerics.py).
fn write_float(out: &mut Vec<u8>, float: f64) {
    let start = out.len();
    number::write_python(out, float, false);
    if let Some(plus) = out.get(start..).and_then(|text| memchr::memchr(b'+', text)) {
        out.remove(start + plus);
    }
}

/// black prefers double quotes, unless that needs more escapes (`normalize_string_quotes` in its strings.py).
fn quote(text: &str) -> char {
    let count = |quote: u8| memchr::memchr_iter(quote, text.as_bytes()).count();
    if count(b'"') <= count(b'\'') { '"' } else { '\'' }
}

/// `repr` of a string, in the quotes that black prefers.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let quote = quote(text);
    let mut utf8 = [0; 4];
    let mut push = |out: &mut Vec<u8>, ch: char| out.extend_from_slice(ch.encode_utf8(&mut utf8).as_bytes());
    push(out, quote);
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\' && char::from(*byte) != quote;
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(rest.bytes().position(|byte| !is_plain(&byte)).unwrap_or(rest.len()));
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        let Some(ch) = chars.next() else { break };
        rest = chars.as_str();
        // Writing to a Vec can't fail.
        let _ = match ch {
            '\n' => out.write_all(b"\\n"),
            '\r' => out.write_all(b"\\r"),
            '\t' => out.write_all(b"\\t"),
            '\\' => out.write_all(b"\\\\"),
            ch if ch == quote => {
                out.push(b'\\');
                push(out, ch);
                Ok(())
            }
            ch if is_printable(ch) => {
                push(out, ch);
                Ok(())
            }
            ch if u32::from(ch) < 0x100 => write!(out, "\\x{:02x}", u32::from(ch)),
            ch if u32::from(ch) < 0x1_0000 => write!(out, "\\u{:04x}", u32::from(ch)),
            ch => write!(out, "\\U{:08x}", u32::from(ch)),
        };
    }
    push(out, quote);
}

/// Python's `str.isprintable`: no control, format, surrogate, private, unassigned or separator character. Rust's
/// `str::escape_debug` asks the same of all characters but the first; the two may know different versions of Unicode.
fn is_printable(ch: char) -> bool {
    let mut utf8 = [b'a'; 5];
    let length = 1 + ch.encode_utf8(&mut utf8[1..]).len();
    let text = utf8.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
    text.escape_debug().count() == 2
}

/// A key as the dialect `repr` has it: only `'` is escaped, so Python would read others than these as something else.
pub fn write_unescaped_key(out: &mut Vec<u8>, name: &str) -> Result<(), RenderError> {
    if name.contains(|ch: char| ch.is_control() || ch == '\\') {
        return Err(RenderError::here(
            "is a key with a backslash or a control character, which this nixpkgs doesn't escape",
        ));
    }
    let quote = quote(name);
    let mut utf8 = [0; 4];
    let quote_text = quote.encode_utf8(&mut utf8).as_bytes();
    out.extend_from_slice(quote_text);
    for part in name.split_inclusive(quote) {
        let (text, quoted) = part.strip_suffix(quote).map_or((part, false), |text| (text, true));
        out.extend_from_slice(text.as_bytes());
        if quoted {
            out.push(b'\\');
            out.extend_from_slice(quote_text);
        }
    }
    out.extend_from_slice(quote_text);
    Ok(())
}

/// The columns that versions of black give to a character, at least and at most (`char_width` in its strings.py, with the
/// tables of wcwidth for Unicode 15 in black 24 and for Unicode 17 in black 26).
pub fn width(ch: char) -> (usize, usize) {
    match (ch, ch.width()) {
        ('\u{2d7f}' | '\u{1171e}', _) => (0, 1),
        (
            '\u{17a4}'
            | '\u{302e}'
            | '\u{302f}'
            | '\u{3164}'
            | '\u{16ff0}'
            | '\u{16ff1}'
            | '\u{2630}'..='\u{2637}'
            | '\u{268a}'..='\u{268f}'
            | '\u{2ffc}'..='\u{2fff}'
            | '\u{31ef}'
            | '\u{4dc0}'..='\u{4dff}'
            | '\u{1d300}'..='\u{1d376}'
            | '\u{1f3fb}'..='\u{1f3ff}',
            _,
        ) => (1, 2),
        (_, Some(width @ (1 | 2))) => (width, width),
        _ => (0, 1),
    }
}
