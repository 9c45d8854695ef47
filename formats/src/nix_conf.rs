//! `nixConf`: nix.conf. Dialect `formats` is that of `pkgs.formats.nixConf`. Dialect `module` is that of the NixOS
//! module of `nix.settings`, which has its own copy of the writer and keeps the duplicates of a list.

use serde_json::{Map, Value};

use super::lines::{attributes, misread_key, misread_value, refuse_nul, write_escaped};
use super::number;
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "nixConf",
    summary: "nix.conf",
    dialects: &["formats", "module"],
    parameters: &[Parameter {
        name: "extraOptions",
        kind: Kind::Text,
        summary: "lines to put after the settings (default \"\")",
    }],
    validate: None,
    write,
    misread,
};

const HEADER: &str = "# WARNING: this file is generated from the nix.* options in
# your NixOS configuration, typically
# /etc/nixos/configuration.nix.  Do not edit it!
";

/// The settings, then those that begin with `extra-` (Nix reads them in order, NixOS/nix#9487), then `extraOptions`. A
/// part that is empty leaves its empty line.
fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let attrs = attributes(value)?;
    let unique = settings.dialect == "formats";
    out.extend_from_slice(HEADER.as_bytes());
    write_part(out, attrs, false, unique)?;
    write_part(out, attrs, true, unique)?;
    out.extend_from_slice(settings.string("extraOptions").unwrap_or_default().as_bytes());
    out.push(b'\n');
    Ok(())
}

fn write_part(out: &mut Vec<u8>, attrs: &Map<String, Value>, extra: bool, unique: bool) -> Result<(), RenderError> {
    let part = attrs.iter().filter(|(name, _)| name.starts_with("extra-") == extra);
    for (index, (name, value)) in part.enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        refuse_nul(name).at(name)?;
        write_escaped(out, name, "=");
        out.extend_from_slice(b" = ");
        write_value(out, value, unique).at(name)?;
    }
    out.push(b'\n');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value, unique: bool) -> Result<(), RenderError> {
    match value {
        Value::Null => {}
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number::write(out, number, number::write_fixed)?,
        Value::String(text) => {
            refuse_nul(text)?;
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            let kept = items.iter().enumerate().filter(|(index, item)| !unique || !items[..*index].contains(item));
            for (count, (index, item)) in kept.enumerate() {
                let Value::String(text) = item else {
                    return Err(RenderError::here("has to be a string, as everything in a list here")).at_index(index);
                };
                refuse_nul(text).at_index(index)?;
                if count > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(text.as_bytes());
            }
        }
        Value::Object(_) => return Err(RenderError::here("is an attribute set, which a line can't hold")),
    }
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    let Value::Object(attrs) = value else { return found };
    for (name, value) in attrs {
        let texts =
            value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Value::as_str);
        let messages = misread_name(name).into_iter().chain(texts.filter_map(misread_value));
        found.extend(messages.filter_map(|message| Err::<(), _>(RenderError::here(message)).at(name).err()));
    }
    found
}

/// Nix splits a line at white space, and takes `#` for a comment anywhere (`parseConfigFiles` in libutil/configuration.cc).
fn misread_name(name: &str) -> Option<String> {
    if matches!(name, "include" | "!include") {
        return Some("the key is no setting but a directive, which Nix refuses with the whole file".to_owned());
    }
    if name.contains(['#', ' ', '\t']) && !name.trim().is_empty() {
        return Some(
            "the key has a blank or a # in it, so Nix refuses the file or takes a part of it for the key".to_owned(),
        );
    }
    misread_key(name, "=")
}
