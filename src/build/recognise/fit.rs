//! Finds the parameters of a format that come nearest to a text: changes one after the other, as long as the distance
//! shrinks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::guess::guesses;
use super::score::{Score, Target};
use crate::format::{self, Kind, Parameter, RenderError, conventions};
use crate::plan::FormatSpec;

/// The text of a format for a value.
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

/// The parameters that were left open and that another value would have met as well, in the order of the format.
pub fn undecided(given: &FormatSpec, found: &FormatSpec, rendered: &[u8], value: &Value) -> Vec<&'static str> {
    let is_free = |name: &str| !given.parameters.contains_key(name);
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for parameter in free(given) {
        let ways = conventions::candidates(parameter.kind);
        let ways = ways.iter().flat_map(|way| conventions::assign(found, parameter.name, way, is_free));
        let same: Vec<FormatSpec> =
            ways.filter(|way| format::render(way, value).is_ok_and(|text| text == rendered)).collect();
        let is_open = match parameter.kind {
            // Any text would do.
            Kind::Text | Kind::OptionalText => same
                .iter()
                .any(|way| way.parameters.get(parameter.name).is_some_and(|text| text == conventions::ANY_TEXT)),
            _ => same.len() > 1,
        };
        if is_open {
            open.insert(parameter.name);
            // Those that it took the place of are as open.
            let gone = same.iter().flat_map(|way| {
                found.parameters.keys().filter(|name| !way.parameters.contains_key(*name)).map(String::as_str)
            });
            open.extend(free(given).map(|one| one.name).filter(|name| gone.clone().any(|gone| gone == *name)));
        }
    }
    free(given).map(|parameter| parameter.name).filter(|name| open.contains(name)).collect()
}

/// The parameters that are not given.
fn free(given: &FormatSpec) -> impl Iterator<Item = &'static Parameter> {
    let all = format::find(&given.name).map_or(&[][..], |format| format.parameters);
    all.iter().filter(|parameter| !given.parameters.contains_key(parameter.name))
}

/// The values to try for a parameter.
fn values(parameter: &Parameter, given: &FormatSpec, spec: &FormatSpec, value: &Value, text: &[u8]) -> Vec<Value> {
    match parameter.kind {
        Kind::Text | Kind::OptionalText => std::str::from_utf8(text)
            .map(|text| guesses(given, spec, parameter.name, value, text).into_iter().map(Value::from).collect())
            .unwrap_or_default(),
        kind => conventions::candidates(kind),
    }
}

/// `spec` with the parameter. If another parameter excludes it, that one is removed, unless it is given.
pub fn assign(given: &FormatSpec, spec: &FormatSpec, parameter: &str, value: &Value) -> Vec<FormatSpec> {
    conventions::assign(spec, parameter, value, |name| !given.parameters.contains_key(name))
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
