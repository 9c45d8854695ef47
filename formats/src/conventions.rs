//! The values that a parameter can have. The build tries them to find the one that reproduces a text. An apply tries
//! them to see whether a choice that the text left open matters.

use serde_json::Value;

use crate::{FormatSpec, Kind, check};

/// Stands for a text that nothing shows: no configuration has this character of the private use area.
pub const ANY_TEXT: &str = "\u{e000}";

/// The widths of indentations and lines that people use.
const WIDTHS: [u64; 6] = [2, 4, 8, 80, 100, 120];

/// Every convention of a parameter of this kind; none if it changes no text, or always shows.
#[must_use]
pub fn candidates(kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Boolean => vec![true.into(), false.into()],
        Kind::Choice(choices) => choices.iter().map(|choice| Value::from(*choice)).collect(),
        Kind::OneOf(numbers) => numbers.iter().copied().map(Value::from).collect(),
        Kind::Columns => WIDTHS.map(Value::from).into(),
        Kind::Text => vec![ANY_TEXT.into()],
        Kind::OptionalText => vec![Value::Null, ANY_TEXT.into()],
        Kind::OfTheType | Kind::Section | Kind::Variable => Vec::new(),
    }
}

/// `spec` with the parameter. If another parameter excludes it, that one is removed, provided that `is_free` allows it.
pub fn assign(spec: &FormatSpec, parameter: &str, value: &Value, is_free: impl Fn(&str) -> bool) -> Vec<FormatSpec> {
    let mut assigned = spec.clone();
    assigned.parameters.insert(parameter.to_owned(), value.clone());
    if check(&assigned).is_ok() {
        return vec![assigned];
    }
    let others = spec.parameters.keys().filter(|name| *name != parameter && is_free(name));
    let without = others.map(|name| {
        let mut without = assigned.clone();
        without.parameters.remove(name);
        without
    });
    without.filter(|without| check(without).is_ok()).collect()
}
