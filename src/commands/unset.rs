//! `dynix unset`: an override no longer holds.

use super::apply::Task;
use super::session::Session;
use super::{place, recording};
use crate::cli::Unset;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::Change;

/// Records it, and applies it where that is asked for.
pub fn run(arguments: &Unset, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let path = place::parse(&arguments.path)?;
    let folded = log.fold()?;
    let concerned: Vec<_> = folded
        .overlay
        .leaves()
        .into_iter()
        .filter(|(leaf, one)| leaf.starts_with(&path) || path.starts_with(leaf) && one.value.is_object())
        .map(|(leaf, _)| leaf)
        .collect();
    let mut trial = recording::start(arguments.recording.confirm, &paths, session)?;
    if concerned.is_empty() {
        messages::info(format!("nothing is overridden at {path}; see `dynix status`"));
    } else {
        let ids = recording::record(&log, &[Change::Unset(path.clone())], &mut trial, None, session)?;
        messages::info(format!("recorded {}: unset {path}", ids[0]));
    }
    if arguments.recording.apply {
        let services = concerned.iter().chain([&path]).filter_map(|path| place::find(&plan, path).ok());
        let services = services.map(|place| place.service_name.to_owned()).collect();
        let mut task = Task::new(&plan, &paths, Some(services), session);
        task.request.trial = trial;
        return task.run(session);
    }
    Ok(Exit::Done)
}
