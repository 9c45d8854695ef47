//! systemd: its manager over D-Bus, behind one narrow interface.

pub mod background;
pub mod booted;
mod bus;
mod endings;
pub mod hardening;
mod journal;
mod proxies;
mod timer;
mod transient;
pub mod written;

pub use bus::Bus;
pub use dynix_formats::quote;
pub use timer::{Timer, When};

use std::time::Duration;

/// What is done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `systemctl restart`
    Restart,
    /// `systemctl reload`
    Reload,
}

/// One job for a unit, and when it counts as done well.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Full unit name.
    pub unit: String,
    /// What is done.
    pub verb: Verb,
    /// Until the job is done and the unit is up.
    pub deadline: Duration,
    /// How long the unit has to stay up afterwards; `None`: as its type says (see [`Bus`]).
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
}

impl UnitStatus {
    /// Whether a change of what it reads concerns it now. One that was stopped reads its files when it is started; one
    /// that failed, or that systemd is trying to bring up again, may be waiting for this very change.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.active_state != "inactive" && self.active_state != "deactivating"
    }
}

/// systemd can't be asked, or refuses.
#[derive(Debug, thiserror::Error)]
#[error("systemd: cannot {operation}: {message}")]
pub struct ManagerError {
    /// What was tried, as a verb.
    pub operation: String,
    /// What D-Bus or systemd said.
    pub message: String,
}

/// What dynix asks of a service manager, of several services at once.
pub trait ServiceManager: Sync {
    /// The status of each of `units`, in their order; unknown units have the load state `not-found`.
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError>;

    /// `systemctl daemon-reload`: needed after a drop-in's text changed.
    fn reload_configuration(&self) -> Result<(), ManagerError>;

    /// `systemctl bind --read-only UNIT SOURCE TARGET`: puts a file into the namespace of a running unit.
    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError>;

    /// Starts all of `jobs` at once and awaits them; for each, in their order, nothing or why it went wrong.
    fn run(&self, jobs: &[Job]) -> Result<Vec<Result<(), String>>, ManagerError>;

    /// What the unit said last in its present or latest run, if that can be told.
    fn last_words(&self, unit: &str) -> Option<String>;

    /// Starts a timer; when this returns it is running. One of the same name is replaced.
    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError>;

    /// Stops the timer `name.timer`; what it started already goes on. No error where there is none.
    fn stop_timer(&self, name: &str) -> Result<(), ManagerError>;
}
