//! Asks the evaluator what a rebuild with some overrides would change.

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use serde_json::{Value, json};

use super::change_set::{Answer, ChangeSet, VERSION};
use super::judge;
use super::stand_in::Unmade;
use crate::attr_path::AttrPath;
use crate::host::evaluator::{Evaluator, EvaluatorError};
use crate::verify::evaluation::{Asking, ask_with, last_words};

/// The change set of overrides: path, value and record of each. A refusal says what is wrong with them.
pub fn change_set(
    evaluator: &Evaluator,
    overrides: &[(AttrPath, Value, u64)],
    directory: &Utf8Path,
) -> Result<ChangeSet, Unmade> {
    let overrides: Vec<Value> =
        overrides.iter().map(|(path, value, id)| json!({ "path": path, "value": value, "id": id })).collect();
    let arguments = json!({ "overrides": overrides });
    // Nix writes the sources of texts to the store; it builds nothing.
    let answer = match ask_with(evaluator, "change", &arguments, directory, &["--read-write-mode"]) {
        Ok(answer) => answer,
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => {
            return Err(Unmade::Refused(vec![format!("a rebuild would fail: {}", last_words(&words))]));
        }
        Err(error) => return Err(Unmade::Failed(error.into())),
    };
    read(answer)?.map_err(Unmade::Refused)
}

fn read(answer: Value) -> anyhow::Result<Result<ChangeSet, Vec<String>>> {
    let answer: Answer =
        serde_json::from_value(answer).context("the configuration's dynix says what this one does not know")?;
    if answer.version != VERSION {
        bail!("the configuration's dynix gives a change set of version {}, this one reads {VERSION}", answer.version)
    }
    if !answer.problems.is_empty() {
        return Ok(Err(answer.problems.iter().map(judge::problem).collect()));
    }
    Ok(Ok(answer.changes))
}
