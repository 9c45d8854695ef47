//! Time for an apply: the time of day, and the time since a moment of this boot.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A source of time.
pub trait Clock: Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Time that only ever goes forward, and is the same for all processes (`clock_gettime(2)`, `CLOCK_MONOTONIC`).
    fn monotonic(&self) -> Duration;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
    }
}
