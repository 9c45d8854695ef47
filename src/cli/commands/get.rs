//! `dynix get`: prints an option's value in effect, its source, and any other recorded value.

use serde_json::Value;

use crate::cli::arguments::Get;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::moment::Moment;
use crate::system::session::Session;
use crate::system::value::Found;
use crate::types::brief;

fn print_value(value: &Value) -> anyhow::Result<Exit> {
    let mut text = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(&other)?,
    };
    text.push('\n');
    super::print(text.as_bytes())
}

/// Prints what was recorded at a moment.
fn then(arguments: &Get, moment: Moment, session: &Session) -> anyhow::Result<Exit> {
    let answer = session.open()?.value_then(&arguments.path, moment)?;
    if arguments.json {
        super::print_json(&answer)?;
    } else if let Some(value) = &answer.value {
        print_value(value)?;
    }
    if answer.value.is_some() {
        return Ok(Exit::Done);
    }
    messages::error(format!("{} was not set after record {}", answer.path, answer.at));
    Ok(Exit::Failed)
}

/// Prints a value.
pub fn run(arguments: &Get, session: &Session) -> anyhow::Result<Exit> {
    if let Some(at) = &arguments.at {
        return then(arguments, Moment::read(at)?, session);
    }
    let answer = session.open_in_part()?.value(&arguments.path)?;
    let Found { path, option, value, in_effect, service, is_intact, .. } = &answer;
    if arguments.json {
        super::print_json(&answer)?;
    } else if let Some(value) = in_effect {
        print_value(value)?;
    }
    if value != in_effect {
        let recorded = value.as_ref().map_or_else(|| "not set".to_owned(), brief);
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
