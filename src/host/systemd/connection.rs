//! The connection to systemd of one run of the program.

use std::sync::OnceLock;

use super::{Bus, Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Watch};

/// Connects when it is first needed: most commands change no unit.
#[derive(Debug, Default)]
pub struct Connection(OnceLock<Bus>);

impl Connection {
    fn bus(&self) -> Result<&Bus, ManagerError> {
        if let Some(bus) = self.0.get() {
            return Ok(bus);
        }
        let bus = Bus::connect()?;
        Ok(self.0.get_or_init(|| bus))
    }
}

impl ServiceManager for Connection {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        self.bus()?.status(units)
    }

    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        self.bus()?.dependents(units)
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        self.bus()?.reload_configuration()
    }

    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        self.bus()?.bind(unit, source, target)
    }

    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
        self.bus()?.run(jobs, interrupted)
    }

    fn last_words(&self, unit: &str) -> Option<String> {
        self.0.get()?.last_words(unit)
    }

    fn main_process(&self, unit: &str) -> Option<u32> {
        self.bus().ok()?.main_process(unit)
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        self.bus()?.start_timer(timer)
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        self.bus()?.observe(units)
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        self.bus()?.start_service(service)
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.bus()?.is_stopping()
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        self.bus()?.stop_timer(name)
    }

    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        self.bus()?.start_watch(watch)
    }

    fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        self.bus()?.stop_watch(name)
    }
}
