//! Progress on standard error, for people; under systemd, for the journal.

use crate::host::messages;
use crate::reconcile::action::Action;
use crate::system::progress::Progress;

/// The terminal of the user who runs the command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    /// Whether every step is of interest.
    pub verbose: bool,
}

impl Progress for Terminal {
    fn warn(&self, message: &str) {
        messages::warn(message);
    }

    fn inform(&self, message: &str) {
        messages::info(message);
    }

    fn step(&self, action: &Action) {
        if self.verbose {
            messages::info(action);
        }
    }
}
