//! `dynix get`: an option's value as it is recorded, with where it is from.

use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use super::{Refused, append, place};
use crate::apply::state::State;
use crate::apply::view::{View, view};
use crate::cli::Get;
use crate::exit::Exit;
use crate::secrets::Secrets;

/// One value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    path: String,
    /// The option that it is of.
    #[serde(skip)]
    option: String,
    value: Option<Value>,
    r#static: Option<Value>,
    /// The records that the value, or part of it, is from.
    records: Vec<u64>,
    /// Whether the service has applied them.
    applied: bool,
}

/// Prints a value.
pub fn run(arguments: &Get, session: &Session) -> anyhow::Result<Exit> {
    let answer = answer(&arguments.path, session)?;
    if arguments.json {
        return super::print_json(&answer);
    }
    let Answer { path, option, value, .. } = answer;
    let mut text = match value {
        None => return Err(Refused(format!("{path} is not set; see `dynix get {option}`")).into()),
        Some(Value::String(text)) => text,
        Some(other) => serde_json::to_string_pretty(&other)?,
    };
    text.push('\n');
    super::print(text.as_bytes())
}

/// Finds a value.
pub fn answer(path: &str, session: &Session) -> anyhow::Result<Answer> {
    let (plan, paths) = session.load()?;
    let path = place::parse(path)?;
    let place = place::find(&plan, &path)?;
    let only = Some([place.service_name.to_owned()].into());
    let state = State::load(&paths.state())?;
    let View { folded, .. } = view(&plan, &paths, &session.log(&plan, &paths), &state.on_trial(), only.as_ref())?;
    let effective = append::effective(&place, &folded)?;
    let at = |value: &Value| place.below(&path).names().iter().try_fold(value, |value, name| value.get(name)).cloned();
    let secrets = Secrets::of(&plan);
    let shown = |value: Option<Value>| value.map(|value| secrets.shown(&path, &value));
    let records: Vec<u64> = folded
        .overlay
        .leaves()
        .into_iter()
        .filter(|(leaf, _)| leaf.starts_with(&path) || path.starts_with(leaf))
        .map(|(_, one)| one.id)
        .collect();
    let applied_up_to = state.log_id(place.service_name);
    Ok(Answer {
        path: path.to_string(),
        option: place.path.to_string(),
        value: shown(at(&effective)),
        r#static: shown(at(&place.option.static_value)),
        applied: records.iter().all(|id| *id <= applied_up_to),
        records,
    })
}
