//! `postgresqlConf`: postgresql.conf, as `services.postgresql.settings`
//! (nixpkgs, nixos/modules/services/databases/postgresql.nix, `toStr` and `configFile`).

use serde_json::Value;

use super::lines::{attributes, misread_key, refuse_nul};
use super::nix_text::{misreadings, write_to_string};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "postgresqlConf",
    summary: "postgresql.conf, as services.postgresql.settings",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// Nulls are left out; there is no line break at the end.
fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    for (index, (key, value)) in attributes(value)?.iter().filter(|(_, value)| !value.is_null()).enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        refuse_nul(key).at(key)?;
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b" = ");
        match value {
            Value::Bool(truth) => out.extend_from_slice(if *truth { b"yes" } else { b"no" }),
            Value::String(text) => {
                refuse_nul(text).at(key)?;
                out.push(b'\'');
                out.extend_from_slice(text.replace('\'', "''").as_bytes());
                out.push(b'\'');
            }
            other => write_to_string(out, other).at(key)?,
        }
    }
    Ok(())
}

/// `PostgreSQL` reads backslashes in quotes as escapes, and has no line breaks there (guc-file.l).
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let name = |name: &str| match name {
        "include" | "include_dir" | "include_if_exists" => {
            Some("the key is no setting but a directive: the lines of another file".to_owned())
        }
        _ => misread_key(name, "=").or_else(|| {
            name.contains(char::is_whitespace)
                .then(|| "the key has a blank in it: a reader takes a part of it".to_owned())
        }),
    };
    let text = |text: &str| {
        if text.contains(['\n', '\r']) {
            Some("the value has a line break, which PostgreSQL refuses with the whole file".to_owned())
        } else if text.contains('\\') {
            Some("the value has a backslash, which PostgreSQL reads as the beginning of an escape".to_owned())
        } else {
            None
        }
    };
    misreadings(value, name, text)
}
