//! Reads JSON that a person gives, and names the place of an error in it.

use std::collections::BTreeMap;
use std::io::Read;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::Context;
use camino::Utf8Path;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::host::fs;
use crate::plan::FormatSpec;
use crate::system::Refused;

/// A document, and what messages call it.
pub struct Input {
    name: String,
    text: String,
}

impl Input {
    /// A file, or standard input.
    pub fn read(path: Option<&Utf8Path>) -> anyhow::Result<Self> {
        let (name, text) = bytes(path)?;
        let text = String::from_utf8(text).with_context(|| format!("{name} is no text"))?;
        Ok(Self { name, text })
    }

    /// An argument of the command line.
    pub fn argument(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// The value; an error shows the place.
    pub fn value(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.text).map_err(|error| {
            let lines = self.text.split_inclusive('\n').take(error.line().saturating_sub(1));
            let offset = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
            Refused(format!("{} is not JSON: {error}\n{}", self.name, self.excerpt(offset..offset + 1, ""))).into()
        })
    }

    /// The line of the value at `path` (names, or indexes of lists), with a mark below the value.
    pub fn excerpt_at(&self, path: &[String], label: &str) -> String {
        let mut value = self.text.as_str();
        for name in path {
            let Some(part) = part(value, name) else { break };
            value = part;
        }
        // It is a part of the text, so the difference of their addresses is its place.
        let start = value.as_ptr() as usize - self.text.as_ptr() as usize;
        let first_line = value.lines().next().map_or(0, str::len);
        self.excerpt(start..start + first_line, label)
    }

    fn excerpt(&self, span: std::ops::Range<usize>, label: &str) -> String {
        let boundary = |mut index: usize| {
            while !self.text.is_char_boundary(index) {
                index -= 1;
            }
            index
        };
        let start = boundary(span.start.min(self.text.len()));
        let span = start..boundary(span.end.min(self.text.len())).max(start);
        let snippet = Snippet::source(&self.text)
            .path(&self.name)
            .annotation(AnnotationKind::Primary.span(span).label((!label.is_empty()).then_some(label)));
        Renderer::plain().render(&[Group::with_level(Level::ERROR).element(snippet)])
    }
}

/// The text of a file, or of standard input.
pub fn text(path: Option<&Utf8Path>) -> anyhow::Result<String> {
    let (name, text) = bytes(path)?;
    String::from_utf8(text).with_context(|| format!("{name} is no text"))
}

fn bytes(path: Option<&Utf8Path>) -> anyhow::Result<(String, Vec<u8>)> {
    if let Some(path) = path {
        return Ok((path.to_string(), fs::read(path)?.with_context(|| format!("there is no file {path}"))?));
    }
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text).context("cannot read standard input")?;
    Ok(("standard input".to_owned(), text))
}

/// The text of one attribute or element of a value.
fn part<'t>(value: &'t str, name: &str) -> Option<&'t str> {
    if let Ok(attrs) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value) {
        return attrs.get(name).map(|part| part.get());
    }
    let items: Vec<&RawValue> = serde_json::from_str(value).ok()?;
    items.get(name.parse::<usize>().ok()?).map(|part| part.get())
}

/// The format that a command line names.
pub fn format(name: &str, dialect: Option<&String>, parameters: Option<&String>) -> anyhow::Result<FormatSpec> {
    let parameters = match parameters {
        None => serde_json::Map::new(),
        Some(text) => match Input::argument("--parameters", text).value()? {
            Value::Object(parameters) => parameters,
            other => anyhow::bail!("--parameters is {other}, expected an object"),
        },
    };
    let spec = FormatSpec { name: name.to_owned(), dialect: dialect.cloned(), parameters };
    crate::format::check(&spec)?;
    Ok(spec)
}
