//! `dovecotConf`: dovecot.conf, as `services.dovecot2.settings`
//! (nixpkgs, nixos/modules/services/mail/dovecot.nix, `doveConf`). The two versions come first, then `includes`, then the rest;
//! a null leaves an empty line. What the module says of a section in `_section` is left out, and is its title.

use serde_json::{Map, Value};

use super::lines::{attributes, is_line_break, misread_value, refuse_nul};
use super::nix_text::{misreadings, write_joined, write_plain};
use super::number;
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "dovecotConf",
    summary: "dovecot.conf, as services.dovecot2.settings",
    dialects: &[],
    parameters: &[Parameter {
        name: "includes",
        kind: Kind::Text,
        summary: "lines after the versions, each with its line break (default \"\")",
    }],
    validate: None,
    write,
    misread,
};

/// What Dovecot wants to read first.
const VERSIONS: [&str; 2] = ["dovecot_config_version", "dovecot_storage_version"];
/// Where a section's type and name are.
const SECTION: &str = "_section";

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let attrs = attributes(value)?;
    let begin = out.len();
    for (name, value) in VERSIONS.iter().filter_map(|name| attrs.get_key_value(*name)) {
        if !value.is_null() {
            write_one(out, "", name, value).at(name)?;
            out.push(b'\n');
        }
    }
    out.extend_from_slice(settings.string("includes").unwrap_or_default().as_bytes());
    for (name, value) in attrs.iter().filter(|(name, _)| !VERSIONS.contains(&name.as_str())) {
        match value {
            Value::Array(items) if !items.iter().all(Value::is_string) => {
                for (index, item) in items.iter().enumerate() {
                    write_one(out, "", name, item).at_index(index).at(name)?;
                    out.push(b'\n');
                }
            }
            value => {
                write_one(out, "", name, value).at(name)?;
                out.push(b'\n');
            }
        }
    }
    // Nothing ends the last line.
    if out.len() > begin {
        out.pop();
    }
    Ok(())
}

/// A setting or a section, without the line break at its end.
fn write_one(out: &mut Vec<u8>, indent: &str, name: &str, value: &Value) -> Result<(), RenderError> {
    refuse_nul(name)?;
    let start = |out: &mut Vec<u8>| out.extend_from_slice(format!("{indent}{name} = ").as_bytes());
    match value {
        Value::Null => {}
        Value::Bool(truth) => {
            start(out);
            out.extend_from_slice(if *truth { b"yes" } else { b"no" });
        }
        Value::Number(number) if number.is_f64() => {
            return Err(RenderError::here("is a float, which dovecot.conf does not have"));
        }
        Value::Number(number) => {
            start(out);
            number::write(out, number, number::write_nix_json)?;
        }
        Value::String(text) => {
            start(out);
            write_plain(out, text)?;
        }
        Value::Array(items) => {
            if !items.iter().all(Value::is_string) {
                return Err(RenderError::here("is a list of sections within a section, or within a list"));
            }
            start(out);
            write_joined(out, items, " ")?;
        }
        Value::Object(attrs) => {
            out.extend_from_slice(format!("{indent}{} {{\n", title(name, attrs)?).as_bytes());
            let below = format!("{indent}  ");
            for (name, value) in attrs.iter().filter(|(name, _)| *name != SECTION) {
                write_one(out, &below, name, value).at(name)?;
                out.push(b'\n');
            }
            out.extend_from_slice(format!("{indent}}}").as_bytes());
        }
    }
    Ok(())
}

/// A section's type and name. What `_section` does not say is in the name of the attribute: before and after the first blank.
fn title(attribute: &str, attrs: &Map<String, Value>) -> Result<String, RenderError> {
    let Some(section) = attrs.get(SECTION) else { return Ok(attribute.to_owned()) };
    let section = attributes(section).at(SECTION)?;
    let (usual_kind, usual_name) = match attribute.split_once(' ') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => (kind, Some(name)),
        _ => (attribute, None),
    };
    let text = |name: &str| match section.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(text)) => refuse_nul(text).map(|()| Some(Some(text.as_str()))),
        Some(_) => Err(RenderError::here("has to be a string")),
    };
    let kind = text("type").at("type").at(SECTION)?.unwrap_or(Some(usual_kind));
    let name = text("name").at("name").at(SECTION)?.unwrap_or(usual_name);
    let parts: Vec<&str> = kind.into_iter().chain(name).collect();
    Ok(parts.join(" "))
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let name = |name: &str| {
        let is_bad = name.trim().is_empty()
            || name.starts_with('!')
            || name.contains(|ch: char| is_line_break(ch) || matches!(ch, '=' | '{' | '}' | '#'));
        is_bad.then(|| {
            "the key is none that Dovecot reads as one: it is empty, begins with !, or has a line break, =, a brace or #"
                .to_owned()
        })
    };
    misreadings(value, name, misread_text)
}

/// A comment begins at a `#` after a blank, and a line goes on after a backslash at its end (Dovecot, config-parser.c).
fn misread_text(text: &str) -> Option<String> {
    misread_value(text).or_else(|| {
        let is_blank = |ch: char| matches!(ch, ' ' | '\t');
        let has_comment = text.starts_with('#') || text.contains(" #") || text.contains("\t#");
        if text.starts_with('<') {
            Some("the value begins with <, so Dovecot reads the file of that name in its place".to_owned())
        } else if has_comment && !text.starts_with(['"', '\'']) {
            Some("what follows the # would be read as a comment".to_owned())
        } else if text.ends_with('\\') {
            Some("the value ends with a backslash, so the next line would be a part of it".to_owned())
        } else if text.starts_with(is_blank) || text.ends_with(is_blank) {
            Some("Dovecot drops blanks around a value".to_owned())
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &Value, includes: &str) -> Result<String, RenderError> {
        let parameters = json!({ "includes": includes }).as_object().unwrap().clone();
        let spec = crate::FormatSpec { name: "dovecotConf".to_owned(), dialect: None, parameters };
        Ok(String::from_utf8(crate::render(&spec, value)?).unwrap())
    }

    #[test]
    fn includes_are_between_the_versions_and_the_rest() {
        let value = json!({"auth_verbose": true, "dovecot_config_version": "2.4.1", "z": null});
        let text = written(&value, "!include /a\n!include /b\n").unwrap();
        assert_eq!(text, "dovecot_config_version = 2.4.1\n!include /a\n!include /b\nauth_verbose = yes\n");
        assert_eq!(written(&json!({}), "!include /a\n").unwrap(), "!include /a");
        assert_eq!(written(&json!({}), "").unwrap(), "");
    }

    #[test]
    fn what_nix_has_no_text_for_is_refused_by_its_place() {
        for (value, place) in [
            (json!({"a": 1.5}), "a"),
            (json!({"service imap": {"inet_listener": [{"port": 5}]}}), "\"service imap\".inet_listener"),
            (json!({"a": [["x"], [1]]}), "a.\"1\""),
        ] {
            let error = written(&value, "").unwrap_err();
            assert!(error.to_string().starts_with(place), "{error}");
        }
    }

    #[test]
    fn what_dovecot_reads_otherwise_is_named() {
        for text in ["a\nb", "a #b", "#b", "a\\", " a", "a ", "</etc/shadow"] {
            assert!(misread_text(text).is_some(), "{text:?}");
        }
        for text in ["a#b", "\"a #b\"", "a<b", "$mail_plugins quota", ""] {
            assert!(misread_text(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_a_section_is_called_can_be_left_to_its_attribute() {
        let of = |name: &str, section: Value| title(name, section.as_object().unwrap()).unwrap();
        assert_eq!(of("service imap", json!({})), "service imap");
        assert_eq!(of("service imap", json!({"_section": {}})), "service imap");
        assert_eq!(of("service", json!({"_section": {"name": "lmtp"}})), "service lmtp");
        assert_eq!(of("service imap", json!({"_section": {"type": "service", "name": null}})), "service");
        assert_eq!(of("a", json!({"_section": {"type": "passdb", "name": "x y"}})), "passdb x y");
        assert!(title("a", json!({"_section": {"name": 5}}).as_object().unwrap()).is_err());
    }
}
