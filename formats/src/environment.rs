//! `environment`: variables of a systemd environment file. It is not one of `pkgs.formats`: modules write it by hand,
//! as `environment = lib.mapAttrs (_: toString) cfg.settings`.
//!
//! The value is a flat attribute set; null leaves a variable out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::lines::attributes;
use super::number;
use super::parameters::{self, Kind, Parameter};
use super::{At, Format, RenderError, Settings, never_misread};
use crate::quote;

pub(super) static FORMAT: Format = Format {
    name: "environment",
    summary: "variables of a systemd environment file",
    dialects: &[],
    parameters: &[Parameter {
        name: "booleans",
        kind: Kind::Choice(BOOLEANS),
        summary: "how true and false are spelled (default \"true/false\"; \"1/\" is Nix's toString)",
    }],
    validate: None,
    write,
    misread: never_misread,
};

/// How true and false can be spelled, the default first.
pub const BOOLEANS: &[&str] = &["true/false", "1/", "1/0", "yes/no", "on/off", "True/False"];

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    for (name, text) in variables(settings.parameters, value)? {
        let quoted = quote::env_file_value(&text).map_err(|error| RenderError::here(error.to_string())).at(&name)?;
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(quoted.as_bytes());
        out.push(b'\n');
    }
    Ok(())
}

/// The variables that `value` stands for.
///
/// ```
/// # use dynix_formats::environment;
/// let value = serde_json::json!({ "PORT": 80, "DEBUG": true, "HOST": null });
/// let variables = environment::variables(&serde_json::Map::new(), &value)?;
/// assert_eq!(variables.into_iter().collect::<Vec<_>>(), [("DEBUG".into(), "true".into()), ("PORT".into(), "80".into())]);
/// # Ok::<(), dynix_formats::RenderError>(())
/// ```
pub fn variables(parameters: &Map<String, Value>, value: &Value) -> Result<BTreeMap<String, String>, RenderError> {
    parameters::check(&FORMAT, parameters)?;
    let booleans = parameters.get("booleans").and_then(Value::as_str).and_then(|both| both.split_once('/'));
    let (yes, no) = booleans.unwrap_or(("true", "false"));
    let mut variables = BTreeMap::new();
    for (name, value) in attributes(value)? {
        if !quote::is_variable_name(name) {
            return Err(RenderError::here(quote::QuoteError::VariableName.to_string())).at(name);
        }
        let text = match value {
            Value::Null => continue,
            Value::Bool(truth) => if *truth { yes } else { no }.to_owned(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number::to_text(number).at(name)?,
            Value::Array(_) | Value::Object(_) => {
                return Err(RenderError::here("a variable can't be a list or an attribute set")).at(name);
            }
        };
        variables.insert(name.clone(), text);
    }
    Ok(variables)
}
