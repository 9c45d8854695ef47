//! Nix's syntax for plain data: names, strings, numbers, lists and attribute sets.
//!
//! Takes values and gives text that the Nix evaluator reads as exactly these values. No value, whatever it holds, can
//! become Nix code. The lexical rules are those of `src/libexpr/lexer.l` in Nix 2.18 to 2.31.

use serde_json::Value;

/// The characters that Nix takes as space between words; the rest of ASCII's and Unicode's white space is an error to
/// it.
pub const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// How deep lists and attribute sets may nest, and how many names a path may have.
pub const MAX_DEPTH: usize = 128;

/// Why a value can't be written as Nix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nix strings end at NUL.
    #[error("a string holds the character NUL, which Nix strings can't")]
    Nul,
    /// Beyond 64 bits.
    #[error("{0} is not a Nix integer: only {min} to {max} are", min = i64::MIN, max = i64::MAX)]
    IntegerRange(String),
    /// Nix refuses these as "invalid float" (`strtod` reports them as out of range).
    #[error("{0} is too close to zero: Nix reads no number below {min:e}", min = f64::MIN_POSITIVE)]
    FloatRange(String),
    /// See [`MAX_DEPTH`].
    #[error("it nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// See [`is_reserved`].
    #[error("an attribute can't be named {0}: Nix gives sets with that name a meaning of their own")]
    Reserved(String),
}

/// Whether `character` may be in a name without quotes.
#[must_use]
pub fn goes_unquoted(character: char, first: bool) -> bool {
    character.is_ascii_alphabetic()
        || character == '_'
        || !first && (character.is_ascii_digit() || character == '-' || character == '\'')
}

/// Whether `name` needs no quotes as an attribute name.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.char_indices().all(|(index, character)| goes_unquoted(character, index == 0))
        && !is_keyword(name)
}

/// Nix's keywords; as names they need quotes. (`or` would go without in newer versions.)
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    matches!(name, "if" | "then" | "else" | "assert" | "with" | "let" | "in" | "rec" | "inherit" | "or")
}

/// Whether a value can't have an attribute of this name, because its set would mean something else: to the module system
/// (`_type`, as in `mkIf`), or to `builtins.toJSON` (the other two).
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(name, "_type" | "__toString" | "outPath")
}

/// The meaning of a backslash and this character in a string.
#[must_use]
pub fn unescaped(character: char) -> char {
    match character {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

/// `text` as a Nix string, for people and for names. NUL has no Nix syntax and stays as it is here; values and names
/// that go into the log pass [`write_value`] or [`write_name`], which refuse it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// Writes an attribute name.
pub fn write_name(out: &mut String, name: &str) -> Result<(), ValueError> {
    if is_plain_name(name) {
        out.push_str(name);
        return Ok(());
    }
    write_string(out, name)
}

/// Writes a string.
pub fn write_string(out: &mut String, text: &str) -> Result<(), ValueError> {
    if text.contains('\0') {
        return Err(ValueError::Nul);
    }
    push_string(out, text);
    Ok(())
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // A raw carriage return would be read as a line feed.
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if characters.peek() == Some(&'{') => out.push_str("\\$"),
            // Other control characters have no escape in Nix and are legal as they are.
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Writes a value on one line.
pub fn write_value(out: &mut String, value: &Value) -> Result<(), ValueError> {
    write_at(out, value, 0, false)
}

fn write_at(out: &mut String, value: &Value, depth: usize, in_list: bool) -> Result<(), ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::TooDeep);
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            let text = number_text(number)?;
            // `[ -1 ]` would be a syntax error.
            if in_list && text.starts_with('-') {
                out.push('(');
                out.push_str(&text);
                out.push(')');
            } else {
                out.push_str(&text);
            }
        }
        Value::String(text) => write_string(out, text)?,
        Value::Array(items) => {
            out.push_str("[ ");
            for item in items {
                write_at(out, item, depth + 1, true)?;
                out.push(' ');
            }
            out.push(']');
        }
        Value::Object(attributes) => {
            out.push_str("{ ");
            for (name, value) in attributes {
                if is_reserved(name) {
                    return Err(ValueError::Reserved(name.clone()));
                }
                write_name(out, name)?;
                out.push_str(" = ");
                write_at(out, value, depth + 1, false)?;
                out.push_str("; ");
            }
            out.push('}');
        }
    }
    Ok(())
}

fn number_text(number: &serde_json::Number) -> Result<String, ValueError> {
    if let Some(integer) = number.as_i64() {
        // The lexer reads digits before it sees the sign, and one more than the maximum is no integer to it.
        return Ok(if integer == i64::MIN { "(-9223372036854775807 - 1)".to_owned() } else { integer.to_string() });
    }
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => Err(ValueError::IntegerRange(number.to_string())),
    }
}

/// The shortest text that reads back as the same number, with the fraction that makes it a float to Nix (`1e20` would be
/// an integer and a name).
fn float_text(float: f64) -> Result<String, ValueError> {
    if float == 0.0 {
        // Negation is a subtraction from zero in Nix, which gives no negative zero.
        return Ok("0.0".to_owned());
    }
    if !float.is_normal() {
        return Err(ValueError::FloatRange(float.to_string()));
    }
    let text = format!("{float:?}");
    Ok(match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text,
    })
}

/// `value` as Nix gives it back: no negative zero.
#[must_use]
pub fn normalized(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() && number.as_f64() == Some(0.0) => Value::from(0.0),
        Value::Array(items) => Value::Array(items.into_iter().map(normalized).collect()),
        Value::Object(attributes) => {
            Value::Object(attributes.into_iter().map(|(name, value)| (name, normalized(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> Result<String, ValueError> {
        let mut out = String::new();
        write_value(&mut out, value).map(|()| out)
    }

    #[test]
    fn values_are_written_so_that_nothing_becomes_code() {
        let value = json!({
            "plain": [1, -2, 1.5, -1.5, null, true],
            "if": "${x} $${y} $ \"q\" \\ \n\r\t \u{1}",
            "": { "a.b": {} , "8": [] },
        });
        insta::assert_snapshot!(text(&value).unwrap().replace('\u{1}', "^A"), @r#"{ "" = { "8" = [ ]; "a.b" = { }; }; "if" = "\${x} $\${y} $ \"q\" \\ \n\r\t ^A"; plain = [ 1 (-2) 1.5 (-1.5) null true ]; }"#);
    }

    #[test]
    fn numbers_are_written_as_nix_reads_them() {
        for (value, expected) in [
            (json!(i64::MIN), "(-9223372036854775807 - 1)"),
            (json!(i64::MAX), "9223372036854775807"),
            (json!(1e20), "1.0e20"),
            (json!(-1e-7), "-1.0e-7"),
            (json!(-0.0), "0.0"),
            (json!(1.0), "1.0"),
            (json!(0.1), "0.1"),
            (json!(f64::MAX), "1.7976931348623157e308"),
        ] {
            assert_eq!(text(&value).unwrap(), expected);
        }
    }

    #[test]
    fn what_nix_can_not_hold_is_refused() {
        assert_eq!(text(&json!("a\0")), Err(ValueError::Nul));
        assert_eq!(text(&json!({ "\0": 1 })), Err(ValueError::Nul));
        assert_eq!(text(&json!(1u64 << 63)), Err(ValueError::IntegerRange("9223372036854775808".to_owned())));
        assert!(matches!(text(&json!(5e-324)), Err(ValueError::FloatRange(_))));
        assert_eq!(text(&json!([{ "_type": "if" }])), Err(ValueError::Reserved("_type".to_owned())));
        let deep = |levels| (0..levels).fold(json!(1), |value, _| json!([value]));
        assert!(text(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(text(&deep(MAX_DEPTH + 1)), Err(ValueError::TooDeep));
    }
}
