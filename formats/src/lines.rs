//! What the line-based formats (ini, iniWithGlobalSection, keyValue, systemd) share: `lib.generators.toKeyValue`, the
//! conventions of its `mkKeyValue`, and the values that such lines can't hold.
//!
//! `mkKeyValue` and `listToValue` are Nix functions, which no plan can carry. Named parameters cover what modules
//! really pass; the proof at build time shows whether they are the right ones.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter, SpecError};
use super::{At, RenderError, Settings, json};

pub const LISTS_AS_DUPLICATE_KEYS: Parameter = Parameter {
    name: "listsAsDuplicateKeys",
    kind: Kind::Boolean,
    summary: "a list gives a line for each element (default false: no lists)",
};

pub const LIST_TO_VALUE: Parameter = Parameter {
    name: "listToValue",
    kind: Kind::OptionalText,
    summary: "a list is one value, its elements joined by this (default null: no lists)",
};

pub const ATOMS_COERCED_TO_LISTS: Parameter = Parameter {
    name: "atomsCoercedToLists",
    kind: Kind::OfTheType,
    summary: "part of the option's type in nixpkgs; a value and a list of just it are written alike",
};

pub const SEPARATOR: Parameter = Parameter {
    name: "separator",
    kind: Kind::Text,
    summary: "between key and value, and escaped by a backslash in keys (default \"=\")",
};

pub const ESCAPE_KEYS: Parameter = Parameter {
    name: "escapeKeys",
    kind: Kind::Boolean,
    summary: "whether keys have the separator escaped, as mkKeyValueDefault does (default true)",
};

pub const BOOLEANS: Parameter = Parameter {
    name: "booleans",
    kind: Kind::Choice(SPELLINGS),
    summary: "how true and false are spelled (default \"true/false\")",
};

/// True and false.
pub const SPELLINGS: &[&str] =
    &["true/false", "True/False", "TRUE/FALSE", "yes/no", "Yes/No", "on/off", "On/Off", "1/0"];

/// Booleans of a line, which can also be the key alone (services.dnsmasq).
pub const BOOLEANS_OF_LINES: Parameter = Parameter {
    name: BOOLEANS.name,
    kind: Kind::Choice(&[
        "true/false",
        "True/False",
        "TRUE/FALSE",
        "yes/no",
        "Yes/No",
        "on/off",
        "On/Off",
        "1/0",
        KEY_OR_COMMENT,
    ]),
    summary: "how true and false are spelled (default \"true/false\"); \"key/comment\": the key alone, or a comment that says so",
};

const KEY_OR_COMMENT: &str = "key/comment";

pub const NULLS: Parameter = Parameter {
    name: "nulls",
    kind: Kind::Choice(&["null", "empty", "omit", "comment"]),
    summary: "what a null gives: the word null (default), an empty value, no line, or \"# KEY is unset\"",
};

pub const STRINGS: Parameter = Parameter {
    name: "strings",
    kind: Kind::Choice(&["plain", "double-quoted", "single-quoted", "json", "shell"]),
    summary: "strings as they are (default), between quotes without escapes, as JSON, or by lib.escapeShellArg",
};

pub const FLOATS: Parameter = Parameter {
    name: "floats",
    kind: Kind::Choice(&["fixed", "json"]),
    summary: "six decimals, as toString (default), or the shortest digits, as builtins.toJSON",
};

pub const INDENT: Parameter =
    Parameter { name: "indent", kind: Kind::Text, summary: "before each line (default \"\")" };

/// The treatment of a list.
#[derive(Clone, Copy, PartialEq)]
enum Lists<'a> {
    Refused,
    DuplicateKeys,
    Joined(&'a str),
}

/// How lines are written.
pub struct Conventions<'a> {
    separator: &'a str,
    escape_keys: bool,
    yes: &'a str,
    no: &'a str,
    /// True is the key alone.
    bare: bool,
    nulls: &'a str,
    strings: &'a str,
    shortest_floats: bool,
    lists: Lists<'a>,
    indent: &'a str,
}

/// The assertions of nixpkgs about the parameters for lists (`formats/ini/default.nix`).
pub fn validate(settings: &Settings) -> Result<(), SpecError> {
    let duplicates = settings.is_set("listsAsDuplicateKeys");
    let joined = settings.string("listToValue").is_some();
    let coerced = settings.parameters.get("atomsCoercedToLists").is_some_and(Value::is_boolean);
    if duplicates && joined {
        return Err(SpecError::Inconsistent("listsAsDuplicateKeys and listToValue exclude each other"));
    }
    if coerced && !duplicates && !joined {
        return Err(SpecError::Inconsistent("atomsCoercedToLists needs listsAsDuplicateKeys or listToValue"));
    }
    Ok(())
}

impl<'a> Conventions<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        let booleans = settings.string("booleans");
        let bare = booleans == Some(KEY_OR_COMMENT);
        // Among the elements of a list that is one value, booleans have no key.
        let spelled = booleans.filter(|_| !bare).and_then(|both| both.split_once('/'));
        let (yes, no) = spelled.unwrap_or(("true", "false"));
        let lists = match settings.string("listToValue") {
            Some(separator) => Lists::Joined(separator),
            None if settings.is_set("listsAsDuplicateKeys") => Lists::DuplicateKeys,
            None => Lists::Refused,
        };
        Self {
            separator: settings.string("separator").unwrap_or("="),
            escape_keys: settings.parameters.get("escapeKeys") != Some(&Value::Bool(false)),
            yes,
            no,
            bare,
            nulls: settings.string("nulls").unwrap_or("null"),
            strings: settings.string("strings").unwrap_or("plain"),
            shortest_floats: settings.string("floats") == Some("json"),
            lists,
            indent: settings.string("indent").unwrap_or(""),
        }
    }

    /// The conventions of `pkgs.formats.systemd`, which takes no parameters.
    pub const SYSTEMD: Conventions<'static> = Conventions {
        separator: " = ",
        escape_keys: false,
        yes: "true",
        no: "false",
        bare: false,
        nulls: "comment",
        strings: "plain",
        shortest_floats: false,
        lists: Lists::DuplicateKeys,
        indent: "",
    };

    /// `toKeyValue`: the lines of an attribute set.
    pub fn write_attrs(&self, out: &mut Vec<u8>, attrs: &Value) -> Result<(), RenderError> {
        for (key, value) in attributes(attrs)? {
            self.write_attr(out, key, value).at(key)?;
        }
        Ok(())
    }

    fn write_attr(&self, out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), RenderError> {
        refuse_nul(key)?;
        match (value, self.lists) {
            (Value::Array(_), Lists::Refused) => {
                let message = "is a list; that needs the parameter listsAsDuplicateKeys or listToValue";
                Err(RenderError::here(message))
            }
            (Value::Array(elements), Lists::DuplicateKeys) => {
                let mut lines = elements.iter().enumerate();
                lines.try_for_each(|(index, element)| self.write_line(out, key, element).at_index(index))
            }
            (Value::Array(elements), Lists::Joined(separator)) => {
                let mut joined = Vec::new();
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        joined.extend_from_slice(separator.as_bytes());
                    }
                    self.write_element(&mut joined, element).at_index(index)?;
                }
                self.start_line(out, key);
                self.write_string(out, &String::from_utf8_lossy(&joined));
                out.push(b'\n');
                Ok(())
            }
            (value, _) => self.write_line(out, key, value),
        }
    }

    /// Whether an attribute is kept: modules that omit nulls drop them before anything is generated.
    pub fn keeps(&self, value: &Value) -> bool {
        !(value.is_null() && self.nulls == "omit")
    }

    fn write_line(&self, out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), RenderError> {
        match (value, self.nulls) {
            (Value::Null, "omit") => {}
            (Value::Null, "comment") => {
                out.extend_from_slice(self.indent.as_bytes());
                out.extend_from_slice(b"# ");
                out.extend_from_slice(key.as_bytes());
                out.extend_from_slice(b" is unset\n");
            }
            (Value::Bool(truth), _) if self.bare => {
                out.extend_from_slice(self.indent.as_bytes());
                let line = if *truth { key.to_owned() } else { format!("# setting `{key}` explicitly set to false") };
                out.extend_from_slice(line.as_bytes());
                out.push(b'\n');
            }
            (Value::String(text), _) => {
                refuse_nul(text)?;
                self.start_line(out, key);
                self.write_string(out, text);
                out.push(b'\n');
            }
            (value, _) => {
                self.start_line(out, key);
                self.write_element(out, value)?;
                out.push(b'\n');
            }
        }
        Ok(())
    }

    /// `mkValueString` of anything but a string of its own.
    fn write_element(&self, out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
        match value {
            Value::Null if self.nulls == "null" => out.extend_from_slice(b"null"),
            Value::Null => {}
            Value::Bool(truth) => out.extend_from_slice(if *truth { self.yes } else { self.no }.as_bytes()),
            Value::Number(number) => match number::read(number)? {
                NixNumber::Integer(integer) => number::write_integer(out, integer),
                NixNumber::Float(float) if self.shortest_floats => number::write_nix_json(out, float),
                NixNumber::Float(float) => number::write_fixed(out, float),
            },
            Value::String(text) => {
                refuse_nul(text)?;
                out.extend_from_slice(text.as_bytes());
            }
            Value::Array(_) => return Err(RenderError::here("is a list in a list, which a line can't hold")),
            Value::Object(_) => return Err(RenderError::here("is an attribute set, which a line can't hold")),
        }
        Ok(())
    }

    fn start_line(&self, out: &mut Vec<u8>, key: &str) {
        out.extend_from_slice(self.indent.as_bytes());
        if self.escape_keys {
            write_escaped(out, key, self.separator);
        } else {
            out.extend_from_slice(key.as_bytes());
        }
        out.extend_from_slice(self.separator.as_bytes());
    }

    fn write_string(&self, out: &mut Vec<u8>, text: &str) {
        match self.strings {
            "json" => json::write_nix_string(out, text),
            "shell" => write_shell_word(out, text),
            "double-quoted" => write_between(out, b"\"", text),
            "single-quoted" => write_between(out, b"'", text),
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }

    /// Finds the parts of an attribute set that read back as other lines than their own. `found` gets an error for
    /// each.
    pub fn find_misreadings(&self, attrs: &Value, found: &mut impl FnMut(RenderError)) {
        let Value::Object(attrs) = attrs else { return };
        let separator = self.separator.trim();
        for (key, value) in attrs {
            if let Some(message) = misread_key(key, if separator.is_empty() { self.separator } else { separator }) {
                found(error_at(&[key], message));
            }
            let mut check = |value: &Value, index: Option<usize>| {
                if let Value::String(text) = value
                    && self.strings != "json"
                    && let Some(message) = misread_value(text)
                {
                    let index = index.map(|index| index.to_string());
                    found(error_at(&[Some(key), index.as_ref()].into_iter().flatten().collect::<Vec<_>>(), message));
                }
            };
            match value {
                Value::Array(elements) => {
                    elements.iter().enumerate().for_each(|(index, element)| check(element, Some(index)));
                }
                value => check(value, None),
            }
        }
    }
}

fn error_at(path: &[&String], message: String) -> RenderError {
    let mut error = RenderError::here(message);
    error.path.0.extend(path.iter().copied().cloned());
    error
}

/// The attributes, or that it is none.
pub fn attributes(value: &Value) -> Result<&Map<String, Value>, RenderError> {
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set of keys and values"));
    };
    Ok(attrs)
}

pub fn refuse_nul(text: &str) -> Result<(), RenderError> {
    if text.contains('\0') {
        return Err(RenderError::here("has a NUL character, which no text file of this format can hold"));
    }
    Ok(())
}

/// A line break by the readers of such files: configparser, `GLib` and systemd take a carriage return for one too.
pub fn is_line_break(ch: char) -> bool {
    matches!(ch, '\n' | '\r')
}

pub fn misread_key(key: &str, separator: &str) -> Option<String> {
    if key.contains(is_line_break) {
        Some("the key has a line break: what follows it would be another line".to_owned())
    } else if key.contains(separator) {
        Some(format!("the key has {separator:?} in it, so a reader would take a part of it for the key"))
    } else if key.trim().is_empty() {
        Some("the key is empty".to_owned())
    } else if key.starts_with(char::is_whitespace) {
        Some("the key starts with white space: the line would continue the one before".to_owned())
    } else if key.ends_with(char::is_whitespace) {
        Some("the key ends with white space: a reader takes it for the key without".to_owned())
    } else if key.starts_with(['#', ';', '[']) {
        let first = key.chars().next().unwrap_or_default();
        Some(format!("the key starts with {first:?}, so it would be read as a comment or a section"))
    } else {
        None
    }
}

pub fn misread_value(text: &str) -> Option<String> {
    text.contains(is_line_break)
        .then(|| "the value has a line break: what follows it would be read as a line of its own".to_owned())
}

/// `lib.escape [ separator ]`: a backslash before each occurrence.
pub fn write_escaped(out: &mut Vec<u8>, text: &str, separator: &str) {
    if separator.is_empty() || !text.contains(separator) {
        return out.extend_from_slice(text.as_bytes());
    }
    for (index, part) in text.split(separator).enumerate() {
        if index > 0 {
            out.push(b'\\');
            out.extend_from_slice(separator.as_bytes());
        }
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_between(out: &mut Vec<u8>, quote: &[u8], text: &str) {
    out.extend_from_slice(quote);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(quote);
}

/// `lib.escapeShellArg`: bare if all characters are harmless, otherwise in single quotes.
fn write_shell_word(out: &mut Vec<u8>, text: &str) {
    let harmless = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b',' | b'.' | b'_' | b'+' | b':' | b'@' | b'%' | b'/' | b'-')
    };
    if !text.is_empty() && text.bytes().all(harmless) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'\'');
    out.extend_from_slice(text.replace('\'', "'\\''").as_bytes());
    out.push(b'\'');
}
