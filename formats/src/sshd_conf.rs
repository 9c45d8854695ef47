//! `sshdConf`: the settings of `services.openssh.settings`, as its module writes them
//! (nixpkgs, nixos/modules/services/networking/ssh/sshd.nix, `settingsFormat`).

use serde_json::Value;

use super::lines::{attributes, misread_key, misread_value, refuse_nul, write_escaped};
use super::nix_text::{misreadings, write_joined, write_plain};
use super::number::{self, NixNumber};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "sshdConf",
    summary: "sshd_config, as services.openssh.settings",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

const COMMAS: [&str; 3] = ["Ciphers", "KexAlgorithms", "Macs"];
const BLANKS: [&str; 5] = ["AuthorizedKeysFile", "AllowGroups", "AllowUsers", "DenyGroups", "DenyUsers"];

/// Nulls are left out.
fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    for (key, value) in attributes(value)?.iter().filter(|(_, value)| !value.is_null()) {
        refuse_nul(key).at(key)?;
        write_escaped(out, key, " ");
        out.push(b' ');
        write_value(out, key, value).at(key)?;
        out.push(b'\n');
    }
    Ok(())
}

fn write_value(out: &mut Vec<u8>, key: &str, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"yes" } else { b"no" }),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(_) => return Err(RenderError::here("is a float, which sshd_config does not have")),
        },
        Value::String(text) => write_plain(out, text)?,
        Value::Array(items) if COMMAS.contains(&key) => write_joined(out, items, ",")?,
        Value::Array(items) if BLANKS.contains(&key) => write_joined(out, items, " ")?,
        Value::Array(_) => {
            return Err(RenderError::here("is a list, and NixOS does not say how sshd_config has a list of that name"));
        }
        _ => return Err(RenderError::here("is an attribute set, which a line can't hold")),
    }
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let name = |name: &str| match name.to_ascii_lowercase().as_str() {
        "match" => Some("the key begins a block, to which all lines after it belong".to_owned()),
        "include" => Some("the key is no setting but a directive: the lines of another file".to_owned()),
        _ => misread_key(name, " "),
    };
    misreadings(value, name, misread_value)
}
