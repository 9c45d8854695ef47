//! `xml`: `pkgs.formats.xml`: Python's xmltodict (`unparse`, pretty, indented by 2) and then xmllint, which refuses a
//! text that is not well-formed. Attributes have the name `@name`, the text beside them `#text`, comments `#comment`.
//!
//! * dialect `xmltodict`: 1.0.4.
//! * dialect `xmltodict-1.0.2`: attributes and texts that are null or boolean are Python's words.
//! * dialect `xmltodict-0.14`: no comments, no numbers in `#text`, and an empty list leaves a line break.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter};
use super::walk;
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "xml",
    summary: "XML, with attributes as \"@name\" and text as \"#text\"",
    dialects: &["xmltodict", "xmltodict-1.0.2", "xmltodict-0.14"],
    parameters: &[
        Parameter {
            name: "format",
            kind: Kind::Choice(&["badgerfish"]),
            summary: "how XML is put into attributes (default badgerfish; there is no other)",
        },
        Parameter { name: "withHeader", kind: Kind::Boolean, summary: "the line <?xml ...?> (default true)" },
    ],
    validate: None,
    write,
    misread,
};

const TEXT: &str = "#text";
const COMMENT: &str = "#comment";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Dialect {
    V0_14,
    V1_0_2,
    V1_0_4,
}

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let dialect = match settings.dialect {
        "xmltodict-0.14" => Dialect::V0_14,
        "xmltodict-1.0.2" => Dialect::V1_0_2,
        _ => Dialect::V1_0_4,
    };
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set with one attribute, the root element"));
    };
    let with_header = settings.parameters.get("withHeader") != Some(&Value::Bool(false));
    if with_header {
        out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    }
    let mut writer = Writer { out, dialect };
    let (mut names, mut roots) = (0, 0);
    for (name, item) in attrs {
        if !writer.is_comment(name) {
            names += 1;
            roots += item.as_array().map_or(1, Vec::len);
        }
        writer.write_item(name, item, 0).at(name)?;
    }
    // An empty list is no element, but xmltodict counts names where it writes a header.
    if roots != 1 || with_header && names != 1 {
        let count = if roots == 1 { names } else { roots };
        return Err(RenderError::here(format!("has {count} root elements; an XML document has one")));
    }
    out.push(b'\n');
    Ok(())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
}

impl Writer<'_> {
    fn is_comment(&self, name: &str) -> bool {
        name == COMMENT && self.dialect > Dialect::V0_14
    }

    fn indent(&mut self, depth: usize) {
        self.out.resize(self.out.len() + 2 * depth, b' ');
    }

    /// An element, one for each item of a list, or comments.
    fn write_item(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), RenderError> {
        if self.is_comment(name) {
            return for_each(value, |value| self.write_comment(value, depth));
        }
        check_name(name)?;
        for_each(value, |value| self.write_element(name, value, depth))
    }

    fn write_element(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), RenderError> {
        self.indent(depth);
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        match value {
            Value::Object(attrs) => self.write_content(attrs, depth)?,
            Value::Null => self.out.push(b'>'),
            scalar => {
                self.out.push(b'>');
                let text = plain_text(scalar)?;
                self.write_text(&text)?;
            }
        }
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
        if depth > 0 {
            self.out.push(b'\n');
        }
        Ok(())
    }

    /// Attributes, child elements, and the text, which comes after them.
    fn write_content(&mut self, attrs: &Map<String, Value>, depth: usize) -> Result<(), RenderError> {
        self.write_attributes(attrs)?;
        self.out.push(b'>');
        let keeps_empty = self.dialect == Dialect::V0_14;
        let is_child = |name: &str, value: &Value| {
            name != TEXT
                && !name.starts_with('@')
                && (keeps_empty || value.as_array().is_none_or(|items| !items.is_empty()))
        };
        let has_children = attrs.iter().any(|(name, value)| is_child(name, value));
        if has_children {
            self.out.push(b'\n');
        }
        for (name, value) in attrs.iter().filter(|(name, value)| is_child(name, value)) {
            self.write_item(name, value, depth + 1).at(name)?;
        }
        if let Some(text) = attrs.get(TEXT) {
            self.write_text_beside(text).at(TEXT)?;
        }
        if has_children {
            self.indent(depth);
        }
        Ok(())
    }

    fn write_text_beside(&mut self, text: &Value) -> Result<(), RenderError> {
        match (self.dialect, text) {
            (Dialect::V0_14 | Dialect::V1_0_4, Value::Null) | (Dialect::V0_14, Value::Bool(false)) => Ok(()),
            (Dialect::V1_0_2, Value::Null) => self.write_text("None"),
            (Dialect::V0_14, Value::Number(number)) if number.as_f64() == Some(0.0) => Ok(()),
            (Dialect::V0_14, Value::Bool(_) | Value::Number(_)) => {
                Err(RenderError::here("has to be a string; xmltodict 0.14 takes nothing else beside attributes"))
            }
            (_, text) => self.write_text(&plain_text(text)?),
        }
    }

    fn write_text(&mut self, text: &str) -> Result<(), RenderError> {
        check_text(text)?;
        self.write_escaped(text);
        Ok(())
    }

    /// `xml.sax.saxutils.escape`.
    fn write_escaped(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            match byte {
                b'&' => self.out.extend_from_slice(b"&amp;"),
                b'<' => self.out.extend_from_slice(b"&lt;"),
                b'>' => self.out.extend_from_slice(b"&gt;"),
                byte => self.out.push(byte),
            }
        }
    }

    fn write_attributes(&mut self, attrs: &Map<String, Value>) -> Result<(), RenderError> {
        for (key, value) in attrs {
            let Some(name) = key.strip_prefix('@') else { continue };
            if let ("xmlns", Value::Object(spaces)) = (name, value) {
                for (prefix, uri) in spaces {
                    let name = if prefix.is_empty() { name.to_owned() } else { format!("xmlns:{prefix}") };
                    // `"@xmlns:p"` says the same once more, and its value wins.
                    let uri = if prefix.is_empty() { uri } else { attrs.get(&format!("@{name}")).unwrap_or(uri) };
                    self.write_attribute(&name, uri).at(prefix).at(key)?;
                }
            } else {
                let is_written = name
                    .strip_prefix("xmlns:")
                    .is_some_and(|prefix| attrs.get("@xmlns").is_some_and(|spaces| spaces.get(prefix).is_some()));
                if !is_written {
                    self.write_attribute(name, value).at(key)?;
                }
            }
        }
        Ok(())
    }

    /// `xml.sax.saxutils.quoteattr`.
    fn write_attribute(&mut self, name: &str, value: &Value) -> Result<(), RenderError> {
        check_name(name)?;
        let text = match value {
            Value::Null if self.dialect == Dialect::V1_0_4 => String::new(),
            Value::Null => "None".to_owned(),
            Value::Bool(true) if self.dialect < Dialect::V1_0_4 => "True".to_owned(),
            Value::Bool(false) if self.dialect < Dialect::V1_0_4 => "False".to_owned(),
            value => plain_text(value)?,
        };
        check_text(&text)?;
        let quote = if text.contains('"') && !text.contains('\'') { b'\'' } else { b'"' };
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(&[b'=', quote]);
        for &byte in text.as_bytes() {
            let escaped: &[u8] = match byte {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                b'>' => b"&gt;",
                b'\n' => b"&#10;",
                b'\r' => b"&#13;",
                b'\t' => b"&#9;",
                b'"' if quote == b'"' => b"&quot;",
                _ => &[byte],
            };
            self.out.extend_from_slice(escaped);
        }
        self.out.push(quote);
        Ok(())
    }

    fn write_comment(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        if value.is_null() {
            return Ok(());
        }
        let text = plain_text(value)?;
        if text.is_empty() {
            return Ok(());
        }
        if text.contains("--") || text.ends_with('-') {
            return Err(RenderError::here("has -- in it or - at its end, which an XML comment can't have"));
        }
        check_text(&text)?;
        self.indent(depth);
        self.out.extend_from_slice(b"<!--");
        self.write_escaped(&text);
        self.out.extend_from_slice(b"-->\n");
        Ok(())
    }
}

/// The items of a list, or the value itself.
fn for_each(value: &Value, mut write: impl FnMut(&Value) -> Result<(), RenderError>) -> Result<(), RenderError> {
    let Value::Array(items) = value else { return write(value) };
    for (index, item) in items.iter().enumerate() {
        write(item).at_index(index)?;
    }
    Ok(())
}

/// A scalar as xmltodict writes it: Python's text, but lower-case booleans.
fn plain_text(value: &Value) -> Result<String, RenderError> {
    match value {
        Value::Null => Ok("None".to_owned()),
        Value::Bool(boolean) => Ok(boolean.to_string()),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => Ok(integer.to_string()),
            NixNumber::Float(float) => {
                let mut text = Vec::new();
                number::write_python(&mut text, float, false);
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
        },
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => {
            Err(RenderError::here("is a list where XML has one text; xmltodict would write Python code"))
        }
        Value::Object(_) => {
            Err(RenderError::here("is an attribute set where XML has one text; xmltodict would write Python code"))
        }
    }
}

/// Whether xmllint takes `name` for one of an element or attribute (XML 1.0, fifth edition, section 2.3).
fn check_name(name: &str) -> Result<(), RenderError> {
    let is_start = |ch: char| {
        matches!(
            ch,
            ':' | 'A'..='Z' | '_' | 'a'..='z'
                | '\u{c0}'..='\u{d6}'
                | '\u{d8}'..='\u{f6}'
                | '\u{f8}'..='\u{2ff}'
                | '\u{370}'..='\u{37d}'
                | '\u{37f}'..='\u{1fff}'
                | '\u{200c}'..='\u{200d}'
                | '\u{2070}'..='\u{218f}'
                | '\u{2c00}'..='\u{2fef}'
                | '\u{3001}'..='\u{d7ff}'
                | '\u{f900}'..='\u{fdcf}'
                | '\u{fdf0}'..='\u{fffd}'
                | '\u{10000}'..='\u{effff}'
        )
    };
    let is_rest = |ch: char| {
        is_start(ch) || matches!(ch, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
    };
    // A space for xmltodict.
    let is_space = |ch| ch == '\u{1680}';
    if name.starts_with(is_start) && name.chars().all(|ch| is_rest(ch) && !is_space(ch)) {
        return Ok(());
    }
    let hint = if name.starts_with(['@', '#']) { "; attributes, #text and comments are in an element" } else { "" };
    Err(RenderError::here(format!("is no name of an XML element or attribute{hint}")))
}

fn check_text(text: &str) -> Result<(), RenderError> {
    let bad = |ch: char| ch < ' ' && !matches!(ch, '\t' | '\n' | '\r') || matches!(ch, '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|&ch| bad(ch)) {
        None => Ok(()),
        Some(ch) => Err(RenderError::here(format!("has the character {ch:?}, which XML does not have"))),
    }
}

/// A carriage return is read as a newline, except in attributes, where it has an escape.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let is_attribute = path.0.iter().any(|name| name.starts_with('@'));
        if !is_attribute && part.text().is_some_and(|text| text.contains('\r')) {
            let message = "has a carriage return, which XML gives back as a newline".to_owned();
            found.push(RenderError { path: path.clone(), message });
        }
    });
    found
}
