//! `flags`: command-line options. Not one of `pkgs.formats`, but what modules do with flags by hand.
//!
//! The value is a list, in the order of the command line. An item is a word, or
//! `{ "flag": "--jobs", "value": X }`: null and false leave it out, true gives the bare flag (with `booleans`, both are
//! values), a list repeats it for each element (with `join`, the elements are one value), anything else is its value.
//! That is what `lib.cli.toCommandLine` does by its `sep` and `explicitBool`. What comes out are the words ([`words`]), or a line of an environment file that gives systemd these very words for an unbraced `$VARIABLE`.

use serde_json::{Map, Value};

use super::lines::BOOLEANS;
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
            kind: Kind::Choice(&[" ", "=", ""]),
            summary: "between flag and value: \" \" gives two words (default), \"=\" and \"\" one; an item may have its own",
        },
        Parameter {
            name: "booleans",
            kind: BOOLEANS.kind,
            summary: "true and false are values, spelled so (default: true is the bare flag, false none); an item may have its own",
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

/// One `{ flag, value }`, with its own `separator`, `booleans` and `join` where it has them.
fn write_item(parameters: &Map<String, Value>, item: &Map<String, Value>, sink: &mut Sink) -> Result<(), RenderError> {
    for name in item.keys() {
        if !matches!(name.as_str(), "flag" | "value" | "separator" | "booleans" | "join") {
            let message = "is not known here; a flag has flag, value, separator, booleans and join";
            return Err(RenderError::here(message)).at(name);
        }
    }
    let Some(Value::String(flag)) = item.get("flag") else {
        return Err(RenderError::here("has to be a word such as \"--jobs\"")).at("flag");
    };
    checked(flag).at("flag")?;
    let own = |name: &str| match item.get(name).or_else(|| parameters.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(RenderError::here("has to be a string or null")).at(name),
    };
    let separator = match own("separator")? {
        None | Some(" ") => None,
        Some(separator @ ("=" | "")) => Some(separator),
        Some(_) => return Err(RenderError::here("has to be \" \", \"=\" or \"\"")).at("separator"),
    };
    let booleans = match own("booleans")? {
        None => None,
        Some(both) if BOOLEANS.kind.allows(&both.into()) => both.split_once('/'),
        Some(_) => return Err(RenderError::here(format!("has to be {}", BOOLEANS.kind))).at("booleans"),
    };
    let join = own("join")?;
    let Some(value) = item.get("value") else {
        return Err(RenderError::here("is missing; null leaves the flag out, true gives it without a value"))
            .at("value");
    };
    let mut put = |value: &Value| match (value, booleans) {
        (Value::Null, _) | (Value::Bool(false), None) => Ok(()),
        (Value::Bool(true), None) => sink(flag),
        (value, _) => match (text(value, booleans)?, separator) {
            (text, Some(separator)) => sink(&format!("{flag}{separator}{text}")),
            (text, None) => sink(flag).and_then(|()| sink(&text)),
        },
    };
    match (value, join) {
        (Value::Array(elements), None) => {
            elements.iter().enumerate().try_for_each(|(index, element)| put(element).at_index(index))
        }
        (Value::Array(elements), Some(_)) if elements.is_empty() => Ok(()),
        (Value::Array(elements), Some(join)) => {
            let texts = elements.iter().enumerate().map(|(index, element)| text(element, booleans).at_index(index));
            texts.collect::<Result<Vec<_>, _>>().and_then(|texts| put(&texts.join(join).into()))
        }
        (value, _) => put(value),
    }
    .at("value")
}

/// A value as Nix's `toString` gives it; booleans as they are spelled.
fn text(value: &Value, booleans: Option<(&str, &str)>) -> Result<String, RenderError> {
    match (value, booleans) {
        (Value::String(text), _) => checked(text).map(|()| text.clone()),
        (Value::Bool(truth), Some((yes, no))) => Ok(if *truth { yes } else { no }.to_owned()),
        (Value::Number(number), _) => {
            let mut out = Vec::new();
            match number::read(number)? {
                NixNumber::Integer(integer) => number::write_integer(&mut out, integer),
                NixNumber::Float(float) => number::write_fixed(&mut out, float),
            }
            Ok(String::from_utf8(out).unwrap_or_default())
        }
        (other, _) => Err(RenderError::here(format!("is {}, but has to be a string or a number here", kind(other)))),
    }
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
