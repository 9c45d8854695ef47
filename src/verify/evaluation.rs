//! Asks the evaluator for the system's own configuration, without and with overrides.

use std::io::Write as _;

use anyhow::{Context, anyhow, bail};
use camino::Utf8Path;
use serde_json::{Value, json};

use super::comparison::{self, Comparison};
use super::proof::{self, Flows, Proof};
use crate::host::evaluator::Evaluator;
use crate::host::evaluator::{EvaluatorError, evaluate};
use crate::host::interruption::Hold;
use crate::overrides::Overlay;
use crate::plan::{File, Plan};

/// How often it is tried to find what can't be evaluated.
const TRIES: usize = 40;
const UNKNOWN: &str = "the configuration's dynix says what this one does not know";

/// How an evaluation went.
#[derive(Debug)]
pub enum Evaluated {
    /// To its end.
    Compared(Box<Comparison>),
    /// The overrides make it fail, so a rebuild would fail too. The evaluator's message.
    FailsWithOverrides(String),
}

/// Compares the system of `plan` without and with `overrides`. An error says why there is no verdict.
pub fn compare(
    evaluator: &Evaluator,
    plan: &Plan,
    overrides: &Overlay,
    directory: &Utf8Path,
) -> anyhow::Result<Evaluated> {
    let evaluated = |overrides: &Overlay| match ask(evaluator, "verify", &arguments(plan, overrides), directory) {
        Ok(value) => Ok(Ok(Box::new(read(value)?))),
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => Ok(Err(last_words(&words))),
        Err(error) => Err(anyhow::Error::from(error)),
    };
    if let Ok(comparison) = evaluated(overrides)? {
        return Ok(Evaluated::Compared(comparison));
    }
    // Finds the cause: the overrides are to blame if the evaluation fails only with them.
    if let Err(words) = evaluated(&Overlay::default())? {
        bail!("the configuration can't be evaluated: {words}")
    }
    Ok(match evaluated(overrides)? {
        Ok(comparison) => Evaluated::Compared(comparison),
        Err(words) => Evaluated::FailsWithOverrides(words),
    })
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Asking {
    /// The evaluator gives none.
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    /// It can't be asked.
    #[error("cannot hand the overrides to the evaluator: {0}")]
    Arguments(#[from] std::io::Error),
}

/// The options of Nix with which an evaluation never builds anything.
pub const BUILDS_NOTHING: [&str; 3] = ["--option", "allow-import-from-derivation", "false"];

/// A Nix expression on one line that calls a function of `config.lib.dynamicism` of `system`. `argument`: a Nix
/// expression for the path of the file that has its argument as JSON.
#[must_use]
pub fn call(function: &str, argument: &str) -> String {
    let absent = "(throw \"the configuration has no dynix of this version\")";
    format!(
        "(let functions = system.config.lib.dynamicism or {{ }}; in (functions.{function} or {absent}) \
         (builtins.fromJSON (builtins.readFile {argument})))"
    )
}

/// Calls a function of `config.lib.dynamicism`.
fn ask(evaluator: &Evaluator, function: &str, arguments: &Value, directory: &Utf8Path) -> Result<Value, Asking> {
    ask_with(evaluator, function, arguments, directory, &[])
}

/// The same, with more options of the evaluator.
pub fn ask_with(
    evaluator: &Evaluator,
    function: &str,
    arguments: &Value,
    directory: &Utf8Path,
    options: &[&str],
) -> Result<Value, Asking> {
    // Dropped last: nothing is left behind where a signal ends this process.
    let hold = Hold::begin_also_in_apply();
    // The overrides go into a file: they may be longer than an argument, and nobody else may read them.
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(arguments.to_string().as_bytes())?;
    let path = crate::nix::quoted(&file.path().to_string_lossy());
    let expression = format!("let\n  system = {};\nin\n{}", evaluator.arguments, call(function, &path));
    let mut evaluator = evaluator.clone();
    evaluator.command.extend(BUILDS_NOTHING.map(str::to_owned));
    evaluator.command.extend(options.iter().map(|&option| option.to_owned()));
    evaluator.deadline = evaluator.whole_system();
    // A system need not keep its configuration there.
    let directory = if directory.is_dir() { directory } else { Utf8Path::new("/") };
    Ok(evaluate(&evaluator, &expression, directory, &hold)?)
}

/// Finds everything that can depend on the values of the plan's services. An error says why there is no proof.
pub fn prove(evaluator: &Evaluator, plan: &Plan, directory: &Utf8Path) -> anyhow::Result<Proof> {
    let found = found(plan);
    let try_without = |skip: &Flows| match ask(evaluator, "prove", &json!({ "skip": skip, "found": found }), directory)
    {
        Ok(value) => {
            let proof: Proof = serde_json::from_value(value).context(UNKNOWN)?;
            if proof.version != proof::VERSION {
                bail!(
                    "the configuration's dynix proves in version {}, this one reads {}",
                    proof.version,
                    proof::VERSION
                )
            }
            Ok(Ok(proof))
        }
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => Ok(Err(last_words(&words))),
        Err(error) => Err(error.into()),
    };
    let words = match try_without(&Flows::new())? {
        Ok(proof) => return Ok(proof),
        Err(words) => words,
    };
    // An evaluation error stops Nix (builtins.tryEval catches only throw and assert). dynix searches for its place, and
    // assumes that it depends on every value.
    let names: Flows =
        serde_json::from_value(ask(evaluator, "namesOf", &json!({ "found": found }), directory)?).context(UNKNOWN)?;
    let all: Vec<(String, String)> =
        names.into_iter().flat_map(|(kind, names)| names.into_iter().map(move |name| (kind.clone(), name))).collect();
    let mut failing: Vec<&(String, String)> = Vec::new();
    let mut suspects = vec![all.as_slice()];
    let mut tries = 0;
    while let Some(half) = suspects.pop() {
        tries += 1;
        if tries > TRIES {
            bail!("too much of the configuration can't be evaluated by itself: {words}")
        }
        let others = all.iter().filter(|name| !half.contains(name));
        if try_without(&grouped(others))?.is_ok() {
            continue;
        }
        match half {
            [] => bail!("the configuration can't be evaluated: {words}"),
            [one] => failing.push(one),
            several => {
                let (left, right) = several.split_at(several.len() / 2);
                suspects.extend([left, right]);
            }
        }
    }
    try_without(&grouped(failing.into_iter()))?
        .map_err(|words| anyhow!("the configuration can't be evaluated: {words}"))
}

fn grouped<'n>(names: impl Iterator<Item = &'n (String, String)>) -> Flows {
    names.fold(Flows::new(), |mut flows, (kind, name)| {
        flows.entry(kind.clone()).or_default().push(name.clone());
        flows
    })
}

/// The facts that the evaluation can't know: the files that the build found, and the units that read them.
#[must_use]
pub fn found(plan: &Plan) -> Value {
    let services = plan.services.iter().filter_map(|(name, service)| {
        let found: Vec<&File> = service.files.values().filter(|file| file.found.is_some()).collect();
        let files: Vec<&Utf8Path> =
            found.iter().filter(|file| !file.attach.is_of_the_unit()).map(|file| file.static_file.as_path()).collect();
        let units: Vec<&String> = service.units.keys().collect();
        (!found.is_empty()).then(|| (name.clone(), json!({ "files": files, "units": units })))
    });
    services.collect::<serde_json::Map<_, _>>().into()
}

fn arguments(plan: &Plan, overrides: &Overlay) -> Value {
    let leaves = overrides.leaves();
    let leaves: Vec<Value> =
        leaves.iter().map(|(path, one)| json!({"path": path, "value": one.value, "id": one.id})).collect();
    json!({ "overrides": leaves, "found": found(plan) })
}

fn read(value: Value) -> anyhow::Result<Comparison> {
    let comparison: Comparison = serde_json::from_value(value).context(UNKNOWN)?;
    if comparison.version != comparison::VERSION {
        bail!(
            "the configuration's dynix compares in version {}, this one reads {}",
            comparison.version,
            comparison::VERSION
        )
    }
    Ok(comparison)
}

/// Nix prints the place first, and the problem last.
#[must_use]
pub fn last_words(words: &str) -> String {
    let from = words.rfind("error: ").map_or(0, |found| found + "error: ".len());
    words[from..].lines().map(str::trim).filter(|line| !line.is_empty()).take(8).collect::<Vec<_>>().join("\n")
}
