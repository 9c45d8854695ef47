//! Asking the evaluator: the system's own configuration, evaluated without and with overrides.

use std::io::Write as _;

use anyhow::{Context, bail};
use camino::Utf8Path;
use serde_json::{Value, json};

use super::comparison::{self, Comparison};
use crate::evaluator::{EvaluatorError, evaluate};
use crate::overrides::Overlay;
use crate::plan::Evaluator;

/// Until an evaluation is given up.
const DEADLINE: f64 = 600.0;

/// How an evaluation went.
#[derive(Debug)]
pub enum Evaluated {
    /// To its end.
    Compared(Box<Comparison>),
    /// The overrides make it fail: so would a rebuild. What the evaluator said.
    FailsWithOverrides(String),
}

/// Compares the system without and with `overrides`. An error says why nothing can be said.
pub fn compare(evaluator: &Evaluator, overrides: &Overlay, directory: &Utf8Path) -> anyhow::Result<Evaluated> {
    match ask(evaluator, "verify", &arguments(overrides), directory) {
        Ok(value) => Ok(Evaluated::Compared(Box::new(read(value)?))),
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => {
            // Whose fault is it?
            match ask(evaluator, "verify", &arguments(&Overlay::default()), directory) {
                Ok(_) => Ok(Evaluated::FailsWithOverrides(last_words(&words))),
                Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => {
                    bail!("the configuration can't be evaluated: {}", last_words(&words))
                }
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Debug, thiserror::Error)]
enum Asking {
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    #[error("cannot hand the overrides to the evaluator: {0}")]
    Arguments(#[from] std::io::Error),
}

/// Calls a function of `config.lib.dynamicism`.
fn ask(evaluator: &Evaluator, function: &str, arguments: &Value, directory: &Utf8Path) -> Result<Value, Asking> {
    // No argument can be as long as overrides may be; and nobody else may read them.
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(arguments.to_string().as_bytes())?;
    let path = crate::nix::quoted(&file.path().to_string_lossy());
    let expression = format!(
        "let\n  \
           system = {};\n  \
           functions = system.config.lib.dynamicism or {{ }};\n\
         in\n\
         (functions.{function} or (throw \"the configuration has no dynix of this version\"))\n  \
           (builtins.fromJSON (builtins.readFile {path}))",
        evaluator.arguments
    );
    let mut evaluator = evaluator.clone();
    // Nothing is ever built to answer a question.
    evaluator.command.extend(["--option", "allow-import-from-derivation", "false"].map(str::to_owned));
    evaluator.deadline = DEADLINE;
    Ok(evaluate(&evaluator, &expression, directory)?)
}

fn arguments(overrides: &Overlay) -> Value {
    let leaves = overrides.leaves();
    let leaves: Vec<Value> =
        leaves.iter().map(|(path, one)| json!({"path": path, "value": one.value, "id": one.id})).collect();
    json!({ "overrides": leaves })
}

fn read(value: Value) -> anyhow::Result<Comparison> {
    let comparison: Comparison =
        serde_json::from_value(value).context("the configuration's dynix says what this one does not know")?;
    if comparison.version != comparison::VERSION {
        bail!(
            "the configuration's dynix compares in version {}, this one reads {}",
            comparison.version,
            comparison::VERSION
        )
    }
    Ok(comparison)
}

/// Nix says where it is first, and what is wrong last.
fn last_words(words: &str) -> String {
    let from = words.rfind("error: ").map_or(0, |found| found + "error: ".len());
    words[from..].lines().map(str::trim).filter(|line| !line.is_empty()).take(8).collect::<Vec<_>>().join("\n")
}
