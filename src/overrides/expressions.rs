//! Evaluates records that are not plain data. The Nix evaluator gets all records with unknown values at once.
//!
//! Takes the text of the records; gives the meaning of each, or why it has none. The evaluator sees the log's function
//! applied to only these records, with an `overrides` that collects its arguments. `config`, `lib` and `pkgs` are the
//! system's own.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde_json::Value;

use super::hand;
use super::record::{Kind, Record};
use super::values::{Answer, Values};
use crate::attr_path::AttrPath;
use crate::host::evaluator::Evaluator;
use crate::host::evaluator::{EvaluatorError, evaluate};
use crate::host::interruption::Hold;

/// The limit for one call: Linux takes no argument of 128 KiB or more (`MAX_ARG_STRLEN`, execve(2)).
const MOST: usize = 100 * 1024;

/// A record that is an expression and has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {id}: {problem}")]
pub struct ExpressionError {
    /// Which one.
    pub id: u64,
    /// The paths that it concerns, as far as its text shows them; a path without names means everything.
    pub paths: Vec<AttrPath>,
    /// Why it has none.
    pub problem: String,
    /// Whether its value is to blame, and not that it can't be evaluated.
    pub is_refused: bool,
}

/// A record that is an expression.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub id: u64,
    /// All of its text.
    pub text: String,
}

/// The context in which the records are evaluated.
#[derive(Clone, Copy)]
pub(super) struct With<'w> {
    /// The parameters of the log's function.
    pub parameters: &'w str,
    pub evaluator: Option<&'w Evaluator>,
    /// The directory at which relative paths begin.
    pub directory: &'w Utf8Path,
    /// The last record of the log: later ones are new.
    pub last: u64,
    /// The known values.
    pub values: &'w Values,
}

/// The kinds of the records: each is a [`Kind::Set`] or a [`Kind::Replace`], or has no value.
pub(super) fn kinds(wanted: &[Wanted], with: With<'_>) -> Vec<Result<Kind, ExpressionError>> {
    let keys: Vec<String> = wanted.iter().map(|one| key(one, with)).collect();
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(wanted.len());
    for (one, key) in wanted.iter().zip(&keys) {
        answers.push(match hand::reserved(&one.text) {
            Some(name) => Some(Answer::Refused(reserved(&name, None))),
            None => with.values.known(key, one.id > with.last),
        });
    }
    let missing: Vec<usize> = (0..wanted.len()).filter(|index| answers[*index].is_none()).collect();
    let asked: Vec<&Wanted> = missing.iter().map(|index| &wanted[*index]).collect();
    for (index, found) in missing.into_iter().zip(ask(&asked, with)) {
        with.values.learn(&keys[index], wanted[index].id > with.last, &found);
        answers[index] = Some(found);
    }
    wanted.iter().zip(answers).map(|(one, answer)| kind(one, answer)).collect()
}

/// The key of an expression, whenever and by whomever it was recorded.
fn key(wanted: &Wanted, with: With<'_>) -> String {
    let evaluator = with.evaluator.map(|one| (&one.command, &one.arguments));
    let content = hand::content(&wanted.text).unwrap_or_else(|| wanted.text.clone());
    format!("{content}\0{}\0{}\0{evaluator:?}", with.parameters, with.directory)
}

fn kind(wanted: &Wanted, answer: Option<Answer>) -> Result<Kind, ExpressionError> {
    let fault = |problem: String, is_refused| ExpressionError {
        id: wanted.id,
        paths: hand::paths(&wanted.text),
        problem,
        is_refused,
    };
    match answer {
        Some(Answer::Value(value)) => read(wanted.id, value).map_err(|problem| fault(problem, true)),
        Some(Answer::Refused(problem)) => Err(fault(problem, true)),
        Some(Answer::Failed(problem)) => Err(fault(problem, false)),
        None => Err(fault("it was not evaluated".to_owned(), false)),
    }
}

/// Asks the evaluator for all at once. If that fails, it asks for one after the other, so that the failing ones are
/// known. The second try has the same time in total.
fn ask(wanted: &[&Wanted], with: With<'_>) -> Vec<Answer> {
    let Some(evaluator) = with.evaluator else {
        let problem = "it is a Nix expression, and this system's plan has no evaluator; give a plain value instead";
        return vec![Answer::Failed(problem.to_owned()); wanted.len()];
    };
    let mut answers = Vec::with_capacity(wanted.len());
    let mut rest = wanted;
    let mut spent = Duration::ZERO;
    while !rest.is_empty() {
        let mut size = 0;
        let count = rest.iter().take_while(|wanted| {
            size += wanted.text.len();
            size <= MOST
        });
        let (batch, after) = rest.split_at(count.count().max(1));
        match evaluated(batch, with, evaluator) {
            Ok(values) => answers.extend(values),
            // One of several.
            Err(EvaluatorError::Failed { .. } | EvaluatorError::Ended { .. } | EvaluatorError::Process(_))
                if batch.len() > 1 =>
            {
                for one in batch {
                    let left = evaluator.deadline - spent.as_secs_f64();
                    if left <= 0.0 {
                        let problem = format!("others took all of the {} s that there are", evaluator.deadline);
                        answers.push(Answer::Failed(problem));
                        continue;
                    }
                    let begin = Instant::now();
                    let in_time = Evaluator { deadline: left, ..evaluator.clone() };
                    answers.extend(evaluated(&[one], with, &in_time).unwrap_or_else(|error| vec![failed(&error)]));
                    spent += begin.elapsed();
                }
            }
            Err(error) => answers.extend(batch.iter().map(|_| failed(&error))),
        }
        rest = after;
    }
    answers
}

fn failed(error: &EvaluatorError) -> Answer {
    Answer::Failed(format!("it can't be evaluated: {error}"))
}

fn evaluated(wanted: &[&Wanted], with: With<'_>, evaluator: &Evaluator) -> Result<Vec<Answer>, EvaluatorError> {
    // What is in effect depends on it: an apply waits for it.
    let hold = Hold::begin();
    let values = evaluate(evaluator, &expression(wanted, with.parameters, evaluator), with.directory, &hold)?;
    Ok(match values {
        Value::Array(values) if values.len() == wanted.len() => values.into_iter().map(look).collect(),
        other => {
            let problem = format!("the evaluator gave {other} for {} records", wanted.len());
            vec![Answer::Failed(problem); wanted.len()]
        }
    })
}

/// Interprets what the evaluator found of one record: its value, or a set within it that means something else to Nix.
fn look(found: Value) -> Answer {
    let Value::Object(mut found) = found else { return Answer::Failed("the evaluator gave no record".to_owned()) };
    if let Some(answer) = found.remove("answer") {
        return Answer::Value(answer);
    }
    let (name, at) = (found.remove("name"), found.remove("at"));
    let at = at.and_then(|at| serde_json::from_value(at).ok());
    match name {
        Some(Value::String(name)) => Answer::Refused(reserved(&name, at)),
        _ => Answer::Failed("the evaluator gave no record".to_owned()),
    }
}

fn reserved(name: &str, at: Option<AttrPath>) -> String {
    let names = at.map(|at| at.0).unwrap_or_default();
    let names: Vec<String> = match names.split_first() {
        Some((first, below)) if first == "set" => below.to_vec(),
        Some((first, below)) if first == "replace" => below.iter().skip(1).cloned().collect(),
        _ => names,
    };
    let at = if names.is_empty() { String::new() } else { format!(" at {}", AttrPath(names)) };
    format!(
        "its value has a set with the attribute {name}{at}, which is no plain value to Nix; give the text itself, as in \
         \"${{pkgs.hello}}\""
    )
}

fn read(id: u64, value: Value) -> Result<Kind, String> {
    let Value::Object(attributes) = value else { return Err("it is no attribute set".to_owned()) };
    match Record::from_attributes(attributes, id - 1)?.kind {
        kind @ (Kind::Set(_) | Kind::Replace(..)) => Ok(kind),
        _ => Err("only the values of set and replace can be expressions".to_owned()),
    }
}

/// The records do not see the names around them. A set that means something else to Nix is searched before the value
/// becomes JSON, because a derivation becomes a text there.
fn expression(wanted: &[&Wanted], parameters: &str, evaluator: &Evaluator) -> String {
    let records: Vec<&str> = wanted.iter().map(|wanted| wanted.text.as_str()).collect();
    format!(
        "(\n  \
           let\n    \
             collect = records: {{ inherit records; __functor = _: record: collect (records ++ [ record ]); }};\n    \
             odd = at: value:\n      \
               if builtins.isList value then builtins.concatLists (map (odd at) value)\n      \
               else if !builtins.isAttrs value then [ ]\n      \
               else\n        \
                 let names = builtins.filter (name: value ? ${{name}}) [ \"outPath\" \"__toString\" \"_type\" ];\n        \
                 in if names != [ ] then [ {{ inherit at; name = builtins.head names; }} ]\n        \
                 else builtins.concatLists (map (name: odd (at ++ [ name ]) value.${{name}}) (builtins.attrNames value));\n    \
             look = record:\n      \
               let\n        \
                 answer = builtins.intersectAttrs {{ set = null; replace = null; }} record;\n        \
                 found = odd [ ] answer;\n      \
               in if found == [ ] then {{ inherit answer; }} else builtins.head found;\n  \
           in function: arguments: map look (function (arguments // {{ overrides = collect [ ]; }})).records\n\
         )\n\
         ({parameters}: overrides\n{}\n)\n\
         ({}\n)",
        records.join("\n"),
        evaluator.arguments
    )
}
