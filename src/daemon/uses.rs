//! How often each user made use of each rule: `rate` of `dynamicism.daemon.allow`.
//!
//! Kept in memory, and in a file below /run from one daemon to the next: who waits until it has ended for want of clients may
//! do no more than who does not.

use std::collections::VecDeque;
use std::time::Duration;

use camino::Utf8Path;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::answer::Denied;
use super::policy::{Rate, Used};
use crate::fs::{FileError, kept};
use crate::plan::DaemonSpec;

/// What was let through and still counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uses(Vec<Use>);

/// Of one part of a rule by one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    user: u32,
    rule: String,
    pattern: String,
    /// Since the boot, oldest first.
    times: VecDeque<Duration>,
}

/// Since the boot, suspended time included (`clock_gettime(2)`, `CLOCK_BOOTTIME`): the same for every process.
#[must_use]
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

impl Uses {
    /// Those that the daemon before kept.
    pub fn load(path: &Utf8Path) -> Result<Self, FileError> {
        Ok(kept::load(path)?.unwrap_or_default())
    }

    /// Keeps them for the next daemon.
    pub fn save(&self, path: &Utf8Path) -> Result<(), FileError> {
        kept::save(path, self, 0o600)
    }

    /// Counts one use of each part of a rule, or none of them.
    pub fn count(&mut self, user: u32, parts: &[Used], spec: &DaemonSpec, now: Duration) -> Result<(), Denied> {
        let limited: Vec<(&Used, Rate, &str)> = parts
            .iter()
            .filter_map(|one| {
                let rate = spec.allow.get(&one.rule)?.options.get(&one.pattern)?.rate.as_deref()?;
                // One that can't be read was refused when the system was built.
                Some((one, Rate::parse(rate).ok()?, rate))
            })
            .collect();
        for (one, rate, text) in &limited {
            let times = self.of(user, one);
            while times.front().is_some_and(|first| now.saturating_sub(*first) >= rate.period) {
                times.pop_front();
            }
            if let (true, Some(first)) = (times.len() >= rate.times as usize, times.front()) {
                let retry = rate.period.saturating_sub(now.saturating_sub(*first));
                return Err(Denied::TooOften { reason: format!("{}: only {text} are allowed", one.pattern), retry });
            }
        }
        for (one, ..) in limited {
            self.of(user, one).push_back(now);
        }
        Ok(())
    }

    fn of(&mut self, user: u32, part: &Used) -> &mut VecDeque<Duration> {
        let is_it = |one: &Use| one.user == user && one.rule == part.rule && one.pattern == part.pattern;
        let at = self.0.iter().position(is_it).unwrap_or_else(|| {
            let Used { rule, pattern } = part.clone();
            self.0.push(Use { user, rule, pattern, times: VecDeque::new() });
            self.0.len() - 1
        });
        &mut self.0[at].times
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limited() -> (DaemonSpec, [Used; 1]) {
        let spec = json!({"allow": {"r": {"options": {"a": {"rate": "2/min"}}}}});
        (serde_json::from_value(spec).unwrap(), [Used { rule: "r".to_owned(), pattern: "a".to_owned() }])
    }

    #[test]
    fn more_often_than_allowed_is_refused_until_the_time_is_over() {
        let ((spec, parts), mut uses) = (limited(), Uses::default());
        let mut count = |user, seconds: u64| uses.count(user, &parts, &spec, Duration::from_secs(1000 + seconds));
        assert_eq!((count(1, 0), count(1, 10)), (Ok(()), Ok(())));
        let Err(Denied::TooOften { retry, .. }) = count(1, 20) else { panic!("it is let through") };
        assert_eq!(retry, Duration::from_secs(40));
        assert_eq!(count(2, 20), Ok(()));
        assert_eq!((count(1, 60), count(1, 61).is_err(), count(1, 70)), (Ok(()), true, Ok(())));
    }

    #[test]
    fn the_next_daemon_goes_on_counting() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("rates.json");
        let ((spec, parts), mut uses) = (limited(), Uses::load(&path).unwrap());
        uses.count(1, &parts, &spec, Duration::from_secs(10)).unwrap();
        uses.count(1, &parts, &spec, Duration::from_millis(20_500)).unwrap();
        uses.save(&path).unwrap();
        let mut next = Uses::load(&path).unwrap();
        assert_eq!(next, uses);
        assert!(next.count(1, &parts, &spec, Duration::from_secs(30)).is_err());
        assert_eq!(next.count(1, &parts, &spec, Duration::from_secs(70)), Ok(()));
    }
}
