//! The connection to systemd of one run of the program.
//!
//! It is made on first use: most commands change no unit. If it is lost, because the bus was restarted or systemd
//! executed itself anew, dynix makes another one and repeats each call that got no answer. All calls may happen twice
//! except those for jobs, which [`super::jobs`] handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bus::Bus;
use super::jobs::UnderWay;
use super::reach::Reach;
use super::{Asking, Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Watch};

/// How long systemd may be out of reach. A bus that is restarted is back in tenths of a second, systemd after it read all
/// its units anew.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is tried to reach it.
const INTERVAL: Duration = Duration::from_millis(50);

/// systemd, over a connection that is renewed when the bus restarts.
#[derive(Debug, Default)]
pub struct Connection {
    reach: Reach,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    bus: Option<Arc<Bus>>,
    /// Since when systemd is out of reach.
    lost: Option<Instant>,
}

impl Connection {
    /// A connection to this manager.
    #[must_use]
    pub fn to(reach: Reach) -> Self {
        Self { reach, link: Mutex::default() }
    }

    /// The manager.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether the manager is starting what it starts by itself.
    pub fn is_starting(&self) -> Result<bool, ManagerError> {
        self.call(Bus::is_starting)
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bus(&self) -> Result<Arc<Bus>, ManagerError> {
        let mut link = self.link();
        if let Some(bus) = &link.bus {
            return Ok(Arc::clone(bus));
        }
        let bus = Arc::new(Bus::connect(&self.reach)?);
        Ok(Arc::clone(link.bus.insert(bus)))
    }

    /// Whether to try again after this error. A process that could never connect does not wait: there may be no bus at
    /// all.
    fn is_worth_waiting(&self, error: &ManagerError, failed: Option<&Arc<Bus>>) -> bool {
        let mut link = self.link();
        if !error.is_lost || failed.is_none() && link.lost.is_none() {
            return false;
        }
        // Another thread may have made a new connection already.
        if link.bus.as_ref().zip(failed).is_some_and(|(bus, failed)| Arc::ptr_eq(bus, failed)) {
            link.bus = None;
        }
        link.lost.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }

    /// Asks until there is an answer, or nothing more to wait for. `ask` gets whether it asks again.
    fn ask<T>(
        &self,
        interrupted: &dyn Fn() -> bool,
        mut ask: impl FnMut(&Bus, bool) -> Result<T, ManagerError>,
    ) -> Result<T, ManagerError> {
        let mut is_again = false;
        loop {
            let bus = self.bus();
            let answer = match &bus {
                Ok(bus) => ask(bus, is_again),
                Err(error) => Err(error.clone()),
            };
            match answer {
                Err(error) if self.is_worth_waiting(&error, bus.as_ref().ok()) && !interrupted() => {}
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.link().lost = None;
                    return Ok(answer);
                }
            }
            is_again = true;
            std::thread::sleep(INTERVAL);
        }
    }

    fn call<T>(&self, ask: impl Fn(&Bus) -> Result<T, ManagerError>) -> Result<T, ManagerError> {
        self.ask(&|| false, |bus, _| ask(bus))
    }
}

impl ServiceManager for Connection {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        self.call(|bus| bus.status(units))
    }

    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        self.call(|bus| bus.dependents(units))
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        self.call(Bus::reload_configuration)
    }

    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        self.call(|bus| bus.bind(unit, source, target))
    }

    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
        let mut under_way = UnderWay::new(jobs);
        self.ask(interrupted, |bus, _| under_way.go_on(bus, interrupted))?;
        Ok(under_way.results())
    }

    fn asking(&self) -> Asking {
        self.reach.asking()
    }

    fn last_words(&self, unit: &str) -> Option<String> {
        self.call(|bus| bus.last_words(unit)).ok()?
    }

    fn main_process(&self, unit: &str) -> Option<u32> {
        self.call(|bus| bus.main_process(unit)).ok()?
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        self.call(|bus| bus.start_timer(timer))
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        self.call(|bus| bus.observe(units))
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        self.ask(&|| false, |bus, is_again| bus.start_service(service, is_again))
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.call(Bus::is_stopping)
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        self.call(|bus| bus.stop_timer(name))
    }

    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        self.call(|bus| bus.start_watch(watch))
    }

    fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        self.call(|bus| bus.stop_watch(name))
    }
}
