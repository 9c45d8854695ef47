//! Measures how long each part of a command took: `DYNIX_TIMINGS=1 dynix append ...`.
//!
//! Takes a mark at the end of each part; prints a line for each on standard error when the command ends. Without the
//! variable, a mark costs one load. benches/ reads the lines to split a change into its parts (docs/performance.md).

use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Asks for it, with any value but none.
const VARIABLE: &str = "DYNIX_TIMINGS";

/// The end of a part.
struct Mark {
    part: &'static str,
    /// By the monotonic clock, which others can read as well (`clock_gettime(2)`).
    at: Duration,
}

static MARKS: OnceLock<Mutex<Vec<Mark>>> = OnceLock::new();

/// To be called first of all.
pub fn start() {
    if std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
        MARKS.get_or_init(Mutex::default);
        mark("start");
    }
}

/// Ends a part. The first mark at a place counts, so a part that runs in several threads ends with the first.
pub fn mark(part: &'static str) {
    if let Some(marks) = MARKS.get() {
        marks.lock().unwrap_or_else(PoisonError::into_inner).push(Mark { part, at: now() });
    }
}

/// To be called last of all.
pub fn tell() {
    if let Some(marks) = MARKS.get() {
        let text = lines(&marks.lock().unwrap_or_else(PoisonError::into_inner));
        crate::host::messages::info(text.trim_end());
    }
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    // This clock starts at 0 and only grows.
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// The first mark by the clock, each of the others by the time since the one before it.
fn lines(marks: &[Mark]) -> String {
    let mut text = String::new();
    for pair in marks.windows(2) {
        if text.is_empty() {
            // Writing to a String can't fail.
            let _ = writeln!(text, "timings: began at {:.6} s of the monotonic clock", pair[0].at.as_secs_f64());
        }
        let took = pair[1].at.saturating_sub(pair[0].at).as_secs_f64() * 1e3;
        let _ = writeln!(text, "timings: {took:9.3} ms  {}", pair[1].part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_the_time_since_the_one_before() {
        let mark = |part, micros| Mark { part, at: Duration::from_micros(micros) };
        assert_eq!(
            lines(&[mark("start", 2_000_000), mark("plan", 2_000_250), mark("log", 2_012_250)]),
            "timings: began at 2.000000 s of the monotonic clock\n\
             timings:     0.250 ms  plan\n\
             timings:    12.000 ms  log\n"
        );
        assert_eq!(lines(&[]), "");
    }
}
