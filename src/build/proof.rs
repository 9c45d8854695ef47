//! Shows that what we write for the static values is what Nix wrote: byte for byte, or at least the same data.

use serde_json::Value;
use similar::TextDiff;

use super::data;
use super::script::{self, Script};
use crate::apply::rendered::{sha256, static_values};
use crate::format;
use crate::plan::{Attach, File, FormatSpec, Proof, ProofLevel, Service};

/// Lines of a difference that a message shows.
const SHOWN: usize = 200;

/// Proves one file: the dialect that its generator has, and the proof. `nix` is what Nix wrote.
pub fn prove(service: &Service, file: &File, nix: &[u8]) -> Result<(Option<String>, Proof), String> {
    let value = file.value.evaluate(&static_values(service)).map_err(|error| error.to_string())?;
    match &file.attach {
        Attach::Bind(_) => prove_text(file, &value, nix),
        Attach::Environment { command, environment, .. } => {
            let theirs = script::read(nix)
                .map_err(|problem| format!("{} is no start script that can be proven: {problem}", file.static_file))?;
            let words = format::flags::words(&file.format.parameters, &value).map_err(|error| error.to_string())?;
            let ours = Script { environment: environment.clone(), words: [command.clone(), words].concat() };
            if theirs != ours {
                return Err(format!(
                    "the start script {} does not run what the option's values give:\n{}",
                    file.static_file,
                    unified(&theirs.to_string(), &ours.to_string())
                ));
            }
            let rendered = format::render(&file.format, &value).map_err(|error| error.to_string())?;
            Ok((file.format.dialect.clone(), proof(ProofLevel::Bytes, nix, &rendered)))
        }
    }
}

fn proof(level: ProofLevel, nix: &[u8], rendered: &[u8]) -> Proof {
    Proof { level, nix: sha256(nix), rendered: sha256(rendered) }
}

/// What one dialect gives.
struct Candidate {
    dialect: Option<String>,
    rendered: Vec<u8>,
    /// Lines that differ.
    distance: usize,
}

/// Tries each dialect: the given one, or all of the format.
fn prove_text(file: &File, value: &Value, nix: &[u8]) -> Result<(Option<String>, Proof), String> {
    let name = &file.format.name;
    let dialects: Vec<Option<String>> = match (&file.format.dialect, format::dialects(name)) {
        (Some(given), _) => vec![Some(given.clone())],
        (None, []) => vec![None],
        (None, known) => known.iter().map(|known| Some((*known).to_owned())).collect(),
    };
    let mut candidates = Vec::new();
    let mut faults = Vec::new();
    for dialect in dialects {
        let spec = FormatSpec { dialect: dialect.clone(), ..file.format.clone() };
        match format::render(&spec, value) {
            Ok(rendered) if rendered == nix => return Ok((dialect, proof(ProofLevel::Bytes, nix, &rendered))),
            Ok(rendered) => candidates.push(Candidate { dialect, distance: distance(nix, &rendered), rendered }),
            Err(error) => {
                faults.push(format!("{} can't say the static value: {error}", written(name, dialect.as_deref())));
            }
        }
    }
    // The nearest first; of those alike, the dialect of current nixpkgs, which comes first.
    candidates.sort_by_key(|candidate| candidate.distance);
    if let Some(theirs) = data::read(name, nix)
        && let Some(same) = candidates.iter().find(|one| data::read(name, &one.rendered).as_ref() == Some(&theirs))
    {
        return Ok((same.dialect.clone(), proof(ProofLevel::Data, nix, &same.rendered)));
    }
    let Some(nearest) = candidates.first() else { return Err(faults.join("; ")) };
    Err(format!(
        "what Nix wrote to {} is not what {} gives for the option's value:\n{}",
        file.static_file,
        written(name, nearest.dialect.as_deref()),
        unified(&String::from_utf8_lossy(nix), &String::from_utf8_lossy(&nearest.rendered))
    ))
}

fn written(format: &str, dialect: Option<&str>) -> String {
    dialect.map_or_else(|| format!("format {format}"), |dialect| format!("format {format} (dialect {dialect})"))
}

fn distance(nix: &[u8], rendered: &[u8]) -> usize {
    let (nix, rendered) = (String::from_utf8_lossy(nix), String::from_utf8_lossy(rendered));
    let diff = TextDiff::from_lines(&nix, &rendered);
    diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count()
}

fn unified(nix: &str, rendered: &str) -> String {
    let diff = TextDiff::from_lines(nix, rendered).unified_diff().header("Nix", "dynix").to_string();
    let more = diff.lines().count().saturating_sub(SHOWN);
    if more == 0 {
        return diff;
    }
    let shown: Vec<&str> = diff.lines().take(SHOWN).collect();
    format!("{}\n... and {more} lines more\n", shown.join("\n"))
}
