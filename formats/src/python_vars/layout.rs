//! Breaks lines as black does (`transform_line` in its linegen.py), for data: scalars, lists and dictionaries.

use serde_json::{Map, Value};

use super::super::{At, RenderError};
use super::{is_raw, literal};

/// black's default.
const COLUMNS: usize = 88;

/// Writes one assignment after the other.
pub struct Layout<'a> {
    pub out: &'a mut Vec<u8>,
    /// Whether everything but empty lists and dictionaries gets a line for each item: black's magic trailing comma.
    pub explodes: bool,
}

impl Layout<'_> {
    pub fn write_assignment(&mut self, name: &str, value: &Value) -> Result<(), RenderError> {
        let line = self.out.len();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b" = ");
        let start = self.out.len();
        if can_explode(value) {
            if self.explodes || !self.write_if_fits(line, value, b"")? {
                self.write_exploded(value, 0)?;
            }
        } else {
            self.write_flat(value)?;
            // black puts parentheses around what fits only then, and leaves what does not fit either way.
            if !fits(self.out.get(line..).unwrap_or_default())? && !is_code(value) {
                let text = self.out.split_off(start);
                if fits(&[b"    ".as_slice(), &text].concat())? {
                    self.out.extend_from_slice(b"(\n    ");
                    self.out.extend_from_slice(&text);
                    self.out.extend_from_slice(b"\n)");
                } else {
                    self.out.extend_from_slice(&text);
                }
            } else if is_code(value) {
                self.check_code(line)?;
            }
        }
        self.out.push(b'\n');
        Ok(())
    }

    /// Code is written only if black leaves it on its line.
    fn check_code(&self, line: usize) -> Result<(), RenderError> {
        if fits(self.out.get(line..).unwrap_or_default())? {
            Ok(())
        } else {
            Err(RenderError::here(
                "is Python code on a line of more than 88 columns, and how black breaks it is not known",
            ))
        }
    }

    /// Writes `value` after the present text of the line, if all fits with `end` after it; otherwise leaves the line as
    /// it was.
    fn write_if_fits(&mut self, line: usize, value: &Value, end: &[u8]) -> Result<bool, RenderError> {
        let start = self.out.len();
        if self.write_while(line, value)? {
            self.out.extend_from_slice(end);
            if fits(self.out.get(line..).unwrap_or_default())? {
                return Ok(true);
            }
        }
        self.out.truncate(start);
        Ok(false)
    }

    /// Writes `value` on one line, but stops where that is surely too long: no character takes more than four bytes, and
    /// those without a width are rare.
    fn write_while(&mut self, line: usize, value: &Value) -> Result<bool, RenderError> {
        if self.out.len() - line > 8 * COLUMNS && !fits(self.out.get(line..).unwrap_or_default()).unwrap_or(true) {
            return Ok(false);
        }
        match value {
            Value::Array(items) => {
                self.out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.extend_from_slice(b", ");
                    }
                    if !self.write_while(line, item).at_index(index)? {
                        return Ok(false);
                    }
                }
                self.out.push(b']');
            }
            Value::Object(attrs) if !is_raw(attrs) => {
                self.out.push(b'{');
                for (index, (name, item)) in attrs.iter().enumerate() {
                    if index > 0 {
                        self.out.extend_from_slice(b", ");
                    }
                    self.write_key(name).at(name)?;
                    if !self.write_while(line, item).at(name)? {
                        return Ok(false);
                    }
                }
                self.out.push(b'}');
            }
            scalar => literal::write(self.out, scalar, self.explodes)?,
        }
        Ok(true)
    }

    fn write_flat(&mut self, value: &Value) -> Result<(), RenderError> {
        match value {
            Value::Array(_) => self.out.extend_from_slice(b"[]"),
            Value::Object(attrs) if !is_raw(attrs) => self.out.extend_from_slice(b"{}"),
            scalar => literal::write(self.out, scalar, self.explodes)?,
        }
        Ok(())
    }

    fn write_key(&mut self, name: &str) -> Result<(), RenderError> {
        if self.explodes {
            literal::write_unescaped_key(self.out, name)?;
        } else {
            literal::write_string(self.out, name);
        }
        self.out.extend_from_slice(b": ");
        Ok(())
    }

    /// A bracket, the items on lines below, and the other bracket.
    fn write_exploded(&mut self, value: &Value, depth: usize) -> Result<(), RenderError> {
        match value {
            Value::Object(attrs) => self.write_exploded_attrs(attrs, depth),
            Value::Array(items) => {
                self.out.push(b'[');
                let comma = self.comma(items.len());
                for (index, item) in items.iter().enumerate() {
                    let line = self.new_line(depth + 1);
                    self.write_item(line, item, comma, depth + 1).at_index(index)?;
                }
                self.new_line(depth);
                self.out.push(b']');
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write_exploded_attrs(&mut self, attrs: &Map<String, Value>, depth: usize) -> Result<(), RenderError> {
        self.out.push(b'{');
        let comma = self.comma(attrs.len());
        for (name, item) in attrs {
            let line = self.new_line(depth + 1);
            self.write_key(name).at(name)?;
            self.write_item(line, item, comma, depth + 1).at(name)?;
        }
        self.new_line(depth);
        self.out.push(b'}');
        Ok(())
    }

    /// A single item gets a comma only if there was one: black splits at commas first, and that adds the last.
    fn comma(&self, items: usize) -> &'static [u8] {
        if self.explodes || items > 1 { b"," } else { b"" }
    }

    fn write_item(&mut self, line: usize, item: &Value, comma: &[u8], depth: usize) -> Result<(), RenderError> {
        if !can_explode(item) {
            self.write_flat(item)?;
            self.out.extend_from_slice(comma);
            if is_code(item) {
                self.check_code(line)?;
            }
        } else if self.explodes || !self.write_if_fits(line, item, comma)? {
            self.write_exploded(item, depth)?;
            self.out.extend_from_slice(comma);
        }
        Ok(())
    }

    /// The place where the line starts.
    fn new_line(&mut self, depth: usize) -> usize {
        self.out.push(b'\n');
        let line = self.out.len();
        self.out.resize(line + 4 * depth, b' ');
        line
    }
}

/// Whether there are items that can have lines of their own.
fn can_explode(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(attrs) => !attrs.is_empty() && !is_raw(attrs),
        _ => false,
    }
}

fn is_code(value: &Value) -> bool {
    value.as_object().is_some_and(is_raw)
}

/// Whether a line has no more columns than black wants. Versions of black take some characters for wider or narrower,
/// which is an error where it matters.
fn fits(line: &[u8]) -> Result<bool, RenderError> {
    if line.is_ascii() {
        return Ok(line.len() <= COLUMNS);
    }
    let line = String::from_utf8_lossy(line);
    let (least, most) = line.chars().map(literal::width).fold((0, 0), |sum, width| (sum.0 + width.0, sum.1 + width.1));
    if (least <= COLUMNS) == (most <= COLUMNS) {
        return Ok(most <= COLUMNS);
    }
    Err(RenderError::here(
        "is on a line of about 88 columns with a character whose width depends on black's version (an accent of its own, \
         for one), so where black breaks it is not known",
    ))
}
