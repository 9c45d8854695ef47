//! `dynix rollback`: back to what held after an earlier record.

use super::apply::Task;
use super::recording;
use super::session::Session;
use crate::cli::Rollback;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::Change;

/// Records it, and applies it where that is asked for.
pub fn run(arguments: &Rollback, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let mut trial = recording::start(arguments.recording.confirm, &paths, session)?;
    let recorded = match arguments.id {
        None => recording::take_back(&log, &mut trial, session)?,
        Some(to) => {
            let ids = recording::record(&log, &[Change::Rollback(to)], &mut trial, None, session)?;
            ids.first().map(|id| (to, *id))
        }
    };
    match recorded {
        None => messages::info("no record holds; there is nothing to take back"),
        Some((to, id)) => messages::info(format!("recorded {id}: rollback to {to}")),
    }
    if !arguments.recording.apply {
        return Ok(Exit::Done);
    }
    let mut task = Task::new(&plan, &paths, None, session);
    task.request.trial = trial;
    task.run(session)
}
