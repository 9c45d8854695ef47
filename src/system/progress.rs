//! What happens during a request, for whoever waits for it.

use std::fmt::Debug;

use crate::reconcile::action::Action;

/// Whoever is told of progress. What comes of a request is not told here: the request gives it as data.
pub trait Progress: Debug + Send + Sync {
    /// Something is not as one would expect.
    fn warn(&self, message: &str);

    /// Something that is worth a line while one waits.
    fn inform(&self, message: &str);

    /// Somebody else holds what is needed, and is waited for.
    fn waits_for(&self, holder: &str) {
        self.inform(&format!("waiting for {holder}"));
    }

    /// An apply takes a step.
    fn step(&self, action: &Action);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn warn(&self, _message: &str) {}

    fn inform(&self, _message: &str) {}

    fn step(&self, _action: &Action) {}
}
