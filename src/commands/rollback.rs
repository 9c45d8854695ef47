//! `dynix rollback`: back to what held after an earlier record.

use super::apply::Task;
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
    match target {
        None => messages::info("no record holds; there is nothing to take back"),
        Some(to) => {
            let ids = log.append(&[Change::Rollback(to)], &session.user(), None, super::waiting)?;
            messages::info(format!("recorded {}: rollback to {to}", ids[0]));
        }
    }
    if arguments.recording.apply { Task::new(&plan, &paths, None, session).run(session) } else { Ok(Exit::Done) }
}
