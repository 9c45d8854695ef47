//! Shows that what we write for the static values is what Nix wrote: byte for byte, or at least the same data.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::TextDiff;

use super::script::{self, Script};
use crate::apply::rendered::{sha256, static_values};
use crate::format;
use crate::plan::{Attach, File, FormatSpec, Proof, ProofLevel, Service};

/// Proves one file: the dialect that its generator has, and the proof. `nix` is what Nix wrote.
pub fn prove(service: &Service, file: &File, nix: &[u8]) -> Result<(Option<String>, Proof), String> {
    let value = file.value.evaluate(&static_values(service)).map_err(|error| error.to_string())?;
    match &file.attach {
        Attach::Environment { command, environment, .. } => {
            let script = script::read(&String::from_utf8_lossy(nix))
                .map_err(|problem| format!("{} is no start script that can be read: {problem}", file.static_file))?;
            let words = format::flags::words(&file.format.parameters, &value).map_err(|error| error.to_string())?;
            let ours = Script { environment: environment.clone(), words: [command.clone(), words].concat() };
            same_script(file, &script, &ours)?;
            let rendered = format::render(&file.format, &value).map_err(|error| error.to_string())?;
            Ok((file.format.dialect.clone(), proof(ProofLevel::Bytes, nix, &rendered)))
        }
        Attach::Bind(_) => prove_text(file, &value, nix),
    }
}

fn proof(level: ProofLevel, nix: &[u8], rendered: &[u8]) -> Proof {
    Proof { level, nix: sha256(nix), rendered: sha256(rendered) }
}

/// Tries each dialect, the given one or all of the format.
fn prove_text(file: &File, value: &Value, nix: &[u8]) -> Result<(Option<String>, Proof), String> {
    let dialects: Vec<Option<String>> = match (&file.format.dialect, format::dialects(&file.format.name)) {
        (Some(given), _) => vec![Some(given.clone())],
        (None, []) => vec![None],
        (None, known) => known.iter().map(|known| Some((*known).to_owned())).collect(),
    };
    let mut candidates: BTreeMap<usize, (Option<String>, Vec<u8>)> = BTreeMap::new();
    for dialect in dialects {
        let spec = FormatSpec { dialect: dialect.clone(), ..file.format.clone() };
        let rendered = format::render(&spec, value).map_err(|error| format!("{}: {error}", spec.name))?;
        if rendered == nix {
            return Ok((dialect, proof(ProofLevel::Bytes, nix, &rendered)));
        }
        let distance = distance(nix, &rendered);
        candidates.entry(distance).or_insert((dialect, rendered));
    }
    let Some((_, (dialect, rendered))) = candidates.into_iter().next() else {
        return Err("the format has no dialect".to_owned());
    };
    if let (Some(theirs), Some(ours)) = (data(&file.format.name, nix), data(&file.format.name, &rendered))
        && theirs == ours
    {
        return Ok((dialect, proof(ProofLevel::Data, nix, &rendered)));
    }
    let written =
        dialect.map_or_else(|| file.format.name.clone(), |dialect| format!("{} ({dialect})", file.format.name));
    Err(format!(
        "what Nix wrote to {} is not what {written} gives for the option's value:\n{}",
        file.static_file,
        unified(&String::from_utf8_lossy(nix), &String::from_utf8_lossy(&rendered))
    ))
}

/// How many lines differ.
fn distance(nix: &[u8], rendered: &[u8]) -> usize {
    let (nix, rendered) = (String::from_utf8_lossy(nix), String::from_utf8_lossy(rendered));
    let diff = TextDiff::from_lines(&nix, &rendered);
    diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count()
}

fn unified(nix: &str, rendered: &str) -> String {
    TextDiff::from_lines(nix, rendered).unified_diff().header("Nix", "dynix").to_string()
}

/// What a parser that is not ours reads; `None` where there is none for the format, or it refuses the text.
fn data(format: &str, text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    match format {
        "json" => serde_json::from_str(text).ok(),
        "toml" => toml::from_str::<toml::Value>(text).ok().and_then(|value| serde_json::to_value(value).ok()),
        "yaml_1_1" | "yaml_1_2" => serde_yaml::from_str(text).ok(),
        _ => None,
    }
}

fn same_script(file: &File, theirs: &Script, ours: &Script) -> Result<(), String> {
    if theirs == ours {
        return Ok(());
    }
    let lines = |script: &Script| {
        let exports = script.environment.iter().map(|(name, value)| format!("export {name}={value}\n"));
        exports.chain(script.words.iter().map(|word| format!("{word}\n"))).collect::<String>()
    };
    Err(format!(
        "the start script {} does not run what the option's values give:\n{}",
        file.static_file,
        unified(&lines(theirs), &lines(ours))
    ))
}
