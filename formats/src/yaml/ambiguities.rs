//! Strings that the emitters write in a way that does not read back, or that breaks the document. These are bugs of
//! PyYAML and ruamel.yaml. Nearly all concern strings that are written over several lines, so this module reads those
//! back.

use serde_json::Value;

use super::scalar::{Context, Scalar};
use super::{Style, resolve};
use crate::RenderError;
use crate::attr_path::AttrPath;

/// Every such string of a document.
pub(super) fn find(value: &Value, style: Style) -> Vec<RenderError> {
    let mut search = Search { style, path: AttrPath::default(), found: Vec::new(), written: Vec::new() };
    search.visit(value, Context::document(style), 0);
    search.found
}

struct Search {
    style: Style,
    path: AttrPath,
    found: Vec<RenderError>,
    /// Scratch for one scalar.
    written: Vec<u8>,
}

impl Search {
    /// Follows the writer: `context` is that of a scalar, `indent` the column of a collection's items.
    fn visit(&mut self, value: &Value, context: Context, indent: usize) {
        match value {
            Value::String(text) => {
                let scalar = Scalar::text(text, self.style);
                self.check(&scalar, text, context, "has");
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.0.push(index.to_string());
                    self.visit(item, Context::item(indent, self.style), indent + 2);
                    self.path.0.pop();
                }
            }
            Value::Object(attrs) => {
                for (name, item) in attrs {
                    self.path.0.push(name.clone());
                    let key = Scalar::text(name, self.style);
                    if key.is_simple_key() {
                        let column = self.check(&key, name, Context::key(indent), "has a name with");
                        // The items of a list are at the column of its key.
                        let inner = if item.is_array() { indent } else { indent + 2 };
                        self.visit(item, Context::value(column, indent), inner);
                    } else {
                        self.check(&key, name, Context::explicit(indent), "has a name with");
                        self.visit(item, Context::explicit(indent), indent + 2);
                    }
                    self.path.0.pop();
                }
            }
            _ => {}
        }
    }

    /// Writes the scalar and reads it again; gives the column after it.
    fn check(&mut self, scalar: &Scalar, text: &str, context: Context, what: &str) -> usize {
        self.written.clear();
        let column = scalar.write(&mut self.written, context);
        let written = std::str::from_utf8(&self.written).unwrap_or_default();
        let message = if scalar.is_plain() && resolve::is_float_by_specification(text, self.style) {
            "a text that readers of YAML 1.2 take for a number"
        } else if written.contains(['\u{85}', '\u{2028}', '\u{2029}']) && !scalar.is_plain() {
            "one of the line breaks U+0085, U+2028 and U+2029, which are read back as spaces"
        } else if !written.contains('\n') {
            return column;
        } else if context.key {
            "so many words that its line is folded, which breaks the document"
        } else if read(written.trim_start_matches([' ', '\n'])).as_deref() != Some(text) {
            "white space where its line is folded, which is read back as something else"
        } else {
            return column;
        };
        self.found.push(RenderError { path: self.path.clone(), message: format!("{what} {message}") });
        column
    }
}

/// A scalar that has line breaks, as the YAML specification reads it (sections 7.3.1 to 7.3.3). Of escapes, only those
/// that [`Scalar::write`] writes.
fn read(written: &str) -> Option<String> {
    if let Some(inside) = written.strip_prefix('\'') {
        let inside = inside.strip_suffix('\'')?;
        return Some(unfold(inside).replace("\'\'", "\'"));
    }
    match written.strip_prefix('"') {
        Some(inside) => unescape(inside.strip_suffix('"')?),
        None => Some(unfold(written)),
    }
}

/// One line break is a space, more of them are one less; white space around them does not count.
fn unfold(text: &str) -> String {
    let mut lines = text.split('\n');
    let mut result = lines.next().unwrap_or_default().to_owned();
    let mut empty = 0;
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() && lines.peek().is_some() {
            empty += 1;
            continue;
        }
        result.truncate(result.trim_end_matches([' ', '\t']).len());
        if empty == 0 {
            result.push(' ');
        }
        result.extend(std::iter::repeat_n('\n', std::mem::take(&mut empty)));
        result.push_str(line);
    }
    result
}

/// The inside of a double-quoted scalar.
fn unescape(text: &str) -> Option<String> {
    let mut result = String::new();
    // What white space at the end of `result` was escaped, and stays.
    let mut kept = 0;
    let mut rest = text.chars();
    while let Some(ch) = rest.next() {
        if ch == '\n' {
            let end = result.trim_end_matches([' ', '\t']).len().max(kept);
            result.truncate(end);
            result.push(' ');
            rest = rest.as_str().trim_start_matches([' ', '\t']).chars();
            continue;
        }
        if ch != '\\' {
            result.push(ch);
            continue;
        }
        match rest.next()? {
            '\n' => rest = rest.as_str().trim_start_matches([' ', '\t']).chars(),
            escape => {
                result.push(match escape {
                    '0' => '\0',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    't' => '\t',
                    'n' => '\n',
                    'v' => '\u{b}',
                    'f' => '\u{c}',
                    'r' => '\r',
                    'e' => '\u{1b}',
                    'N' => '\u{85}',
                    '_' => '\u{a0}',
                    'L' => '\u{2028}',
                    'P' => '\u{2029}',
                    'x' => take_code(&mut rest, 2)?,
                    'u' => take_code(&mut rest, 4)?,
                    'U' => take_code(&mut rest, 8)?,
                    itself => itself,
                });
                kept = result.len();
            }
        }
    }
    Some(result)
}

fn take_code(rest: &mut std::str::Chars, digits: usize) -> Option<char> {
    let (number, after) = rest.as_str().split_at_checked(digits)?;
    *rest = after.chars();
    char::from_u32(u32::from_str_radix(number, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate as format;
    use crate::FormatSpec;

    #[test]
    fn what_only_ruamel_takes_for_a_text_is_refused() {
        let spec = |name: &str| FormatSpec { name: name.to_owned(), dialect: None, parameters: serde_json::Map::new() };
        let refused = |name, value| format::ambiguities(&spec(name), &Value::Null, &value).is_err();
        for text in [".1e3", "+.1E3", "-.25e0"] {
            assert!(refused("yaml_1_2", json!({"text": text})) && refused("yaml_1_2", json!({text: 1})), "{text}");
            // A version that has no such number.
            assert!(!refused("yaml_1_1", json!({"text": text})), "{text}");
        }
        for text in [".1e", ".e3", ".1e+3", ".1e3x", "1e3", "x.1e3"] {
            assert!(!refused("yaml_1_2", json!({"text": text})), "{text}");
        }
    }

    #[test]
    fn a_long_word_on_a_line_of_its_own_is_read_as_itself() {
        for dialect in ["ruamel", "pyyaml"] {
            let name = "yaml_1_1".to_owned();
            let spec = FormatSpec { name, dialect: Some(dialect.to_owned()), parameters: serde_json::Map::new() };
            let value = json!({"host": "x".repeat(1000)});
            assert_eq!(format::ambiguities(&spec, &Value::Null, &value), Ok(()), "{dialect}");
        }
    }
}
