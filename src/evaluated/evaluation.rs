//! Asks the evaluator what a rebuild with some overrides would change.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use camino::Utf8Path;
use serde_json::{Value, json};

use super::change_set::{Answer, ChangeSet, VERSION};
use super::stand_in::Unmade;
use super::{Wanted, completion, judge};
use crate::host::evaluator::{Evaluator, EvaluatorError};
use crate::host::interruption::Hold;
use crate::host::warm::{self, Call, Question};
use crate::plan::Plan;
use crate::verify::evaluation::{Asking, ask_with, found, last_words};

/// The function of `config.lib.dynamicism` that is called.
pub const CHANGE: &str = "change";

/// An evaluator and what it is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The evaluator.
    pub evaluator: &'a Evaluator,
    /// Where relative paths lead.
    pub directory: &'a Utf8Path,
    /// The system that runs.
    pub system: &'a Utf8Path,
}

/// The change set of overrides, without what dynix changes by itself. A refusal says what is wrong with them. `built`: the
/// file with the kept system without them. Without one, what to keep is given as well.
pub fn change_set(
    asked: Asked<'_>,
    plan: &Plan,
    wanted: &Wanted,
    built: Option<&Utf8Path>,
) -> Result<(ChangeSet, Option<Value>), Unmade> {
    let mut argument = argument(wanted, built);
    if !wanted.completed.is_empty() {
        plan.services.require_all().map_err(anyhow::Error::from)?;
        argument["found"] = found(plan);
    }
    let answer = match from_warm(asked, &argument) {
        Some(answer) => answer,
        None => read(evaluate(asked, &argument)?)?,
    };
    if !answer.problems.is_empty() {
        return Err(Unmade::Refused(answer.problems.iter().map(judge::problem).collect()));
    }
    let Answer { mut changes, built, .. } = answer;
    if !wanted.completed.is_empty() {
        completion::subtract_own(&mut changes, plan, &wanted.effective)?;
    }
    Ok((changes, built))
}

/// The argument of [`CHANGE`].
#[must_use]
pub fn argument(wanted: &Wanted, built: Option<&Utf8Path>) -> Value {
    let overrides: Vec<Value> =
        wanted.all().map(|(path, value, id)| json!({ "path": path, "value": value, "id": id })).collect();
    json!({ "overrides": overrides, "built": built, "keep": built.is_none() })
}

/// Has the warm evaluator read the configuration, if there is one. It takes as long as an evaluation. What keeps it from
/// that, it says itself.
pub fn warm_up(evaluator: &Evaluator, directory: &Utf8Path) {
    let _ = ask_warm(evaluator, directory, None);
}

/// The answer of the warm evaluator, if it is one about the system that runs. An evaluation that fails is left to a new
/// evaluator, as everything else that it does not answer.
fn from_warm(asked: Asked<'_>, argument: &Value) -> Option<Answer> {
    let call = Call { function: CHANGE.to_owned(), argument: argument.clone() };
    let answer = read(ask_warm(asked.evaluator, asked.directory, Some(call)).ok()?).ok()?;
    (!answer.problems.is_empty() || answer.changes.system == asked.system).then_some(answer)
}

fn ask_warm(evaluator: &Evaluator, directory: &Utf8Path, call: Option<Call>) -> Result<Value, String> {
    let warm = evaluator.warm.as_ref().ok_or("the system has none")?;
    let hold = Hold::begin_also_in_apply();
    let question = Question { evaluator: warm::name(evaluator), directory: directory.to_owned(), call };
    warm::ask(warm, &question, Duration::from_secs_f64(evaluator.whole_system()), &|| hold.is_wanted())
}

fn evaluate(asked: Asked<'_>, argument: &Value) -> Result<Value, Unmade> {
    // Nix writes the sources of texts to the store; it builds nothing.
    match ask_with(asked.evaluator, CHANGE, argument, asked.directory, &["--read-write-mode"]) {
        Ok(answer) => Ok(answer),
        Err(Asking::Evaluator(EvaluatorError::Failed { words, .. })) => {
            Err(Unmade::Refused(vec![format!("a rebuild would fail: {}", last_words(&words))]))
        }
        Err(error) => Err(Unmade::Failed(error.into())),
    }
}

/// Reads an answer of this version.
pub fn read(answer: Value) -> anyhow::Result<Answer> {
    let answer: Answer =
        serde_json::from_value(answer).context("the configuration's dynix says what this one does not know")?;
    if answer.version != VERSION {
        return Err(anyhow!(
            "the configuration's dynix gives a change set of version {}, this one reads {VERSION}",
            answer.version
        ));
    }
    Ok(answer)
}
