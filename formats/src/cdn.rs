//! `cdn`: `pkgs.formats.cdn`. nixpkgs runs json2cdn 0.1, which uses the Java library cdn 1.14.5. That library breaks
//! the JSON into lines without parsing it, and then works line by line. So a string with quotes in it can give any
//! output. This module reproduces that output, and `misread` names such strings.
//!
//! * dialect `json2cdn`: the output in a build, which has no locale: Java writes `?` for each character that is not
//!   ASCII.
//! * dialect `json2cdn-utf-8`: the output with a locale.

use serde_json::Value;

use super::number;
use super::walk::{self, Part};
use super::{Format, RenderError, Settings, json};

pub(super) static FORMAT: Format = Format {
    name: "cdn",
    summary: "dzikoysk's CDN, nearly YAML",
    dialects: &["json2cdn", "json2cdn-utf-8"],
    parameters: &[],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    if !value.is_object() && !value.is_array() {
        return Err(RenderError::here("has to be an attribute set or a list"));
    }
    let mut json = Vec::new();
    write_json(&mut json, value)?;
    let mut lines = Lines::default();
    lines.take(&json);
    if lines.underflow {
        return Err(RenderError::here("has quotes and brackets in its strings that json2cdn can't keep apart"));
    }
    let mut writer = Writer { out: Vec::new(), open: Vec::new(), above: Vec::new(), has_root: false };
    let broken = trim(&lines.out);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', broken).chain([broken.len()]) {
        writer.take(trim(&broken[start..end]))?;
        start = end + 1;
    }
    while writer.open.len() > 1 {
        writer.close();
    }
    let text = trim(&writer.out);
    if settings.dialect == "json2cdn" && !text.is_ascii() {
        let text = String::from_utf8_lossy(text);
        out.extend(text.chars().map(|ch| u8::try_from(ch).ok().filter(u8::is_ascii).unwrap_or(b'?')));
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'\n');
    Ok(())
}

/// Nix's `toJSON`.
fn write_json(out: &mut Vec<u8>, value: &Value) -> Result<(), RenderError> {
    use super::At;
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number::write(out, number, number::write_nix_json)?,
        Value::String(text) => json::write_nix_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json(out, item).at_index(index)?;
            }
            out.push(b']');
        }
        Value::Object(attrs) => {
            out.push(b'{');
            for (index, (name, item)) in attrs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_nix_string(out, name);
                out.push(b':');
                write_json(out, item).at(name)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Java's `String.trim`.
fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| byte > b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|&byte| byte > b' ').map_or(start, |last| last + 1);
    &text[start..end]
}

/// `JsonToCdnConverter`: line breaks around brackets and after commas, except between quotes. It knows no backslashes.
#[derive(Default)]
struct Lines {
    out: Vec<u8>,
    depth: usize,
    quotes: Vec<u8>,
    /// A bracket was closed that had not been opened: an exception there.
    underflow: bool,
}

impl Lines {
    fn take(&mut self, json: &[u8]) {
        let mut rest = json;
        loop {
            if !self.quotes.is_empty() {
                // Nothing happens before the next quote.
                let (inside, after) = rest.split_at(memchr::memchr2(b'"', b'\'', rest).unwrap_or(rest.len()));
                self.out.extend_from_slice(inside);
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            if matches!(byte, b'"' | b'\'') {
                match self.quotes.last() {
                    None => self.quotes.push(byte),
                    Some(&open) if open == byte => {
                        self.quotes.pop();
                    }
                    Some(_) => {}
                }
            }
            if self.quotes.is_empty() {
                match byte {
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.out.push(byte);
                        self.break_line();
                        continue;
                    }
                    b':' => {
                        self.out.extend_from_slice(b": ");
                        continue;
                    }
                    b',' => {
                        self.out.push(byte);
                        self.break_line();
                        continue;
                    }
                    b'}' | b']' => {
                        self.underflow |= self.depth == 0;
                        self.depth = self.depth.saturating_sub(1);
                        self.break_line();
                    }
                    b' ' if self.out.last() == Some(&b' ') => continue,
                    _ => {}
                }
            }
            self.out.push(byte);
        }
    }

    fn break_line(&mut self) {
        if self.out.last() != Some(&b'\n') {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }
}

/// `CdnReader`, and `CdnWriter` with the `StandardModule`, which write in the order in which they read.
struct Writer {
    out: Vec<u8>,
    /// The closing brackets of the open sections, outermost first; that of the root stands for the document.
    open: Vec<u8>,
    /// Empty lines and comments, which go above the next item.
    above: Vec<Vec<u8>>,
    has_root: bool,
}

impl Writer {
    fn take(&mut self, original: &[u8]) -> Result<(), RenderError> {
        if original.is_empty() || original.starts_with(b"#") || original.starts_with(b"//") {
            self.above.push(original.to_vec());
            return Ok(());
        }
        let line = original.strip_suffix(b",").map_or(original, trim);
        if let [name @ .., bracket @ (b'[' | b'{')] = line {
            let name = trim(name);
            return self.open(name.strip_suffix(b":").map_or(name, trim), *bracket);
        }
        if let ([before @ .., last], Some(closing)) = (line, self.open.last())
            && last == closing
            && trim(before).is_empty()
        {
            self.close();
            return Ok(());
        }
        let Some(&closing) = self.open.last() else { return Err(lost()) };
        if closing == b']' {
            self.above.clear();
            self.start_line(original);
        } else {
            self.write_above();
            let (key, value) = match original.iter().position(|&byte| byte == b':') {
                Some(at) => (trim(&original[..at]), trim(&original[at + 1..])),
                None => (original, original),
            };
            self.start_line(key);
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(value.strip_suffix(b",").unwrap_or(value));
        }
        self.out.push(b'\n');
        Ok(())
    }

    fn open(&mut self, name: &[u8], bracket: u8) -> Result<(), RenderError> {
        if self.open.is_empty() {
            // The brackets around the document are left out, if they enclose all of it.
            if self.has_root || !name.is_empty() {
                return Err(lost());
            }
            self.has_root = true;
        } else {
            self.write_above();
            let name = destringify(name);
            self.start_line(&name);
            if !name.is_empty() {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(&[bracket, b'\n']);
        }
        self.open.push(if bracket == b'[' { b']' } else { b'}' });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(closing) = self.open.pop()
            && !self.open.is_empty()
        {
            self.start_line(&[closing, b'\n']);
        }
    }

    /// At the depth of what is open; the document itself has none.
    fn start_line(&mut self, text: &[u8]) {
        let depth = self.open.len().saturating_sub(1);
        self.out.resize(self.out.len() + 2 * depth, b' ');
        self.out.extend_from_slice(text);
    }

    fn write_above(&mut self) {
        for line in std::mem::take(&mut self.above) {
            self.start_line(&line);
            self.out.push(b'\n');
        }
    }
}

fn lost() -> RenderError {
    RenderError::here("has quotes and brackets in its strings from which json2cdn makes several documents")
}

/// `CdnUtils.destringify`.
fn destringify(raw: &[u8]) -> Vec<u8> {
    if raw.len() <= 1 {
        return raw.to_vec();
    }
    let mut name = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\n") {
            name.push(b'\n');
            rest = after;
        } else {
            name.push(byte);
            rest = after;
        }
    }
    match name.as_slice() {
        [first @ (b'\'' | b'"' | b'`'), inner @ .., last] if first == last => inner.to_vec(),
        _ => name,
    }
}

/// Values that json2cdn breaks apart, or that the library reads as something else afterwards.
fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let ascii = settings.dialect == "json2cdn";
    let mut found = Vec::new();
    if value.is_array() {
        found.push(RenderError::here("is a list, whose brackets are left away: a reader takes its items for settings"));
    }
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Value(Value::Array(items)) if !items.is_empty() && items.iter().all(is_negative) => {
                "is a list of negative numbers only: a reader takes their signs for the marks of a list"
            }
            part => match part.text() {
                Some(text) if ascii && !text.is_ascii() => {
                    "has characters that are not ASCII, which json2cdn writes as ?"
                }
                Some(text) if !stays_whole(text) => "has quotes in it, which json2cdn takes for the end of the string",
                Some(_) if matches!(part, Part::Value(_)) => return,
                Some(name) => {
                    let is_section = path
                        .0
                        .iter()
                        .try_fold(value, |value, name| match value {
                            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                            value => value.get(name),
                        })
                        .is_some_and(|value| value.is_object() || value.is_array());
                    match name_problem(name, is_section) {
                        None => return,
                        Some(message) => message,
                    }
                }
                None => return,
            },
        };
        found.push(RenderError { path: path.clone(), message: message.to_owned() });
    });
    found
}

fn is_negative(item: &Value) -> bool {
    item.as_f64().is_some_and(f64::is_sign_negative)
}

/// Whether the string is one for the breaker of lines.
fn stays_whole(text: &str) -> bool {
    let mut json = Vec::new();
    json::write_nix_string(&mut json, text);
    let mut lines = Lines::default();
    lines.take(&json);
    lines.quotes.is_empty() && lines.out == json
}

fn name_problem(name: &str, is_section: bool) -> Option<&'static str> {
    if !is_section {
        return name.contains(':').then_some("the key has a : in it, at which a reader splits it");
    }
    // Names of sections lose their quotes.
    if name.is_empty() {
        Some("the section's name is empty, which a reader takes for the document")
    } else if name.contains('\n') || name.contains("\\n") {
        Some("the section's name has a line break: what follows it would be read as a line of its own")
    } else if name.starts_with(['#', '\'', '"', '`']) || name.starts_with("//") {
        Some("the section's name starts with a character that means a comment or a quote to a reader")
    } else if name.ends_with(':') || name.starts_with(' ') || name.ends_with(' ') {
        Some("the section's name ends in : or has white space around it, which a reader strips")
    } else {
        None
    }
}
