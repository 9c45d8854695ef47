//! Counts how often each user uses each rule: `rate` of `dynamicism.daemon.allow`.
//!
//! The counts are in memory, and in a file below /run that gets each use before the use takes effect. So neither the
//! end of a daemon nor a crash gives anybody more than a rule says.

use std::collections::VecDeque;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::policy::Used;
use crate::host::fs::{FileError, json_file};
use crate::plan::DaemonSpec;
use crate::plan::rule::Rate;
use crate::varlink::answer::Denied;

/// The file is written anew when it has more lines than this.
const LINES: usize = 4096;

/// The uses that still count.
#[derive(Debug)]
pub struct Uses {
    file: Utf8PathBuf,
    lines: usize,
    known: Vec<Use>,
}

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
    /// Those of the daemons before, which are in this file.
    pub fn load(file: &Utf8Path) -> Result<Self, FileError> {
        let lines: Vec<Vec<Use>> = json_file::lines(file)?;
        let mut uses = Self { file: file.to_owned(), lines: lines.len(), known: Vec::new() };
        for Use { user, rule, pattern, times } in lines.into_iter().flatten() {
            uses.times(user, &Used { rule, pattern }).extend(times);
        }
        Ok(uses)
    }

    /// Chooses, for each of `allowed`, one of its parts that is not used up, and gives those with a rate. It is an
    /// error if all parts of one of them were used too often.
    pub fn check(
        &mut self,
        user: u32,
        allowed: Vec<Vec<Used>>,
        spec: &DaemonSpec,
        now: Duration,
    ) -> Result<Vec<Used>, Denied> {
        let mut limited: Vec<Used> = Vec::new();
        for parts in allowed {
            let is_free = |part: &Used| limited.contains(part) || rate(spec, &part.rule, &part.pattern).is_none();
            if parts.iter().any(is_free) {
                continue;
            }
            let mut refused: Option<(Duration, String)> = None;
            let mut found = None;
            for part in parts {
                match self.wait(user, &part, spec, now) {
                    None => {
                        found = Some(part);
                        break;
                    }
                    Some(sooner) if refused.as_ref().is_none_or(|later| sooner.0 < later.0) => refused = Some(sooner),
                    Some(_) => {}
                }
            }
            match (found, refused) {
                (Some(part), _) => limited.push(part),
                (None, Some((retry, reason))) => return Err(Denied::TooOften { reason, retry }),
                (None, None) => {}
            }
        }
        Ok(limited)
    }

    /// How long a part can't be used again, and why; `None` if it can.
    fn wait(&mut self, user: u32, part: &Used, spec: &DaemonSpec, now: Duration) -> Option<(Duration, String)> {
        let (rate, text) = rate(spec, &part.rule, &part.pattern)?;
        let times = self.times(user, part);
        expire(times, rate, now);
        let first = times.front().filter(|_| times.len() >= rate.times as usize)?;
        let retry = rate.period.saturating_sub(now.saturating_sub(*first));
        Some((retry, format!("{}: only {text} are allowed", part.pattern)))
    }

    /// Counts a use of each of these parts. A use that can't be stored is not counted, and is refused.
    pub fn count(&mut self, user: u32, parts: &[Used], spec: &DaemonSpec, now: Duration) -> Result<(), FileError> {
        if parts.is_empty() {
            return Ok(());
        }
        if self.lines >= LINES {
            self.known.retain_mut(|one| {
                if let Some((rate, _)) = rate(spec, &one.rule, &one.pattern) {
                    expire(&mut one.times, rate, now);
                    return !one.times.is_empty();
                }
                false
            });
            json_file::save(&self.file, &self.known, 0o600)?;
            self.lines = 1;
        }
        let of =
            |part: &Used| Use { user, rule: part.rule.clone(), pattern: part.pattern.clone(), times: [now].into() };
        json_file::add_line(&self.file, &parts.iter().map(of).collect::<Vec<Use>>())?;
        self.lines += 1;
        for part in parts {
            self.times(user, part).push_back(now);
        }
        Ok(())
    }

    fn times(&mut self, user: u32, part: &Used) -> &mut VecDeque<Duration> {
        let is_it = |one: &Use| one.user == user && one.rule == part.rule && one.pattern == part.pattern;
        let at = self.known.iter().position(is_it).unwrap_or_else(|| {
            let Used { rule, pattern } = part.clone();
            self.known.push(Use { user, rule, pattern, times: VecDeque::new() });
            self.known.len() - 1
        });
        &mut self.known[at].times
    }
}

/// The rate of a part of a rule, if it has one.
fn rate<'s>(spec: &'s DaemonSpec, rule: &str, pattern: &str) -> Option<(Rate, &'s str)> {
    let text = spec.allow.get(rule)?.options.get(pattern)?.rate.as_deref()?;
    // One that can't be read was refused when the system was built.
    Some((Rate::parse(text).ok()?, text))
}

/// Drops uses that no longer count.
fn expire(times: &mut VecDeque<Duration>, rate: Rate, now: Duration) {
    while times.front().is_some_and(|first| now.saturating_sub(*first) >= rate.period) {
        times.pop_front();
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

    fn file() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("uses.json");
        (directory, path)
    }

    fn count(known: &mut Uses, user: u32, now: Duration) -> Result<(), Denied> {
        let (spec, parts) = limited();
        let checked = known.check(user, vec![parts.to_vec()], &spec, now)?;
        known.count(user, &checked, &spec, now).unwrap();
        Ok(())
    }

    #[test]
    fn more_often_than_allowed_is_refused_until_the_time_is_over() {
        let (_keep, path) = file();
        let mut uses = Uses::load(&path).unwrap();
        let mut count = |user, seconds: u64| count(&mut uses, user, Duration::from_secs(1000 + seconds));
        assert_eq!((count(1, 0), count(1, 10)), (Ok(()), Ok(())));
        let Err(Denied::TooOften { retry, .. }) = count(1, 20) else { panic!("it is let through") };
        assert_eq!(retry, Duration::from_secs(40));
        assert_eq!(count(2, 20), Ok(()));
        assert_eq!((count(1, 60), count(1, 61).is_err(), count(1, 70)), (Ok(()), true, Ok(())));
    }

    #[test]
    fn of_several_parts_any_is_enough() {
        let (_keep, path) = file();
        let spec: DaemonSpec = serde_json::from_value(
            json!({"allow": {"r": {"options": {"a": {"rate": "1/min"}, "*": {"rate": "2/min"}, "b": {}}}}}),
        )
        .unwrap();
        let part = |pattern: &str| Used { rule: "r".to_owned(), pattern: pattern.to_owned() };
        let mut uses = Uses::load(&path).unwrap();
        let mut count = |allowed: Vec<Vec<Used>>, seconds| {
            let now = Duration::from_secs(seconds);
            let checked = uses.check(1, allowed, &spec, now)?;
            uses.count(1, &checked, &spec, now).unwrap();
            Ok::<_, Denied>(checked)
        };
        let any = || vec![vec![part("*"), part("a")]];
        assert_eq!(count(any(), 10), Ok(vec![part("*")]));
        // One that is used anyway is enough for everything else that it allows.
        assert_eq!(count(vec![vec![part("a")], vec![part("a"), part("*")]], 11), Ok(vec![part("a")]));
        assert_eq!(count(any(), 12), Ok(vec![part("*")]));
        let Err(Denied::TooOften { retry, .. }) = count(any(), 20) else { panic!("it is let through") };
        assert_eq!(retry, Duration::from_secs(50));
        // What is not limited is enough.
        assert_eq!(count(vec![vec![part("*"), part("b")]], 21), Ok(vec![]));
    }

    #[test]
    fn the_next_daemon_goes_on_counting_however_this_one_ends() {
        let (_keep, path) = file();
        let mut uses = Uses::load(&path).unwrap();
        count(&mut uses, 1, Duration::from_secs(10)).unwrap();
        count(&mut uses, 1, Duration::from_millis(20_500)).unwrap();
        // A line that was cut off is of a use that came to nothing.
        let cut = std::fs::read_to_string(&path).unwrap() + "\n[{\"user\":1,\"ru";
        std::fs::write(&path, cut).unwrap();
        let mut next = Uses::load(&path).unwrap();
        assert_eq!(next.known, uses.known);
        assert!(count(&mut next, 1, Duration::from_secs(30)).is_err());
        assert_eq!(count(&mut next, 1, Duration::from_secs(70)), Ok(()));
        assert!(count(&mut Uses::load(&path).unwrap(), 1, Duration::from_secs(71)).is_err());
    }

    #[test]
    fn what_the_first_version_kept_counts() {
        let (_keep, path) = file();
        let times = r#"[{"secs":10,"nanos":0},{"secs":20,"nanos":5}]"#;
        std::fs::write(&path, format!(r#"[{{"user":1,"rule":"r","pattern":"a","times":{times}}}]"#)).unwrap();
        let mut uses = Uses::load(&path).unwrap();
        assert!(count(&mut uses, 1, Duration::from_secs(30)).is_err());
        count(&mut uses, 2, Duration::from_secs(30)).unwrap();
        assert_eq!(Uses::load(&path).unwrap().known, uses.known);
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let (_keep, path) = file();
        let mut uses = Uses::load(&path).unwrap();
        for minute in 0..2 * LINES as u64 {
            count(&mut uses, 1, Duration::from_secs(60 * minute)).unwrap();
        }
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LINES, "{lines}");
        assert_eq!(Uses::load(&path).unwrap().known[0].times.back(), uses.known[0].times.back());
    }
}
