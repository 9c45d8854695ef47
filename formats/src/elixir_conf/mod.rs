//! `elixirConf`: the settings of an Elixir application. nixpkgs prints each on a line, and `mix format` breaks them
//! into lines of 98 columns. The output is that of Elixir 1.18 (`Code.Formatter` and `Inspect.Algebra`).

mod algebra;
mod literal;

use serde_json::{Map, Value};

use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};
use algebra::{Doc, Nesting};

pub(super) static FORMAT: Format = Format {
    name: "elixirConf",
    summary: "Elixir's config.exs, formatted by mix format",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// The line width of `mix format` without a .formatter.exs.
const COLUMNS: usize = 98;

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(applications) = value else {
        return Err(RenderError::here("has to be an attribute set of applications"));
    };
    let mut statements = Vec::new();
    for (application, settings) in applications {
        literal::check_code(application).at(application)?;
        let Value::Object(settings) = settings else {
            return Err(RenderError::here("has to be an attribute set of keys and values")).at(application);
        };
        for (key, value) in settings {
            let statement = literal::check_code(key).and_then(|()| statement(application, key, value));
            statements.push(statement.at(key).at(application)?);
        }
    }
    let mut text = String::new();
    algebra::format(&document(statements), COLUMNS, &mut text).map_err(|code| beyond(value, &code))?;
    text.push('\n');
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The error of code that would be broken into lines, at its first place.
fn beyond(value: &Value, code: &str) -> RenderError {
    let message =
        format!("is Elixir code that ends beyond column {COLUMNS}, and how mix format breaks it is not known: {code}");
    let mut error = RenderError::here(message);
    walk::for_each(value, &mut |path, part| {
        if let Part::Value(Value::Object(attrs)) = part
            && is_special(attrs)
            && attrs.get("value").is_some_and(|value| value == code)
            && error.path.0.is_empty()
        {
            error.path = path.clone();
        }
    });
    error
}

/// An empty line after the import and around each statement of several lines (`merge_algebra_with_comments`).
fn document(statements: Vec<Doc>) -> Doc {
    let mut docs = Vec::with_capacity(2 * statements.len() + 1);
    let count = statements.len();
    let mut before = None;
    for (index, statement) in std::iter::once(Doc::ascii("import Config")).chain(statements).enumerate() {
        let mut parts = Vec::from_iter(before.take());
        parts.push(statement);
        if index < count {
            let after = if index == 0 { Doc::Line } else { Doc::strict("") };
            parts.extend([Doc::Collapse(2), after.clone()]);
            before = Some(after);
        }
        if index > 0 {
            docs.push(Doc::Line);
        }
        docs.push(Doc::Concat(parts).group());
    }
    Doc::Concat(docs)
}

/// `config :application, Key, value`, with the brackets of a last keyword list left out (`call_args_to_algebra`).
fn statement(application: &str, key: &str, value: &Value) -> Result<Doc, RenderError> {
    let left = [Doc::ascii(format!("{application},")).group(), Doc::strict(" "), Doc::ascii(format!("{key},")).group()];
    let [application, space, key] = left;
    let (arguments, next_break_fits) = match value {
        Value::Object(attrs) if is_keywords(attrs) => {
            // If each starts on a line of its own already, because strings have line breaks, they stay so.
            let (last, others) = (attrs.len() - 1, attrs.values().map(line_breaks));
            let lines = last > 0 && others.take(last).all(|lines| lines > 0);
            let separator = if lines { Doc::Line } else { Doc::strict(" ") };
            let items = items(keywords(attrs)?, &separator);
            let items = if lines { Doc::Force(Box::new(items)) } else { items };
            let right = Doc::Concat(vec![separator, items]).group_inheriting().next_break_fits(true);
            (vec![application, space, key, right], true)
        }
        value => {
            let next_break_fits = next_break_fits(value);
            let last = doc(value)?;
            let last = if next_break_fits { last.next_break_fits(true) } else { last };
            (vec![application, space, key, Doc::strict(" "), last.group()], next_break_fits)
        }
    };
    let arguments = Doc::Concat(vec![Doc::ascii(" "), Doc::Concat(arguments).nest(Nesting::Cursor, true)]);
    let keywords = value.as_object().is_some_and(is_keywords);
    let arguments = if keywords { arguments.nest(Nesting::More(2), false) } else { arguments }.group();
    let arguments = if next_break_fits { arguments.next_break_fits(false) } else { arguments };
    Ok(Doc::Concat(vec![Doc::ascii("config"), arguments]))
}

/// Whether it is a keyword list, which has no brackets as the last argument.
fn is_keywords(attrs: &Map<String, Value>) -> bool {
    !attrs.is_empty() && !is_special(attrs)
}

fn is_special(attrs: &Map<String, Value>) -> bool {
    attrs.contains_key("_elixirType")
}

/// Those of the source that nixpkgs prints, which are those of its strings.
fn line_breaks(value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches('\n').count(),
        Value::Array(items) => items.iter().map(line_breaks).sum(),
        Value::Object(attrs) => attrs.iter().map(|(name, item)| name.matches('\n').count() + line_breaks(item)).sum(),
        _ => 0,
    }
}

/// Whether the value may follow on the line and break inside (`next_break_fits?`).
fn next_break_fits(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(attrs) => match attrs.get("_elixirType").and_then(Value::as_str) {
            None => true,
            Some("map") => attrs.get("value").and_then(Value::as_object).is_some_and(|items| !items.is_empty()),
            Some(_) => false,
        },
        _ => false,
    }
}

fn doc(value: &Value) -> Result<Doc, RenderError> {
    Ok(match value {
        Value::Array(values) => container("[", list(values)?, "]"),
        Value::Object(attrs) if is_special(attrs) => special(attrs)?,
        Value::Object(attrs) => container("[", keywords(attrs)?, "]"),
        scalar => literal::doc(scalar)?,
    })
}

/// `mkRaw`, `mkAtom`, `mkMap`, `mkTuple` and `mkCharlist`.
fn special(attrs: &Map<String, Value>) -> Result<Doc, RenderError> {
    if let Some(name) = attrs.keys().find(|name| !matches!(name.as_str(), "_elixirType" | "value")) {
        return Err(RenderError::here("is not known here; a special value has _elixirType and value")).at(name);
    }
    let value = attrs.get("value").ok_or_else(|| RenderError::here("is missing")).at("value")?;
    let kind = attrs.get("_elixirType").and_then(Value::as_str);
    match (kind, value) {
        (Some("raw"), Value::String(code)) => literal::raw(code),
        (Some("atom"), Value::String(code)) => literal::check_code(code).map(|()| Doc::ascii(code.clone())),
        (Some("charlist"), Value::String(text)) => literal::charlist(text),
        (Some("tuple"), Value::Array(values)) => list(values).map(tuple),
        (Some("map"), Value::Object(items)) => {
            let pairs = items.iter().map(|(name, item)| {
                let key = literal::string(name).at(name)?;
                Ok(pair(key, " =>", doc(item).at(name)?, next_break_fits(item)))
            });
            pairs.collect::<Result<_, _>>().map(|pairs| container("%{", pairs, "}"))
        }
        _ => {
            let known = "raw, atom or charlist with a string, tuple with a list, or map with an attribute set";
            return Err(RenderError::here(format!("is no special value; there are {known}")));
        }
    }
    .at("value")
}

fn list(values: &[Value]) -> Result<Vec<Doc>, RenderError> {
    values.iter().enumerate().map(|(index, item)| doc(item).at_index(index)).collect()
}

fn keywords(attrs: &Map<String, Value>) -> Result<Vec<Doc>, RenderError> {
    let pairs = attrs.iter().map(|(name, item)| {
        let key = literal::keyword(name).at(name)?;
        Ok(pair(key, "", doc(item).at(name)?, next_break_fits(item)))
    });
    pairs.collect()
}

fn pair(key: Doc, operator: &'static str, value: Doc, next_break_fits: bool) -> Doc {
    let value = if next_break_fits { value.next_break_fits(true) } else { value };
    let value = Doc::Concat(vec![Doc::ascii(operator), Doc::strict(" "), value.group()]);
    let pair = Doc::Concat(vec![key.group(), value.nest(Nesting::More(2), true).group()]);
    if next_break_fits { pair.next_break_fits(false) } else { pair }
}

/// With commas between them.
fn items(docs: Vec<Doc>, separator: &Doc) -> Doc {
    let last = docs.len().saturating_sub(1);
    let mut items = Vec::with_capacity(2 * docs.len());
    for (index, doc) in docs.into_iter().enumerate() {
        if index < last {
            items.extend([doc.push(Doc::ascii(",")).group(), separator.clone()]);
        } else {
            items.push(doc.group());
        }
    }
    Doc::Concat(items)
}

fn container(left: &'static str, docs: Vec<Doc>, right: &'static str) -> Doc {
    if docs.is_empty() {
        return Doc::ascii(format!("{left}{right}"));
    }
    let inside = Doc::Concat(vec![Doc::ascii(left), Doc::strict(""), items(docs, &Doc::strict(" "))]);
    Doc::Concat(vec![inside.nest(Nesting::More(2), true), Doc::strict(""), Doc::ascii(right)]).group()
}

/// Filled line by line.
fn tuple(docs: Vec<Doc>) -> Doc {
    if docs.is_empty() {
        return Doc::ascii("{}");
    }
    let inside = Doc::Concat(vec![Doc::ascii("{"), items(docs, &Doc::Break { text: " ", flexible: true })]);
    Doc::Concat(vec![inside.nest(Nesting::More(1), false), Doc::ascii("}")]).group()
}

/// Elixir code is no data; a name in quotes may be one that is there without quotes.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match part {
            Part::Value(Value::Object(attrs)) if attrs.get("_elixirType").is_some_and(|kind| kind == "raw") => {
                let code = attrs.get("value").and_then(Value::as_str).unwrap_or_default();
                format!("is Elixir code, not data: {code}")
            }
            Part::Name(name) if literal::is_quoted_identifier(name) => {
                "is a name in quotes that needs none, and may be there without them".to_owned()
            }
            _ => return,
        };
        found.push(RenderError { path: path.clone(), message });
    });
    found
}
