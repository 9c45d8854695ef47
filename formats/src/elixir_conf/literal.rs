//! Names, scalars and code of Elixir.

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::super::RenderError;
use super::super::number::{self, NixNumber};
use super::algebra::{Doc, Nesting};

/// A name of a variable, function, atom or key; others than ASCII letters could be, too.
fn is_identifier(name: &str) -> bool {
    let name = name.strip_suffix(['?', '!']).unwrap_or(name);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@'))
}

fn is_module(name: &str) -> bool {
    name.split('.').all(|part| {
        part.starts_with(|first: char| first.is_ascii_uppercase())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn is_atom(code: &str) -> bool {
    code.strip_prefix(':').is_some_and(|name| {
        is_identifier(name)
            && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            // `mix format` takes the colon away.
            && !matches!(name, "nil" | "true" | "false")
    })
}

/// Checks code that nixpkgs prints as it is: the names of applications and their keys, and atoms.
pub fn check_code(code: &str) -> Result<(), RenderError> {
    if is_atom(code) || is_module(code) {
        Ok(())
    } else {
        Err(RenderError::here(format!("{code:?} is neither an atom (\":name\") nor a module (\"My.Module\")")))
    }
}

/// A name of a keyword list, which nixpkgs prints as it is: an identifier, or anything simple in double quotes.
pub fn keyword(name: &str) -> Result<Doc, RenderError> {
    if is_identifier(name) {
        return Ok(Doc::ascii(format!("{name}:")));
    }
    let Some(text) = quoted(name) else {
        let message = "is no name of a keyword: letters, digits, _ and @; or in double quotes, also spaces and . - / :";
        return Err(RenderError::here(message));
    };
    // `mix format` takes quotes away that are not needed.
    Ok(Doc::ascii(if is_identifier(text) { format!("{text}:") } else { format!("\"{text}\":") }))
}

/// The text in double quotes; `None` for operators, which are names without quotes.
fn quoted(name: &str) -> Option<&str> {
    let text = name.strip_prefix('"')?.strip_suffix('"')?;
    let is_simple =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b'-' | b'/' | b':' | b'_' | b'@');
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    (has_letter && text.bytes().all(is_simple) && !text.starts_with("Elixir.")).then_some(text)
}

pub fn is_quoted_identifier(name: &str) -> bool {
    quoted(name).is_some_and(is_identifier)
}

/// A scalar.
pub fn doc(value: &Value) -> Result<Doc, RenderError> {
    Ok(match value {
        Value::Null => Doc::ascii("nil"),
        Value::Bool(true) => Doc::ascii("true"),
        Value::Bool(false) => Doc::ascii("false"),
        Value::Number(number) => Doc::ascii(digits(&number_text(number::read(number)?))),
        Value::String(text) => string(text)?,
        Value::Array(_) | Value::Object(_) => return Err(RenderError::here("is no scalar")),
    })
}

/// The text of Nix's `toString`.
fn number_text(number: NixNumber) -> String {
    let mut text = Vec::with_capacity(32);
    match number {
        NixNumber::Integer(integer) => number::write_integer(&mut text, integer),
        NixNumber::Float(float) => number::write_fixed(&mut text, float),
    }
    String::from_utf8(text).unwrap_or_default()
}

/// `mix format` parts six digits and more before the point (`insert_underscores`).
fn digits(text: &str) -> String {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let whole = unsigned.find('.').unwrap_or(unsigned.len());
    let (whole, decimals) = unsigned.split_at(whole);
    let mut parted = String::with_capacity(text.len() + whole.len() / 3);
    parted.push_str(sign);
    for (index, digit) in whole.chars().enumerate() {
        if whole.len() >= 6 && index > 0 && (whole.len() - index).is_multiple_of(3) {
            parted.push('_');
        }
        parted.push(digit);
    }
    parted + decimals
}

/// A string; `\`, `#` and `"` get a backslash, and line breaks stay.
pub fn string(text: &str) -> Result<Doc, RenderError> {
    check_text(text)?;
    let mut escaped = String::with_capacity(text.len() + 8);
    escaped.push('"');
    let mut rest = text;
    while let Some(next) = memchr::memchr3(b'\\', b'#', b'"', rest.as_bytes()) {
        let (plain, special) = rest.split_at(next);
        escaped.push_str(plain);
        escaped.push('\\');
        escaped.push_str(&special[..1]);
        rest = &special[1..];
    }
    escaped.push_str(rest);
    escaped.push('"');
    let mut lines = escaped.split('\n').map(text_doc);
    let Some(first) = lines.next() else { return Ok(Doc::ascii("")) };
    let others: Vec<Doc> = lines.flat_map(|line| [Doc::Line.nest(Nesting::Reset, false), line]).collect();
    Ok(if others.is_empty() { first } else { Doc::Concat(std::iter::once(first).chain(others).collect()) })
}

/// A text with its columns: one for each grapheme.
fn text_doc(text: &str) -> Doc {
    // Of ASCII, only a line break of two characters is one grapheme.
    let is_plain = text.bytes().all(|byte| byte.is_ascii() && byte != b'\r');
    let columns = if is_plain { text.len() } else { text.graphemes(true).count() };
    Doc::Text(text.to_owned().into(), columns)
}

/// Elixir refuses some characters without an escape, and reads others differently.
fn check_text(text: &str) -> Result<(), RenderError> {
    let refused = text.chars().find(|ch| matches!(ch, '\0' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    match refused {
        None => Ok(()),
        Some(ch) => Err(RenderError::here(format!(
            "has the character U+{:04X}, which Elixir doesn't take as it is, and nixpkgs doesn't escape it",
            u32::from(ch)
        ))),
    }
}

/// A charlist, of which nixpkgs escapes nothing.
pub fn charlist(text: &str) -> Result<Doc, RenderError> {
    check_text(text)?;
    if text.contains(['"', '\\', '#', '\n', '\r']) {
        return Err(RenderError::here("has a \", \\, # or line break, which nixpkgs doesn't escape in a charlist"));
    }
    Ok(Doc::Concat(vec![Doc::ascii("~c\""), text_doc(text), Doc::ascii("\"")]))
}

/// Code that `mix format` leaves as it is: `Module.function(...)` of simple literals.
pub fn raw(code: &str) -> Result<Doc, RenderError> {
    if is_known_code(code) {
        return Ok(Doc::Code(code.to_owned()));
    }
    let known = "Module.function(...) of strings, atoms, numbers, nil, true and false is";
    Err(RenderError::here(format!("is Elixir code, and what mix format makes of it is not known; only {known}")))
}

fn is_known_code(code: &str) -> bool {
    let Some((function, arguments)) = code.strip_suffix(')').and_then(|code| code.split_once('(')) else {
        return is_atom(code) || is_module(code) || is_literal(code);
    };
    let Some((module, function)) = function.rsplit_once('.') else {
        return false;
    };
    let is_function = is_identifier(function) && function.starts_with(|first: char| first.is_ascii_lowercase());
    is_module(module) && is_function && (arguments.is_empty() || arguments.split(", ").all(is_literal))
}

fn is_literal(code: &str) -> bool {
    let is_string = code.strip_prefix('"').and_then(|text| text.strip_suffix('"')).is_some_and(|text| {
        text.bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'#' | b',' | b'(' | b')'))
    });
    let is_number = !code.is_empty() && code.len() < 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    is_string || is_number || is_atom(code) || matches!(code, "nil" | "true" | "false")
}
