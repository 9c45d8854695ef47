//! The parameters of a format that come nearest to a text: one after the other, as long as one gets nearer.

use serde_json::Value;

use super::guess::guesses;
use super::score::{Score, Target};
use crate::format::{self, Kind, Parameter, RenderError};
use crate::plan::FormatSpec;

/// What a format gives for a value.
#[derive(Clone, Debug)]
pub struct Fit {
    pub format: FormatSpec,
    pub rendered: Vec<u8>,
    score: Score,
}

/// The nearest to `text` that the format of `given` can write; the parameters that `given` has stay as they are.
pub fn fit(given: &FormatSpec, value: &Value, text: &[u8]) -> Result<Fit, RenderError> {
    let target = Target::new(text);
    let attempt = |format: FormatSpec| {
        let rendered = format::render(&format, value)?;
        Ok(Fit { score: target.score(&rendered), format, rendered })
    };
    let mut best = attempt(given.clone());
    let mut is_nearer = true;
    while std::mem::take(&mut is_nearer) {
        for parameter in free(given) {
            if best.as_ref().is_ok_and(|best| best.rendered == text) {
                break;
            }
            let from = best.as_ref().map_or(given, |best| &best.format).clone();
            let values = values(parameter, given, &from, value, text);
            for tried in values.iter().flat_map(|value| assign(given, &from, parameter.name, value)) {
                if let Ok(attempt) = attempt(tried)
                    && best.as_ref().map_or(true, |best| attempt.score < best.score)
                {
                    best = Ok(attempt);
                    is_nearer = true;
                }
            }
        }
    }
    best.map(|best| without_needless(given, best, value))
}

/// The parameters that were left open and that another value would have met as well.
pub fn undecided(given: &FormatSpec, fit: &Fit, value: &Value) -> Vec<&'static str> {
    let is_undecided = |parameter: &&Parameter| {
        let others = match parameter.kind {
            Kind::Text | Kind::OptionalText => vec!["\u{e000}".into(), "\u{e001}".into()],
            _ => values(parameter, given, &fit.format, value, b""),
        };
        let same = others
            .iter()
            .flat_map(|other| assign(given, &fit.format, parameter.name, other))
            .filter(|other| format::render(other, value).is_ok_and(|rendered| rendered == fit.rendered));
        same.count() > 1
    };
    free(given).filter(is_undecided).map(|parameter| parameter.name).collect()
}

/// The parameters that are not given.
fn free(given: &FormatSpec) -> impl Iterator<Item = &'static Parameter> {
    let all = format::find(&given.name).map_or(&[][..], |format| format.parameters);
    all.iter().filter(|parameter| !given.parameters.contains_key(parameter.name))
}

/// What is tried for a parameter.
fn values(parameter: &Parameter, given: &FormatSpec, spec: &FormatSpec, value: &Value, text: &[u8]) -> Vec<Value> {
    match parameter.kind {
        Kind::Boolean => vec![true.into(), false.into()],
        Kind::Choice(choices) => choices.iter().map(|choice| Value::from(*choice)).collect(),
        Kind::OneOf(numbers) => numbers.iter().copied().map(Value::from).collect(),
        // The widths of indentations and lines that people use.
        Kind::Columns => [2, 4, 8, 80, 100, 120].map(Value::from).into(),
        Kind::Text | Kind::OptionalText => std::str::from_utf8(text)
            .map(|text| guesses(given, spec, parameter.name, value, text).into_iter().map(Value::from).collect())
            .unwrap_or_default(),
        Kind::OfTheType | Kind::Variable => Vec::new(),
    }
}

/// `spec` with the parameter; where that does not go together with another one, without the other, unless it is given.
pub fn assign(given: &FormatSpec, spec: &FormatSpec, parameter: &str, value: &Value) -> Vec<FormatSpec> {
    let mut assigned = spec.clone();
    assigned.parameters.insert(parameter.to_owned(), value.clone());
    if format::check(&assigned).is_ok() {
        return vec![assigned];
    }
    let others = spec.parameters.keys().filter(|name| *name != parameter && !given.parameters.contains_key(*name));
    let without = others.map(|name| {
        let mut without = assigned.clone();
        without.parameters.remove(name);
        without
    });
    without.filter(|without| format::check(without).is_ok()).collect()
}

/// Without the parameters that change nothing.
fn without_needless(given: &FormatSpec, mut fit: Fit, value: &Value) -> Fit {
    for parameter in free(given) {
        let mut without = fit.format.clone();
        if without.parameters.remove(parameter.name).is_some()
            && format::render(&without, value).is_ok_and(|rendered| rendered == fit.rendered)
        {
            fit.format = without;
        }
    }
    fit
}
