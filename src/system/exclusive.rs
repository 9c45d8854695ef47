//! Gives a request the locks to change what is in effect, and then opens the system that runs.
//!
//! A request that waits for a switch, or evaluates an expression first, may have read the plan of a system that is gone
//! by then.

use std::time::Duration;

use super::System;
use crate::host::fs::lock::Patience;
use crate::host::timings;
use crate::reconcile::Occasion;
use crate::reconcile::locks::{self, Locks};

/// Holds the locks: nobody else applies or switches while it exists.
pub struct Exclusive<'t> {
    /// The proof of that.
    pub locks: Locks,
    opened: &'t System<'t>,
    switched: Option<System<'t>>,
}

impl<'t> Exclusive<'t> {
    /// Waits for it.
    pub fn take(opened: &'t System<'t>, occasion: Occasion, patience: Duration) -> anyhow::Result<Self> {
        let session = opened.session;
        let is_over = || session.is_ending();
        let waits = |holder: &str| session.progress().waits_for(holder);
        let locks = locks::take(&opened.paths, occasion, Patience::until(patience, &is_over), waits)?;
        timings::mark("locks");
        Ok(Self { locks, opened, switched: session.open_if_switched(&opened.paths)? })
    }

    /// The system that runs now.
    #[must_use]
    pub fn system(&self) -> &System<'t> {
        self.switched.as_ref().unwrap_or(self.opened)
    }
}
