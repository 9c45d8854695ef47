//! `dynix watch`: the process that an apply leaves running. It rolls back values on which a unit fails.

use super::apply;
use crate::exit::Exit;
use crate::system::session::Session;

/// Watches until nothing is to be watched any more, or until it is asked to end.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    session.watch(|report| {
        apply::show(report, crate::cli::commands::change::Records::default(), false, false).map(|_| ())
    })?;
    Ok(Exit::Done)
}
