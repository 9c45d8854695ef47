//! Signals during an apply, and a message to the sender.

use std::io;
use std::sync::{Arc, Once};

use super::progress::Progress;
use crate::host::interruption::{Interruption, Signals};

/// The signals that an apply heeds.
#[derive(Debug)]
pub struct Heeded {
    signals: Signals,
    progress: Arc<dyn Progress>,
    warned: Once,
}

impl Heeded {
    /// Catches them.
    pub fn catch(progress: Arc<dyn Progress>) -> io::Result<Self> {
        Ok(Self { signals: Signals::catch()?, progress, warned: Once::new() })
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
            self.warned.call_once(|| self.progress.warn("interrupted: what is under way goes back first"));
        }
        wanted
    }
}
