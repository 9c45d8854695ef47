//! Reads a record that people wrote, with Nix's whole syntax (`rnix`).
//!
//! Takes the text of a record; gives its meaning. A value that is not literal is kept as its text; everything else in a
//! record has to be literal. [`super::extent`] finds the end of the record first.

use std::borrow::Cow;

use rnix::ast::{self, Attr, Expr, HasEntry, InterpolPart, LiteralKind};
use rnix::{Root, SyntaxKind};
use rowan::ast::AstNode;
use serde_json::{Map, Number, Value};

use super::entry::{Entry, Names, Operation};
use super::extent::{Extent, check_comment, check_space, extent};
use crate::attr_path::AttrPath;
use crate::nix;
use crate::types::number;

/// Reads one record, from its opening to its closing bracket.
pub(super) fn record(text: &str) -> Result<Entry<'static>, String> {
    let Some(Expr::AttrSet(set)) = parse(text)?.map(without_parentheses) else {
        return Err("is not an attribute set in braces, as every record has to be".to_owned());
    };
    if set.rec_token().is_some() {
        return Err("is a `rec` set; write it without `rec`".to_owned());
    }
    let mut parts = Parts::default();
    for entry in set.entries() {
        let ast::Entry::AttrpathValue(definition) = entry else {
            return Err("has an `inherit` at its top; write the attributes out".to_owned());
        };
        let (Some(path), Some(value)) = (definition.attrpath(), definition.value()) else {
            return Err("has a definition without a value".to_owned());
        };
        parts.add(&path, value)?;
    }
    parts.finish(text)
}

/// The whole of `text` as one expression, which it has to be without errors; `None` if it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Expr>, String> {
    let parsed = Root::parse(text);
    match parsed.errors().first() {
        Some(error) => Err(fault(text, error)),
        None => Ok(parsed.tree().expr()),
    }
}

/// The parser's message, with the text at the place of the error.
fn fault(text: &str, error: &rnix::ParseError) -> String {
    use rnix::ParseError::{Unexpected, UnexpectedDoubleBind, UnexpectedExtra, UnexpectedWanted};
    let place = match error {
        Unexpected(range) | UnexpectedExtra(range) | UnexpectedWanted(_, range, _) | UnexpectedDoubleBind(range) => {
            text.get(usize::from(range.start())..usize::from(range.end()))
        }
        _ => None,
    };
    match place {
        Some(found) if !found.trim().is_empty() => format!("is not valid Nix: {found:?} can't stand where it does"),
        _ => format!("is not valid Nix ({error})"),
    }
}

pub(super) fn without_parentheses(expr: Expr) -> Expr {
    match expr {
        Expr::Paren(paren) => match paren.expr() {
            Some(inner) => without_parentheses(inner),
            None => Expr::Paren(paren),
        },
        other => other,
    }
}

/// Whether `text` is one Nix expression that fits a line, as `--expr` takes it.
pub(super) fn is_expression(text: &str) -> Result<(), String> {
    if text.contains(['\n', '\r', '\0']) {
        return Err("it has several lines, and a record is one line; write line breaks in strings as \\n".to_owned());
    }
    let extent = extent(&format!("({text})")).map_err(|problem| format!("it {problem}"))?;
    // A comment would hide the rest of the record.
    if rnix::tokenize(text).any(|(kind, _)| kind == SyntaxKind::TOKEN_COMMENT) {
        return Err("it has a comment, which a record has no room for".to_owned());
    }
    if extent != Extent::Closed(text.len() + 2) {
        return Err("it is no expression: a bracket or string is not closed, or closed twice".to_owned());
    }
    match parse(text) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("it is empty".to_owned()),
        Err(problem) => Err(format!("it {problem}")),
    }
}

/// Attributes that hold a plain value.
const PLAIN: [&str; 11] =
    ["id", "rollback", "reject", "time", "by", "until", "message", "reason", "unset", "source", "revision"];

/// The definitions of a record so far.
#[derive(Default)]
struct Parts {
    id: Option<u64>,
    time: Option<String>,
    by: Option<String>,
    until: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    source: Option<String>,
    revision: Option<String>,
    reject: Option<u64>,
    rollback: Option<u64>,
    unset: Option<Names<'static>>,
    set: Vec<(Option<Vec<String>>, Expr)>,
    replace_path: Option<Names<'static>>,
    replace_value: Option<Expr>,
}

impl Parts {
    fn add(&mut self, path: &ast::Attrpath, value: Expr) -> Result<(), String> {
        let mut attrs = path.attrs();
        let first =
            attrs.next().and_then(|attr| static_name(&attr)).ok_or("has an attribute whose name is computed")?;
        let rest: Option<Vec<String>> = attrs.map(|attr| static_name(&attr)).collect();
        if first == "set" {
            self.set.push((rest, value));
            return Ok(());
        }
        if first == "replace" {
            return self.add_replace(&rest.ok_or("has an attribute whose name is computed")?, value);
        }
        if !PLAIN.contains(&first.as_str()) {
            return Err(format!(
                "has an attribute {}; a record has id, time, by, until, message, and one of set, replace, unset, rollback, \
                 reject (with reason); a set of a source has source and revision",
                nix::quoted(&first)
            ));
        }
        if rest.is_none_or(|rest| !rest.is_empty()) {
            return Err(format!("has attributes below `{first}`, which holds a plain value"));
        }
        let plain = || plain(&value, &first);
        match first.as_str() {
            "id" => put(&mut self.id, &first, whole_number(&plain()?, &first)?),
            "rollback" => put(&mut self.rollback, &first, whole_number(&plain()?, &first)?),
            "reject" => put(&mut self.reject, &first, whole_number(&plain()?, &first)?),
            "time" => put(&mut self.time, &first, text(plain()?, &first)?),
            "by" => put(&mut self.by, &first, text(plain()?, &first)?),
            "until" => put(&mut self.until, &first, text(plain()?, &first)?),
            "message" => put(&mut self.message, &first, text(plain()?, &first)?),
            "reason" => put(&mut self.reason, &first, text(plain()?, &first)?),
            "source" => put(&mut self.source, &first, text(plain()?, &first)?),
            "revision" => put(&mut self.revision, &first, text(plain()?, &first)?),
            _ => put(&mut self.unset, &first, path_names(plain()?, &first)?),
        }
    }

    fn add_replace(&mut self, rest: &[String], value: Expr) -> Result<(), String> {
        match rest {
            [] => {
                let Expr::AttrSet(set) = without_parentheses(value) else {
                    return Err("has a `replace` that is not { path = [ ... ]; value = ...; }".to_owned());
                };
                for entry in set.entries() {
                    let ast::Entry::AttrpathValue(definition) = entry else {
                        return Err("has an `inherit` in `replace`; write the attributes out".to_owned());
                    };
                    let names = definition.attrpath().map(|path| path.attrs().map(|attr| static_name(&attr)).collect());
                    let (Some(Some(names)), Some(value)) = (names, definition.value()) else {
                        return Err("has an attribute in `replace` whose name is computed".to_owned());
                    };
                    let names: Vec<String> = names;
                    if names.is_empty() {
                        return Err("has a definition without a name".to_owned());
                    }
                    self.add_replace(&names, value)?;
                }
                Ok(())
            }
            [name] if name == "path" => {
                let names = path_names(plain(&value, "replace.path")?, "replace.path")?;
                put(&mut self.replace_path, "replace.path", names)
            }
            [name] if name == "value" => put(&mut self.replace_value, "replace.value", value),
            other => Err(format!("has replace.{}; a `replace` has path and value", other.join("."))),
        }
    }

    fn finish(self, text: &str) -> Result<Entry<'static>, String> {
        let mut found: Vec<Operation<'static>> = Vec::new();
        if !self.set.is_empty() {
            found.push(set(&self.set, text)?);
        }
        match (self.replace_path, self.replace_value) {
            (Some(path), Some(value)) => found.push(match literal(&value, 0)? {
                Some(value) => Operation::Replace { path, value },
                None => Operation::Expression(text.to_owned()),
            }),
            (None, None) => {}
            _ => return Err("has a `replace` that lacks its path or its value".to_owned()),
        }
        found.extend(self.unset.map(Operation::Unset));
        found.extend(self.rollback.map(Operation::Rollback));
        match (self.reject, self.reason) {
            (Some(id), reason) => found.push(Operation::Reject { id, reason: reason.map(Cow::Owned) }),
            (None, Some(_)) => return Err("has a reason, which belongs to a `reject`".to_owned()),
            (None, None) => {}
        }
        let [operation] = <[Operation<'static>; 1]>::try_from(found).map_err(|found| {
            format!("has {} of set, replace, unset, rollback and reject; it needs exactly one", found.len())
        })?;
        let is_of_source = self.source.is_some();
        let operation = operation.with_source(self.source.map(Cow::Owned), self.revision.map(Cow::Owned))?;
        if is_of_source && self.until.is_some() {
            return Err(
                "has a `source` and an end; what a source says ends when the source no longer says it".to_owned()
            );
        }
        Ok(Entry {
            id: self.id,
            time: self.time.map(Cow::Owned),
            by: self.by.map(Cow::Owned),
            until: self.until.map(Cow::Owned),
            message: self.message.map(Cow::Owned),
            operation,
        })
    }
}

/// All `set` definitions of a record as one operation.
fn set(definitions: &[(Option<Vec<String>>, Expr)], text: &str) -> Result<Operation<'static>, String> {
    let mut tree = Value::Object(Map::new());
    for (names, value) in definitions {
        let (Some(names), Some(value)) = (names, literal(value, 0)?) else {
            return Ok(Operation::Expression(text.to_owned()));
        };
        if names.is_empty() && !value.is_object() {
            return Err("has a `set` that is not an attribute set".to_owned());
        }
        if names.iter().any(|name| nix::is_reserved(name)) {
            return Ok(Operation::Expression(text.to_owned()));
        }
        check_names(names)?;
        define(&mut tree, names, value)?;
    }
    Ok(Operation::Set { path: Vec::new(), value: tree })
}

fn put<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        Some(_) => Err(format!("has `{name}` twice")),
        None => Ok(()),
    }
}

fn plain(value: &Expr, name: &str) -> Result<Value, String> {
    literal(value, 0)?.ok_or_else(|| format!("computes its {name}; only the values of set and replace can be computed"))
}

fn whole_number(value: &Value, name: &str) -> Result<u64, String> {
    value
        .as_i64()
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| format!("has `{name} = {value}`, which has to be a whole number, 0 or more"))
}

fn text(value: Value, name: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("has `{name} = {other}`, which has to be a string")),
    }
}

fn path_names(value: Value, name: &str) -> Result<Names<'static>, String> {
    let fault = || format!("has a `{name}` that is not a list of names, as in [ \"services\" \"harmonia\" ]");
    let Value::Array(items) = value else { return Err(fault()) };
    let names: Names<'static> = items
        .into_iter()
        .map(|item| text(item, name).map(Cow::Owned).map_err(|_| fault()))
        .collect::<Result<_, _>>()?;
    if names.is_empty() || names.len() > nix::MAX_DEPTH {
        return Err(format!("has a `{name}` of {} names; it needs 1 to {}", names.len(), nix::MAX_DEPTH));
    }
    Ok(names)
}

fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > nix::MAX_DEPTH {
        return Err(nix::ValueError::TooDeep.to_string());
    }
    Ok(())
}

/// A name that is not computed.
fn static_name(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Attr::Str(string) => literal_string(string),
        Attr::Dynamic(_) => None,
    }
}

fn literal_string(string: &ast::Str) -> Option<String> {
    let source = string.syntax().text();
    // Nix reads a raw carriage return as a line feed.
    if source.contains_char('\r') {
        return None;
    }
    let source = source.to_string();
    // Indented strings have escapes and rules of indentation of their own; the simple ones are simple.
    if source.starts_with("''") && source.get(2..source.len() - 2)?.contains(['\'', '$', '\t']) {
        return None;
    }
    let mut parts = string.normalized_parts().into_iter();
    match (parts.next(), parts.next()) {
        (None, _) => Some(String::new()),
        (Some(InterpolPart::Literal(text)), None) => Some(text),
        _ => None,
    }
}

/// The value of an expression that is literal; `None` if it has to be evaluated.
pub(super) fn literal(expr: &Expr, depth: usize) -> Result<Option<Value>, String> {
    if depth > nix::MAX_DEPTH {
        return Err(nix::ValueError::TooDeep.to_string());
    }
    Ok(match expr {
        Expr::Literal(number) => number_literal(number, false)?.map(Value::Number),
        Expr::Str(string) => literal_string(string).map(Value::String),
        Expr::Ident(ident) => match ident.syntax().text().to_string().as_str() {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Expr::Paren(paren) => match paren.expr() {
            Some(inner) => literal(&inner, depth)?,
            None => None,
        },
        Expr::List(list) => {
            let mut items = Vec::new();
            for item in list.items() {
                match literal(&item, depth + 1)? {
                    Some(value) => items.push(value),
                    None => return Ok(None),
                }
            }
            Some(Value::Array(items))
        }
        Expr::AttrSet(set) => attributes(set, depth)?,
        Expr::UnaryOp(negation) if negation.operator() == Some(ast::UnaryOpKind::Negate) => match negation.expr() {
            Some(Expr::Literal(number)) => number_literal(&number, true)?.map(Value::Number),
            _ => None,
        },
        Expr::BinOp(operation) => smallest_integer(operation, depth)?,
        _ => None,
    })
}

/// `-9223372036854775807 - 1`, which has no other way to be written.
fn smallest_integer(operation: &ast::BinOp, depth: usize) -> Result<Option<Value>, String> {
    let (Some(ast::BinOpKind::Sub), Some(left), Some(right)) = (operation.operator(), operation.lhs(), operation.rhs())
    else {
        return Ok(None);
    };
    let sides = (literal(&left, depth + 1)?, literal(&right, depth + 1)?);
    Ok((sides == (Some(Value::from(-i64::MAX)), Some(Value::from(1)))).then(|| Value::from(i64::MIN)))
}

/// One that 64 bits don't hold as it is written is an error: Nix reads no such integer, and another float.
fn number_literal(number: &ast::Literal, negative: bool) -> Result<Option<Number>, String> {
    let text = number.syntax().text().to_string();
    if !matches!(number.kind(), LiteralKind::Uri(_))
        && let Some(problem) = number::fault(&text)
    {
        return Err(format!("has a number that Nix does not: {problem}"));
    }
    Ok(match number.kind() {
        LiteralKind::Integer(_) => {
            let integer: Option<i64> = text.parse().ok();
            integer.map(|integer| Number::from(if negative { -integer } else { integer }))
        }
        LiteralKind::Float(_) => match text.parse::<f64>() {
            Ok(0.0) => Number::from_f64(0.0),
            Ok(float) => Number::from_f64(if negative { -float } else { float }),
            Err(_) => None,
        },
        LiteralKind::Uri(_) => None,
    })
}

fn attributes(set: &ast::AttrSet, depth: usize) -> Result<Option<Value>, String> {
    let mut tree = Value::Object(Map::new());
    if set.rec_token().is_some() {
        return Ok(None);
    }
    for entry in set.entries() {
        let ast::Entry::AttrpathValue(definition) = entry else { return Ok(None) };
        let (Some(path), Some(value)) = (definition.attrpath(), definition.value()) else { return Ok(None) };
        let Some(names) = path.attrs().map(|attr| static_name(&attr)).collect::<Option<Vec<String>>>() else {
            return Ok(None);
        };
        // A set with a reserved name is no plain value: Nix gives it a meaning of its own, and it can't be recorded.
        if names.iter().any(|name| nix::is_reserved(name)) {
            return Ok(None);
        }
        check_names(&names)?;
        match literal(&value, depth + names.len())? {
            Some(value) => define(&mut tree, &names, value)?,
            None => return Ok(None),
        }
    }
    Ok(Some(tree))
}

/// Adds a definition to a set: sets are merged, as Nix does with `a.b = 1; a = { c = 2; };`, and a second value is an
/// error.
fn define(tree: &mut Value, names: &[String], value: Value) -> Result<(), String> {
    let twice = |name: &str| format!("defines the attribute {} twice", nix::quoted(name));
    let Some((name, rest)) = names.split_first() else {
        return match (tree, value) {
            (Value::Object(attributes), Value::Object(more)) => {
                for (name, value) in more {
                    match attributes.get_mut(&name) {
                        Some(present @ Value::Object(_)) if value.is_object() => define(present, &[], value)?,
                        Some(_) => return Err(twice(&name)),
                        None => drop(attributes.insert(name, value)),
                    }
                }
                Ok(())
            }
            (tree, value) if tree.is_null() => {
                *tree = value;
                Ok(())
            }
            _ => Err("defines an attribute twice".to_owned()),
        };
    };
    let Value::Object(attributes) = tree else { return Err(twice(name)) };
    match attributes.get_mut(name) {
        None => {
            let value =
                rest.iter().rev().fold(value, |below, name| Value::Object(Map::from_iter([(name.clone(), below)])));
            attributes.insert(name.clone(), value);
            Ok(())
        }
        Some(present @ Value::Object(_)) if !rest.is_empty() || value.is_object() => define(present, rest, value),
        Some(_) => Err(twice(name)),
    }
}

/// The definitions of `set` and `replace` in a record: the names after these words up to the first computed one, the
/// value, and the text of the whole definition.
fn definitions(text: &str) -> Option<Vec<(Vec<String>, Expr, String)>> {
    let Expr::AttrSet(set) = parse(text).ok()?.map(without_parentheses)? else { return None };
    let definitions = set.entries().filter_map(|entry| {
        let ast::Entry::AttrpathValue(definition) = entry else { return None };
        let names: Vec<String> = definition.attrpath()?.attrs().map_while(|attr| static_name(&attr)).collect();
        let (first, below) = names.split_first()?;
        let is_one = matches!(first.as_str(), "set" | "replace");
        is_one.then(|| Some((below.to_vec(), definition.value()?, definition.syntax().text().to_string())))?
    });
    Some(definitions.collect())
}

/// The content of a record, without its author and time.
pub(super) fn content(text: &str) -> Option<String> {
    let texts: Vec<String> = definitions(text)?.into_iter().map(|(_, _, text)| text).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// A reserved name in a value of a record, if it shows without an evaluation.
pub(super) fn reserved(text: &str) -> Option<String> {
    definitions(text)?.into_iter().find_map(|(names, value, _)| {
        names.into_iter().find(|name| nix::is_reserved(name)).or_else(|| reserved_in(&value, 0))
    })
}

fn reserved_in(value: &Expr, depth: usize) -> Option<String> {
    if depth > nix::MAX_DEPTH {
        return None;
    }
    match value {
        Expr::Paren(paren) => reserved_in(&paren.expr()?, depth),
        Expr::List(list) => list.items().find_map(|item| reserved_in(&item, depth + 1)),
        Expr::AttrSet(set) => set.entries().find_map(|entry| {
            let ast::Entry::AttrpathValue(definition) = entry else { return None };
            let names = definition.attrpath()?;
            let reserved = names.attrs().filter_map(|attr| static_name(&attr)).find(|name| nix::is_reserved(name));
            reserved.or_else(|| reserved_in(&definition.value()?, depth + 1))
        }),
        _ => None,
    }
}

/// The paths of a record, as far as its text shows them: for each definition the names up to the first computed one.
#[must_use]
pub fn paths(text: &str) -> Vec<AttrPath> {
    let mut found = Vec::new();
    for (names, value, text) in definitions(text).unwrap_or_default() {
        if text.trim_start().starts_with("replace") {
            found.extend(replaced(&names, &value));
        } else {
            set_below(&names, &value, &mut found);
        }
    }
    found.sort();
    found.dedup();
    if found.is_empty() { vec![AttrPath::default()] } else { found }
}

/// The path of a `replace`.
fn replaced(names: &[String], value: &Expr) -> Option<AttrPath> {
    let names_of = |value: &Expr| {
        let names = path_names(literal(value, 0).ok()??, "path").ok()?;
        Some(AttrPath(names.into_iter().map(Cow::into_owned).collect()))
    };
    match (names, value) {
        ([path], value) if path == "path" => names_of(value),
        ([], Expr::AttrSet(set)) => set.entries().find_map(|entry| {
            let ast::Entry::AttrpathValue(definition) = entry else { return None };
            let name = static_name(&definition.attrpath()?.attrs().next()?)?;
            if name == "path" { names_of(&definition.value()?) } else { None }
        }),
        _ => None,
    }
}

fn set_below(above: &[String], value: &Expr, found: &mut Vec<AttrPath>) {
    let here = || AttrPath(above.to_vec());
    let Expr::AttrSet(set) = without_parentheses(value.clone()) else { return found.push(here()) };
    if above.len() > nix::MAX_DEPTH {
        return found.push(here());
    }
    for entry in set.entries() {
        let ast::Entry::AttrpathValue(definition) = entry else { return found.push(here()) };
        let (Some(path), Some(value)) = (definition.attrpath(), definition.value()) else { return found.push(here()) };
        let all = path.attrs().count();
        let names: Vec<String> = path.attrs().map_while(|attr| static_name(&attr)).collect();
        let below = [above, names.as_slice()].concat();
        if names.len() < all { found.push(AttrPath(below)) } else { set_below(&below, &value, found) }
    }
}

/// The log's header: its length, and the text of the function's parameters.
pub(super) fn header(text: &str) -> Option<(usize, String)> {
    let mut at = 0;
    let mut colon = false;
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            SyntaxKind::TOKEN_WHITESPACE => check_space(token).ok()?,
            SyntaxKind::TOKEN_COMMENT => check_comment(token).ok()?,
            SyntaxKind::TOKEN_COLON => colon = true,
            SyntaxKind::TOKEN_IDENT if colon => {
                let header = &text[..at + token.len()];
                return (token == "overrides")
                    .then(|| parameters(header))?
                    .map(|parameters| (header.len(), parameters));
            }
            SyntaxKind::TOKEN_L_BRACE
            | SyntaxKind::TOKEN_R_BRACE
            | SyntaxKind::TOKEN_IDENT
            | SyntaxKind::TOKEN_COMMA
            | SyntaxKind::TOKEN_AT
            | SyntaxKind::TOKEN_ELLIPSIS
                if !colon => {}
            _ => return None,
        }
        at += token.len();
    }
    None
}

/// The parameters of a function of an attribute set with `overrides`. None of their names may change the meaning of
/// plain values.
fn parameters(text: &str) -> Option<String> {
    let Ok(Some(Expr::Lambda(lambda))) = parse(text) else { return None };
    let Some(ast::Param::Pattern(pattern)) = lambda.param() else { return None };
    let mut names: Vec<String> = pattern
        .pat_entries()
        .filter_map(|entry| entry.ident())
        .map(|ident| ident.syntax().text().to_string())
        .collect();
    names.extend(pattern.pat_bind().and_then(|bind| bind.ident()).map(|ident| ident.syntax().text().to_string()));
    let usable = names.iter().any(|name| name == "overrides")
        && !names.iter().any(|name| matches!(name.as_str(), "true" | "false" | "null"));
    usable.then(|| pattern.syntax().text().to_string())
}
