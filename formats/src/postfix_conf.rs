//! `postfixConf`: the settings of main.cf, as the module of postfix writes them
//! (nixpkgs, nixos/modules/services/mail/postfix.nix, `mainCf`).

use serde_json::Value;

use super::lines::{attributes, misread_key, misread_value, refuse_nul};
use super::nix_text::{misreadings, write_joined, write_to_string};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "postfixConf",
    summary: "main.cf of postfix, as services.postfix",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// Nulls are left out. Lines that the module adds come after it.
fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    for (index, (key, value)) in attributes(value)?.iter().filter(|(_, value)| !value.is_null()).enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        refuse_nul(key).at(key)?;
        out.extend_from_slice(key.replace('$', "$$").as_bytes());
        out.extend_from_slice(b" =");
        match value {
            Value::Array(items) => {
                out.extend_from_slice(b"\n  ");
                write_joined(out, items, ",\n  ").at(key)?;
            }
            Value::Bool(truth) => out.extend_from_slice(if *truth { b" yes" } else { b" no" }),
            other => {
                out.push(b' ');
                write_to_string(out, other).at(key)?;
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    misreadings(value, |name| misread_key(name, "="), misread_value)
}
