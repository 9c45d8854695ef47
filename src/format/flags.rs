//! `flags`: command-line options. Not one of `pkgs.formats`, but what modules do with flags by hand.
//!
//! The value is a list, in the order of the command line. An item is a word, or
//! `{ "flag": "--jobs", "value": X }`: null and false leave it out, true gives the bare flag, a list repeats it for
//! each element (with `join`, the elements are one value), anything else is its value. What comes out are the words
//! ([`words`]), or a line of an environment file that gives systemd these very words for an unbraced `$VARIABLE`.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::parameters::{self, Kind, Parameter};
use super::{At, Format, RenderError, Settings, never_misread};
use crate::systemd::quote;

pub(super) static FORMAT: Format = Format {
    name: "flags",
    summary: "command-line options, as one variable of a systemd environment file",
    dialects: &[],
    parameters: &[
        Parameter {
            name: "variable",
            kind: Kind::Variable,
            summary: "the variable that the line sets; without it there are words but no line",
        },
        Parameter {
            name: "separator",
            kind: Kind::Choice(&[" ", "="]),
            summary: "between flag and value: \" \" gives two words (default), \"=\" one; an item may have its own",
        },
        Parameter {
            name: "join",
            kind: Kind::OptionalText,
            summary: "joins the elements of a list into one value; null (default) repeats the flag; an item may have its own",
        },
    ],
    validate: None,
    write,
    misread: never_misread,
};

/// Linux refuses a longer string among arguments and environment (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST: usize = 128 * 1024 - 1;

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let Some(variable) = settings.string("variable") else {
        return Err(RenderError::here("format flags is only written with the parameter variable"));
    };
    let mut joined = String::new();
    for_each_word(settings.parameters, value, &mut |word| {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&quote::variable_word(word).map_err(|error| RenderError::here(error.to_string()))?);
        Ok(())
    })?;
    if variable.len() + 1 + joined.len() > LONGEST {
        let message =
            format!("the words take {} bytes, more than the {LONGEST} of an environment variable", joined.len());
        return Err(RenderError::here(message));
    }
    let quoted = quote::env_file_value(&joined).map_err(|error| RenderError::here(error.to_string()))?;
    out.extend_from_slice(variable.as_bytes());
    out.push(b'=');
    out.extend_from_slice(quoted.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// The words that `value` stands for.
///
/// ```
/// # use dynix::format::flags;
/// let value = serde_json::json!(["--daemon", { "flag": "--jobs", "value": 4 }, { "flag": "--nice", "value": null }]);
/// assert_eq!(flags::words(&serde_json::Map::new(), &value)?, ["--daemon", "--jobs", "4"]);
/// # Ok::<(), dynix::format::RenderError>(())
/// ```
pub fn words(parameters: &Map<String, Value>, value: &Value) -> Result<Vec<String>, RenderError> {
    parameters::check(&FORMAT, parameters)?;
    let mut words = Vec::new();
    for_each_word(parameters, value, &mut |word| {
        words.push(word.to_owned());
        Ok(())
    })?;
    Ok(words)
}

type Sink<'a> = dyn FnMut(&str) -> Result<(), RenderError> + 'a;

fn for_each_word(parameters: &Map<String, Value>, value: &Value, sink: &mut Sink) -> Result<(), RenderError> {
    let Value::Array(items) = value else {
        return Err(RenderError::here(format!(
            "flags are a list of words and of {{ flag, value }}, not {}",
            kind(value)
        )));
    };
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::Object(item) => write_item(parameters, item, sink).at_index(index)?,
            Value::String(word) => checked(word).and_then(|()| sink(word)).at_index(index)?,
            other => {
                let message = format!("is {}, but has to be a word or {{ flag, value }}", kind(other));
                return Err(RenderError::here(message)).at_index(index);
            }
        }
    }
    Ok(())
}

fn checked(word: &str) -> Result<(), RenderError> {
    if word.contains('\0') {
        return Err(RenderError::here(quote::QuoteError::Nul.to_string()));
    }
    Ok(())
}

/// One `{ flag, value }`, with its own `separator` and `join` where it has them.
fn write_item(parameters: &Map<String, Value>, item: &Map<String, Value>, sink: &mut Sink) -> Result<(), RenderError> {
    for name in item.keys() {
        if !matches!(name.as_str(), "flag" | "value" | "separator" | "join") {
            return Err(RenderError::here("is not known here; a flag has flag, value, separator and join")).at(name);
        }
    }
    let Some(Value::String(flag)) = item.get("flag") else {
        return Err(RenderError::here("has to be a word such as \"--jobs\"")).at("flag");
    };
    checked(flag).at("flag")?;
    let own = |name: &str| item.get(name).or_else(|| parameters.get(name));
    let one_word = match own("separator") {
        None => false,
        Some(Value::String(separator)) if separator == " " => false,
        Some(Value::String(separator)) if separator == "=" => true,
        Some(_) => return Err(RenderError::here("has to be \" \" or \"=\"")).at("separator"),
    };
    let join = match own("join") {
        None | Some(Value::Null) => None,
        Some(Value::String(join)) => Some(join),
        Some(_) => return Err(RenderError::here("has to be a string or null")).at("join"),
    };
    let mut put = |value: &str| {
        if one_word {
            return sink(&format!("{flag}={value}"));
        }
        sink(flag)?;
        sink(value)
    };
    match item.get("value") {
        None => Err(RenderError::here("is missing; null leaves the flag out, true gives it without a value")),
        Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(Value::Bool(true)) => sink(flag),
        Some(Value::Array(elements)) => {
            let texts = elements.iter().enumerate().map(|(index, element)| text(element).at_index(index));
            match join {
                None => texts.enumerate().try_for_each(|(index, text)| put(&text?).at_index(index)),
                Some(_) if elements.is_empty() => Ok(()),
                Some(join) => texts.collect::<Result<Vec<_>, _>>().and_then(|texts| put(&texts.join(join))),
            }
        }
        Some(value) => text(value).and_then(|text| put(&text)),
    }
    .at("value")
}

/// A value as Nix's `toString` gives it.
fn text(value: &Value) -> Result<String, RenderError> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => {
            checked(text)?;
            return Ok(text.clone());
        }
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(&mut out, integer),
            NixNumber::Float(float) => number::write_fixed(&mut out, float),
        },
        other => {
            return Err(RenderError::here(format!("is {}, but has to be a string or a number here", kind(other))));
        }
    }
    Ok(String::from_utf8(out).unwrap_or_default())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}
