//! How long something that ends by itself may last. The command line and Varlink both parse durations here.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounds of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    shortest: Duration,
    longest: Duration,
    /// Both as text.
    words: &'static str,
}

/// How long an override may hold: ends are recorded in whole seconds.
pub const HOLDS: Bounds =
    Bounds { shortest: SECOND, longest: Duration::from_secs(3650 * DAY.as_secs()), words: "1s to 3650days" };

/// How long a change may await its confirmation: no other can be on trial until then.
pub const AWAITS: Bounds =
    Bounds { shortest: SECOND, longest: Duration::from_secs(30 * DAY.as_secs()), words: "1s to 30days" };

/// A duration that is too short or too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is too {what}; it can be {allowed}, as in 30min")]
pub struct OutOfBounds {
    given: String,
    what: &'static str,
    allowed: &'static str,
}

impl Bounds {
    /// The duration, if it is within them.
    pub fn check(self, duration: Duration) -> Result<Duration, OutOfBounds> {
        let what = match duration {
            short if short < self.shortest => "short",
            long if long > self.longest => "long",
            fine => return Ok(fine),
        };
        let given = humantime::format_duration(duration).to_string();
        Err(OutOfBounds { given, what, allowed: self.words })
    }

    /// The duration that a person writes, as in `1h 30min`.
    pub fn read(self, text: &str) -> Result<Duration, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("{error}; it can be {}, as in 30min", self.words))?;
        self.check(duration).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_or_too_long_is_refused_with_what_is_allowed() {
        for bounds in [HOLDS, AWAITS] {
            let (shortest, longest) = bounds.words.split_once(" to ").unwrap();
            assert_eq!(bounds.read(shortest), Ok(bounds.shortest));
            assert_eq!(bounds.read(longest), Ok(bounds.longest));
            for wrong in
                ["0s", "999ms", "1ns", "3651days", "9000years", "292277years", "99999999999999999999y", "", "soon"]
            {
                let problem = bounds.read(wrong).unwrap_err();
                assert!(problem.contains(&format!("it can be {}", bounds.words)), "{wrong}: {problem}");
            }
            assert!(bounds.check(Duration::MAX).is_err() && bounds.check(Duration::ZERO).is_err());
        }
        assert_eq!(AWAITS.read("0s").unwrap_err(), "0s is too short; it can be 1s to 30days, as in 30min");
    }
}
