//! When a remote is looked at next. Pure.

use std::time::Duration;

/// The longest wait after failures, unless the period is longer.
const LONGEST: Duration = Duration::from_secs(300);
/// The shortest period.
const SHORTEST: Duration = Duration::from_millis(200);

/// The time to the next look. A tenth of it is by chance, so that a fleet spreads; after failures, half of it is.
pub(super) fn wait(period: f64, failures: u32, chance: f64) -> Duration {
    let period = Duration::try_from_secs_f64(period).unwrap_or(LONGEST).max(SHORTEST);
    if failures == 0 {
        return period.mul_f64(0.95 + 0.1 * chance);
    }
    let longest = LONGEST.max(period);
    // 2^9 of the shortest is beyond the longest: the factor itself never overflows.
    let doubled = period.saturating_mul(1 << failures.min(12)).min(longest);
    doubled.mul_f64(0.5 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_up_to_a_bound() {
        let seconds = |period, failures, chance| wait(period, failures, chance).as_secs_f64();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        close(seconds(60.0, 0, 0.0), 57.0);
        close(seconds(60.0, 0, 1.0), 63.0);
        close(seconds(1.0, 1, 1.0), 2.0);
        close(seconds(1.0, 3, 0.0), 4.0);
        close(seconds(1.0, 50, 1.0), 300.0);
        close(seconds(3600.0, 50, 1.0), 3600.0);
        // A period that is none.
        close(seconds(0.0, 0, 0.5), 0.2);
        close(seconds(f64::NAN, 0, 0.5), 300.0);
        close(seconds(-1.0, 0, 0.5), 300.0);
    }
}
