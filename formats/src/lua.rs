//! `lua`: a Lua value, or assignments.
//!
//! * dialect `toLua`: `lib.generators.toLua`.
//! * dialect `stylua`: `pkgs.formats.lua`, which puts `return` before that and runs stylua over it. For data in tables
//!   of several lines, stylua adds commas after the last items, uses single quotes where they save escapes, and starts
//!   a new line before the string of an assignment that is too long. Inline code is an error, because its layout is not
//!   known here.

use serde_json::{Map, Value};

use super::number;
use super::parameters::{Kind, Parameter};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings, json};

pub(super) static FORMAT: Format = Format {
    name: "lua",
    summary: "a Lua value, or assignments",
    dialects: &["toLua", "stylua"],
    parameters: &[
        Parameter {
            name: "asBindings",
            kind: Kind::Boolean,
            summary: "a line NAME = VALUE for each attribute (default false: one value)",
        },
        Parameter { name: "multiline", kind: Kind::Boolean, summary: "tables over several lines (default true)" },
        Parameter { name: "columnWidth", kind: Kind::Columns, summary: "for stylua (default 100)" },
        Parameter { name: "indentWidth", kind: Kind::Columns, summary: "for stylua (default 2)" },
        Parameter { name: "indentUsingTabs", kind: Kind::Boolean, summary: "for stylua (default false)" },
    ],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let stylua = settings.dialect == "stylua";
    let multiline = settings.parameters.get("multiline") != Some(&Value::Bool(false));
    if stylua && !multiline {
        return Err(RenderError::here("with multiline = false, what stylua writes is not known"));
    }
    let columns = |name: &str, default| {
        settings
            .parameters
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|columns| columns.try_into().ok())
            .unwrap_or(default)
    };
    let indent = match (stylua, settings.is_set("indentUsingTabs")) {
        (true, true) => "\t".to_owned(),
        (true, false) => " ".repeat(columns("indentWidth", 2)),
        (false, _) => "  ".to_owned(),
    };
    let width = columns("columnWidth", 100);
    let mut writer = Writer { out, multiline, stylua, indent: indent.as_bytes() };
    if settings.is_set("asBindings") {
        return writer.write_bindings(value, width);
    }
    if stylua {
        writer.out.extend_from_slice(b"return ");
    }
    writer.write_value(value, 0)?;
    if stylua {
        writer.out.push(b'\n');
    }
    Ok(())
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    multiline: bool,
    stylua: bool,
    indent: &'a [u8],
}

impl Writer<'_> {
    fn write_bindings(&mut self, value: &Value, width: usize) -> Result<(), RenderError> {
        let Value::Object(attrs) = value else {
            return Err(RenderError::here("has to be an attribute set of variables"));
        };
        for (name, value) in attrs {
            if !name.split('.').all(is_identifier) {
                return Err(RenderError::here("is no name of a Lua variable")).at(name);
            }
            let line = self.out.len();
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b" = ");
            let start = self.out.len();
            self.write_value(value, 0).at(name)?;
            if self.stylua && value.is_string() && self.out.len() - line > width {
                let text = self.out.split_off(start);
                self.out.pop();
                self.space(1);
                self.out.extend_from_slice(&text);
            }
            self.out.push(b'\n');
        }
        Ok(())
    }

    fn write_string(&mut self, text: &str) {
        let count = |quote: u8| memchr::memchr_iter(quote, text.as_bytes()).count();
        let quote = if self.stylua && count(b'"') > count(b'\'') { b'\'' } else { b'"' };
        json::write_nix_string_in(self.out, text, quote);
    }

    fn write_value(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        match value {
            Value::Null => self.out.extend_from_slice(b"nil"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) => number::write(self.out, number, number::write_nix_json)?,
            Value::String(text) => self.write_string(text),
            Value::Array(items) if items.is_empty() => self.out.extend_from_slice(b"{}"),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.start_item(index, depth + 1);
                    self.write_value(item, depth + 1).at_index(index)?;
                }
                self.end(depth);
            }
            Value::Object(attrs) if is_inline(attrs) && self.stylua => {
                return Err(RenderError::here("is Lua code, and what stylua makes of it is not known"));
            }
            Value::Object(attrs) if is_inline(attrs) => match attrs.get("expr") {
                Some(Value::String(code)) => {
                    self.out.push(b'(');
                    self.out.extend_from_slice(code.as_bytes());
                    self.out.push(b')');
                }
                _ => return Err(RenderError::here("has to be a string of Lua code")).at("expr"),
            },
            Value::Object(attrs) if attrs.is_empty() => self.out.extend_from_slice(b"{}"),
            Value::Object(attrs) => {
                for (index, (name, item)) in attrs.iter().enumerate() {
                    self.start_item(index, depth + 1);
                    self.out.push(b'[');
                    self.write_string(name);
                    self.out.extend_from_slice(b"] = ");
                    self.write_value(item, depth + 1).at(name)?;
                }
                self.end(depth);
            }
        }
        Ok(())
    }

    fn start_item(&mut self, index: usize, depth: usize) {
        self.out.push(if index == 0 { b'{' } else { b',' });
        self.space(depth);
    }

    fn end(&mut self, depth: usize) {
        if self.stylua {
            self.out.push(b',');
        }
        self.space(depth);
        self.out.push(b'}');
    }

    fn space(&mut self, depth: usize) {
        if self.multiline {
            self.out.push(b'\n');
            (0..depth).for_each(|_| self.out.extend_from_slice(self.indent));
        } else {
            self.out.push(b' ');
        }
    }
}

/// `lib.generators.mkLuaInline`.
fn is_inline(attrs: &Map<String, Value>) -> bool {
    attrs.get("_type").is_some_and(|kind| kind == "lua-inline")
}

/// Lua code is no data, and Lua has no `\u0001` as JSON has it.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Value(Value::Object(attrs)) if is_inline(attrs) => {
                format!("is Lua code, not data: {}", attrs.get("expr").and_then(Value::as_str).unwrap_or_default())
            }
            Part::Value(value) if value.as_i64() == Some(i64::MIN) => number::LEAST_IS_FLOAT.to_owned(),
            part if part.text().is_some_and(|text| text.contains(has_no_escape)) => {
                "has a control character, whose escape Lua does not know".to_owned()
            }
            _ => return,
        };
        found.push(RenderError { path: path.clone(), message });
    });
    found
}

fn has_no_escape(ch: char) -> bool {
    ch < ' ' && !matches!(ch, '\n' | '\r' | '\t' | '\u{8}' | '\u{c}')
}
