//! `plist`: `lib.generators.toPlist`: Apple's property lists as XML, without a newline at the end.

use serde_json::Value;

use super::lines::refuse_nul;
use super::number::{self, NixNumber};
use super::parameters::{Kind, Parameter};
use super::walk;
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "plist",
    summary: "Apple's property lists",
    dialects: &[],
    parameters: &[Parameter {
        name: "escape",
        kind: Kind::Boolean,
        summary: "whether strings and keys are escaped for XML (default true, as in pkgs.formats.plist)",
    }],
    validate: None,
    write,
    misread,
};

const HEADER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
";

fn is_escaped(settings: &Settings) -> bool {
    settings.parameters.get("escape") != Some(&Value::Bool(false))
}

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    out.extend_from_slice(HEADER.as_bytes());
    write_value(out, value, 0, is_escaped(settings))?;
    out.extend_from_slice(b"\n</plist>");
    Ok(())
}

/// Writes a value without a newline at its end. A null gives nothing, which leaves an empty line in a list.
fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize, escape: bool) -> Result<(), RenderError> {
    if !value.is_null() {
        indent(out, depth);
    }
    match value {
        Value::Null => {}
        Value::Bool(true) => out.extend_from_slice(b"<true/>"),
        Value::Bool(false) => out.extend_from_slice(b"<false/>"),
        Value::Number(number) => match number::read(number)? {
            NixNumber::Integer(integer) => {
                out.extend_from_slice(b"<integer>");
                number::write_integer(out, integer);
                out.extend_from_slice(b"</integer>");
            }
            NixNumber::Float(float) => {
                out.extend_from_slice(b"<real>");
                number::write_fixed(out, float);
                out.extend_from_slice(b"</real>");
            }
        },
        Value::String(text) => write_text(out, "string", text, escape)?,
        Value::Array(items) => {
            out.extend_from_slice(b"<array>\n");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b'\n');
                }
                write_value(out, item, depth + 1, escape).at_index(index)?;
            }
            out.push(b'\n');
            indent(out, depth);
            out.extend_from_slice(b"</array>");
        }
        Value::Object(attrs) => {
            out.extend_from_slice(b"<dict>\n");
            let kept = attrs.iter().filter(|(name, value)| !value.is_null() && *name != "_module");
            for (index, (name, item)) in kept.enumerate() {
                if index > 0 {
                    out.push(b'\n');
                }
                indent(out, depth + 1);
                write_text(out, "key", name, escape).at(name)?;
                out.push(b'\n');
                write_value(out, item, depth + 1, escape).at(name)?;
            }
            out.push(b'\n');
            indent(out, depth);
            out.extend_from_slice(b"</dict>");
        }
    }
    Ok(())
}

fn indent(out: &mut Vec<u8>, depth: usize) {
    out.resize(out.len() + depth, b'\t');
}

fn write_text(out: &mut Vec<u8>, tag: &str, text: &str, escape: bool) -> Result<(), RenderError> {
    refuse_nul(text)?;
    out.push(b'<');
    out.extend_from_slice(tag.as_bytes());
    out.push(b'>');
    if escape {
        write_escaped(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(tag.as_bytes());
    out.push(b'>');
    Ok(())
}

/// `lib.escapeXML`.
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            byte => out.push(byte),
        }
    }
}

/// XML 1.0 has no control characters but tab and newline (a carriage return is read as a newline), and without escapes
/// `<` and `&` are markup.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let escape = is_escaped(settings);
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let bad = |ch: char| {
            matches!(ch, '\u{fffe}' | '\u{ffff}')
                || ch < ' ' && !matches!(ch, '\t' | '\n')
                || !escape && matches!(ch, '<' | '&')
        };
        if let Some(ch) = part.text().and_then(|text| text.chars().find(|&ch| bad(ch))) {
            let message = format!("has the character {ch:?}, which XML does not give back");
            found.push(RenderError { path: path.clone(), message });
        }
    });
    found
}
