//! Finds the format, dialect and parameters that write a given text for a given value.
//!
//! Takes a value, the text that Nix wrote for it, and what is known of its format; gives what reproduces the text, or
//! the nearest miss. Parameters that stand for Nix functions (`mkKeyValue`) show only in the text, never in a type.
//! [`fit`] finds them by trying. [`guess`] reads parameters with too many possible values off the text.

mod fit;
mod guess;
mod score;

use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::data;
use crate::format;
use crate::plan::{FormatSpec, ProofLevel};
use fit::Fit;

/// Lines of a difference that a message shows.
const SHOWN: usize = 200;

/// The findings for a text.
#[derive(Clone, Debug, Default)]
pub struct Recognition {
    /// The formats that reproduce the text, in the order of the candidates and their dialects. If none does byte for
    /// byte, those that give the same data.
    pub found: Vec<Found>,
    /// The nearest miss, if nothing was found.
    pub nearest: Option<Nearest>,
    /// Candidates that can't hold the value at all, and why.
    pub faults: Vec<String>,
}

/// A way to reproduce a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The format with its dialect, if it has some, and the parameters that it takes.
    pub format: FormatSpec,
    /// How equal it is.
    pub level: ProofLevel,
    /// Parameters that were not given and whose other values would give the same text, because nothing in this value
    /// shows them: `booleans`, if there is no boolean. They have their defaults, or the first value that was tried.
    pub undecided: Vec<&'static str>,
    /// The candidate that it is from: the parameters that were given.
    #[serde(skip)]
    pub candidate: FormatSpec,
    /// The text that is written.
    #[serde(skip)]
    pub rendered: Vec<u8>,
}

/// A way that does not reproduce a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// The format that was tried.
    pub format: FormatSpec,
    /// A unified diff from the text to what would be written.
    pub difference: String,
}

/// Tries the `candidates`: with all dialects if one has none, and with all values of the parameters that it does not
/// give.
#[must_use]
pub fn recognise(candidates: &[FormatSpec], value: &Value, text: &[u8]) -> Recognition {
    let mut recognition = Recognition::default();
    let mut missed = Vec::new();
    for candidate in candidates.iter().flat_map(in_each_dialect) {
        match fit::fit(&candidate, value, text) {
            Ok(fit) if fit.rendered == text => {
                recognition.found.push(found(&candidate, &fit, ProofLevel::Bytes, value));
            }
            Ok(fit) => missed.push((candidate, fit)),
            Err(error) => {
                recognition.faults.push(format!("{} can't say the value: {error}", written(&candidate)));
            }
        }
    }
    if recognition.found.is_empty() {
        missed.sort_by_key(|(_, fit)| distance(text, &fit.rendered));
        let same = missed.iter().find(|(_, fit)| is_same_data(fit, text));
        recognition.found.extend(same.map(|(candidate, fit)| found(candidate, fit, ProofLevel::Data, value)));
    }
    if recognition.found.is_empty() {
        recognition.nearest = missed
            .into_iter()
            .next()
            .map(|(_, fit)| Nearest { difference: difference(text, &fit.rendered), format: fit.format });
    }
    recognition
}

/// The parameters that are not `given`, and that could be others than in `format` and would write the same for `value`; in
/// the order of the format.
#[must_use]
pub fn undecided(given: &FormatSpec, format: &FormatSpec, value: &Value) -> Vec<&'static str> {
    let rendered = format::render(format, value);
    rendered.map(|rendered| fit::undecided(given, format, &rendered, value)).unwrap_or_default()
}

fn found(candidate: &FormatSpec, fit: &Fit, level: ProofLevel, value: &Value) -> Found {
    Found {
        format: fit.format.clone(),
        level,
        undecided: fit::undecided(candidate, &fit.format, &fit.rendered, value),
        candidate: candidate.clone(),
        rendered: fit.rendered.clone(),
    }
}

/// Every format that a file can have.
#[must_use]
pub fn every_format() -> Vec<FormatSpec> {
    let files = format::all().iter().filter(|format| !matches!(format.name, "flags" | "environment"));
    files
        .map(|format| FormatSpec { name: format.name.to_owned(), dialect: None, parameters: serde_json::Map::new() })
        .collect()
}

/// How a message names a format.
#[must_use]
pub fn written(format: &FormatSpec) -> String {
    let dialect = format.dialect.as_ref().map_or_else(String::new, |dialect| format!(" (dialect {dialect})"));
    let parameters = match &format.parameters {
        none if none.is_empty() => String::new(),
        some => format!(" with {}", Value::Object(some.clone())),
    };
    format!("format {}{dialect}{parameters}", format.name)
}

/// A unified diff of bounded length.
#[must_use]
pub fn difference(nix: &[u8], rendered: &[u8]) -> String {
    let (nix, rendered) = (String::from_utf8_lossy(nix), String::from_utf8_lossy(rendered));
    let diff = TextDiff::from_lines(&nix, &rendered).unified_diff().header("Nix", "dynix").to_string();
    let more = diff.lines().count().saturating_sub(SHOWN);
    if more == 0 {
        return diff;
    }
    let shown: Vec<&str> = diff.lines().take(SHOWN).collect();
    format!("{}\n... and {more} lines more\n", shown.join("\n"))
}

fn in_each_dialect(candidate: &FormatSpec) -> Vec<FormatSpec> {
    match (&candidate.dialect, format::dialects(&candidate.name)) {
        (Some(_), _) | (None, []) => vec![candidate.clone()],
        (None, dialects) => dialects
            .iter()
            .map(|dialect| FormatSpec { dialect: Some((*dialect).to_owned()), ..candidate.clone() })
            .collect(),
    }
}

/// Lines that differ.
fn distance(nix: &[u8], rendered: &[u8]) -> usize {
    let (nix, rendered) = (String::from_utf8_lossy(nix), String::from_utf8_lossy(rendered));
    let diff = TextDiff::from_lines(&nix, &rendered);
    diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count()
}

fn is_same_data(fit: &Fit, text: &[u8]) -> bool {
    let read = |text| data::read(&fit.format.name, text);
    read(text).is_some_and(|theirs| read(&fit.rendered) == Some(theirs))
}
