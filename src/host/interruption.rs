//! Ends what is under way on request: an apply that has touched something rolls back first, and a program that is waited
//! for ends with this one.
//!
//! [`Signals`] does this for an apply of the command line. SIGINT, SIGTERM and SIGQUIT ask for the end. SIGHUP, and the
//! signals of a terminal to a program in its background, have no effect: the apply of a running system does not depend
//! on its terminal. [`Hold`] does it for the evaluator, which would otherwise go on by itself: a signal that ends this
//! process ends it as soon as the evaluator is gone. Before and after, the signals do what they do to any program,
//! except those that a part of the program handles by itself ([`handled_elsewhere`]).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// The signals of this process, for an apply.
#[derive(Debug)]
pub struct Signals(());

impl Signals {
    /// Catches them.
    pub fn catch() -> io::Result<Self> {
        Caught::lock().catch()?;
        Ok(Self(()))
    }

    /// The signal that asked for the end, if one did.
    #[must_use]
    pub fn wanted(&self) -> Option<i32> {
        Caught::lock().arrived(&ENDING)
    }
}

impl Interruption for Signals {
    fn begin(&self) {
        Caught::lock().settle(|caught| caught.is_apply = true);
    }

    fn is_wanted(&self) -> bool {
        self.wanted().is_some()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        Caught::lock().settle(|caught| caught.is_apply = false);
    }
}

/// Until it is dropped, a signal does not end this process, but asks for the end of the program that it waits for. Then
/// the signal takes effect, as soon as the last one is dropped.
#[derive(Debug)]
pub struct Hold {
    /// Whether the signals that ask an apply to end ask for it, too.
    in_apply: bool,
}

impl Hold {
    /// For a program whose result an apply can't do without.
    #[must_use]
    pub fn begin() -> Self {
        Self::new(false)
    }

    /// For a program that comes before anything is touched.
    #[must_use]
    pub fn begin_also_in_apply() -> Self {
        Self::new(true)
    }

    fn new(in_apply: bool) -> Self {
        let mut caught = Caught::lock();
        // Without it, a signal ends this process alone, as it does any other.
        let _ = caught.catch();
        caught.settle(|caught| caught.holds += 1);
        Self { in_apply }
    }

    /// Whether the program is to end.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let caught = Caught::lock();
        if caught.is_apply { self.in_apply && caught.arrived(&ENDING).is_some() } else { caught.ends().is_some() }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut caught = Caught::lock();
        caught.settle(|caught| caught.holds = caught.holds.saturating_sub(1));
        let ends = caught.ends().filter(|_| caught.holds == 0 && !caught.is_apply);
        drop(caught);
        if let Some(signal) = ends {
            Interrupted(signal).take_effect();
        }
    }
}

/// From now on, the caller handles these signals by itself.
pub fn handled_elsewhere(signals: &[i32]) {
    Caught::lock().settle(|caught| caught.elsewhere.extend(signals));
}

/// The signals that are caught, and what they do. There is one of these in a process, as there is one set of handlers.
#[derive(Debug)]
struct Caught {
    signals: Vec<CaughtSignal>,
    /// Whether an apply is under way.
    is_apply: bool,
    /// How many programs are waited for.
    holds: usize,
    /// Those that other parts of the program handle.
    elsewhere: Vec<i32>,
}

#[derive(Debug)]
struct CaughtSignal {
    number: i32,
    /// Whether it has its usual effect.
    usual: Arc<AtomicBool>,
    /// Whether it came when it had not.
    arrived: Arc<AtomicBool>,
}

static CAUGHT: Mutex<Caught> =
    Mutex::new(Caught { signals: Vec::new(), is_apply: false, holds: 0, elsewhere: Vec::new() });

impl Caught {
    fn lock() -> MutexGuard<'static, Self> {
        CAUGHT.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Catches all signals, once.
    fn catch(&mut self) -> io::Result<()> {
        for number in ENDING.into_iter().chain(IGNORED) {
            if self.signals.iter().any(|one| one.number == number) {
                continue;
            }
            let usual = Arc::new(AtomicBool::new(self.is_usual(number)));
            let arrived = Arc::default();
            flag::register_conditional_default(number, Arc::clone(&usual))?;
            flag::register(number, Arc::clone(&arrived))?;
            self.signals.push(CaughtSignal { number, usual, arrived });
        }
        Ok(())
    }

    /// Changes what is under way, and with it what the signals do.
    fn settle(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        for one in &self.signals {
            one.usual.store(self.is_usual(one.number), Ordering::SeqCst);
        }
    }

    fn is_usual(&self, number: i32) -> bool {
        let is_held = self.holds > 0 && (ENDING.contains(&number) || number == SIGHUP);
        !self.is_apply && !is_held && !self.elsewhere.contains(&number)
    }

    /// The first of these signals that came.
    fn arrived(&self, numbers: &[i32]) -> Option<i32> {
        let came = |one: &&CaughtSignal| numbers.contains(&one.number) && one.arrived.load(Ordering::SeqCst);
        self.signals.iter().find(came).map(|one| one.number).filter(|number| !self.elsewhere.contains(number))
    }

    /// The signal that ends this process as soon as nothing is waited for.
    fn ends(&self) -> Option<i32> {
        self.arrived(&ENDING).or_else(|| self.arrived(&[SIGHUP]))
    }
}

/// It was interrupted. The process ends by the signal, so that its parent sees that.
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
