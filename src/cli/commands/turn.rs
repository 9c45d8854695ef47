//! A command's turn to change what is in effect: with the locks, and on the system that is there once it has them.
//!
//! Who waits for a switch, or evaluates an expression first, has read the plan of a system that may be gone by then.

use std::time::Duration;

use super::session::Session;
use crate::host::fs::lock::Patience;
use crate::host::paths::Paths;
use crate::host::timings;
use crate::plan::Plan;
use crate::reconcile::Occasion;
use crate::reconcile::locks::{self, Locks};

/// Nobody else applies, and nobody switches, while there is one.
pub struct Turn<'t> {
    /// The proof of that.
    pub locks: Locks,
    known: (&'t Plan, &'t Paths),
    switched: Option<(Plan, Paths)>,
}

impl<'t> Turn<'t> {
    /// Waits for it. `known`: what was read before.
    pub fn take(
        known: (&'t Plan, &'t Paths),
        occasion: Occasion,
        patience: Duration,
        session: &Session,
    ) -> anyhow::Result<Self> {
        let is_over = || session.is_ending();
        let locks = locks::take(known.1, occasion, Patience::until(patience, &is_over), super::waiting)?;
        timings::mark("locks");
        Ok(Self { locks, known, switched: session.load_if_switched(known.1)? })
    }

    /// The plan and the paths that count now.
    #[must_use]
    pub fn system(&self) -> (&Plan, &Paths) {
        self.switched.as_ref().map_or(self.known, |(plan, paths)| (plan, paths))
    }
}
