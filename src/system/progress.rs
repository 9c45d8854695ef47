//! The events of a request, for the caller that waits for it.

use std::fmt::Debug;

use crate::host::messages;
use crate::reconcile::action::Action;

/// The receiver of progress. The result of a request is not progress: the request returns it as data.
pub trait Progress: Debug + Send + Sync {
    /// Something is not as one would expect.
    fn warn(&self, message: &str);

    /// Something that is worth a line while one waits.
    fn inform(&self, message: &str);

    /// The request waits for `holder`, who has what it needs.
    fn waits_for(&self, holder: &str) {
        self.inform(&format!("waiting for {holder}"));
    }

    /// An apply runs a step.
    fn step(&self, action: &Action);

    /// Something that takes a while begins.
    fn busy(&self, _what: &str) {}
}

/// Reports to standard error: to the terminal of the user who runs a command, to the journal under systemd.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages {
    /// Whether every step is of interest.
    pub verbose: bool,
}

impl Progress for Messages {
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
