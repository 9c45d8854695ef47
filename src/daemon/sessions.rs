//! Opens a new session for each request, so that no request uses what an earlier one read.

use std::sync::Arc;

use crate::system::progress::Messages;
use crate::system::session::{Given, Location, Session};

/// How the system is reached.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// The place of the system.
    pub location: Location,
    /// Whether the journal has every step of an apply.
    pub verbose: bool,
    /// A service manager in the place of systemd, if there is one.
    pub given: Option<Given>,
}

impl Sessions {
    /// A new one.
    #[must_use]
    pub fn session(&self) -> Session {
        let journal = Arc::new(Messages { verbose: self.verbose });
        Session::new(self.location.clone(), journal).managed_by(self.given.clone())
    }
}
