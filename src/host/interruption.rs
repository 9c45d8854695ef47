//! Ends an apply early on request: an apply that has touched something rolls back first.
//!
//! [`Signals`] does this for the command line. SIGINT, SIGTERM and SIGQUIT ask for the end. SIGHUP, and the signals of
//! a terminal to a program in its background, have no effect: the apply of a running system does not depend on its
//! terminal. All of this holds only during an apply; before and after, the signals do what they do to any program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use signal_hook::{flag, low_level};

/// Asks to end.
const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGQUIT];
/// Has no effect on an apply.
const IGNORED: [i32; 4] = [SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU];

/// Whether an apply is to end early.
pub trait Interruption: Sync {
    /// The apply begins: from here on, nothing but the apply itself ends it.
    fn begin(&self);

    /// Whether it is to go back and end.
    fn is_wanted(&self) -> bool;
}

/// An apply that is never interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uninterrupted;

impl Interruption for Uninterrupted {
    fn begin(&self) {}

    fn is_wanted(&self) -> bool {
        false
    }
}

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    /// The signal that asked for the end; 0 for none.
    wanted: Arc<AtomicUsize>,
    /// Whether signals have their usual effect.
    usual: Arc<AtomicBool>,
}

impl Signals {
    /// Catches them.
    pub fn catch() -> io::Result<Self> {
        let signals = Self { wanted: Arc::default(), usual: Arc::new(AtomicBool::new(true)) };
        for signal in ENDING.into_iter().chain(IGNORED) {
            flag::register_conditional_default(signal, Arc::clone(&signals.usual))?;
        }
        for signal in ENDING {
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            flag::register_usize(signal, Arc::clone(&signals.wanted), number)?;
        }
        Ok(signals)
    }

    /// The signal that asked for the end, if one did.
    #[must_use]
    pub fn wanted(&self) -> Option<i32> {
        i32::try_from(self.wanted.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}

impl Interruption for Signals {
    fn begin(&self) {
        self.usual.store(false, Ordering::SeqCst);
    }

    fn is_wanted(&self) -> bool {
        self.wanted().is_some()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.usual.store(true, Ordering::SeqCst);
    }
}

/// An apply was interrupted. The process ends by the signal, so that its parent sees that.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted(pub i32);

impl Interrupted {
    /// Does to this process what the signal does by default.
    pub fn take_effect(self) {
        // If the signal has no effect, the exit code reports the failure.
        let _ = low_level::emulate_default_handler(self.0);
    }
}
