//! `dynix withdraw`: takes everything of dynix out of effect, for a switch to a system without dynix.

use crate::exit::Exit;
use crate::system::session::Session;

/// Takes back what is in effect.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    session.open()?.withdraw().map(|()| Exit::Done)
}
