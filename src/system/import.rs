//! Settings that somebody wrote down, as values to record: Nix, JSON, TOML or YAML.
//!
//! A set becomes its leaves, each at its path, as `set` of a record does it.

use rnix::ast::{self, Expr, HasEntry};
use rnix::{ParseError, Root, TextRange};
use rowan::ast::AstNode;
use serde_json::Value;

use super::Refused;
use super::request::Assignment;
use crate::attr_path::AttrPath;
use crate::build::yaml_value;
use crate::overrides::{Text, written};
use crate::types::read_json;

/// How settings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A set, the definitions in it, or a module; only plain values.
    Nix,
    /// JSON.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// Reads settings.
pub fn read(text: &str, written: Written) -> Result<Value, Refused> {
    let refuse = |language: &str, problem: String| Refused(format!("it is not {language} that can be read: {problem}"));
    match written {
        Written::Nix => nix(text).map_err(|problem| refuse("Nix", problem)),
        Written::Json => read_json(text).map_err(|error| refuse("JSON", error.to_string())),
        Written::Toml => toml(text).map_err(|problem| refuse("TOML", problem)),
        Written::Yaml => yaml_value::read(text).map_err(|problem| refuse("YAML", problem)),
    }
}

/// The values of settings at their paths, below `base`.
pub fn assignments(settings: Value, base: &AttrPath) -> Result<Vec<Assignment>, Refused> {
    if !settings.is_object() {
        return Err(Refused(format!("it is {}, and settings are a set", crate::types::kind_of(&settings))));
    }
    let mut found = Vec::new();
    descend(settings, base, &mut found);
    if found.is_empty() {
        return Err(Refused("there are no settings in it".to_owned()));
    }
    Ok(found)
}

fn descend(value: Value, path: &AttrPath, found: &mut Vec<Assignment>) {
    match value {
        Value::Object(attributes) if !attributes.is_empty() || path.names().is_empty() => {
            for (name, value) in attributes {
                descend(value, &path.child(&name), found);
            }
        }
        value => found.push(Assignment { path: path.to_string(), value: Some(value), ..Assignment::default() }),
    }
}

/// A set, the definitions in it, or a module. `mkForce` around a value is left out: an override stands for everything.
fn nix(text: &str) -> Result<Value, String> {
    let whole = Root::parse(text);
    let (text, root, lines_before) = match whole.errors().first() {
        None => (text.to_owned(), whole.tree(), 0),
        Some(error) => {
            let set = format!("{{\n{text}\n}}");
            let parsed = Root::parse(&set);
            match parsed.errors().first() {
                None => (set.clone(), parsed.tree(), 1),
                Some(_) if text.trim_start().starts_with('{') => return Err(fault(text, error, 0)),
                Some(error) => return Err(fault(&set, error, 1)),
            }
        }
    };
    let mut expr = root.expr().ok_or("it is empty")?;
    while let Expr::Lambda(lambda) = &expr {
        expr = lambda.body().ok_or("the function has no body")?;
    }
    let range = expr.syntax().text_range();
    let mut plain: Vec<u8> = text[usize::from(range.start())..usize::from(range.end())].bytes().collect();
    for forced in forced(&expr) {
        let from = usize::from(forced.start() - range.start());
        plain[from..from + usize::from(forced.len())].fill(b' ');
    }
    let plain = String::from_utf8(plain).map_err(|error| error.to_string())?;
    match written(&format!("{plain}\n")) {
        Text::Literal(value) => Ok(value),
        Text::Wrong(problem) => Err(problem),
        Text::Code(_) | Text::Words => {
            let place = computed(&expr).map_or_else(String::new, |range| {
                let found = beginning(&text[usize::from(range.start())..usize::from(range.end())]);
                format!("line {}: {found} is no plain value; ", line(&text, range, lines_before))
            });
            Err(format!(
                "{place}it has more than plain values; give what it evaluates to, or record an expression with --expr"
            ))
        }
    }
}

/// The parser's message, with the line, which is counted without the lines before the text.
fn fault(text: &str, error: &ParseError, lines_before: usize) -> String {
    use ParseError::{DuplicatedArgs, Unexpected, UnexpectedDoubleBind, UnexpectedExtra, UnexpectedWanted};
    match error {
        Unexpected(range)
        | UnexpectedExtra(range)
        | UnexpectedWanted(_, range, _)
        | UnexpectedDoubleBind(range)
        | DuplicatedArgs(range, _) => {
            let found = beginning(&text[usize::from(range.start())..usize::from(range.end())]);
            format!("line {}: {found} can't stand where it does", line(text, *range, lines_before))
        }
        _ => error.to_string(),
    }
}

fn line(text: &str, range: TextRange, lines_before: usize) -> usize {
    let before = text[..usize::from(range.start())].bytes().filter(|byte| *byte == b'\n').count();
    (before + 1).saturating_sub(lines_before)
}

/// The beginning of a text, in quotes.
fn beginning(text: &str) -> String {
    let first = text.trim().lines().next().unwrap_or_default();
    match first.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}...", &first[..end]),
        None => format!("{first:?}"),
    }
}

/// The first part of an expression that has to be evaluated.
fn computed(expr: &Expr) -> Option<TextRange> {
    match expr {
        Expr::AttrSet(set) if set.rec_token().is_none() => set.entries().find_map(|entry| match entry {
            ast::Entry::AttrpathValue(definition) => match definition.value() {
                Some(value) if definition.attrpath().is_some_and(|path| path.attrs().all(is_static)) => {
                    computed(&value)
                }
                _ => Some(definition.syntax().text_range()),
            },
            ast::Entry::Inherit(inherit) => Some(inherit.syntax().text_range()),
        }),
        Expr::List(list) => list.items().find_map(|item| computed(&item)),
        Expr::Paren(paren) => computed(&paren.expr()?),
        Expr::Apply(call) if call.lambda().is_some_and(|function| is_force(&function)) => computed(&call.argument()?),
        expr => match written(&expr.syntax().text().to_string()) {
            Text::Literal(_) => None,
            _ => Some(expr.syntax().text_range()),
        },
    }
}

fn is_static(attr: ast::Attr) -> bool {
    match attr {
        ast::Attr::Ident(_) => true,
        ast::Attr::Str(string) => matches!(written(&string.syntax().text().to_string()), Text::Literal(_)),
        ast::Attr::Dynamic(_) => false,
    }
}

fn is_force(function: &Expr) -> bool {
    matches!(function.syntax().text().to_string().as_str(), "lib.mkForce" | "mkForce")
}

/// Where `mkForce` stands in front of a value.
fn forced(expr: &Expr) -> Vec<TextRange> {
    let calls = expr.syntax().descendants().filter_map(ast::Apply::cast);
    let functions = calls.filter_map(|call| call.lambda());
    functions.filter(is_force).map(|function| function.syntax().text_range()).collect()
}

fn toml(text: &str) -> Result<Value, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    of_toml(toml::Value::Table(table))
}

fn of_toml(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => {
            let float = serde_json::Number::from_f64(number);
            Value::Number(float.ok_or_else(|| format!("{number} is no value of an option"))?)
        }
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => return Err(format!("{time} is a time; write it in quotes")),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(of_toml).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            let each = table.into_iter().map(|(name, value)| Ok((name, of_toml(value)?)));
            Value::Object(each.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_language_says_the_same() {
        let expected = json!({"services": {"x": {"settings": {"a": -1, "b": ["c"], "d.e": true}}}});
        for (text, written) in [
            ("{ services.x.settings = { a = -1; b = [ \"c\" ]; \"d.e\" = true; }; }", Written::Nix),
            (
                "services.x.settings.a = -1; # why\nservices.x.settings.b = [ \"c\" ];\nservices.x.settings.\"d.e\" = true;",
                Written::Nix,
            ),
            (
                "{ lib, ... }:\n{\n  # why\n  services.x.settings = { a = lib.mkForce (-1); b = lib.mkForce [ \"c\" ]; \"d.e\" = true; };\n}\n",
                Written::Nix,
            ),
            ("{\"services\": {\"x\": {\"settings\": {\"a\": -1, \"b\": [\"c\"], \"d.e\": true}}}}", Written::Json),
            ("[services.x.settings]\na = -1\nb = [\"c\"]\n\"d.e\" = true\n", Written::Toml),
            ("services:\n  x:\n    settings: {a: -1, b: [c], d.e: true}\n", Written::Yaml),
        ] {
            assert_eq!(read(text, written).map_err(|error| error.to_string()), Ok(expected.clone()), "{text}");
        }
        let paths: Vec<String> =
            assignments(expected, &AttrPath::default()).unwrap().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["services.x.settings.a", "services.x.settings.b", "services.x.settings.\"d.e\""]);
    }

    #[test]
    fn what_is_no_plain_value_is_refused() {
        for (text, written) in [
            ("{ a = 1 + 1; }", Written::Nix),
            ("a = pkgs.hello;", Written::Nix),
            ("{ a = ", Written::Nix),
            ("a = 2026-11-21\n", Written::Toml),
            ("a = nan\n", Written::Toml),
            ("{\"a\": 1e400}", Written::Json),
            ("a: yes\n", Written::Yaml),
        ] {
            assert!(read(text, written).unwrap_err().to_string().starts_with("it is not "), "{text}");
        }
        for (text, problem) in [
            ("{\n  a = 1;\n  b = pkgs.hello;\n}", "line 3: \"pkgs.hello\" is no plain value; it has more"),
            ("a = 1;\nb = [ 1 (x 2) ];", "line 2: \"x 2\" is no plain value; it has more"),
            ("{ lib, ... }: {\n  a = lib.mkForce 1;\n  b = lib.mkIf true 2;\n}", "line 3: \"lib.mkIf true 2\""),
            ("{\n  inherit a;\n}", "line 2: \"inherit a;\" is no plain value"),
            ("{\n  ${a} = 1;\n}", "line 2: \"${a} = 1;\" is no plain value"),
            ("{\n  a = ;\n}", "line 2: \";\" can't stand where it does"),
            ("a = 1;\nb = ;\n", "line 2: \";\" can't stand where it does"),
        ] {
            let found = read(text, Written::Nix).unwrap_err().to_string();
            assert!(found.starts_with(&format!("it is not Nix that can be read: {problem}")), "{found}");
        }
        assert!(assignments(json!([1]), &AttrPath::default()).is_err());
        assert!(assignments(json!({}), &AttrPath::default()).is_err());
    }
}
