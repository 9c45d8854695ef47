//! Interprets systemd's answers (org.freedesktop.systemd1(5)): pure. Takes what was read of a unit; gives its status.
//!
//! No answer of systemd is a bug of dynix: a state that dynix does not know counts as not well.

use std::time::Duration;

use super::{Asking, JobFault, Observed, UnitStatus, Verb};

/// Settle time of units whose type has no readiness.
const SETTLE: Duration = Duration::from_millis(100);

/// A unit as systemd lists it (`ListUnitsByNames`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// `LoadState`
    pub load: String,
    /// `ActiveState`
    pub active: String,
    /// `SubState`
    pub sub: String,
    /// The type of its job, if it has one.
    pub job: Option<String>,
}

impl Unit {
    /// Whether it is active, in whatever way.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }

    /// Whether it is down, for whatever reason.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }
}

/// The properties of a service's last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// `Result`
    pub result: String,
    /// `ExecMainStatus`
    pub exit_status: i32,
}

/// When a service was up last, in microseconds of the monotonic clock; 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `InactiveExitTimestampMonotonic`
    pub inactive_exit: u64,
    /// `ActiveEnterTimestampMonotonic`
    pub active_enter: u64,
    /// `ActiveExitTimestampMonotonic`
    pub active_exit: u64,
    /// `ExecMainExitTimestampMonotonic`
    pub main_exit: u64,
}

impl Times {
    /// Whether a stop job took down a service that was up in its last run, which had this result. A main process that
    /// ends by itself ends before the unit leaves its active state; one that is stopped ends after it. A main process
    /// that was done before the unit was active (`RemainAfterExit=`) can't have taken it down at all.
    #[must_use]
    pub fn show_a_stop(self, result: &str) -> bool {
        // systemd itself stops a unit that does not answer its watchdog, or runs out of memory.
        if matches!(result, "watchdog" | "oom-kill") {
            return false;
        }
        let was_up = self.active_enter >= self.inactive_exit && self.active_exit >= self.active_enter;
        was_up && self.main_exit > 0 && (self.main_exit > self.active_exit || self.main_exit < self.active_enter)
    }
}

/// The status of the unit with this name; `None` if systemd lists none.
#[must_use]
pub fn status(name: &str, listed: Option<&Unit>, was_stopped: bool) -> UnitStatus {
    let of = |field: fn(&Unit) -> &String, otherwise: &str| {
        listed.map_or_else(|| otherwise.to_owned(), |unit| field(unit).clone())
    };
    UnitStatus {
        unit: name.to_owned(),
        load_state: of(|unit| &unit.load, "not-found"),
        active_state: of(|unit| &unit.active, "inactive"),
        job: listed.and_then(|unit| unit.job.clone()),
        was_stopped: was_stopped && listed.is_some_and(Unit::is_down),
    }
}

/// A unit of which nothing more is known than its states.
#[must_use]
pub fn bare(status: UnitStatus, listed: Option<&Unit>) -> Observed {
    Observed {
        status,
        sub_state: listed.map_or_else(|| "dead".to_owned(), |unit| unit.sub.clone()),
        kind: None,
        restarts: None,
        active_since: None,
        result: None,
        exit_status: None,
        is_triggered: false,
    }
}

/// How long a service of this type has to stay up before it counts as started (systemd.service(5), `Type=`).
#[must_use]
pub fn settle_time(kind: &str) -> Duration {
    if matches!(kind, "simple" | "exec" | "idle") { SETTLE } else { Duration::ZERO }
}

/// Microseconds of the monotonic clock, as systemd's timestamps are.
pub type Moment = u64;

/// When a unit changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `InactiveExitTimestampMonotonic`
    pub began: Moment,
    /// `InactiveEnterTimestampMonotonic`
    pub stopped: Moment,
    /// `ActiveExitTimestampMonotonic`
    pub left: Moment,
}

impl Changes {
    /// When it changed last.
    #[must_use]
    pub fn last(&self) -> Moment {
        self.began.max(self.stopped).max(self.left)
    }
}

/// Whether the unit has a job that may be one that was asked for.
#[must_use]
pub fn is_alike(unit: &Unit, verb: Verb) -> bool {
    let job = unit.job.as_deref().unwrap_or_default();
    match verb {
        Verb::Reload => job.contains("reload") || job.contains("start"),
        Verb::Start | Verb::Restart | Verb::TryRestart => job.contains("start"),
    }
}

/// The result of a job that was requested at `since` and whose end nobody saw, from the present state of its unit. A
/// unit that looks well may still fail while it settles.
pub fn ended_unseen(
    unit: &Unit,
    reload_failed: bool,
    changes: Changes,
    since: Moment,
    asking: Asking,
) -> Result<(), JobFault> {
    if reload_failed && !unit.is_down() {
        return Err(unfinished(&unit.name, "failed", asking));
    }
    if unit.is_down() && changes.stopped > since && changes.began <= since {
        // It was taken down and never begun: what it requires did not start, or somebody stopped it at that moment.
        let name = &unit.name;
        let status = asking.systemctl("status", name);
        return Err(JobFault::Hindered(format!("{name} was not started again; see `{status}`")));
    }
    Ok(())
}

/// An observation of a unit whose job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is up, or did what it is for.
    Good,
    /// Somebody restarts it: it settles after that.
    Again,
    /// It is not well.
    Bad,
}

/// How a unit is. `is_again`: systemd started it again by itself. `is_done`: it is a oneshot that ended with success, which
/// is inactive without `RemainAfterExit=`.
#[must_use]
pub fn health(unit: &Unit, is_again: bool, is_done: bool) -> Health {
    let job = unit.job.as_deref();
    if is_again {
        Health::Bad
    } else if matches!(job, Some("start" | "restart")) {
        Health::Again
    } else if unit.is_up() && job != Some("stop") || unit.active == "inactive" && is_done {
        Health::Good
    } else {
        Health::Bad
    }
}

/// The fault of a unit that somebody else stopped.
#[must_use]
pub fn stopped(unit: &str) -> JobFault {
    JobFault::Stopped(format!("{unit} was stopped by somebody else"))
}

/// Why a unit is not well. `run`: the properties of its last run, for a service.
#[must_use]
pub fn fault(unit: &Unit, was_stopped: bool, condition_holds: bool, run: Option<&Run>, asking: Asking) -> JobFault {
    let Unit { name, active, sub, .. } = unit;
    let unmet = (unit.is_down() && !condition_holds)
        .then(|| format!("a condition of it does not hold; see `{}`", asking.systemctl("status", name)));
    if unit.job.as_deref() == Some("stop") || unit.is_down() && was_stopped {
        // A restart stops a unit, too, and starts it only if its conditions hold.
        return unmet.map_or_else(|| stopped(name), |why| JobFault::Stopped(format!("{name} is down: {why}")));
    }
    if let Some(why) = unmet {
        return JobFault::Hindered(why);
    }
    JobFault::Failed(match run {
        Some(Run { result, exit_status }) => {
            format!("it is {active} ({sub}), last result {result}, exit status {exit_status}")
        }
        None => format!("it is {active} ({sub})"),
    })
}

/// The end of a job that is not done (`JobRemoved`). A unit that fails or is not ready in time is itself to blame.
#[must_use]
pub fn unfinished(unit: &str, result: &str, asking: Asking) -> JobFault {
    let see = |verb| asking.systemctl(verb, unit);
    match result {
        "failed" | "timeout" => JobFault::Failed(format!("its job ended as \"{result}\"")),
        "dependency" => {
            JobFault::Hindered(format!("a unit that it requires did not start; see `{}`", see("list-dependencies")))
        }
        "assert" => JobFault::Hindered(format!("an Assert of it does not hold; see `{}`", see("status"))),
        other => JobFault::Hindered(format!("its job ended as \"{other}\"")),
    }
}

/// The result of a canceled job for its unit: another job took its place, or somebody canceled it.
pub fn canceled(status: &UnitStatus) -> Result<(), JobFault> {
    let unit = &status.unit;
    if status.is_up() {
        return Ok(());
    }
    let goes_down = matches!(status.active_state.as_str(), "inactive" | "failed" | "deactivating");
    Err(if goes_down || status.job.as_deref() == Some("stop") {
        stopped(unit)
    } else {
        JobFault::Hindered(format!("the job for {unit} was canceled by somebody else"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_was_taken_down_is_told_from_one_that_went_down() {
        let stop = |inactive_exit, active_enter, active_exit, main_exit| {
            Times { inactive_exit, active_enter, active_exit, main_exit }.show_a_stop("success")
        };
        // Stopped: the process ended because the unit was stopping.
        assert!(stop(10, 11, 50, 52));
        // Crashed: the unit left its active state because the process ended.
        assert!(!stop(10, 11, 50, 50));
        assert!(!stop(10, 11, 50, 49));
        // It crashed while it was started: it was up in the run before.
        assert!(!stop(60, 11, 50, 61));
        // Its process was done before it was up (RemainAfterExit=): only a job can have taken it down.
        assert!(stop(10, 12, 50, 11));
        // It never ran, or its main process was never known.
        assert!(!stop(0, 0, 0, 0));
        assert!(!stop(10, 11, 50, 0));
        // systemd took it down.
        let times = Times { inactive_exit: 10, active_enter: 11, active_exit: 50, main_exit: 52 };
        assert!(!times.show_a_stop("watchdog") && !times.show_a_stop("oom-kill"));
    }

    #[test]
    fn nobody_is_blamed_for_what_others_did() {
        for result in ["dependency", "assert", "skipped", "something new"] {
            assert!(matches!(unfinished("a.service", result, Asking::System), JobFault::Hindered(_)), "{result}");
        }
        for result in ["failed", "timeout"] {
            assert!(matches!(unfinished("a.service", result, Asking::System), JobFault::Failed(_)), "{result}");
        }
        let down = Unit { active: "inactive".to_owned(), ..Unit::default() };
        assert!(matches!(fault(&down, false, false, None, Asking::System), JobFault::Hindered(_)));
        let told = |condition| match fault(&down, true, condition, None, Asking::System) {
            JobFault::Stopped(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(told(true).contains("stopped by somebody else") && told(false).contains("a condition of it"));
        assert!(matches!(fault(&down, false, true, None, Asking::System), JobFault::Failed(_)));
    }

    #[test]
    fn a_unit_is_well_where_it_is_up_or_done() {
        let unit = |active: &str, job: Option<&str>| Unit {
            active: active.to_owned(),
            job: job.map(str::to_owned),
            ..Unit::default()
        };
        for active in ["active", "reloading", "refreshing"] {
            assert_eq!(health(&unit(active, None), false, false), Health::Good, "{active}");
            assert_eq!(health(&unit(active, Some("stop")), false, false), Health::Bad, "{active}");
            assert_eq!(health(&unit(active, Some("restart")), false, false), Health::Again, "{active}");
            assert_eq!(health(&unit(active, Some("restart")), true, false), Health::Bad, "{active}");
        }
        assert_eq!(health(&unit("inactive", None), false, true), Health::Good);
        for active in ["inactive", "failed", "activating", "deactivating", "maintenance", ""] {
            assert_eq!(health(&unit(active, None), false, active == "failed"), Health::Bad, "{active}");
        }
    }
}
