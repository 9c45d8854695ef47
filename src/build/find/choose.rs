//! Chooses, among the files that were reached, the one that holds an option's value.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value};

use super::family::{by_name, by_type, lists};
use super::reach::{Reach, Reached};
use super::value::{Wanted, is_empty, names, share, wanted};
use crate::build::around::{self, Placed};
use crate::build::recognise::{Found, Nearest, every_format, recognise, written};
use crate::format;
use crate::plan::{Around, FormatSpec, ProofLevel, ValueSpec};

/// A file that is what an option's value gives.
#[derive(Clone, Debug)]
pub struct Match {
    /// The path in the store.
    pub path: Utf8PathBuf,
    /// How it is written, with dialect and parameters.
    pub found: Found,
    /// The value that is written.
    pub value: ValueSpec,
    /// What is around it in the file.
    pub around: Option<Around>,
}

/// A file that does not hold the option's value.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The path in the store.
    pub path: Utf8PathBuf,
    /// Names of the value that it has, of how many.
    pub share: (usize, usize),
    /// The text that would be written instead, if it is worth showing.
    pub nearest: Option<Nearest>,
    /// Several formats write it, and nothing says which it is.
    pub ambiguous: Vec<String>,
}

/// The findings for an option.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The files that are it: the same text each.
    pub matches: Vec<Match>,
    /// The others.
    pub misses: Vec<Miss>,
}

/// The hints about a file before it is found.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'h> {
    /// The description of the option's type.
    pub description: &'h str,
    /// Parameters of its format.
    pub parameters: &'h Map<String, Value>,
    /// Whether the description already says which values are left out.
    pub says_what_is_left_out: bool,
    /// What is around the settings in the file.
    pub around: Option<&'h Around>,
}

/// Tries every file.
#[must_use]
pub fn choose(spec: &ValueSpec, value: &Value, hints: Hints<'_>, reach: &Reach) -> Choice {
    let mut wanted = wanted(spec, value);
    if hints.says_what_is_left_out {
        wanted.truncate(1);
    }
    let mut choice = Choice::default();
    for (path, file) in &reach.files {
        match compare(&wanted, hints, path, file) {
            Ok(found) => choice.matches.push(found),
            Err(miss) => choice.misses.push(*miss),
        }
    }
    if choice.matches.iter().any(|one| one.found.level == ProofLevel::Bytes) {
        choice.matches.retain(|one| one.found.level == ProofLevel::Bytes);
    }
    // The nearest first.
    choice.misses.sort_by_key(|miss| {
        let lines = miss.nearest.as_ref().map_or(usize::MAX, |nearest| nearest.difference.lines().count());
        (miss.ambiguous.is_empty(), std::cmp::Reverse(miss.share.0), lines)
    });
    choice
}

fn compare(wanted: &[Wanted], hints: Hints<'_>, path: &Utf8Path, file: &Reached) -> Result<Match, Box<Miss>> {
    let all = names(&wanted[0].value);
    let share = share(&all, &file.text);
    let mut miss = Box::new(Miss { path: path.to_owned(), share, nearest: None, ambiguous: Vec::new() });
    // A file with few of the names is something else, in whatever format. Without names, any short file would match.
    if is_empty(&wanted[0].value) {
        if !says_nothing(hints.description, path, file) {
            return Err(miss);
        }
    } else if share.0 * 2 < share.1 {
        return Err(miss);
    }
    let (likely, others) = formats(hints, path);
    if let Some(around) = hints.around {
        return placed(around, &likely, wanted, path, file).ok_or(miss);
    }
    for wanted in wanted {
        if let Some(found) = attempt(&likely, wanted, file, &mut miss) {
            return matched(path, wanted, found.into_iter().next()).ok_or(miss);
        }
    }
    // If the hints suggest a format, the nearest miss is shown in that one.
    let shown = miss.nearest.clone();
    for wanted in wanted.iter().take(2) {
        if let Some(found) = attempt(&others, wanted, file, &mut miss) {
            let mut names: Vec<&str> = found.iter().map(|found| found.format.name.as_str()).collect();
            names.dedup();
            if names.len() > 1 {
                miss.ambiguous = found.iter().map(|found| written(&found.format)).collect();
                return Err(miss);
            }
            return matched(path, wanted, found.into_iter().next()).ok_or(miss);
        }
    }
    miss.nearest = shown.or(miss.nearest);
    Err(miss)
}

fn matched(path: &Utf8Path, wanted: &Wanted, found: Option<Found>) -> Option<Match> {
    Some(Match { path: path.to_owned(), found: found?, value: wanted.spec.clone(), around: None })
}

/// Whether a short file can hold a value without content: only if the file's name fits the option's type.
fn says_nothing(description: &str, path: &Utf8Path, file: &Reached) -> bool {
    let likely = by_type(description);
    file.text.len() < 200 && !likely.is_empty() && by_name(path).iter().any(|format| likely.contains(format))
}

/// The formats that something speaks for, and all others: those that have the parameters that are known.
fn formats(hints: Hints<'_>, path: &Utf8Path) -> (Vec<FormatSpec>, Vec<FormatSpec>) {
    let spoken_for: Vec<&str> = by_type(hints.description).iter().chain(by_name(path)).copied().collect();
    let known = every_format().into_iter().filter_map(|format| with(format, hints.parameters));
    let (mut likely, others): (Vec<FormatSpec>, Vec<FormatSpec>) =
        known.partition(|format| spoken_for.contains(&format.name.as_str()));
    likely.sort_by_key(|format| spoken_for.iter().position(|name| *name == format.name));
    // The type's hint about lists comes first. It is only a hint: a module may write what it likes.
    let mut as_typed: Vec<FormatSpec> =
        likely.iter().filter_map(|format| with(format.clone(), &lists(hints.description)?)).collect();
    as_typed.append(&mut likely);
    (as_typed, others)
}

/// The format with further parameters, if it has such, and they say nothing else.
fn with(mut format: FormatSpec, parameters: &Map<String, Value>) -> Option<FormatSpec> {
    for (name, value) in parameters {
        if format.parameters.get(name).is_some_and(|other| other != value) {
            return None;
        }
        format.parameters.insert(name.clone(), value.clone());
    }
    format::check(&format).is_ok().then_some(format)
}

/// The part of a file that is one of the values, in the first format that writes it.
fn placed(
    around: &Around,
    formats: &[FormatSpec],
    wanted: &[Wanted],
    path: &Utf8Path,
    file: &Reached,
) -> Option<Match> {
    let all = formats.iter().flat_map(|format| wanted.iter().map(move |wanted| (format, wanted)));
    all.into_iter().find_map(|(format, wanted)| {
        let Placed { around, found } = around::find(format, around, &wanted.value, file.text.as_bytes()).ok()?;
        Some(Match { path: path.to_owned(), found, value: wanted.spec.clone(), around: Some(around) })
    })
}

/// The format that reproduces the file. If there is none, the nearest miss is noted.
fn attempt(formats: &[FormatSpec], wanted: &Wanted, file: &Reached, miss: &mut Miss) -> Option<Vec<Found>> {
    let recognition = recognise(formats, &wanted.value, file.text.as_bytes());
    if !recognition.found.is_empty() {
        return Some(recognition.found);
    }
    let lines = |nearest: &Nearest| nearest.difference.lines().count();
    if let Some(nearest) = recognition.nearest
        && miss.nearest.as_ref().is_none_or(|other| lines(&nearest) < lines(other))
    {
        miss.nearest = Some(nearest);
    }
    None
}
