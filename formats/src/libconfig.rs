//! `libconfig`: `pkgs.formats.libconfig`. nixpkgs runs a Rust program of its own (`libconfig-generator`) over Nix's
//! `toJSON`. It writes everything on one line. nixpkgs then lets libconfig itself read the file, so a value that
//! libconfig can't read is an error.

use serde_json::{Map, Value};

use super::number::{self, NixNumber};
use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "libconfig",
    summary: "libconfig of nixpkgs' libconfig-generator, on one line",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// The attribute that holds the files that a group includes.
const INCLUDES: &str = "_includes";

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set of settings"));
    };
    write_settings(out, attrs.iter())?;
    out.extend_from_slice(b"\n\n");
    Ok(())
}

fn write_settings<'a>(
    out: &mut Vec<u8>,
    settings: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<(), RenderError> {
    for (name, value) in settings {
        check_name(name).at(name)?;
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        write_value(out, value).at(name)?;
        out.push(b';');
    }
    Ok(())
}

/// libconfig's scanner.l: a name, unless it is a boolean in whatever case.
fn check_name(name: &str) -> Result<(), RenderError> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'));
    if !is_name {
        return Err(RenderError::here("is no name of a setting: letters, digits, -, _ and *, first a letter or *"));
    }
    if name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false") {
        return Err(RenderError::here("is no name of a setting, but a boolean for libconfig"));
    }
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    match value {
        Value::Null => return Err(RenderError::here("is null, which libconfig doesn't have; leave the attribute out")),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => number::write_integer(out, integer),
            NixNumber::Float(float) => number::write_rust_debug(out, number::as_generators_read(float)?),
        },
        Value::String(text) => write_string(out, text)?,
        Value::Array(items) => {
            out.push(b'(');
            write_items(out, items)?;
            out.push(b')');
        }
        Value::Object(attrs) => match special(attrs)? {
            Some(special) => special.write(out)?,
            None => write_group(out, attrs)?,
        },
    }
    Ok(())
}

fn write_items(out: &mut Vec<u8>, items: &[Value]) -> Result<(), RenderError> {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(out, item).at_index(index)?;
    }
    Ok(())
}

fn write_group(out: &mut Vec<u8>, attrs: &Map<String, Value>) -> Result<(), RenderError> {
    out.push(b'{');
    if let Some(includes) = attrs.get(INCLUDES) {
        write_includes(out, includes).at(INCLUDES)?;
    }
    write_settings(out, attrs.iter().filter(|(name, _)| *name != INCLUDES))?;
    out.push(b'}');
    Ok(())
}

/// Each on a line of its own, as libconfig wants it.
fn write_includes(out: &mut Vec<u8>, includes: &Value) -> Result<(), RenderError> {
    let Value::Array(includes) = includes else {
        return Err(RenderError::here("has to be a list of file names"));
    };
    for (index, include) in includes.iter().enumerate() {
        let Value::String(file) = include else {
            return Err(RenderError::here("has to be the name of a file")).at_index(index);
        };
        out.extend_from_slice(b"\n@include ");
        write_string(out, file).at_index(index)?;
    }
    if !includes.is_empty() {
        out.push(b'\n');
    }
    Ok(())
}

/// Only `\` and `"` are escaped; libconfig takes everything else as it is, line breaks too.
fn write_string(out: &mut Vec<u8>, text: &str) -> Result<(), RenderError> {
    if text.contains('\0') {
        return Err(RenderError::here("has a NUL character, which no string of libconfig can hold"));
    }
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

/// An attribute set with `_type`.
enum Special<'a> {
    Octal(i64),
    Hex(i64),
    Float(f64),
    List(&'a [Value]),
    Array(&'a [Value]),
}

/// The results of `mkOctal`, `mkHex`, `mkFloat`, `mkList` and `mkArray`. The rules are those of the generator, which
/// also uses Rust's own parsers.
fn special(attrs: &Map<String, Value>) -> Result<Option<Special<'_>>, RenderError> {
    let Some(kind @ ("octal" | "hex" | "float" | "list" | "array")) = attrs.get("_type").and_then(Value::as_str) else {
        return Ok(None);
    };
    let value = attrs.get("value").ok_or_else(|| RenderError::here("is missing")).at("value")?;
    let text = || value.as_str().ok_or_else(|| RenderError::here("has to be a string")).at("value");
    let items = || value.as_array().ok_or_else(|| RenderError::here("has to be a list")).at("value");
    let wrong = |expected: &str| Err(RenderError::here(format!("is {value}, but has to be {expected}"))).at("value");
    Ok(Some(match kind {
        "octal" => match i64::from_str_radix(text()?, 8) {
            // libconfig refuses the digits that the generator writes for a negative number.
            Ok(number) if number >= 0 => Special::Octal(number),
            _ => return wrong("an octal number, \"0755\""),
        },
        "hex" => match text()?.get(2..).map(|digits| i64::from_str_radix(digits, 16)) {
            Some(Ok(number)) => Special::Hex(number),
            _ => return wrong("a hexadecimal number, \"0x1F\""),
        },
        "float" => match text()?.parse::<f64>() {
            Ok(number) if number.is_finite() => Special::Float(number),
            _ => return wrong("a finite number, \"1.2E-3\""),
        },
        "list" => Special::List(items()?),
        _ => Special::Array(items()?),
    }))
}

impl Special<'_> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), RenderError> {
        match self {
            Self::Octal(number) => out.extend_from_slice(format!("0{number:o}").as_bytes()),
            Self::Hex(number) => out.extend_from_slice(format!("0x{number:x}").as_bytes()),
            Self::Float(float) => number::write_rust_debug(out, *float),
            Self::List(items) => {
                out.push(b'(');
                write_items(out, items).at("value")?;
                out.push(b')');
            }
            Self::Array(items) => {
                check_array(items).at("value")?;
                out.push(b'[');
                write_items(out, items).at("value")?;
                out.push(b']');
            }
        }
        Ok(())
    }
}

/// libconfig's type of a scalar; integers beyond 32 bits are of a type of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Boolean,
    Integer,
    Integer64,
    Float,
    String,
}

impl Scalar {
    fn of_integer(integer: i64) -> Self {
        if i32::try_from(integer).is_ok() { Self::Integer } else { Self::Integer64 }
    }

    /// None for what is no scalar.
    fn read(value: &Value) -> Result<Option<Self>, RenderError> {
        Ok(match value {
            Value::Bool(_) => Some(Self::Boolean),
            Value::String(_) => Some(Self::String),
            Value::Number(number) => Some(match number::read(number)? {
                NixNumber::Integer(integer) => Self::of_integer(integer),
                NixNumber::Float(_) => Self::Float,
            }),
            Value::Object(attrs) => match special(attrs)? {
                Some(Special::Octal(integer)) => Some(Self::of_integer(integer)),
                // Without an L at its end, whatever its size.
                Some(Special::Hex(_)) => Some(Self::Integer),
                Some(Special::Float(_)) => Some(Self::Float),
                _ => None,
            },
            Value::Null | Value::Array(_) => None,
        })
    }
}

/// An array has scalars of one type.
fn check_array(items: &[Value]) -> Result<(), RenderError> {
    let mut first = None;
    for (index, item) in items.iter().enumerate() {
        let Some(scalar) = Scalar::read(item).at_index(index)? else {
            return Err(RenderError::here("is no scalar, so an array can't hold it; use a list")).at_index(index);
        };
        if *first.get_or_insert(scalar) != scalar {
            let message = "is of another type than the items before it, so an array can't hold it; use a list";
            return Err(RenderError::here(message)).at_index(index);
        }
    }
    Ok(())
}

fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let Part::Value(Value::Object(attrs)) = part else {
            return;
        };
        let message = if let Some(includes) = attrs.get(INCLUDES) {
            format!("includes other settings: {includes}")
        } else if let Ok(Some(Special::Hex(number))) = special(attrs)
            && i32::try_from(number).is_err()
        {
            "is a hexadecimal number of more than 31 bits, which libconfig cuts off".to_owned()
        } else {
            return;
        };
        found.push(RenderError { path: path.clone(), message });
    });
    found
}
