//! `javaProperties`: `pkgs.formats.javaProperties`, escaped by jq and then by iconv's encoding JAVA.

use serde_json::Value;

use super::lines::{BOOLEANS, attributes, refuse_nul};
use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "javaProperties",
    summary: "Java's .properties files",
    dialects: &[],
    parameters: &[
        Parameter {
            name: "comment",
            kind: Kind::Text,
            summary: "what stands above the settings (default \"Generated with Nix\")",
        },
        BOOLEANS,
    ],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    // `echo "$comment" | while read -r ln`, which strips blanks.
    for line in settings.string("comment").unwrap_or("Generated with Nix").split('\n') {
        out.extend_from_slice(b"# ");
        out.extend_from_slice(line.trim_matches([' ', '\t']).as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
    let (yes, no) = settings.string("booleans").and_then(|both| both.split_once('/')).unwrap_or(("true", "false"));
    for (name, value) in attributes(value)? {
        refuse_nul(name).at(name)?;
        write_escaped(out, name, true);
        out.extend_from_slice(b" = ");
        match value {
            Value::Bool(truth) => write_escaped(out, if *truth { yes } else { no }, false),
            Value::Number(number) => match number::read(number).at(name)? {
                NixNumber::Integer(integer) => number::write_integer(out, integer),
                NixNumber::Float(float) => number::write_fixed(out, float),
            },
            Value::String(text) => {
                refuse_nul(text).at(name)?;
                write_escaped(out, text, false);
            }
            Value::Null => return Err(RenderError::here("is null, which a property can't be")).at(name),
            Value::Array(_) => return Err(RenderError::here("is a list, which a property can't be")).at(name),
            Value::Object(_) => {
                return Err(RenderError::here("is an attribute set; properties are flat, name it \"a.b\"")).at(name);
            }
        }
        out.push(b'\n');
    }
    Ok(())
}

/// jq's part escapes the characters that separate lines, keys and values; a newline is an escape at the end of a line
/// that continues. iconv's part is `\uXXXX` for everything except ASCII, in UTF-16.
fn write_escaped(out: &mut Vec<u8>, text: &str, key: bool) {
    let mut line_start = true;
    for ch in text.chars() {
        let start = std::mem::take(&mut line_start);
        match ch {
            '\n' => {
                out.extend_from_slice(b"\\n\\\n");
                line_start = true;
            }
            '\t' => out.extend_from_slice(b"\\t"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\\' | '#' | '!' => out.extend([b'\\', ch as u8]),
            '=' if key => out.extend_from_slice(b"\\="),
            ' ' if key || start => out.extend_from_slice(b"\\ "),
            ch if ch.is_ascii() => out.push(ch as u8),
            ch => {
                for unit in ch.encode_utf16(&mut [0; 2]) {
                    // Writing to a Vec can't fail.
                    let _ = std::io::Write::write_fmt(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// Java ends a key at a `:` too, and a form feed is white space to it.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    let Value::Object(attrs) = value else { return found };
    for name in attrs.keys().filter(|name| name.contains([':', '\u{c}'])) {
        let message = "the key has a : or a form feed in it, so a reader would take a part of it for the key";
        found.extend(Err::<(), _>(RenderError::here(message)).at(name).err());
    }
    found
}
