//! `dynix metrics`: print metrics in Prometheus text format.

use crate::exit::Exit;
use crate::system::session::Session;

/// Prints the text.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    super::print(session.open()?.metrics()?.as_bytes())
}
