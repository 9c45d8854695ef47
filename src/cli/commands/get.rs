//! `dynix get`: an option's value in effect, with where it is from, and what is recorded besides.

use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use super::{append, place, screen};
use crate::attr_path::AttrPath;
use crate::cli::arguments::Get;
use crate::exit::Exit;
use crate::host::messages;
use crate::overrides::Change;
use crate::reconcile::intact;
use crate::reconcile::state::State;
use crate::reconcile::view::{View, view};
use crate::render::secrets::Secrets;

/// One value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    path: String,
    /// The option that it is of.
    #[serde(skip)]
    option: String,
    /// As recorded: in effect after the next apply.
    value: Option<Value>,
    /// What the service has now.
    in_effect: Option<Value>,
    r#static: Option<Value>,
    /// The records that the value, or part of it, is from.
    records: Vec<u64>,
    /// Whether the service has applied them.
    applied: bool,
    /// The service.
    #[serde(skip)]
    service: String,
    /// Whether the files that it reads are still those that were written.
    #[serde(skip)]
    is_intact: bool,
}

/// Prints a value.
pub fn run(arguments: &Get, session: &Session) -> anyhow::Result<Exit> {
    let answer = answer(&arguments.path, session)?;
    let Answer { path, option, value, in_effect, service, is_intact, .. } = &answer;
    if arguments.json {
        super::print_json(&answer)?;
    } else if let Some(value) = in_effect {
        let mut text = match value {
            Value::String(text) => text.clone(),
            other => serde_json::to_string_pretty(&other)?,
        };
        text.push('\n');
        super::print(text.as_bytes())?;
    }
    if value != in_effect {
        let recorded = value.as_ref().map_or_else(|| "not set".to_owned(), screen::value);
        messages::info(format!("recorded, and not in effect yet: {recorded}; run `dynix apply {service}`"));
    }
    if !is_intact {
        messages::warn(format!(
            "the files of {service} are no longer those that were written; run `dynix apply {service}`"
        ));
    }
    if in_effect.is_some() {
        return Ok(Exit::Done);
    }
    messages::error(format!("{path} is not set; see `dynix get {option}`"));
    Ok(Exit::Failed)
}

/// Finds a value.
pub fn answer(path: &str, session: &Session) -> anyhow::Result<Answer> {
    let (plan, paths) = session.load()?;
    let path = place::parse(path)?;
    let place = place::find(&plan, &path)?;
    let only = Some([place.service_name.to_owned()].into());
    let state = State::load(&paths.state())?;
    let log = session.log(&plan, &paths);
    let look = |changes: &[Change]| view(&plan, &paths, &log, changes, only.as_ref());
    let View { folded, last_id, .. } = look(&state.on_trial())?;
    let is_about = |one: &AttrPath| one.starts_with(&path) || path.starts_with(one);
    for one in folded.unevaluated.iter().filter(|one| one.paths.iter().any(is_about)) {
        messages::warn(format!("left out: {one}"));
    }
    let effective = append::effective(&place, &folded)?;
    let applied_up_to = state.log_id(place.service_name);
    let in_effect = if last_id <= applied_up_to {
        effective.clone()
    } else {
        let applied = [vec![Change::Rollback(applied_up_to)], state.on_trial()].concat();
        match look(&applied) {
            Ok(View { folded, .. }) => append::effective(&place, &folded)?,
            // A log that was edited no longer says what was applied.
            Err(_) => effective.clone(),
        }
    };
    let at = |value: &Value| place.below(&path).names().iter().try_fold(value, |value, name| value.get(name)).cloned();
    let secrets = Secrets::of(&plan);
    let shown = |value: Option<Value>| value.map(|value| secrets.shown(&path, &value));
    let is_intact = intact::is_intact(place.service_name, place.service, &state, &paths)?;
    let records: Vec<u64> = folded
        .overlay
        .leaves()
        .into_iter()
        .filter(|(leaf, _)| leaf.starts_with(&path) || path.starts_with(leaf))
        .map(|(_, one)| one.id)
        .collect();
    Ok(Answer {
        path: path.to_string(),
        option: place.path.to_string(),
        value: shown(at(&effective)),
        in_effect: shown(at(&in_effect)),
        service: place.service_name.to_owned(),
        r#static: shown(at(&place.option.static_value)),
        applied: is_intact && records.iter().all(|id| *id <= applied_up_to),
        records,
        is_intact,
    })
}
