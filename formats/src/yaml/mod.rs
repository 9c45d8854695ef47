//! `yaml_1_1` and `yaml_1_2`: YAML as remarshal writes it.
//!
//! * dialect `ruamel`: remarshal 1.x with `--to yaml-1.1` or `yaml-1.2`: ruamel.yaml's emitter after a `%YAML` line;
//! * dialect `ruamel-headerless`: the same without that line, as `--to yaml` writes 1.2;
//! * dialect `pyyaml`, for 1.1: remarshal 0.17, PyYAML's emitter.
//!
//! Both emitters share their layout: block style for everything except empty collections, nested by 2, the items of a
//! list at the column of its key. They differ in the scalars, see [`scalar`].

mod ambiguities;
mod analysis;
mod resolve;
mod scalar;
mod tags;

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::{At, Format, RenderError, Settings};
use scalar::{Context, Scalar};

pub(super) static YAML_1_1: Format = Format {
    name: "yaml_1_1",
    summary: "YAML 1.1 as remarshal writes it",
    dialects: &["ruamel", "ruamel-headerless", "pyyaml"],
    parameters: &[tags::UNQUOTED_TAGS],
    validate: None,
    write: write_1_1,
    misread: misread_1_1,
};

pub(super) static YAML_1_2: Format = Format {
    name: "yaml_1_2",
    summary: "YAML 1.2 as remarshal 1.x writes it",
    dialects: &["ruamel", "ruamel-headerless"],
    parameters: &[tags::UNQUOTED_TAGS],
    validate: None,
    write: write_1_2,
    misread: misread_1_2,
};

/// Which emitter, and for which YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// PyYAML, which knows 1.1 only.
    PyYaml,
    /// ruamel.yaml with `version = (1, 1)`.
    Ruamel11,
    /// ruamel.yaml as it is.
    Ruamel12,
}

impl Style {
    fn is_ruamel(self) -> bool {
        self != Self::PyYaml
    }
}

fn write_1_1(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let from = out.len();
    match settings.dialect {
        "pyyaml" => write_document(out, value, Style::PyYaml)?,
        "ruamel" => write_with_header(out, b"%YAML 1.1\n---", value, Style::Ruamel11)?,
        _ => write_headerless(out, value, Style::Ruamel11)?,
    }
    make_tags(out, from, settings);
    Ok(())
}

fn write_1_2(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let from = out.len();
    match settings.dialect {
        "ruamel" => write_with_header(out, b"%YAML 1.2\n---", value, Style::Ruamel12)?,
        _ => write_headerless(out, value, Style::Ruamel12)?,
    }
    make_tags(out, from, settings);
    Ok(())
}

fn make_tags(out: &mut Vec<u8>, from: usize, settings: &Settings) {
    if tags::are_unquoted(settings) {
        tags::unquote(out, from);
    }
}

fn write_with_header(out: &mut Vec<u8>, header: &[u8], value: &Value, style: Style) -> Result<(), RenderError> {
    out.extend_from_slice(header);
    // An empty collection stays on the line of the `---`, everything else starts below it.
    out.push(if is_empty_collection(value) { b' ' } else { b'\n' });
    write_document(out, value, style)
}

fn write_headerless(out: &mut Vec<u8>, value: &Value, style: Style) -> Result<(), RenderError> {
    if !value.is_array() && !value.is_object() {
        out.push(b'\n');
    }
    write_document(out, value, style)
}

fn misread_1_1(settings: &Settings, value: &Value) -> Vec<RenderError> {
    misread(settings, value, if settings.dialect == "pyyaml" { Style::PyYaml } else { Style::Ruamel11 })
}

fn misread_1_2(settings: &Settings, value: &Value) -> Vec<RenderError> {
    misread(settings, value, Style::Ruamel12)
}

fn misread(settings: &Settings, value: &Value, style: Style) -> Vec<RenderError> {
    let mut found = ambiguities::find(value, style);
    if tags::are_unquoted(settings) {
        found.extend(tags::ambiguities(value));
    }
    found
}

fn is_empty_collection(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(attrs) => attrs.is_empty(),
        _ => false,
    }
}

fn write_document(out: &mut Vec<u8>, value: &Value, style: Style) -> Result<(), RenderError> {
    let mut writer = Writer { out, style, number: Vec::new() };
    match value {
        Value::Array(items) if !items.is_empty() => writer.write_list(items, 0, false)?,
        Value::Object(attrs) if !attrs.is_empty() => writer.write_attrs(attrs, 0, false)?,
        Value::Array(_) => writer.out.extend_from_slice(b"[]\n"),
        Value::Object(_) => writer.out.extend_from_slice(b"{}\n"),
        value if style.is_ruamel() => {
            writer.out.extend_from_slice(b"  ");
            writer.write_scalar(value, Context::document(style))?;
            writer.out.push(b'\n');
        }
        value => {
            let plain = writer.write_scalar(value, Context::document(style))?;
            // A plain document could continue, so PyYAML ends it.
            writer.out.extend_from_slice(if plain { b"\n...\n" } else { b"\n" });
        }
    }
    Ok(())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
    /// Scratch for the text of a number.
    number: Vec<u8>,
}

impl Writer<'_> {
    /// A list that is not empty. `compact`: its first item stands on the line at hand, after `- ` or `: `.
    fn write_list(&mut self, items: &[Value], indent: usize, mut compact: bool) -> Result<(), RenderError> {
        for (index, item) in items.iter().enumerate() {
            if !compact {
                self.write_indent(indent);
            }
            compact = false;
            self.out.push(b'-');
            match item {
                Value::Array(inner) if !inner.is_empty() => {
                    self.out.push(b' ');
                    self.write_list(inner, indent + 2, true).at_index(index)?;
                }
                Value::Object(inner) if !inner.is_empty() => {
                    self.out.push(b' ');
                    self.write_attrs(inner, indent + 2, true).at_index(index)?;
                }
                scalar => {
                    let context = Context::item(indent, self.style);
                    if context.spaced {
                        self.out.push(b' ');
                    }
                    self.write_scalar(scalar, context).at_index(index)?;
                    self.out.push(b'\n');
                }
            }
        }
        Ok(())
    }

    /// An attribute set that is not empty. `compact` as for [`Self::write_list`].
    fn write_attrs(&mut self, attrs: &Map<String, Value>, indent: usize, compact: bool) -> Result<(), RenderError> {
        let mut compact = compact;
        for (name, value) in attrs {
            if !compact {
                self.write_indent(indent);
            }
            compact = false;
            self.write_attr(name, value, indent).at(name)?;
        }
        Ok(())
    }

    fn write_attr(&mut self, name: &str, value: &Value, indent: usize) -> Result<(), RenderError> {
        let key = Scalar::text(name, self.style);
        if !key.is_simple_key() {
            self.out.push(b'?');
            key.write(self.out, Context::explicit(indent));
            self.out.push(b'\n');
            self.write_indent(indent);
            self.out.push(b':');
            return match value {
                Value::Array(items) if !items.is_empty() => {
                    self.out.push(b' ');
                    self.write_list(items, indent + 2, true)
                }
                Value::Object(attrs) if !attrs.is_empty() => {
                    self.out.push(b' ');
                    self.write_attrs(attrs, indent + 2, true)
                }
                scalar => {
                    self.write_scalar(scalar, Context::explicit(indent))?;
                    self.out.push(b'\n');
                    Ok(())
                }
            };
        }
        let column = key.write(self.out, Context::key(indent));
        self.out.push(b':');
        match value {
            // The items of a list stand at the column of its key.
            Value::Array(items) if !items.is_empty() => {
                self.out.push(b'\n');
                self.write_list(items, indent, false)
            }
            Value::Object(attrs) if !attrs.is_empty() => {
                self.out.push(b'\n');
                self.write_attrs(attrs, indent + 2, false)
            }
            scalar => {
                self.write_scalar(scalar, Context::value(column, indent))?;
                self.out.push(b'\n');
                Ok(())
            }
        }
    }

    /// A scalar or an empty collection; gives whether it is a plain scalar.
    fn write_scalar(&mut self, value: &Value, context: Context) -> Result<bool, RenderError> {
        let text = match value {
            Value::String(text) => {
                let scalar = Scalar::text(text, self.style);
                scalar.write(self.out, context);
                return Ok(scalar.is_plain());
            }
            Value::Null => "null",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Array(_) | Value::Object(_) => {
                if !context.spaced {
                    self.out.push(b' ');
                }
                self.out.extend_from_slice(if value.is_array() { b"[]" } else { b"{}" });
                return Ok(false);
            }
            Value::Number(number) => {
                self.number.clear();
                match number::read(number)? {
                    NixNumber::Integer(integer) => number::write_integer(&mut self.number, integer),
                    NixNumber::Float(float) => {
                        number::write_python(&mut self.number, float, self.style != Style::Ruamel12);
                    }
                }
                std::str::from_utf8(&self.number).unwrap_or_default()
            }
        };
        Scalar::plain(text, self.style).write(self.out, context);
        Ok(true)
    }

    fn write_indent(&mut self, indent: usize) {
        self.out.resize(self.out.len() + indent, b' ');
    }
}
