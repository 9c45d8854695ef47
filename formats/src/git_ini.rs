//! `gitIni`: `lib.generators.toGitINI`. It flattens nested sets into `[section "sub.section"]`, indents lines by a tab,
//! quotes strings, and repeats the key of a list.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lines::{attributes, refuse_nul, write_escaped};
use super::number;
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "gitIni",
    summary: "git's configuration files",
    dialects: &[],
    parameters: &[Parameter {
        name: "listsAsDuplicateKeys",
        kind: Kind::OfTheType,
        summary: "part of the option's type in nixpkgs; lists repeat their key in any case",
    }],
    validate: None,
    write,
    misread,
};

/// Sections by their full name, in the order of its bytes.
type Sections<'a> = BTreeMap<String, BTreeMap<&'a str, &'a Value>>;

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    for (index, (name, section)) in flatten(attributes(value)?)?.iter().enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        refuse_nul(name).at(name)?;
        write_section_name(out, name);
        for (key, value) in section {
            write_entry(out, key, value).at(key).at(name)?;
        }
    }
    Ok(())
}

/// `gitFlattenAttrs`: a section that has a set in it becomes one section for each set; the others stay as they are.
fn flatten(attrs: &Map<String, Value>) -> Result<Sections<'_>, RenderError> {
    let mut plain = Sections::new();
    let mut flattened = Sections::new();
    for (name, section) in attrs {
        let Value::Object(section) = section else {
            return Err(RenderError::here("has to be a section, a set of keys and values")).at(name);
        };
        if section.values().any(Value::is_object) {
            flatten_into(&mut flattened, name, section);
        } else {
            plain.insert(name.clone(), section.iter().map(|(key, value)| (key.as_str(), value)).collect());
        }
    }
    plain.append(&mut flattened);
    Ok(plain)
}

fn flatten_into<'a>(sections: &mut Sections<'a>, path: &str, attrs: &'a Map<String, Value>) {
    for (name, value) in attrs {
        if let Value::Object(inner) = value {
            flatten_into(sections, &format!("{path}.{name}"), inner);
        } else {
            sections.entry(path.to_owned()).or_default().insert(name, value);
        }
    }
}

/// `[section "sub.section"]`; a name with a quote in it is left as it is.
fn write_section_name(out: &mut Vec<u8>, name: &str) {
    out.push(b'[');
    match name.split_once('.') {
        Some((section, subsection)) if !name.contains('"') => {
            out.extend_from_slice(section.as_bytes());
            out.extend_from_slice(b" \"");
            out.extend_from_slice(subsection.as_bytes());
            out.push(b'"');
        }
        _ => out.extend_from_slice(name.as_bytes()),
    }
    out.extend_from_slice(b"]\n");
}

fn write_entry(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), RenderError> {
    refuse_nul(key)?;
    let Value::Array(elements) = value else {
        return write_line(out, key, value);
    };
    if elements.is_empty() {
        // `concatStringsSep "\n" [ ]` is a line, too.
        out.push(b'\n');
    }
    elements.iter().enumerate().try_for_each(|(index, element)| write_line(out, key, element).at_index(index))
}

fn write_line(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), RenderError> {
    out.push(b'\t');
    write_escaped(out, key, " = ");
    out.extend_from_slice(b" = ");
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number::write(out, number, number::write_fixed)?,
        Value::String(text) => {
            refuse_nul(text)?;
            write_string(out, text);
        }
        Value::Array(_) => return Err(RenderError::here("is a list in a list, which a line can't hold")),
        Value::Object(_) => return Err(RenderError::here("is an attribute set in a list, which a line can't hold")),
    }
    out.push(b'\n');
    Ok(())
}

/// In quotes, with the escapes that git knows.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Values are quoted, so it is the names. git's keys are letters, digits and `-`, a letter first (git-config(1)).
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    let Value::Object(attrs) = value else { return found };
    let Ok(sections) = flatten(attrs) else { return found };
    for (name, section) in &sections {
        let mut report = |path: &[&str], message: &str| {
            let mut error = RenderError::here(message);
            error.path.0.extend(path.iter().map(|&name| name.to_owned()));
            found.push(error);
        };
        let (head, subsection) = name.split_once('.').unwrap_or((name, ""));
        let head_is_good = !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !head_is_good || subsection.contains(['\n', '"', '\\']) {
            report(&[name], "is no name of a section for git, which would read something else");
        }
        for key in section.keys() {
            let letter_first = key.starts_with(|first: char| first.is_ascii_alphabetic());
            if !letter_first || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                report(&[name, key], "is no name of a variable for git, which would read something else");
            }
        }
    }
    found
}
