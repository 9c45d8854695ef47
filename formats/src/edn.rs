//! `edn`: the EDN format of nixpkgs (pkgs/pkgs-lib/formats/edn): a text on one line that goes through a formatter.
//!
//! * dialect `zprint`: through zprint, for texts that fit on one line of 80 columns. Longer texts are an error, because
//!   this module does not know how zprint breaks lines and in which order it puts sets and maps with other keys.
//! * dialect `cat`: with `formatter = "cat"`, the text as it is.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "edn",
    summary: "Clojure's extensible data notation",
    dialects: &["zprint", "cat"],
    parameters: &[Parameter {
        name: "keywordTransform",
        kind: Kind::Choice(&["colon", "none"]),
        summary: "what becomes of names: a colon in front that has none (default), or nothing",
    }],
    validate: None,
    write,
    misread,
};

/// zprint's default.
const WIDTH: usize = 80;

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let mut writer = Writer::new(settings);
    writer.write_value(value)?;
    let Writer { out: text, zprint, .. } = writer;
    if zprint && (value.is_array() || value.is_object()) && text.chars().count() > WIDTH {
        return Err(RenderError::here(format!(
            "takes more than {WIDTH} columns, and how zprint breaks such a line is not known here; use formatter = \"cat\""
        )));
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

struct Writer {
    out: String,
    zprint: bool,
    /// Whether names become keywords.
    colon: bool,
}

impl Writer {
    fn new(settings: &Settings) -> Self {
        let colon = settings.string("keywordTransform") != Some("none");
        Self { out: String::new(), zprint: settings.dialect == "zprint", colon }
    }

    fn write_value(&mut self, value: &Value) -> Result<(), RenderError> {
        match value {
            Value::Null => self.out.push_str("nil"),
            Value::Bool(boolean) => self.out.push_str(if *boolean { "true" } else { "false" }),
            Value::Number(number) => match number::read(number)? {
                NixNumber::Integer(integer) => self.out.push_str(&integer.to_string()),
                NixNumber::Float(float) => {
                    let mut text = Vec::new();
                    number::write_fixed(&mut text, float);
                    self.out.push_str(&String::from_utf8_lossy(&text));
                }
            },
            Value::String(text) => self.write_string(text)?,
            Value::Array(items) => self.write_items("[", items, "]")?,
            Value::Object(attrs) => match attrs.get("_ednType") {
                Some(kind) => self.write_special(kind, attrs)?,
                None => self.write_attrs(attrs)?,
            },
        }
        Ok(())
    }

    fn write_string(&mut self, text: &str) -> Result<(), RenderError> {
        if self.zprint && text.contains('#') {
            return Err(RenderError::here(
                "has a #, which nixpkgs escapes with a backslash, and zprint does not take that",
            ));
        }
        if self.zprint && text.contains(['\n', '\r', '\t']) {
            return Err(RenderError::here(
                "has a line break or tab, which zprint changes in a way that is not known here",
            ));
        }
        self.out.push('"');
        for ch in text.chars() {
            if matches!(ch, '\\' | '#' | '"') {
                self.out.push('\\');
            }
            self.out.push(ch);
        }
        self.out.push('"');
        Ok(())
    }

    /// zprint leaves the commas of lists away.
    fn write_items(&mut self, open: &str, items: &[Value], close: &str) -> Result<(), RenderError> {
        self.out.push_str(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(if self.zprint { " " } else { ", " });
            }
            self.write_value(item).at_index(index)?;
        }
        self.out.push_str(close);
        Ok(())
    }

    fn write_attrs(&mut self, attrs: &Map<String, Value>) -> Result<(), RenderError> {
        self.out.push('{');
        for (index, (name, value)) in attrs.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            let key = self.key(name);
            if self.zprint && (!is_token(&key, true) || name.starts_with(':') || key.contains('/') || !key.is_ascii()) {
                return Err(RenderError::here("is no plain keyword, so what zprint makes of it is not known here"))
                    .at(name);
            }
            self.out.push_str(&key);
            self.out.push(' ');
            self.write_value(value).at(name)?;
        }
        self.out.push('}');
        Ok(())
    }

    fn key(&self, name: &str) -> String {
        key(name, self.colon)
    }

    fn write_special(&mut self, kind: &Value, attrs: &Map<String, Value>) -> Result<(), RenderError> {
        let kind = kind.as_str().unwrap_or_default();
        if kind == "taggedElement" {
            return Err(RenderError::here("is a tagged element, which nixpkgs' generator fails to write"));
        }
        if let Some(other) = attrs.keys().find(|name| !matches!(name.as_str(), "_ednType" | "value")) {
            return Err(RenderError::here("is not known here; an _ednType has a value")).at(other);
        }
        let value = attrs.get("value").unwrap_or(&Value::Null);
        match (kind, value) {
            ("raw", Value::String(code)) if !self.zprint => self.out.push_str(code),
            ("raw", _) => return Err(RenderError::here("is EDN code, and what zprint makes of it is not known here")),
            ("keyword" | "symbol", Value::String(name)) => {
                let token = if kind == "keyword" { format!(":{name}") } else { name.clone() };
                if self.zprint && !is_token(&token, true) {
                    return Err(RenderError::here(format!(
                        "is no {kind}, so what zprint makes of it is not known here"
                    )));
                }
                self.out.push_str(&token);
            }
            ("list", Value::Array(items)) => self.write_items("(", items, ")").at("value")?,
            ("set" | "map", Value::Array(items)) if self.zprint && items.len() > 1 => {
                return Err(RenderError::here(format!(
                    "is a {kind}, which zprint sorts in a way that is not known here"
                )));
            }
            ("set", Value::Array(items)) => self.write_items("#{", items, "}").at("value")?,
            ("map", Value::Array(pairs)) => {
                self.out.push('{');
                for (index, pair) in pairs.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.write_pair(pair).at_index(index).at("value")?;
                }
                self.out.push('}');
            }
            _ => {
                return Err(RenderError::here(
                    "_ednType is raw, keyword or symbol, with a string, or list, set or map, with a list",
                ));
            }
        }
        Ok(())
    }

    /// `mkKV`.
    fn write_pair(&mut self, pair: &Value) -> Result<(), RenderError> {
        let (Some(key), Some(value)) = (pair.get("key"), pair.get("value")) else {
            return Err(RenderError::here("has to be { key, value }"));
        };
        self.write_value(key).at("key")?;
        self.out.push(' ');
        self.write_value(value).at("value")
    }
}

fn key(name: &str, colon: bool) -> String {
    if colon && !name.starts_with(':') { format!(":{name}") } else { name.to_owned() }
}

/// Whether a reader takes this for one symbol or keyword (the EDN specification's section on symbols).
fn is_token(token: &str, keyword: bool) -> bool {
    let name = if keyword { token.strip_prefix(':').unwrap_or(token) } else { token };
    let is_part = |part: &str| {
        let mut chars = part.chars();
        let (first, second) = (chars.next(), chars.next());
        let is_digit = |ch: Option<char>| ch.is_some_and(|ch| ch.is_ascii_digit());
        let number = is_digit(first) || matches!(first, Some('-' | '+' | '.')) && is_digit(second);
        first.is_some() && !number && part.chars().all(|ch| ch.is_alphanumeric() || "*!_?$%&=<>+-.".contains(ch))
    };
    let parts: Vec<_> = name.split('/').collect();
    parts.len() <= 2 && parts.into_iter().all(is_part)
}

/// Code is no data; a `#` in a string has an escape that EDN does not have; names are not quoted.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let colon = Writer::new(settings).colon;
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Value(Value::Object(attrs)) => match special_problem(attrs) {
                Some(message) => message,
                None => return,
            },
            Part::Value(Value::String(text)) if text.contains('#') => {
                "has a #, whose escape \\# EDN does not have".to_owned()
            }
            Part::Name(name) if name != "_ednType" && !is_token(&key(name, colon), true) => {
                "is no name of an EDN keyword: a reader would see several values".to_owned()
            }
            _ => return,
        };
        found.push(RenderError { path: path.clone(), message });
    });
    found
}

fn special_problem(attrs: &Map<String, Value>) -> Option<String> {
    let twice = attrs.keys().find(|name| name.strip_prefix(':').is_some_and(|plain| attrs.contains_key(plain)));
    if let Some(name) = twice {
        return Some(format!("has {name} with and without its colon, which is the same key"));
    }
    let kind = attrs.get("_ednType")?.as_str()?;
    let text = attrs.get("value").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "raw" => Some(format!("is EDN code, not data: {text}")),
        "keyword" if !is_token(&format!(":{text}"), true) => Some(format!("is no EDN keyword: {text}")),
        "symbol" if !is_token(text, false) => Some(format!("is no EDN symbol: {text}")),
        _ => None,
    }
}
