//! `kdl`: `pkgs.formats.kdl`. nixpkgs runs jsonkdl, which uses the Rust crate `kdl` 6 with its `autoformat`.
//!
//! The value is a document: a list of nodes `{ name, type, arguments, properties, children }`. Only the name is
//! required. An argument or property is a scalar, or `{ type, value }`.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "kdl",
    summary: "the KDL document language, a list of nodes",
    dialects: &[],
    parameters: &[Parameter {
        name: "version",
        kind: Kind::OneOf(&[1, 2]),
        summary: "of the language (default 2, as jsonkdl; pkgs.formats.kdl has no default)",
    }],
    validate: None,
    write,
    misread,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn from_settings(settings: &Settings) -> Self {
        match settings.parameters.get("version").and_then(Value::as_u64) {
            Some(1) => Self::One,
            _ => Self::Two,
        }
    }
}

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    Writer { out, version: Version::from_settings(settings) }.write_nodes(value, 0)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    version: Version,
}

impl Writer<'_> {
    fn write_nodes(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        let Value::Array(nodes) = value else {
            return Err(RenderError::here("has to be a list of nodes"));
        };
        for (index, node) in nodes.iter().enumerate() {
            self.write_node(node, depth).at_index(index)?;
        }
        Ok(())
    }

    fn write_node(&mut self, node: &Value, depth: usize) -> Result<(), RenderError> {
        let Value::Object(node) = node else {
            return Err(RenderError::here("has to be a node, an attribute set with a name"));
        };
        refuse_unknown(node, &["name", "type", "arguments", "properties", "children"], "a node")?;
        let name = match node.get("name") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(RenderError::here("has to be a string")).at("name"),
            None => return Err(RenderError::here("is missing; every node has a name")).at("name"),
        };
        self.indent(depth);
        self.write_type(node)?;
        self.write_identifier(name);
        match node.get("arguments") {
            None => {}
            Some(Value::Array(arguments)) => {
                for (index, argument) in arguments.iter().enumerate() {
                    self.out.push(b' ');
                    self.write_entry(argument).at_index(index).at("arguments")?;
                }
            }
            Some(_) => return Err(RenderError::here("has to be a list")).at("arguments"),
        }
        match node.get("properties") {
            None => {}
            Some(Value::Object(properties)) => {
                for (name, property) in properties {
                    self.out.push(b' ');
                    self.write_identifier(name);
                    self.out.push(b'=');
                    self.write_entry(property).at(name).at("properties")?;
                }
            }
            Some(_) => return Err(RenderError::here("has to be an attribute set")).at("properties"),
        }
        if let Some(children) = node.get("children") {
            self.out.extend_from_slice(b" {\n");
            self.write_nodes(children, depth + 1).at("children")?;
            self.indent(depth);
            self.out.push(b'}');
        }
        self.out.push(b'\n');
        Ok(())
    }

    fn indent(&mut self, depth: usize) {
        self.out.resize(self.out.len() + 4 * depth, b' ');
    }

    /// `(type)` in front of a node or a value that has one.
    fn write_type(&mut self, typed: &Map<String, Value>) -> Result<(), RenderError> {
        match typed.get("type") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(name)) => {
                self.out.push(b'(');
                self.write_identifier(name);
                self.out.push(b')');
                Ok(())
            }
            Some(_) => Err(RenderError::here("has to be a string or null")).at("type"),
        }
    }

    /// An argument, or what a property is set to.
    fn write_entry(&mut self, entry: &Value) -> Result<(), RenderError> {
        let Value::Object(typed) = entry else {
            return self.write_scalar(entry);
        };
        refuse_unknown(typed, &["type", "value"], "a value")?;
        self.write_type(typed)?;
        match typed.get("value") {
            Some(value) => self.write_scalar(value).at("value"),
            None => Err(RenderError::here("is missing; a typed value is { type, value }")).at("value"),
        }
    }

    fn write_scalar(&mut self, value: &Value) -> Result<(), RenderError> {
        let keyword: &[u8] = match value {
            Value::Null => b"#null",
            Value::Bool(true) => b"#true",
            Value::Bool(false) => b"#false",
            Value::Number(number) => {
                match number::read(number)? {
                    NixNumber::Integer(integer) => number::write_integer(self.out, integer),
                    NixNumber::Float(float) => {
                        number::write_rust_debug(self.out, number::as_generators_read(float)?);
                    }
                }
                return Ok(());
            }
            Value::String(text) => {
                // Version 1 has no bare strings as values; names are written by the rules of version 2 in both.
                match self.version {
                    Version::One => self.write_quoted(text),
                    Version::Two => self.write_identifier(text),
                }
                return Ok(());
            }
            Value::Array(_) => return Err(RenderError::here("is a list, which an argument or property can't be")),
            Value::Object(_) => {
                return Err(RenderError::here("is an attribute set, which an argument or property can't be"));
            }
        };
        self.out.extend_from_slice(if self.version == Version::One { &keyword[1..] } else { keyword });
        Ok(())
    }

    fn write_identifier(&mut self, text: &str) {
        if is_plain(text) {
            self.out.extend_from_slice(text.as_bytes());
        } else {
            self.write_quoted(text);
        }
    }

    fn write_quoted(&mut self, text: &str) {
        self.out.push(b'"');
        for &byte in text.as_bytes() {
            let escape = match byte {
                b'\\' | b'"' => byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x08 => b'b',
                0x0c => b'f',
                _ => {
                    self.out.push(byte);
                    continue;
                }
            };
            self.out.extend_from_slice(&[b'\\', escape]);
        }
        self.out.push(b'"');
    }
}

fn refuse_unknown(attrs: &Map<String, Value>, known: &[&str], what: &str) -> Result<(), RenderError> {
    match attrs.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(RenderError::here(format!("is not known here; {what} has {}", known.join(", ")))).at(name),
    }
}

/// Whether the crate writes it without quotes (`is_plain_ident` in its value.rs).
fn is_plain(text: &str) -> bool {
    let digit = |index| text.as_bytes().get(index).is_some_and(u8::is_ascii_digit);
    let is_special = |ch| is_newline(ch) || is_space(ch) || is_disallowed(ch) || "\\/(){}[];\"#=".contains(ch);
    let starts_number = digit(0) || text.starts_with(['.', '-', '+']) && digit(1);
    !text.is_empty() && !starts_number && !text.contains(is_special)
}

fn is_newline(ch: char) -> bool {
    matches!(ch, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_space(ch: char) -> bool {
    matches!(ch, '\t' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Characters that KDL 2 has nowhere, not even in strings.
fn is_disallowed(ch: char) -> bool {
    matches!(
        ch,
        '\0'..='\u{8}'
            | '\u{e}'..='\u{1f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Whether a reader of `version` takes this for a string if `write_identifier` left the quotes out.
fn is_identifier(text: &str, version: Version) -> bool {
    let bad = match version {
        Version::One => {
            matches!(text, "true" | "false" | "null")
                || text.contains(['<', '>', ','])
                || text.starts_with(char::is_numeric)
        }
        Version::Two => {
            // A sign, a point and a digit are the start of a number.
            let number =
                text.as_bytes().get(1) == Some(&b'.') && text.as_bytes().get(2).is_some_and(u8::is_ascii_digit);
            matches!(text, "true" | "false" | "null" | "inf" | "-inf" | "nan") || text.starts_with(['-', '+']) && number
        }
    };
    !bad
}

/// Strings without quotes that are no names for a reader; characters that it does not take even between quotes.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let mut reader = Misreadings { version: Version::from_settings(settings), found: Vec::new() };
    reader.nodes(value, &mut Vec::new());
    reader.found
}

struct Misreadings {
    version: Version,
    found: Vec<RenderError>,
}

impl Misreadings {
    fn nodes(&mut self, value: &Value, path: &mut Vec<String>) {
        for (index, node) in value.as_array().into_iter().flatten().enumerate() {
            path.push(index.to_string());
            self.text(node.get("name"), true, path, "name");
            self.text(node.get("type"), true, path, "type");
            path.push("arguments".to_owned());
            for (index, argument) in node.get("arguments").and_then(Value::as_array).into_iter().flatten().enumerate() {
                self.entry(argument, path, &index.to_string());
            }
            path.pop();
            path.push("properties".to_owned());
            for (name, property) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
                self.check(name, true, path, name);
                self.entry(property, path, name);
            }
            path.pop();
            if let Some(children) = node.get("children") {
                path.push("children".to_owned());
                self.nodes(children, path);
                path.pop();
            }
            path.pop();
        }
    }

    fn entry(&mut self, entry: &Value, path: &mut Vec<String>, name: &str) {
        let bare = self.version == Version::Two;
        if entry.is_object() {
            path.push(name.to_owned());
            self.text(entry.get("type"), true, path, "type");
            self.text(entry.get("value"), bare, path, "value");
            path.pop();
        } else {
            self.text(Some(entry), bare, path, name);
        }
    }

    fn text(&mut self, value: Option<&Value>, may_be_bare: bool, path: &[String], name: &str) {
        if let Some(Value::String(text)) = value {
            self.check(text, may_be_bare, path, name);
        }
    }

    fn check(&mut self, text: &str, may_be_bare: bool, path: &[String], name: &str) {
        let message = if may_be_bare && is_plain(text) {
            if is_identifier(text, self.version) {
                return;
            }
            format!("{text:?} is written without quotes, and is no name then")
        } else {
            let bad = |ch| {
                self.version == Version::Two
                    && (is_disallowed(ch) || matches!(ch, '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}'))
            };
            let Some(ch) = text.chars().find(|&ch| bad(ch)) else { return };
            format!("has the character {ch:?}, which KDL 2 does not have in a string as it is written here")
        };
        let path = path.iter().map(String::as_str).chain([name]).map(str::to_owned).collect();
        self.found.push(RenderError { path: crate::attr_path::AttrPath(path), message });
    }
}
