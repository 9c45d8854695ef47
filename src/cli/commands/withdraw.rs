//! `dynix withdraw`: nothing of dynix stays in effect, because a system without it is switched to.

use crate::exit::Exit;
use crate::system::session::Session;

/// Takes back what is in effect.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    session.open()?.withdraw().map(|()| Exit::Done)
}
