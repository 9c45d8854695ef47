//! A program that systemd runs in the background, and starts again if it is killed or fails.

use zbus::{Variant, block_on};

use super::bus::{Asked, Bus, is_called};
use super::transient::{self, Properties};
use super::{ManagerError, timer};

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// The service's full name; one of this name must not be there.
    pub unit: String,
    /// The description of its unit.
    pub description: String,
    /// Program (absolute) and arguments, as root. No shell, and nothing in them is substituted.
    pub command: Vec<String>,
}

impl Lasting {
    fn properties(&self) -> Properties {
        let mut properties = transient::service(&self.description, &self.command);
        properties.extend(timer::tried_again());
        // Low priority: its work can wait for that of other programs.
        properties.push(("Nice", Variant::new(5_i32)));
        properties
    }
}

impl Bus {
    /// See [`super::ServiceManager::start_service`]. If this is a repeat, systemd may have received the first request.
    pub(super) fn start_service(&self, service: &Lasting, is_again: bool) -> Result<(), ManagerError> {
        let properties = self.possible(service.properties());
        match block_on(self.manager.start_transient_unit(&service.unit, "replace", &properties, &[])) {
            Err(error) if is_again && is_called(&error, "org.freedesktop.systemd1.UnitExists") => Ok(()),
            started => started.map(drop).to(format!("start {}", service.unit)),
        }
    }

    /// Whether the manager is starting what it starts by itself.
    pub(super) fn is_starting(&self) -> Result<bool, ManagerError> {
        let state = block_on(self.manager.system_state()).to("read the state of the system")?;
        Ok(matches!(state.as_str(), "initializing" | "starting"))
    }

    /// See [`super::ServiceManager::is_stopping`].
    pub(super) fn is_stopping(&self) -> Result<bool, ManagerError> {
        Ok(block_on(self.manager.system_state()).to("read the state of the system")? == "stopping")
    }
}
