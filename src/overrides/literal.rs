//! What people wrote by hand, as far as it is literal: from Nix's syntax tree to a value.

use rnix::ast::{self, AstToken, Attr, Expr, HasEntry, InterpolPart, LiteralKind};
use serde_json::{Map, Number, Value};

/// The literal that `expression` is; `None` where only an evaluator can tell.
pub fn value(expression: &Expr) -> Option<Value> {
    match expression {
        Expr::Literal(literal) => match literal.kind() {
            LiteralKind::Integer(integer) => integer.value().ok().map(Value::from),
            LiteralKind::Float(float) => Number::from_f64(float.value().ok()?).map(Value::Number),
            LiteralKind::Uri(uri) => Some(Value::String(uri.syntax().text().to_owned())),
        },
        Expr::Str(string) => text(string).map(Value::String),
        Expr::Ident(word) => match word.ident_token()?.text() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        },
        Expr::List(list) => list.items().map(|item| value(&item)).collect::<Option<Vec<_>>>().map(Value::Array),
        Expr::Paren(inner) => value(&inner.expr()?),
        Expr::UnaryOp(negation) if negation.operator() == Some(ast::UnaryOpKind::Negate) => {
            let number = value(&negation.expr()?)?;
            match number.as_i64() {
                Some(integer) => integer.checked_neg().map(Value::from),
                None => Number::from_f64(-number.as_f64()?).map(Value::Number),
            }
        }
        Expr::AttrSet(set) => attributes(set).map(Value::Object),
        _ => None,
    }
}

/// The attributes of a literal set; `None` also where one is given twice.
pub fn attributes(set: &ast::AttrSet) -> Option<Map<String, Value>> {
    if set.rec_token().is_some() || set.inherits().next().is_some() {
        return None;
    }
    let mut attributes = Map::new();
    for binding in set.attrpath_values() {
        let names = names(&binding.attrpath()?)?;
        bind(&mut attributes, &names, value(&binding.value()?)?)?;
    }
    Some(attributes)
}

/// The names of a path without interpolation.
pub fn names(path: &ast::Attrpath) -> Option<Vec<String>> {
    path.attrs()
        .map(|attr| match attr {
            Attr::Ident(word) => Some(word.ident_token()?.text().to_owned()),
            Attr::Str(string) => text(&string),
            Attr::Dynamic(_) => None,
        })
        .collect()
}

fn text(string: &ast::Str) -> Option<String> {
    let mut text = String::new();
    for part in string.normalized_parts() {
        match part {
            InterpolPart::Literal(literal) => text.push_str(&literal),
            InterpolPart::Interpolation(_) => return None,
        }
    }
    Some(text)
}

/// Nix merges sets that are given in parts, and refuses any other name that is given twice.
fn bind(attributes: &mut Map<String, Value>, names: &[String], value: Value) -> Option<()> {
    let (first, rest) = names.split_first()?;
    if !rest.is_empty() {
        let below = attributes.entry(first).or_insert_with(|| Value::Object(Map::new()));
        return bind(below.as_object_mut()?, rest, value);
    }
    match (attributes.get_mut(first), value) {
        (None, value) => {
            attributes.insert(first.clone(), value);
            Some(())
        }
        (Some(Value::Object(there)), Value::Object(more)) => {
            more.into_iter().try_for_each(|(name, value)| bind(there, &[name], value))
        }
        _ => None,
    }
}
