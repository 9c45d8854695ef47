//! Times of the clock as text: RFC 3339, in UTC and whole seconds, as in `2026-11-21T10:00:00Z`.
//!
//! The year has four digits, and no time is before 1970: a clock beyond either limit is taken to stand at the limit.

pub mod clock;
pub mod duration;
pub mod when;

use std::time::{Duration, SystemTime};

/// The last second that has a text, in seconds since 1970.
const LAST: u64 = 253_402_300_799;

/// A time's text.
#[must_use]
pub fn text(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The time that a text says.
pub fn read(text: &str) -> Result<SystemTime, humantime::TimestampError> {
    humantime::parse_rfc3339(text)
}

/// The same in seconds since 1970; `None` for a text that is no time, or one before.
#[must_use]
pub fn seconds(text: &str) -> Option<f64> {
    Some(read(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clock_has_a_text_that_is_read_back() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (time, expected) in [
            (at(0), "1970-01-01T00:00:00Z"),
            (at(0) - Duration::from_secs(40_000_000_000), "1970-01-01T00:00:00Z"),
            (at(1_795_255_200), "2026-11-21T10:00:00Z"),
            (at(LAST), "9999-12-31T23:59:59Z"),
            (at(LAST + 1), "9999-12-31T23:59:59Z"),
            (at(i64::MAX.cast_unsigned()), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(time), expected);
            assert_eq!(text(read(expected).unwrap()), expected);
        }
        for wrong in ["", "yesterday", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2026-11-21T10:00:00"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
