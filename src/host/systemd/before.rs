//! systemd, for a command that runs before the units that it concerns. Their jobs are queued behind the command, so
//! they do not run yet and need no action.

use super::{Asking, Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Watch};

/// The manager of a system whose units wait for the process that uses this.
#[derive(Clone, Copy)]
pub struct Before<'m>(pub &'m dyn ServiceManager);

impl ServiceManager for Before<'_> {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        let yet_to_start = |status: UnitStatus| UnitStatus {
            active_state: "inactive".to_owned(),
            job: None,
            was_stopped: false,
            ..status
        };
        Ok(self.0.status(units)?.into_iter().map(yet_to_start).collect())
    }

    fn dependents(&self, _units: &[String]) -> Result<Vec<String>, ManagerError> {
        Ok(Vec::new())
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        self.0.reload_configuration()
    }

    fn bind(&self, _unit: &str, _source: &str, _target: &str) -> Result<(), ManagerError> {
        Ok(())
    }

    fn run(&self, jobs: &[Job], _interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
        Ok(vec![Ok(()); jobs.len()])
    }

    fn asking(&self) -> Asking {
        self.0.asking()
    }

    fn last_words(&self, _unit: &str) -> Option<String> {
        None
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        self.0.start_timer(timer)
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        self.0.observe(units)
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        self.0.start_service(service)
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.0.is_stopping()
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        self.0.stop_timer(name)
    }

    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        self.0.start_watch(watch)
    }

    fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        self.0.stop_watch(name)
    }
}
