//! Records that are no literals: given to the evaluator, all in one go.

use camino::Utf8Path;
use serde_json::Value;

use super::record::{Kind, Record};
use crate::evaluator::{EvaluatorError, evaluate};
use crate::plan::Evaluator;

/// Records that can't be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    /// The plan has no evaluator.
    #[error("record {id} is a Nix expression, and this system's plan has no evaluator; give a literal value instead")]
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

/// Evaluates `records`, whose kinds are all [`Kind::Expression`], as arguments of the log's own function.
pub fn resolve(
    records: &[&Record],
    parameters: &str,
    evaluator: Option<&Evaluator>,
    directory: &Utf8Path,
) -> Result<Vec<Record>, ExpressionError> {
    let Some(first) = records.first() else { return Ok(Vec::new()) };
    let evaluator = evaluator.ok_or(ExpressionError::NoEvaluator { id: first.id })?;
    let values = evaluate(evaluator, &expression(records, parameters, evaluator), directory).map_err(|source| {
        let ids: Vec<String> = records.iter().map(|record| record.id.to_string()).collect();
        let records = format!("record{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "));
        ExpressionError::Evaluator { records, source }
    })?;
    let values = match values {
        Value::Array(values) if values.len() == records.len() => values,
        _ => return Err(ExpressionError::NoRecord { id: first.id, problem: "the evaluator lost it".to_owned() }),
    };
    records.iter().zip(values).map(|(record, value)| read(record, value)).collect()
}

fn read(record: &Record, value: Value) -> Result<Record, ExpressionError> {
    let no_record = |problem: String| ExpressionError::NoRecord { id: record.id, problem };
    let Value::Object(mut attributes) = value else { return Err(no_record("it is no attribute set".to_owned())) };
    attributes.insert("id".to_owned(), record.id.into());
    let read = Record::from_attributes(attributes, record.id - 1).map_err(no_record)?;
    match read.kind {
        Kind::Set(_) | Kind::Replace(..) | Kind::Unset(_) => Ok(read),
        _ => Err(no_record("which records hold can't depend on an evaluation; give a plain id".to_owned())),
    }
}

/// The log's function applied to these records only, with an `overrides` that collects its arguments.
fn expression(records: &[&Record], parameters: &str, evaluator: &Evaluator) -> String {
    let arguments: Vec<&str> = records
        .iter()
        .map(|record| match &record.kind {
            Kind::Expression(text) => text.as_str(),
            _ => "{ }",
        })
        .collect();
    format!(
        "let overrides = {{ records = [ ]; __functor = self: record: self // {{ records = self.records ++ [ record ]; }}; }}; \
         in (({parameters}: overrides\n{}\n) (({}) // {{ inherit overrides; }})).records",
        arguments.join("\n"),
        evaluator.arguments
    )
}
