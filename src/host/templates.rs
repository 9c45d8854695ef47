//! Templates for text that systemd and people read, through minijinja. No part of a value can become syntax.
//!
//! Takes a template and values, gives text. Every interpolation is quoted by the rules of its place: by
//! [`quote::directive_value`] in unit files, unless a filter names another rule of [`quote`]; as one word in scripts.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, Value as Template};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::host::systemd::quote::{self, QuoteError};

/// Steps that a template may take: it is a few lines of text, never a computation.
const FUEL: u64 = 100_000;

/// A template that can't be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// The place and the problem.
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
    unit(template, &tree(values))
}

/// The text of a unit file over any context.
pub fn unit(template: &str, context: &impl Serialize) -> Result<String, TemplateError> {
    let mut environment = strict()?;
    environment.set_formatter(|out, _, value| write(out, value, quote::directive_value));
    environment.add_filter("word", |value: &Template| quoted(value, quote::word));
    environment.add_filter("bind_path", |value: &Template| quoted(value, quote::bind_path));
    environment.add_filter("environment_file", |value: &Template| quoted(value, quote::environment_file));
    environment.add_filter("credential_text", |value: &Template| quoted(value, quote::credential_text));
    environment.add_filter("exec_program", |value: &Template| quoted(value, quote::exec_program));
    environment.add_filter("exec_word", |value: &Template| quoted(value, quote::exec_word));
    environment.add_filter("assignment", |value: &Template, name: &str| {
        quoted(value, |value| quote::environment_assignment(name, value))
    });
    Ok(environment.render_str(template, Template::from(Serde(context)))?)
}

/// The text of a shell script over any context: every interpolation is one word.
pub fn script(template: &str, context: &impl Serialize) -> Result<String, TemplateError> {
    let mut environment = strict()?;
    environment.set_formatter(|out, _, value| write(out, value, shell_word));
    Ok(environment.render_str(template, Template::from(Serde(context)))?)
}

/// A page of HTML: each value is text in it.
pub fn html(template: &str, context: &impl Serialize) -> Result<String, TemplateError> {
    let mut environment = strict()?;
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    Ok(environment.render_str(template, Template::from(Serde(context)))?)
}

#[derive(Serialize)]
struct Staged<'f> {
    files: &'f BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'f str>,
}

/// The words of a command. Each word is a template by itself, with `files`, the staged path of each file by its name, and
/// `file`, the first of them.
pub fn command(words: &[String], files: &BTreeMap<String, String>) -> Result<Vec<String>, TemplateError> {
    let environment = strict()?;
    let context = Staged { files, file: files.values().next().map(String::as_str) };
    words.iter().map(|word| Ok(environment.render_str(word, Template::from(Serde(&context)))?)).collect()
}

/// The names that a template reads from its context, as far as they stand in it (`services.x.settings.port`).
pub fn names(template: &str) -> Result<HashSet<String>, TemplateError> {
    let environment = strict()?;
    Ok(environment.template_from_str(template)?.undeclared_variables(true))
}

fn strict() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    Ok(environment)
}

/// Text that one of our filters has quoted; only this passes unchanged. It has a type of its own, because minijinja's
/// filters (`safe`, `escape`) can also make its mark for safe strings.
#[derive(Debug)]
struct Quoted(String);

impl Object for Quoted {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn quoted(value: &Template, quote: impl Fn(&str) -> Result<String, QuoteError>) -> Result<Template, Error> {
    let text = scalar(value)?;
    let quoted = quote(&text).map_err(|error| refuse(&text, &error))?;
    Ok(Template::from_object(Quoted(quoted)))
}

fn refuse(text: &str, error: &QuoteError) -> Error {
    Error::new(ErrorKind::BadEscape, format!("{text:?} {error}"))
}

/// Writes an interpolation.
fn write(
    out: &mut Output<'_>,
    value: &Template,
    quote: impl Fn(&str) -> Result<String, QuoteError>,
) -> Result<(), Error> {
    if let Some(Quoted(text)) = value.downcast_object_ref() {
        return out.write_str(text).map_err(Error::from);
    }
    let text = scalar(value)?;
    let quoted = quote(&text).map_err(|error| refuse(&text, &error))?;
    out.write_str(&quoted).map_err(Error::from)
}

fn scalar(value: &Template) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::String | ValueKind::Number => Ok(value.to_string()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        kind => Err(Error::new(ErrorKind::BadEscape, format!("a {kind} can't be written here"))),
    }
}

/// One word of the shell's (POSIX, 2.2.2: nothing in single quotes has a meaning).
fn shell_word(text: &str) -> Result<String, QuoteError> {
    if text.contains('\0') {
        return Err(QuoteError::Nul);
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
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
    fn a_filter_names_the_rule_of_its_place() {
        let template = "Environment={{ services.x.settings.port | assignment(\"P\") }}\n";
        let text = drop_in(template, &values(&json!("a b\n%"))).unwrap();
        assert_eq!(text, "Environment=\"P=a b\\n%%\"\n");
        assert_eq!(drop_in(template, &values(&json!(80))).unwrap(), "Environment=P=80\n");
    }

    #[test]
    fn no_filter_but_ours_vouches_for_a_value() {
        for filter in ["safe", "e", "escape", "safe | upper", "string"] {
            let template = format!("A={{{{ services.x.settings.port | {filter} }}}}\n");
            assert!(drop_in(&template, &values(&json!("a\nExecStart=/bin/sh"))).is_err(), "{filter}");
        }
        let template =
            "A={% autoescape true %}{% set a %}{{ services.x.settings.port }}{% endset %}{{ a }}{% endautoescape %}";
        assert!(drop_in(template, &values(&json!("a\nB="))).is_err());
        let nested = "A={{ (services.x.settings.port | word) ~ services.x.settings.port }}";
        assert!(drop_in(nested, &values(&json!("a\nB="))).is_err());
        assert_eq!(drop_in(nested, &values(&json!("50%"))).unwrap(), r#"A="50%%%%"50%%"#);
    }

    #[test]
    fn the_names_of_every_branch_are_found() {
        let template = "{% if a.b %}{{ a.c.d }}{% else %}{% set e = a.f %}{{ e }}{% endif %}";
        let mut found: Vec<String> = names(template).unwrap().into_iter().collect();
        found.sort();
        assert_eq!(found, ["a.b", "a.c.d", "a.f"]);
        assert!(names("{{").is_err());
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let template = "A={% for a in range(10000) %}{% for b in range(10000) %}{{ b }}{% endfor %}{% endfor %}";
        assert!(drop_in(template, &values(&json!(1))).unwrap_err().problem.contains("fuel"));
    }

    #[test]
    fn a_script_gets_one_word() {
        let context = BTreeMap::from([("dynix", "/a b/'$(x)")]);
        assert_eq!(script("{{ dynix }} x", &context).unwrap(), r"'/a b/'\''$(x)' x");
    }

    #[test]
    fn a_command_sees_its_files() {
        let files = BTreeMap::from([("a.yml".to_owned(), "/run/x y/a.yml".to_owned())]);
        let words = ["check".to_owned(), "--file={{ files[\"a.yml\"] }}".to_owned()];
        assert_eq!(command(&words, &files).unwrap(), ["check", "--file=/run/x y/a.yml"]);
        assert!(command(&["{{ files.b }}".to_owned()], &files).is_err());
    }
}
