//! Text that systemd and people read, through minijinja; nothing of a value can become syntax there.
//!
//! Takes a template and values, gives text. Every interpolation in a drop-in is written so that it can add no line,
//! no directive and no specifier.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value as Template};
use serde_json::{Map, Value};

/// Steps that a template may take: it is a few lines of text, never a computation.
const FUEL: u64 = 100_000;

/// A template that can't be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// Where and why.
    pub problem: String,
}

impl From<Error> for TemplateError {
    fn from(error: Error) -> Self {
        let line = error.line().map_or_else(String::new, |line| format!(" (line {line} of the template)"));
        let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        Self { problem: format!("{}{source}{line}", error.detail().unwrap_or(&error.kind().to_string())) }
    }
}

/// The text of a drop-in. `values` has the effective value of every option by its full name; the template sees them as
/// `services.NAME...`.
pub fn drop_in(template: &str, values: &BTreeMap<String, Value>) -> Result<String, TemplateError> {
    let mut environment = strict()?;
    environment.set_formatter(directive);
    Ok(environment.render_str(template, Template::from(Serde(tree(values))))?)
}

/// The words of a command. Each word is a template by itself, with `files`, the staged path of each file by its name.
pub fn command(words: &[String], files: &BTreeMap<String, String>) -> Result<Vec<String>, TemplateError> {
    let environment = strict()?;
    let context = BTreeMap::from([("files", files)]);
    words.iter().map(|word| Ok(environment.render_str(word, Template::from(Serde(&context)))?)).collect()
}

fn strict() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    Ok(environment)
}

/// What an interpolation writes into a directive.
fn directive(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Template) -> Result<(), Error> {
    let refuse = |problem: String| Error::new(ErrorKind::BadEscape, problem);
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let text = match value.kind() {
        ValueKind::String | ValueKind::Number => value.to_string(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        kind => return Err(refuse(format!("a directive can't hold a {kind}"))),
    };
    let quoted = in_directive(&text).map_err(refuse)?;
    out.write_str(&quoted).map_err(Error::from)
}

/// A value within a directive: specifiers are taken from it (systemd.unit(5), "Specifiers"); what would end the line or,
/// as a backslash does, join it with the next (systemd.syntax(7)) has no way of being said.
fn in_directive(text: &str) -> Result<String, String> {
    match text.chars().find(|character| character.is_control() || *character == '\\') {
        Some(character) => Err(format!("a directive can't hold {character:?}")),
        None => Ok(text.replace('%', "%%")),
    }
}

/// `services.x.settings` becomes `services` → `x` → `settings`.
fn tree(values: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut tree = Map::new();
    for (name, value) in values {
        let Ok(path) = crate::attr_path::AttrPath::parse(name) else { continue };
        put(&mut tree, path.names(), value);
    }
    tree
}

fn put(tree: &mut Map<String, Value>, path: &[String], value: &Value) {
    match path {
        [] => {}
        [name] => drop(tree.insert(name.clone(), value.clone())),
        [name, rest @ ..] => {
            if let Value::Object(below) = tree.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                put(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(port: &Value) -> BTreeMap<String, Value> {
        BTreeMap::from([("services.x.settings".to_owned(), json!({"port": port}))])
    }

    #[test]
    fn a_value_adds_nothing_but_itself() {
        let template =
            "[Service]\n{% if services.x.settings.port %}Environment=P={{ services.x.settings.port }}\n{% endif %}";
        assert_eq!(drop_in(template, &values(&json!("100%n"))).unwrap(), "[Service]\nEnvironment=P=100%%n\n");
        for hostile in ["a\nExecStart=/bin/sh", "a\\", "a\r\n"] {
            assert!(drop_in(template, &values(&json!(hostile))).is_err(), "{hostile:?}");
        }
        assert!(drop_in(template, &values(&json!(["a"]))).is_err());
        assert!(drop_in("{{ services.y }}", &values(&json!(1))).is_err());
        assert!(drop_in("{{", &values(&json!(1))).is_err());
    }

    #[test]
    fn a_command_sees_its_files() {
        let files = BTreeMap::from([("a.yml".to_owned(), "/run/x y/a.yml".to_owned())]);
        let words = ["check".to_owned(), "--file={{ files[\"a.yml\"] }}".to_owned()];
        assert_eq!(command(&words, &files).unwrap(), ["check", "--file=/run/x y/a.yml"]);
        assert!(command(&["{{ files.b }}".to_owned()], &files).is_err());
    }
}
