//! `unboundConf`: unbound.conf, as `services.unbound.settings`
//! (nixpkgs, nixos/modules/services/networking/unbound.nix, `toConf` and `confFileUnchecked`). The dialect `define-tag` has
//! the line of `server.define-tag`, or an empty one, before the rest of `server`; older revisions have not (`plain`).

use serde_json::{Map, Value};

use super::lines::{attributes, misread_value, refuse_nul};
use super::nix_text::{misreadings, write_plain};
use super::number;
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "unboundConf",
    summary: "unbound.conf, as services.unbound.settings",
    dialects: &["define-tag", "plain"],
    parameters: &[],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let attrs = attributes(value)?;
    let server = attrs.get("server").ok_or_else(|| RenderError::here("has no server, which NixOS needs"))?;
    let server = attributes(server).at("server")?;
    out.extend_from_slice(b"server:\n");
    let has_tag = settings.dialect == "define-tag";
    if has_tag {
        match server.get("define-tag") {
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => {
                out.extend_from_slice(b"  define-tag: ");
                write_plain(out, text).at("define-tag").at("server")?;
            }
            _ => return Err(RenderError::here("has to be a string")).at("define-tag").at("server"),
        }
        out.push(b'\n');
    }
    write_all(out, "  ", server, |name| has_tag && name == "define-tag").at("server")?;
    out.push(b'\n');
    write_all(out, "", attrs, |name| name == "server")?;
    if attrs.len() > 1 {
        out.push(b'\n');
    }
    out.push(b'\n');
    Ok(())
}

/// The attributes, with line breaks between them.
fn write_all(
    out: &mut Vec<u8>,
    indent: &str,
    attrs: &Map<String, Value>,
    is_left_out: impl Fn(&str) -> bool,
) -> Result<(), RenderError> {
    for (index, (name, value)) in attrs.iter().filter(|(name, _)| !is_left_out(name)).enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        write_one(out, indent, name, value).at(name)?;
    }
    Ok(())
}

fn write_one(out: &mut Vec<u8>, indent: &str, name: &str, value: &Value) -> Result<(), RenderError> {
    refuse_nul(name)?;
    let start = |out: &mut Vec<u8>| out.extend_from_slice(format!("{indent}{name}: ").as_bytes());
    match value {
        Value::Number(number) => {
            start(out);
            number::write(out, number, number::write_nix_json)?;
        }
        Value::Bool(truth) => {
            start(out);
            out.extend_from_slice(if *truth { b"yes" } else { b"no" });
        }
        Value::String(text) => {
            start(out);
            write_plain(out, text)?;
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b'\n');
                }
                write_one(out, indent, name, item).at_index(index)?;
            }
        }
        Value::Object(attrs) => {
            out.extend_from_slice(format!("{indent}{name}:").as_bytes());
            if !attrs.is_empty() {
                out.push(b'\n');
            }
            write_all(out, &format!("{indent}  "), attrs, |_| false)?;
        }
        Value::Null => return Err(RenderError::here("is null, which unbound.conf does not have")),
    }
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let name = |name: &str| {
        if name == "include" || name == "include-toplevel" {
            return Some("the key is no setting but a directive: the lines of another file".to_owned());
        }
        let is_bad = name.is_empty() || name.contains(|ch: char| ch.is_whitespace() || matches!(ch, ':' | '#' | '"'));
        is_bad.then(|| {
            "the key is none that unbound reads as one: it is empty, or has a blank, a colon, # or \"".to_owned()
        })
    };
    misreadings(value, name, misread_value)
}
