//! systemd: its manager over D-Bus, behind one narrow interface.

pub mod answers;
mod asking;
pub mod background;
pub mod before;
pub mod booted;
mod bus;
pub mod changes;
mod connection;
pub mod dependents;
mod direct;
pub mod early;
pub mod hardening;
mod job_results;
mod jobs;
pub mod journal;
mod lasting;
pub mod memory;
mod observe;
pub mod own;
mod proxies;
pub mod reach;
pub mod scope;
mod settling;
mod timer;
mod transient;
pub mod users;
mod watch;
pub mod written;

pub use asking::Asking;
pub use connection::Connection;
pub use dynix_formats::quote;
pub use lasting::Lasting;
pub use observe::Observed;
pub use timer::{Timer, When};
pub use users::Managers;
pub use watch::{Until, Watch};

use std::time::Duration;

/// The verb of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `systemctl start --job-mode=ignore-requirements`: the unit, and nothing that it wants or requires.
    Start,
    /// `systemctl restart`: a unit that is down is started.
    Restart,
    /// `systemctl try-restart`. A unit that failed by itself is started; one that was stopped stays stopped.
    TryRestart,
    /// `systemctl reload`. A unit that failed by itself is started; one that was stopped stays stopped.
    Reload,
}

/// One job for a unit, and when it counts as done well.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Full unit name.
    pub unit: String,
    /// The verb of the job.
    pub verb: Verb,
    /// Until the job is done and the unit is up.
    pub deadline: Duration,
    /// How long the unit has to stay up afterwards; `None`: as its type says (systemd.service(5), `Type=`).
    pub settle: Option<Duration>,
}

/// A unit as systemd sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitStatus {
    /// Full unit name, as asked for.
    pub unit: String,
    /// `loaded`, `not-found`, `masked`, ... (systemd's `LoadState`)
    pub load_state: String,
    /// `active`, `inactive`, `failed`, ... (systemd's `ActiveState`)
    pub active_state: String,
    /// The type of the job that is queued or runs for it (`start`, `stop`, `restart`, ...).
    pub job: Option<String>,
    /// It is down, and a stop job took it down: it did not go down by itself. A daemon that ends with an exit status of
    /// its own on SIGTERM is `failed` after `systemctl stop`.
    pub was_stopped: bool,
}

impl UnitStatus {
    /// Whether a change of what it reads concerns it now. One that was stopped reads its files when it is started; one
    /// that failed, or that systemd is trying to bring up again, may be waiting for this very change.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        match (self.active_state.as_str(), self.job.as_deref()) {
            (_, Some("start" | "restart")) => true,
            ("inactive" | "deactivating", _) | (_, Some("stop")) => false,
            ("failed", _) => !self.was_stopped,
            _ => true,
        }
    }

    /// Whether somebody stopped it, or is about to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.was_stopped || self.job.as_deref() == Some("stop")
    }

    /// Whether it is up, and stays so as far as systemd knows.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.active_state.as_str(), "active" | "reloading" | "refreshing")
            && !matches!(self.job.as_deref(), Some("start" | "stop" | "restart"))
    }

    /// Why systemd runs no job for it, if that is so: masked, not there, its unit file is broken.
    #[must_use]
    pub fn obstacle(&self, asking: Asking) -> Option<String> {
        if self.is_usable() {
            return None;
        }
        let unit = &self.unit;
        let systemctl = |verb| asking.systemctl(verb, unit);
        Some(match self.load_state.as_str() {
            "not-found" => format!("systemd knows no unit {unit}; see `{}`", systemctl("status")),
            "masked" => format!("{unit} is masked, so systemd does not restart it; `{}`", systemctl("unmask")),
            other => format!("systemd cannot use the unit {unit} ({other}); see `{}`", systemctl("status")),
        })
    }

    /// Whether systemd runs jobs for it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.load_state.as_str(), "loaded" | "merged" | "stub")
    }
}

/// Why a job did not come to a good end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFault {
    /// systemd did not take the job: the unit is as it was.
    Refused(String),
    /// The job did not run for a reason outside of the unit: a unit that it requires, or a condition.
    Hindered(String),
    /// Somebody stopped the unit meanwhile, or it was stopped to be restarted and a condition of it does not hold.
    Stopped(String),
    /// The unit did not come up well.
    Failed(String),
    /// The caller did not want to wait any longer.
    Interrupted,
}

/// systemd can't be asked, or refuses.
#[derive(Clone, Debug, thiserror::Error)]
#[error("systemd: cannot {operation}: {message}")]
pub struct ManagerError {
    /// The operation that failed, as a verb.
    pub operation: String,
    /// The message of D-Bus or systemd.
    pub message: String,
    /// It is out of reach, for now.
    pub is_lost: bool,
}

/// The operations that dynix needs of a service manager. Several services use it at once.
pub trait ServiceManager: Sync {
    /// The status of each of `units`, in their order; unknown units have the load state `not-found`.
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError>;

    /// The units that are up and go down when `units` are restarted: those that require, bind to or are part of one of
    /// them, directly or through others. In an order in which they can be started; `units` themselves are not among them.
    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError>;

    /// `systemctl daemon-reload`: needed after a drop-in's text changed.
    fn reload_configuration(&self) -> Result<(), ManagerError>;

    /// `systemctl bind --read-only UNIT SOURCE TARGET`: puts a file into the namespace of a running unit.
    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError>;

    /// Starts all of `jobs` at once and awaits them, for as long as `interrupted` says no; for each, in their order,
    /// nothing or why it went wrong.
    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError>;

    /// How a person asks it.
    fn asking(&self) -> Asking;

    /// The last log lines of the unit's present or latest run, if they can be read.
    fn last_words(&self, unit: &str) -> Option<String>;

    /// The main process of a unit that is up, if it has one and that can be found.
    fn main_process(&self, _unit: &str) -> Option<u32> {
        None
    }

    /// The same for a unit of several managers.
    fn main_processes(&self, unit: &str) -> Vec<u32> {
        self.main_process(unit).into_iter().collect()
    }

    /// Starts a timer; when this returns it is running. One of the same name is replaced.
    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError>;

    /// How each of `units` is, in their order.
    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError>;

    /// Starts a service that continues in the background.
    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError>;

    /// Whether the system is shutting down.
    fn is_stopping(&self) -> Result<bool, ManagerError>;

    /// Stops the timer `name.timer`; what it already started continues. No error if there is none.
    fn stop_timer(&self, name: &str) -> Result<(), ManagerError>;

    /// Starts to watch files; when this returns it is running.
    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError>;

    /// Stops the watch `name.path`; what it already started continues. No error if there is none.
    fn stop_watch(&self, name: &str) -> Result<(), ManagerError>;
}
