//! Shows that our text for the static values equals that of Nix: byte for byte, or at least as data.

use std::collections::BTreeMap;

use serde_json::Value;

use super::around::{self, Placed};
use super::recognise::{difference, recognise, written};
use super::script::{self, Script};
use crate::format;
use crate::host::digest::sha256;
use crate::plan::{Around, Attach, File, FormatSpec, Proof, ProofLevel, Service};
use crate::render::static_values;

/// Proves one file: the format with the dialect and parameters that its generator has, and the proof. `nix` is what Nix wrote.
pub fn prove(service: &Service, file: &File, nix: &[u8]) -> Result<(FormatSpec, Proof, Option<Around>), String> {
    let values = static_values(service);
    let value = file.value.evaluate(&values).map_err(|error| error.to_string())?;
    match &file.attach {
        Attach::Bind(_) | Attach::Credential(_) | Attach::Etc(_) => prove_text(file, &value, nix),
        Attach::Variables { built, .. } => {
            let ours =
                format::environment::variables(&file.format.parameters, &value).map_err(|error| error.to_string())?;
            if ours != *built {
                let lines = |variables: &BTreeMap<String, String>| {
                    variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<Vec<_>>().concat()
                };
                return Err(format!(
                    "the unit does not set what the option's values give:\n{}",
                    difference(lines(built).as_bytes(), lines(&ours).as_bytes())
                ));
            }
            let rendered = format::render(&file.format, &value).map_err(|error| error.to_string())?;
            Ok((file.format.clone(), proof(ProofLevel::Bytes, &rendered, &rendered), None))
        }
        Attach::Environment { command, environment, built, .. } => {
            let theirs = match built {
                Some(words) => Script { environment: BTreeMap::new(), words: words.clone() },
                None => script::read(nix).map_err(|problem| {
                    format!("{} is no start script that can be proven: {problem}", file.static_file)
                })?,
            };
            let words = format::flags::words(&file.format.parameters, &value).map_err(|error| error.to_string())?;
            let ours = Script { environment: environment.clone(), words: [command.clone(), words].concat() };
            if theirs != ours {
                return Err(format!(
                    "the start script {} does not run what the option's values give:\n{}",
                    file.static_file,
                    difference(theirs.to_string().as_bytes(), ours.to_string().as_bytes())
                ));
            }
            let rendered = format::render(&file.format, &value).map_err(|error| error.to_string())?;
            let nix = if built.is_some() { &rendered } else { nix };
            Ok((file.format.clone(), proof(ProofLevel::Bytes, nix, &rendered), None))
        }
    }
}

fn proof(level: ProofLevel, nix: &[u8], rendered: &[u8]) -> Proof {
    Proof { level, nix: sha256(nix), rendered: sha256(rendered), undecided: Vec::new() }
}

/// Tries what the description leaves open: the dialect, and parameters.
fn prove_text(file: &File, value: &Value, nix: &[u8]) -> Result<(FormatSpec, Proof, Option<Around>), String> {
    if let Some(given) = &file.around {
        let Placed { around, found } = around::find(&file.format, given, value, nix)
            .map_err(|problem| format!("{}: {problem}", file.static_file))?;
        let undecided = found.undecided.into_iter().map(str::to_owned).collect();
        let proof = Proof { undecided, ..proof(found.level, nix, &around.put(found.rendered)) };
        return Ok((found.format, proof, Some(around)));
    }
    let recognition = recognise(std::slice::from_ref(&file.format), value, nix);
    if let Some(found) = recognition.found.into_iter().next() {
        let undecided = found.undecided.into_iter().map(str::to_owned).collect();
        return Ok((found.format, Proof { undecided, ..proof(found.level, nix, &found.rendered) }, None));
    }
    let Some(nearest) = recognition.nearest else { return Err(recognition.faults.join("; ")) };
    Err(format!(
        "what Nix wrote to {} is not what {} gives for the option's value:\n{}",
        file.static_file,
        written(&nearest.format),
        nearest.difference
    ))
}
