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
struct Answer {
    path: String,
    value: Option<Value>,
    r#static: Option<Value>,
    /// The records that the value, or part of it, is from.
    records: Vec<u64>,
    /// Whether the service has applied them.
    applied: bool,
}

/// Prints a value.
pub fn run(arguments: &Get, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let path = place::parse(&arguments.path)?;
    let place = place::find(&plan, &path)?;
    let only = Some([place.service_name.to_owned()].into());
    let state = State::load(&paths.state())?;
    let View { folded, .. } = view(&plan, &paths, &session.log(&plan, &paths), &state.on_trial(), only.as_ref())?;
    let effective = append::effective(&place, &folded)?;
    let at = |value: &Value| place.below.names().iter().try_fold(value, |value, name| value.get(name)).cloned();
    let secrets = Secrets::of(&plan);
    let shown = |value: Option<Value>| value.map(|value| secrets.shown(&path, &value));
    let value = shown(at(&effective));
    let records: Vec<u64> = folded
        .overlay
        .leaves()
        .into_iter()
        .filter(|(leaf, _)| leaf.starts_with(&path) || path.starts_with(leaf))
        .map(|(_, one)| one.id)
        .collect();
    if !arguments.json {
        let value =
            value.ok_or_else(|| Refused(format!("{path} is not set; see `dynix get {}`", place.option_path)))?;
        let mut text = match value {
            Value::String(text) => text,
            other => serde_json::to_string_pretty(&other)?,
        };
        text.push('\n');
        return super::print(text.as_bytes());
    }
    let applied_up_to = state.log_id(place.service_name);
    let applied = records.iter().all(|id| *id <= applied_up_to);
    super::print_json(&Answer {
        path: path.to_string(),
        value,
        r#static: shown(at(&place.option.static_value)),
        records,
        applied,
    })
}
