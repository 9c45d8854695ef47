//! Records that are not plain data: given to the Nix evaluator, all in one go.
//!
//! Takes the text of the records, gives what they say. The evaluator sees the log's function applied to just these
//! records, with an `overrides` that collects its arguments: `config`, `lib` and `pkgs` are the system's own.

use camino::Utf8Path;
use serde_json::Value;

use super::record::{Kind, Record};
use crate::evaluator::{EvaluatorError, evaluate};
use crate::plan::Evaluator;

/// The most that goes into one call: Linux takes no argument of 128 KiB or more (`MAX_ARG_STRLEN`, execve(2)).
const MOST: usize = 100 * 1024;

/// Records that can't be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    /// The plan has no evaluator.
    #[error(
        "record {id} is a Nix expression, and this system's plan has no evaluator; give a plain value instead, or reject \
         the record"
    )]
    NoEvaluator {
        /// The first such record.
        id: u64,
    },
    /// The evaluator fails.
    #[error("{records}: {source}")]
    Evaluator {
        /// Which ones.
        records: String,
        /// What it said.
        source: EvaluatorError,
    },
    /// The values can't be records.
    #[error("record {id}: {problem}")]
    NoRecord {
        /// Which one.
        id: u64,
        /// Why not.
        problem: String,
    },
}

/// A record that is an expression.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub id: u64,
    /// All of its text.
    pub text: String,
}

/// What the records say: each is a [`Kind::Set`] or a [`Kind::Replace`].
pub(super) fn kinds(
    wanted: &[Wanted],
    parameters: &str,
    evaluator: Option<&Evaluator>,
    directory: &Utf8Path,
) -> Result<Vec<Kind>, ExpressionError> {
    let Some(first) = wanted.first() else { return Ok(Vec::new()) };
    let evaluator = evaluator.ok_or(ExpressionError::NoEvaluator { id: first.id })?;
    let mut kinds = Vec::with_capacity(wanted.len());
    let mut rest = wanted;
    while !rest.is_empty() {
        let mut size = 0;
        let count = rest.iter().take_while(|wanted| {
            size += wanted.text.len();
            size <= MOST
        });
        let (batch, after) = rest.split_at(count.count().max(1));
        let evaluated = |batch: &[Wanted]| evaluated(batch, parameters, evaluator, directory);
        kinds.extend(match evaluated(batch) {
            // One of several: by itself it is named, and says what is wrong.
            Err(ExpressionError::Evaluator { source: EvaluatorError::Failed { .. }, .. }) if batch.len() > 1 => {
                batch.iter().map(|one| evaluated(std::slice::from_ref(one))).collect::<Result<Vec<_>, _>>()?.concat()
            }
            evaluated => evaluated?,
        });
        rest = after;
    }
    Ok(kinds)
}

fn evaluated(
    wanted: &[Wanted],
    parameters: &str,
    evaluator: &Evaluator,
    directory: &Utf8Path,
) -> Result<Vec<Kind>, ExpressionError> {
    let values = evaluate(evaluator, &expression(wanted, parameters, evaluator), directory).map_err(|source| {
        let ids: Vec<String> = wanted.iter().map(|wanted| wanted.id.to_string()).collect();
        let records = format!("record{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "));
        ExpressionError::Evaluator { records, source }
    })?;
    match values {
        Value::Array(values) if values.len() == wanted.len() => {
            wanted.iter().zip(values).map(|(wanted, value)| read(wanted, value)).collect()
        }
        other => {
            let problem = format!("the evaluator gave {other} for {} records", wanted.len());
            Err(ExpressionError::NoRecord { id: wanted[0].id, problem })
        }
    }
}

fn read(wanted: &Wanted, value: Value) -> Result<Kind, ExpressionError> {
    let no_record = |problem: String| ExpressionError::NoRecord { id: wanted.id, problem };
    let Value::Object(mut attributes) = value else { return Err(no_record("it is no attribute set".to_owned())) };
    attributes.retain(|name, _| name == "set" || name == "replace");
    match Record::from_attributes(attributes, wanted.id - 1).map_err(no_record)?.kind {
        kind @ (Kind::Set(_) | Kind::Replace(..)) => Ok(kind),
        _ => Err(no_record("only the values of set and replace can be expressions".to_owned())),
    }
}

fn expression(wanted: &[Wanted], parameters: &str, evaluator: &Evaluator) -> String {
    let records: Vec<&str> = wanted.iter().map(|wanted| wanted.text.as_str()).collect();
    format!(
        "let\n  \
           collect = records: {{ inherit records; __functor = _: record: collect (records ++ [ record ]); }};\n\
         in (({parameters}: overrides\n{}\n) (({}\n) // {{ overrides = collect [ ]; }})).records",
        records.join("\n"),
        evaluator.arguments
    )
}
