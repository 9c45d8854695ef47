//! Signals during an apply, and a word to whoever sent one.

use std::io;
use std::sync::Once;

use crate::host::interruption::{Interruption, Signals};
use crate::host::messages;

/// The signals that an apply heeds.
#[derive(Debug)]
pub struct Heeded {
    signals: Signals,
    said: Once,
}

impl Heeded {
    /// Catches them.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { signals: Signals::catch()?, said: Once::new() })
    }

    /// The signal that asked for the end, if one did.
    #[must_use]
    pub fn wanted(&self) -> Option<i32> {
        self.signals.wanted()
    }
}

impl Interruption for Heeded {
    fn begin(&self) {
        self.signals.begin();
    }

    fn is_wanted(&self) -> bool {
        let wanted = self.signals.is_wanted();
        if wanted {
            self.said.call_once(|| messages::warn("interrupted: what is under way goes back first"));
        }
        wanted
    }
}
