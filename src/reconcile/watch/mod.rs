//! What is watched after an apply, and what an observation of it means: pure.
//!
//! Units that were acted on are watched for a while ([`crate::plan::Plan::watch`]). Takes their state in systemd; gives
//! whether their service works, does not work, or needs another look. [`upkeep`] acts on it.

pub mod upkeep;

mod failure;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::host::systemd::Observed;
use crate::reconcile::state::InEffect;

/// How many changes on top of each other can roll back one by one. More than this are merged.
const MOST: usize = 8;

/// The watch over one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watch {
    /// Unlike that of any other watch since the boot.
    pub id: u64,
    /// The user who made the change.
    pub by: String,
    /// When it ends, in seconds of the monotonic clock.
    pub end: f64,
    /// How long it lasts.
    pub window: f64,
    /// The units, each with how often systemd had started it again when the watch began.
    pub units: BTreeMap<String, u32>,
    /// The changes that are not known to work, oldest first.
    pub changes: Vec<Unproven>,
}

/// A change that is not known to work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unproven {
    /// The state before the change, to roll back to.
    pub back: InEffect,
    /// The digest of the overrides that this was from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Whether it was seen to work on these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub works: bool,
    /// The last record that was applied before: those since then are to blame.
    pub log_id: u64,
    /// The records among those that were made for it: they are to blame first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<u64>,
    /// Rejections of records that failed on top of this change. If this change turns out not to work, they were perhaps
    /// not to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubtful: Vec<u64>,
}

impl Watch {
    /// A watch that begins `now`.
    #[must_use]
    pub fn begin(by: &str, now: f64, window: f64) -> Self {
        let mut watch =
            Self { id: 0, by: by.to_owned(), end: 0.0, window, units: BTreeMap::new(), changes: Vec::new() };
        watch.renew(now);
        watch
    }

    /// Begins it anew.
    pub fn renew(&mut self, now: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds since the boot")]
        let id = (now * 1e9) as u64;
        self.id = id;
        self.end = now + self.window;
    }

    /// Adds a change on top of the others.
    pub fn push(&mut self, change: Unproven) {
        self.changes.push(change);
        if self.changes.len() > MOST {
            // The oldest two can only roll back together.
            let newer = self.changes.remove(1);
            self.changes[0].doubtful.extend(newer.doubtful);
        }
    }

    /// Seconds until it ends.
    #[must_use]
    pub fn left(&self, now: f64) -> f64 {
        (self.end - now).max(0.0)
    }

    /// Judges an observation of its units. `deadline`: how long a unit may take to come up.
    #[must_use]
    pub fn judge(&self, observed: &[Observed], now: f64, deadline: f64) -> Verdict {
        let mut over = true;
        let mut stopped = false;
        let mut settled = true;
        for unit in observed {
            let Some(restarts) = self.units.get(&unit.status.unit) else { continue };
            match condition(unit, *restarts) {
                Condition::Failed(reason) => return Verdict::Failed(format!("{}: {reason}", unit.status.unit)),
                Condition::Settled => {}
                Condition::Up => settled = false,
                Condition::Down => {
                    settled = false;
                    stopped = true;
                }
                Condition::Changing if now < self.end + deadline => {
                    over = false;
                    settled = false;
                }
                Condition::Changing => {
                    let (state, sub) = (&unit.status.active_state, &unit.sub_state);
                    return Verdict::Failed(format!(
                        "{}: it is {state} ({sub}) {} s after the apply",
                        unit.status.unit,
                        (self.window + deadline).round()
                    ));
                }
            }
        }
        match (settled, over && now >= self.end, stopped) {
            (true, ..) | (_, true, false) => Verdict::Works,
            (_, true, true) => Verdict::Unknown,
            _ => Verdict::Wait,
        }
    }

    /// When to look again at the latest.
    #[must_use]
    pub fn next_look(&self, now: f64) -> f64 {
        // A unit that is about to change is observed often; systemd also sends signals about it.
        if now < self.end { self.end } else { now + 1.0 }
    }
}

/// The verdict on an observation of a service's units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is too early for a verdict.
    Wait,
    /// It stayed up.
    Works,
    /// It did not.
    Failed(String),
    /// Somebody stopped it, so there was nothing to see.
    Unknown,
}

/// How one unit is.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    /// It did what it is for, and nothing can happen to it any more.
    Settled,
    Up,
    /// It is between two states, or about to be.
    Changing,
    /// Somebody stopped it, or it waits for something that starts it.
    Down,
    Failed(String),
}

fn condition(unit: &Observed, restarts: u32) -> Condition {
    let status = &unit.status;
    let is_oneshot = unit.kind.as_deref() == Some("oneshot");
    let failed = || {
        let exit = unit.exit_status.map(|status| format!(", exit status {status}")).unwrap_or_default();
        let result = unit.result.as_ref().map(|result| format!(", last result {result}{exit}")).unwrap_or_default();
        Condition::Failed(format!("it is {} ({}){result}", status.active_state, unit.sub_state))
    };
    // A start by hand sets the counter to 0 (systemd.service(5), `Restart=`).
    if unit.restarts.is_some_and(|now| now > restarts) || unit.sub_state == "auto-restart" {
        return match failed() {
            Condition::Failed(reason) => Condition::Failed(format!("systemd had to start it again; {reason}")),
            other => other,
        };
    }
    match (status.active_state.as_str(), status.job.as_deref()) {
        (_, Some(_)) | ("activating" | "deactivating" | "maintenance" | "refreshing", _) => Condition::Changing,
        ("active" | "reloading", _) if is_oneshot => Condition::Settled,
        ("active" | "reloading", _) => Condition::Up,
        _ if status.was_stopped || status.load_state == "not-found" => Condition::Down,
        // A oneshot without RemainAfterExit= ends as inactive.
        ("inactive", _) if unit.result.as_deref() == Some("success") && is_oneshot => Condition::Settled,
        // A unit that is started on demand may end when nobody needs it any more.
        ("inactive", _) if unit.result.as_deref() == Some("success") && unit.is_triggered => Condition::Down,
        _ => failed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::UnitStatus;

    const UNIT: &str = "x.service";

    fn unit(active_state: &str, sub_state: &str) -> Observed {
        Observed {
            status: UnitStatus {
                unit: UNIT.to_owned(),
                load_state: "loaded".to_owned(),
                active_state: active_state.to_owned(),
                job: None,
                was_stopped: false,
            },
            sub_state: sub_state.to_owned(),
            kind: Some("simple".to_owned()),
            restarts: Some(0),
            active_since: None,
            result: Some("success".to_owned()),
            exit_status: None,
            is_triggered: false,
        }
    }

    fn watch() -> Watch {
        let mut watch = Watch::begin("root", 100.0, 30.0);
        watch.units.insert(UNIT.to_owned(), 0);
        watch
    }

    fn is(observed: Observed, now: f64) -> Verdict {
        watch().judge(&[observed], now, 90.0)
    }

    #[test]
    fn a_unit_that_stays_up_works_when_the_time_is_over_and_not_before() {
        assert_eq!(is(unit("active", "running"), 129.9), Verdict::Wait);
        assert_eq!(is(unit("active", "running"), 130.0), Verdict::Works);
    }

    #[test]
    fn a_unit_that_went_down_by_itself_or_was_started_again_does_not_work() {
        for (state, sub) in [("failed", "failed"), ("inactive", "dead"), ("activating", "auto-restart")] {
            assert!(matches!(is(unit(state, sub), 101.0), Verdict::Failed(_)), "{state} {sub}");
        }
        let again = Observed { restarts: Some(1), ..unit("active", "running") };
        let Verdict::Failed(reason) = is(again, 101.0) else { panic!() };
        assert!(reason.starts_with("x.service: systemd had to start it again"), "{reason}");
        // Of a unit that reloads, only what came after the reload counts; one that was restarted by hand begins at 0.
        let mut watch = watch();
        watch.units.insert(UNIT.to_owned(), 3);
        for (restarts, verdict) in [(3, Verdict::Works), (0, Verdict::Works)] {
            let observed = Observed { restarts: Some(restarts), ..unit("active", "running") };
            assert_eq!(watch.judge(&[observed], 131.0, 90.0), verdict);
        }
    }

    #[test]
    fn what_somebody_stopped_says_nothing() {
        for state in ["inactive", "failed"] {
            let mut stopped = unit(state, "dead");
            stopped.status.was_stopped = true;
            assert_eq!(is(stopped.clone(), 101.0), Verdict::Wait);
            assert_eq!(is(stopped, 131.0), Verdict::Unknown);
        }
        let idle = Observed { is_triggered: true, ..unit("inactive", "dead") };
        assert_eq!(is(idle, 131.0), Verdict::Unknown);
    }

    #[test]
    fn a_oneshot_works_as_soon_as_it_is_done() {
        for state in ["active", "inactive"] {
            let done = Observed { kind: Some("oneshot".to_owned()), ..unit(state, "exited") };
            assert_eq!(is(done, 100.1), Verdict::Works);
        }
    }

    #[test]
    fn a_unit_that_changes_is_waited_for_but_not_for_ever() {
        for (state, job) in [("activating", None), ("failed", Some("start")), ("active", Some("stop"))] {
            let mut changing = unit(state, "start");
            changing.status.job = job.map(str::to_owned);
            assert_eq!(is(changing.clone(), 131.0), Verdict::Wait);
            assert!(matches!(is(changing, 221.0), Verdict::Failed(_)));
        }
    }

    #[test]
    fn of_many_changes_the_oldest_become_one() {
        let mut watch = watch();
        for log_id in 0..20 {
            watch.push(Unproven { log_id, doubtful: vec![log_id], ..Unproven::default() });
        }
        let ids: Vec<u64> = watch.changes.iter().map(|change| change.log_id).collect();
        assert_eq!(ids, [0, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(watch.changes[0].doubtful, (0..13).collect::<Vec<_>>());
    }
}
