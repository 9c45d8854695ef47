//! `hocon`: `pkgs.formats.hocon`. nixpkgs runs a Rust program of its own (`hocon-generator`) over Nix's `toJSON`.
//!
//! The dialects differ only for an attribute set that has both `_includes` and attributes:
//!
//! * `joined`: the first attribute follows the last include on the same line, which HOCON can't read (nixpkgs issue
//!   329448).
//! * `lines`: the first attribute has a line of its own; a line of white space follows includes without attributes.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings, json};

pub(super) static FORMAT: Format = Format {
    name: "hocon",
    summary: "HOCON of nixpkgs' hocon-generator, for the JVM's Config library",
    dialects: &["joined", "lines"],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// The attribute that holds `mkInclude`s.
const INCLUDES: &str = "_includes";

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let is_document = match value {
        Value::Array(_) => true,
        Value::Object(attrs) => special(attrs)?.is_none(),
        _ => false,
    };
    if !is_document {
        return Err(RenderError::here("a HOCON file is an attribute set or a list"));
    }
    Writer { out, lines: settings.dialect == "lines" }.write_value(value, 0)?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}

/// An attribute set with `_type`.
enum Special<'a> {
    /// `mkSubstitution`. The generator looks for `required`, which `mkSubstitution` doesn't set (it sets `optional`).
    Substitution { expression: &'a str, required: bool },
    /// `mkAppend`.
    Append(&'a Value),
}

fn special(attrs: &Map<String, Value>) -> Result<Option<Special<'_>>, RenderError> {
    let Some(kind) = attrs.get("_type").and_then(Value::as_str) else {
        return Ok(None);
    };
    let value = || attrs.get("value").ok_or_else(|| RenderError::here("is missing")).at("value");
    match kind {
        "substitution" => {
            let expression = value()?.as_str().ok_or_else(|| RenderError::here("has to be a string")).at("value")?;
            if expression.contains(['}', '\n']) {
                return Err(RenderError::here("has a } or a line break, which ends a substitution")).at("value");
            }
            let required = attrs.get("required").map_or(Some(false), Value::as_bool);
            let required = required.ok_or_else(|| RenderError::here("has to be true or false")).at("required")?;
            Ok(Some(Special::Substitution { expression, required }))
        }
        "append" => Ok(Some(Special::Append(value()?))),
        "include" => Err(RenderError::here("is an include, which has its place in a list called _includes")),
        kind => {
            Err(RenderError::here(format!("is {kind:?}, but has to be \"substitution\" or \"append\""))).at("_type")
        }
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the first attribute after includes has a line of its own.
    lines: bool,
}

impl Writer<'_> {
    fn write_value(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) => match number::read(number)? {
                NixNumber::Integer(integer) => number::write_integer(self.out, integer),
                NixNumber::Float(float) => number::write_ryu(self.out, number::as_generators_read(float)?),
            },
            Value::String(text) => json::write_nix_string(self.out, text),
            Value::Array(items) => {
                self.out.push(b'[');
                self.new_line(depth + 1);
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                        self.new_line(depth + 1);
                    }
                    self.write_value(item, depth + 1).at_index(index)?;
                }
                self.new_line(depth);
                self.out.push(b']');
            }
            Value::Object(attrs) => match special(attrs)? {
                None => self.write_attrs(attrs, depth)?,
                Some(Special::Substitution { expression, required }) => {
                    self.out.extend_from_slice(if required { b"${" } else { b"${?" });
                    self.out.extend_from_slice(expression.as_bytes());
                    self.out.push(b'}');
                }
                Some(Special::Append(_)) => {
                    return Err(RenderError::here("is an append, which only an attribute can be"));
                }
            },
        }
        Ok(())
    }

    fn write_attrs(&mut self, attrs: &Map<String, Value>, depth: usize) -> Result<(), RenderError> {
        self.out.push(b'{');
        self.new_line(depth + 1);
        if let Some(includes) = attrs.get(INCLUDES) {
            let any = self.write_includes(includes, depth + 1).at(INCLUDES)?;
            if any && self.lines {
                self.new_line(depth + 1);
            }
        }
        for (index, (name, item)) in attrs.iter().filter(|(name, _)| *name != INCLUDES).enumerate() {
            if index > 0 {
                self.new_line(depth + 1);
            }
            json::write_nix_string(self.out, name);
            self.write_attribute(item, depth + 1).at(name)?;
        }
        self.new_line(depth);
        self.out.push(b'}');
        Ok(())
    }

    fn write_attribute(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        if let Value::Object(attrs) = value
            && let Some(Special::Append(value)) = special(attrs)?
        {
            self.out.extend_from_slice(b" += ");
            return self.write_value(value, depth).at("value");
        }
        self.out.extend_from_slice(b" = ");
        self.write_value(value, depth)
    }

    /// Whether there are any.
    fn write_includes(&mut self, includes: &Value, depth: usize) -> Result<bool, RenderError> {
        let Value::Array(includes) = includes else {
            return Err(RenderError::here("has to be a list of includes"));
        };
        for (index, include) in includes.iter().enumerate() {
            if index > 0 {
                self.new_line(depth);
            }
            self.write_include(include).at_index(index)?;
        }
        Ok(!includes.is_empty())
    }

    fn write_include(&mut self, include: &Value) -> Result<(), RenderError> {
        let wrong = |name: &str, expected: &str| Err(RenderError::here(format!("has to be {expected}"))).at(name);
        let Some(Value::String(value)) = include.get("value") else {
            return wrong("value", "a string");
        };
        let Some(Value::Bool(required)) = include.get("required") else {
            return wrong("required", "true or false");
        };
        let kind = match include.get("type") {
            Some(Value::Null) => "",
            Some(Value::String(kind)) if matches!(kind.as_str(), "file" | "url" | "classpath") => kind,
            _ => return wrong("type", "\"file\", \"url\", \"classpath\" or null"),
        };
        self.out.extend_from_slice(if *required { b"include required(" } else { b"include " });
        if !kind.is_empty() {
            self.out.extend_from_slice(kind.as_bytes());
            self.out.push(b'(');
        }
        json::write_nix_string(self.out, value);
        let ends = usize::from(*required) + usize::from(!kind.is_empty());
        self.out.resize(self.out.len() + ends, b')');
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        self.out.push(b'\n');
        self.out.resize(self.out.len() + 2 * depth, b' ');
    }
}

/// Includes, substitutions and appends are no data: what they give is decided elsewhere.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let Part::Value(part @ Value::Object(attrs)) = part else {
            return;
        };
        let mut refuse = |message: String| found.push(RenderError { path: path.clone(), message });
        if attrs.get("_type").is_some_and(Value::is_string) {
            refuse(format!("has a _type, so it is no data but an instruction: {part}"));
        }
        if let Some(includes) = attrs.get(INCLUDES) {
            refuse(format!("includes other settings: {includes}"));
            if settings.dialect == "joined" && attrs.len() > 1 {
                refuse("has includes and attributes, which this nixpkgs writes on one line".to_owned());
            }
        }
    });
    found
}
