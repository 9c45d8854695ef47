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
    let target = match arguments.id {
        Some(id) => Some(id),
        // The last record that holds is taken back: what held is what its predecessor left.
        None => match log.holding()?.as_slice() {
            [] => None,
            [.., before, _] => Some(*before),
            [_] => Some(0),
        },
    };
    let mut trial = recording::start(arguments.recording.confirm, &paths, session)?;
    match target {
        None => messages::info("no record holds; there is nothing to take back"),
        Some(to) => {
            let ids = recording::record(&log, &[Change::Rollback(to)], &mut trial, None, session)?;
            messages::info(format!("recorded {}: rollback to {to}", ids[0]));
        }
    }
    if !arguments.recording.apply {
        return Ok(Exit::Done);
    }
    let mut task = Task::new(&plan, &paths, None, session);
    task.request.trial = trial;
    task.run(session)
}
