//! Times as people write them: a day, a time of a day in UTC, or how long ago.

use std::time::SystemTime;

/// The time that a text says; `now` is what durations count back from.
pub fn when(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let text = text.trim();
    let wrong = || {
        format!(
            "{text:?} is no time; write one in UTC, as in 2026-11-21, \"2026-11-21 10:00\" or 2026-11-21T10:00:00Z, or how long ago, as in 2h"
        )
    };
    let whole = match text.len() {
        // A day, and a time without seconds.
        10 if text.as_bytes()[4] == b'-' => format!("{text} 00:00:00"),
        16 if text.as_bytes()[4] == b'-' => format!("{text}:00"),
        _ => text.to_owned(),
    };
    if let Ok(time) = humantime::parse_rfc3339_weak(&whole) {
        return Ok(time);
    }
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    let ago = humantime::parse_duration(ago).map_err(|_| wrong())?;
    now.checked_sub(ago).filter(|time| *time >= SystemTime::UNIX_EPOCH).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{read, text};

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = read("2026-11-21T10:00:00Z").unwrap();
        for (given, expected) in [
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20 08:30", "2026-11-20T08:30:00Z"),
            ("2026-11-20T08:30", "2026-11-20T08:30:00Z"),
            ("2026-11-20 08:30:15", "2026-11-20T08:30:15Z"),
            ("2026-11-20T08:30:15Z", "2026-11-20T08:30:15Z"),
            ("2h", "2026-11-21T08:00:00Z"),
            ("1day 2h ago", "2026-11-20T08:00:00Z"),
        ] {
            assert_eq!(when(given, now).map(text), Ok(expected.to_owned()), "{given}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "12", "292277years", "2026-11-2"] {
            assert!(when(wrong, now).unwrap_err().contains("is no time"), "{wrong}");
        }
    }
}
