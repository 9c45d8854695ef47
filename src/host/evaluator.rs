//! Runs the Nix evaluator, for what only it can read. No other module runs it.

use std::process::ExitStatus;
use std::time::Duration;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::interruption::Hold;
use crate::host::process::{self, ProcessError};
use crate::host::warm::Warm;

/// The Nix evaluator for records that are not literal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evaluator {
    /// Program and arguments, run with `--expr EXPRESSION` appended; must print JSON
    /// (`["nix-instantiate", "--eval", "--strict", "--json"]`).
    pub command: Vec<String>,
    /// A Nix expression for the arguments besides `overrides` that dynamic.nix is applied to, an attribute set with
    /// `config`, `lib` and `pkgs`.
    pub arguments: String,
    /// Seconds until the evaluation is given up.
    #[serde(default = "default_evaluator_deadline")]
    pub deadline: f64,
    /// One that has read the configuration already, if the system keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
}

/// How many times the deadline of an expression an evaluation of the whole system may take.
const WHOLE_SYSTEM: f64 = 10.0;

impl Evaluator {
    /// Seconds until an evaluation of the whole system is given up.
    #[must_use]
    pub fn whole_system(&self) -> f64 {
        self.deadline * WHOLE_SYSTEM
    }
}

fn default_evaluator_deadline() -> f64 {
    60.0
}

/// The evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorError {
    /// It could not be run, or not to its end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It ended, and not by itself.
    #[error("{program} did not come to its end ({status}): {words}")]
    Ended {
        /// The first word of the command.
        program: String,
        /// How.
        status: ExitStatus,
        /// Its output.
        words: String,
    },
    /// It refused the expression.
    #[error("{program} failed:\n{words}")]
    Failed {
        /// The first word of the command.
        program: String,
        /// Its output.
        words: String,
    },
    /// Its output is no JSON.
    #[error("{program} printed no JSON: {problem}")]
    NotJson {
        /// The first word of the command.
        program: String,
        /// The problem of the JSON.
        problem: String,
    },
}

/// Evaluates `expression`; relative paths in it are below `directory`, which need not be there. It ends early if `hold`
/// asks for that.
pub fn evaluate(
    evaluator: &Evaluator,
    expression: &str,
    directory: &Utf8Path,
    hold: &Hold,
) -> Result<Value, EvaluatorError> {
    let mut command = evaluator.command.clone();
    command.extend(["--expr".to_owned(), expression.to_owned()]);
    let program = command.first().cloned().unwrap_or_default();
    // Without a directory, relative paths lead nowhere.
    let directory = Some(directory).filter(|directory| directory.is_dir());
    let output =
        process::run_in_unless(directory, &command, Duration::from_secs_f64(evaluator.deadline), &|| hold.is_wanted())?;
    if !output.status.success() {
        let (status, words) = (output.status, output.words());
        return Err(if process::is_verdict(status) && !is_out_of_memory(&words) {
            EvaluatorError::Failed { program, words }
        } else {
            // The garbage collector warns a hundred times before.
            let words: Vec<&str> = words.lines().filter(|line| !line.starts_with("GC Warning:")).collect();
            EvaluatorError::Ended { program, status, words: words.join("\n") }
        });
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| EvaluatorError::NotJson { program, problem: error.to_string() })
}

/// Whether Nix says that the machine, not the expression, is at fault. Its exit status is the same.
fn is_out_of_memory(words: &str) -> bool {
    words.lines().any(|line| line.trim() == "error: out of memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_there_is_no_memory_is_no_verdict_on_the_expression() {
        let of = |words: &str| {
            let script = format!("printf '%s\\n' '{words}' >&2; exit 1");
            let command = ["sh", "-c", &script].map(str::to_owned).to_vec();
            let evaluator = Evaluator { command, arguments: "{ }".to_owned(), deadline: 60.0, warm: None };
            evaluate(&evaluator, "1", Utf8Path::new("/"), &Hold::begin()).unwrap_err()
        };
        assert!(matches!(of("error: out of memory"), EvaluatorError::Ended { .. }));
        assert!(matches!(of("error: attribute missing"), EvaluatorError::Failed { .. }));
        assert!(matches!(of("error: assertion: out of memory cards"), EvaluatorError::Failed { .. }));
    }
}
