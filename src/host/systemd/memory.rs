//! A service manager in memory, with a clock of its own, for tests of the whole engine.
//!
//! It behaves as systemd wherever an apply depends on it. A restart takes down the units that require the unit, and
//! starts them again if the unit comes up. It distinguishes a unit that was stopped from one that failed. A masked unit
//! takes no job. Time passes only when a test advances it, or while a job or a settle time lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::{
    Asking, Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Verb, Watch, When,
};
use crate::time::clock::Clock;

/// Settle time of units of which the plan says none.
const SETTLE: Duration = Duration::from_millis(100);

/// The effect of starting a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It comes up.
    Good,
    /// It fails.
    Fails,
    /// It comes up, and fails after a while.
    FailsAfter(Duration),
    /// It never gets ready.
    Hangs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Inactive,
    Active,
    Activating,
    Failed,
}

#[derive(Debug, Default)]
struct Unit {
    state: State,
    /// Since when it is in that state.
    since: Duration,
    fails_at: Option<Duration>,
    was_stopped: bool,
    is_masked: bool,
    required_by: Vec<String>,
}

#[derive(Default)]
struct World {
    now: Duration,
    units: BTreeMap<String, Unit>,
    timers: BTreeMap<String, (Duration, Timer)>,
    /// The services in the background.
    services: BTreeSet<String>,
    /// So many calls fail.
    broken: usize,
    /// Units that somebody stops while the next jobs run.
    stopped_meanwhile: Vec<String>,
}

/// Units, timers and a clock.
pub struct Memory<'m> {
    world: Mutex<World>,
    start: Box<dyn Fn(&str) -> Start + Send + Sync + 'm>,
}

impl<'m> Memory<'m> {
    /// `start` is asked what a start of a unit leads to, each time.
    pub fn new(start: impl Fn(&str) -> Start + Send + Sync + 'm) -> Self {
        Self { world: Mutex::default(), start: Box::new(start) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a unit that is down.
    pub fn add(&self, unit: &str, required_by: &[&str]) {
        let required_by = required_by.iter().map(|unit| (*unit).to_owned()).collect();
        self.world().units.insert(unit.to_owned(), Unit { required_by, ..Unit::default() });
    }

    /// `systemctl start`
    pub fn start(&self, unit: &str) {
        self.world().start(unit, &self.start);
    }

    /// `systemctl stop`
    pub fn stop(&self, unit: &str) {
        let mut world = self.world();
        world.stopped_meanwhile.retain(|other| other != unit);
        let _ = world.stop(unit);
    }

    /// `systemctl mask` and `systemctl unmask`
    pub fn mask(&self, unit: &str, is_masked: bool) {
        if let Some(unit) = self.world().units.get_mut(unit) {
            unit.is_masked = is_masked;
        }
    }

    /// Stops a unit while the next jobs run.
    pub fn stop_meanwhile(&self, unit: &str) {
        self.world().stopped_meanwhile.push(unit.to_owned());
    }

    /// Lets the next calls fail.
    pub fn break_down(&self, calls: usize) {
        self.world().broken = calls;
    }

    /// Whether a unit is up.
    #[must_use]
    pub fn is_up(&self, unit: &str) -> bool {
        self.world().units.get(unit).is_some_and(|unit| unit.state == State::Active)
    }

    /// Lets time pass, up to the next timer at most; that timer, which is gone then.
    #[must_use]
    pub fn pass(&self, time: Duration) -> Option<Timer> {
        let mut world = self.world();
        let end = world.now + time;
        let next = world.timers.iter().map(|(name, (due, _))| (*due, name.clone())).min();
        let Some((due, name)) = next.filter(|(due, _)| *due <= end) else {
            world.pass_until(end);
            return None;
        };
        let due = due.max(world.now);
        world.pass_until(due);
        world.timers.remove(&name).map(|(_, timer)| timer)
    }
}

impl World {
    fn pass_until(&mut self, now: Duration) {
        self.now = now;
        for unit in self.units.values_mut() {
            if unit.fails_at.take_if(|at| *at <= now).is_some() {
                unit.state = State::Failed;
                unit.was_stopped = false;
            }
        }
    }

    fn start(&mut self, name: &str, start: &dyn Fn(&str) -> Start) -> Start {
        let (now, how) = (self.now, start(name));
        if let Some(unit) = self.units.get_mut(name) {
            unit.was_stopped = false;
            unit.fails_at = None;
            unit.since = now;
            unit.state = match how {
                Start::Good => State::Active,
                Start::Fails => State::Failed,
                Start::Hangs => State::Activating,
                Start::FailsAfter(after) => {
                    unit.fails_at = Some(now + after);
                    State::Active
                }
            };
        }
        how
    }

    /// All that requires a unit, directly or through others, the nearest first.
    fn dependents(&self, unit: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut next = vec![unit.to_owned()];
        while let Some(one) = next.pop() {
            for other in self.units.get(&one).into_iter().flat_map(|unit| &unit.required_by) {
                if other != unit && !found.contains(other) {
                    found.push(other.clone());
                    next.push(other.clone());
                }
            }
        }
        found
    }

    fn take_down(&mut self, name: &str) -> bool {
        let Some(unit) = self.units.get_mut(name) else { return false };
        let was_up = matches!(unit.state, State::Active | State::Activating);
        if was_up {
            unit.state = State::Inactive;
            unit.was_stopped = true;
            unit.fails_at = None;
        }
        was_up
    }

    /// Stops a unit and what requires it; whether it was up.
    fn stop(&mut self, name: &str) -> bool {
        for unit in self.dependents(name) {
            self.take_down(&unit);
        }
        self.take_down(name)
    }

    fn call(&mut self, operation: &str) -> Result<(), ManagerError> {
        if self.broken == 0 {
            return Ok(());
        }
        self.broken -= 1;
        let message = "told to break down".to_owned();
        Err(ManagerError { operation: operation.to_owned(), message, is_lost: false })
    }

    fn status(&self, name: &str) -> UnitStatus {
        let background = Unit { state: State::Active, ..Unit::default() };
        let unit = self.units.get(name).or(self.services.contains(name).then_some(&background));
        let load_state = match unit {
            None => "not-found",
            Some(unit) if unit.is_masked => "masked",
            Some(_) => "loaded",
        };
        let active_state = match unit.map(|unit| unit.state).unwrap_or_default() {
            State::Inactive => "inactive",
            State::Active => "active",
            State::Activating => "activating",
            State::Failed => "failed",
        };
        UnitStatus {
            unit: name.to_owned(),
            load_state: load_state.to_owned(),
            active_state: active_state.to_owned(),
            job: None,
            was_stopped: unit.is_some_and(|unit| unit.was_stopped),
        }
    }

    /// One job, from its start to when it is done or overdue.
    fn run(&mut self, job: &Job, start: &dyn Fn(&str) -> Start) -> Result<(), JobFault> {
        let status = self.status(&job.unit);
        if let Some(obstacle) = status.obstacle(Asking::System) {
            return Err(JobFault::Refused(obstacle));
        }
        if matches!(job.verb, Verb::TryRestart | Verb::Reload) && !status.is_wanted() {
            return Err(JobFault::Stopped(format!("{} was stopped by somebody else", job.unit)));
        }
        let propagates = matches!(job.verb, Verb::Restart | Verb::TryRestart);
        let dependents = if propagates { self.dependents(&job.unit) } else { Vec::new() };
        let down: Vec<String> = dependents.into_iter().filter(|unit| self.take_down(unit)).collect();
        match self.start(&job.unit, start) {
            Start::Good | Start::FailsAfter(_) => {
                for unit in down {
                    self.start(&unit, start);
                }
                Ok(())
            }
            Start::Fails => Err(JobFault::Failed("its job ended as \"failed\"".to_owned())),
            Start::Hangs => {
                self.pass_until(self.now + job.deadline);
                Err(JobFault::Failed(format!("not done within {} s", job.deadline.as_secs_f64())))
            }
        }
    }
}

impl Clock for Memory<'_> {
    fn now(&self) -> SystemTime {
        // Some day.
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.world().now
    }

    fn monotonic(&self) -> Duration {
        self.world().now
    }
}

impl ServiceManager for Memory<'_> {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        let mut world = self.world();
        world.call("list units")?;
        Ok(units.iter().map(|unit| world.status(unit)).collect())
    }

    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        let mut world = self.world();
        world.call("read what depends on a unit")?;
        let found: BTreeSet<String> = units.iter().flat_map(|unit| world.dependents(unit)).collect();
        Ok(found.into_iter().filter(|unit| !units.contains(unit) && world.status(unit).is_up()).collect())
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        let mut world = self.world();
        world.call("look at units")?;
        let observe = |name: &String| {
            let status = world.status(name);
            let (is_up, has_failed) = (status.is_up(), status.active_state == "failed");
            let since = world.units.get(name).map(|unit| unit.since).unwrap_or_default();
            Observed {
                sub_state: if is_up { "running" } else { "dead" }.to_owned(),
                kind: Some("exec".to_owned()),
                restarts: Some(0),
                active_since: is_up.then(|| u64::try_from(since.as_micros()).unwrap_or(u64::MAX)),
                result: Some(if has_failed { "exit-code" } else { "success" }.to_owned()),
                exit_status: Some(i32::from(has_failed)),
                is_triggered: false,
                status,
            }
        };
        Ok(units.iter().map(observe).collect())
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        let mut world = self.world();
        world.call("start a service")?;
        world.services.insert(service.unit.clone());
        Ok(())
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.world().call("read the state of the system").map(|()| false)
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        self.world().call("reload unit files")
    }

    fn bind(&self, _unit: &str, _source: &str, _target: &str) -> Result<(), ManagerError> {
        self.world().call("bind a file")
    }

    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
        let mut world = self.world();
        world.call("start jobs")?;
        let mut results: Vec<Result<(), JobFault>> = jobs.iter().map(|job| world.run(job, &self.start)).collect();
        for unit in std::mem::take(&mut world.stopped_meanwhile) {
            // One that failed by itself before that is failed.
            let was_up = world.stop(&unit);
            for (job, result) in jobs.iter().zip(&mut results) {
                if was_up && job.unit == unit && !matches!(result, Err(JobFault::Refused(_))) {
                    *result = Err(JobFault::Stopped(format!("{unit} was stopped by somebody else")));
                }
            }
        }
        let settle = jobs.iter().map(|job| job.settle.unwrap_or(SETTLE)).max().unwrap_or_default();
        let end = world.now + settle;
        world.pass_until(end);
        for (job, result) in jobs.iter().zip(&mut results).filter(|(_, result)| result.is_ok()) {
            if interrupted() {
                *result = Err(JobFault::Interrupted);
            } else if !world.status(&job.unit).is_up() {
                *result = Err(JobFault::Failed("it is failed".to_owned()));
            }
        }
        Ok(results)
    }

    fn asking(&self) -> Asking {
        Asking::System
    }

    fn last_words(&self, _unit: &str) -> Option<String> {
        None
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        let now = self.now();
        let mut world = self.world();
        world.call("start a timer")?;
        let delays = timer.when.iter().map(|when| match when {
            When::In(delay) => *delay,
            When::At(time) => time.duration_since(now).unwrap_or_default(),
        });
        let due = world.now + delays.min().unwrap_or_default();
        world.timers.insert(timer.name.clone(), (due, timer.clone()));
        Ok(())
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        let mut world = self.world();
        world.call("stop a timer")?;
        world.timers.remove(name);
        Ok(())
    }

    fn start_watch(&self, _watch: &Watch) -> Result<(), ManagerError> {
        self.world().call("start a watch")
    }

    fn stop_watch(&self, _name: &str) -> Result<(), ManagerError> {
        self.world().call("stop a watch")
    }
}
