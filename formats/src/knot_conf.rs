//! `knotConf`: knot.conf, as `services.knot.settings` (nixpkgs, nixos/modules/services/networking/knot.nix, `nix2yaml`).
//! The lines for `keyFiles` come before it.

use serde_json::{Map, Value};

use super::lines::{attributes, misread_value, refuse_nul};
use super::nix_text::{misreadings, write_to_string};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "knotConf",
    summary: "knot.conf, as services.knot.settings",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// The sections in the order in which they are written; those of a list with the attribute that comes first. Sections
/// `mod-*` are at the place of the null.
const SECTIONS: [Option<(&str, Option<&str>)>; 19] = [
    Some(("module", Some("id"))),
    Some(("server", None)),
    Some(("xdp", None)),
    Some(("control", None)),
    Some(("log", Some("target"))),
    Some(("statistics", None)),
    Some(("database", None)),
    Some(("keystore", Some("id"))),
    Some(("key", Some("id"))),
    Some(("remote", Some("id"))),
    Some(("remotes", Some("id"))),
    Some(("acl", Some("id"))),
    Some(("submission", Some("id"))),
    Some(("policy", Some("id"))),
    None,
    Some(("template", Some("id"))),
    Some(("zone", Some("domain"))),
    Some(("include", None)),
    Some(("clear", None)),
];

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    let attrs = attributes(value)?;
    let is_known = |name: &str| name.starts_with("mod-") || SECTIONS.iter().flatten().any(|(known, _)| *known == name);
    if let Some(name) = attrs.keys().find(|name| !is_known(name) || *name == "clear") {
        return Err(RenderError::here("is a section that services.knot.settings does not have")).at(name);
    }
    for section in SECTIONS {
        match section {
            None => {
                for (name, value) in attrs.iter().filter(|(name, _)| name.starts_with("mod-")) {
                    write_listed(out, name, value, "id").at(name)?;
                }
            }
            Some((name, first)) => {
                let Some(value) = attrs.get(name) else { continue };
                match first {
                    Some(first) => write_listed(out, name, value, first).at(name)?,
                    None => write_set(out, "", &mut std::iter::once((name, value)))?,
                }
            }
        }
    }
    Ok(())
}

fn write_listed(out: &mut Vec<u8>, name: &str, value: &Value, first: &str) -> Result<(), RenderError> {
    out.extend_from_slice(format!("{name}:\n").as_bytes());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let attrs = attributes(item).at_index(index)?;
                let Some(id) = attrs.get(first) else {
                    return Err(RenderError::here(format!("has no {first}, which comes first"))).at_index(index);
                };
                write_item(out, first, id, attrs).at_index(index)?;
            }
        }
        Value::Object(items) => {
            for (id, attrs) in items {
                let id = Value::String(id.clone());
                // Here the name is no attribute, and one of that name stays.
                let attrs = attributes(attrs)?;
                write_first(out, first, &id)?;
                write_rest(out, attrs.iter())?;
            }
        }
        _ => return Err(RenderError::here("has to be a list or an attribute set")),
    }
    Ok(())
}

fn write_item(out: &mut Vec<u8>, first: &str, id: &Value, attrs: &Map<String, Value>) -> Result<(), RenderError> {
    write_first(out, first, id).at(first)?;
    write_rest(out, attrs.iter().filter(|(name, _)| *name != first))
}

fn write_first(out: &mut Vec<u8>, first: &str, id: &Value) -> Result<(), RenderError> {
    out.extend_from_slice(b"  - ");
    write_set(out, "", &mut std::iter::once((first, id)))
}

fn write_rest<'v>(out: &mut Vec<u8>, attrs: impl Iterator<Item = (&'v String, &'v Value)>) -> Result<(), RenderError> {
    out.extend_from_slice(b"    ");
    write_set(out, "    ", &mut attrs.map(|(name, value)| (name.as_str(), value)))?;
    out.push(b'\n');
    Ok(())
}

/// `n2y` of a set.
fn write_set<'v>(
    out: &mut Vec<u8>,
    indent: &str,
    attrs: &mut dyn Iterator<Item = (&'v str, &'v Value)>,
) -> Result<(), RenderError> {
    for (index, (name, value)) in attrs.enumerate() {
        refuse_nul(name).at(name)?;
        if index > 0 {
            out.extend_from_slice(format!("\n{indent}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match value {
            Value::Object(below) => {
                let deeper = format!("{indent}  ");
                out.extend_from_slice(format!("\n{deeper}").as_bytes());
                write_set(out, &deeper, &mut below.iter().map(|(name, value)| (name.as_str(), value))).at(name)?;
            }
            value => {
                out.push(b' ');
                write_value(out, value).at(name)?;
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Array(items) => {
            out.extend_from_slice(b"[ ");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_quoted(out, item).at_index(index)?;
            }
            out.extend_from_slice(b" ]");
        }
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"on" } else { b"off" }),
        value => write_quoted(out, value)?,
    }
    Ok(())
}

fn write_quoted(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    out.push(b'"');
    write_to_string(out, value)?;
    out.push(b'"');
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let name = |name: &str| {
        let is_bad = name.is_empty() || name.contains(|ch: char| ch.is_whitespace() || matches!(ch, ':' | '#' | '"'));
        is_bad
            .then(|| "the key is none that Knot reads as one: it is empty, or has a blank, a colon, # or \"".to_owned())
    };
    let text = |text: &str| {
        misread_value(text).or_else(|| {
            let is_bad = text.contains(['"', '\\']);
            is_bad.then(|| "the value has a quote or a backslash, which NixOS does not escape".to_owned())
        })
    };
    misreadings(value, name, text)
}
