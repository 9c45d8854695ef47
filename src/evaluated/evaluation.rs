//! Asks the evaluator what a rebuild with some overrides would change.

use anyhow::{Context as _, anyhow};
use camino::Utf8Path;
use serde_json::{Value, json};

use super::change_set::{Answer, ChangeSet, VERSION};
use super::stand_in::Unmade;
use super::{Wanted, completion, judge};
use crate::host::evaluator::{Evaluator, EvaluatorError};
use crate::plan::Plan;
use crate::verify::evaluation::{Asking, ask_with, found, last_words};

/// The change set of overrides, without what dynix changes by itself. A refusal says what is wrong with them. `built`: the
/// file with the kept system without them. Without one, what to keep is given as well.
pub fn change_set(
    evaluator: &Evaluator,
    plan: &Plan,
    wanted: &Wanted,
    directory: &Utf8Path,
    built: Option<&Utf8Path>,
) -> Result<(ChangeSet, Option<Value>), Unmade> {
    let overrides: Vec<Value> =
        wanted.all().map(|(path, value, id)| json!({ "path": path, "value": value, "id": id })).collect();
    let mut arguments = json!({ "overrides": overrides, "built": built, "keep": built.is_none() });
    if !wanted.completed.is_empty() {
        plan.services.require_all().map_err(anyhow::Error::from)?;
        arguments["found"] = found(plan);
    }
    // Nix writes the sources of texts to the store; it builds nothing.
    let answer = match ask_with(evaluator, "change", &arguments, directory, &["--read-write-mode"]) {
        Ok(answer) => answer,
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => {
            return Err(Unmade::Refused(vec![format!("a rebuild would fail: {}", last_words(&words))]));
        }
        Err(error) => return Err(Unmade::Failed(error.into())),
    };
    let (mut changes, side) = read(answer)?;
    if !wanted.completed.is_empty() {
        completion::subtract_own(&mut changes, plan, &wanted.effective)?;
    }
    Ok((changes, side))
}

fn read(answer: Value) -> Result<(ChangeSet, Option<Value>), Unmade> {
    let answer: Answer =
        serde_json::from_value(answer).context("the configuration's dynix says what this one does not know")?;
    if answer.version != VERSION {
        return Err(Unmade::Failed(anyhow!(
            "the configuration's dynix gives a change set of version {}, this one reads {VERSION}",
            answer.version
        )));
    }
    if !answer.problems.is_empty() {
        return Err(Unmade::Refused(answer.problems.iter().map(judge::problem).collect()));
    }
    Ok((answer.changes, answer.built))
}
