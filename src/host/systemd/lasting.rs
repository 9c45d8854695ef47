//! A program that systemd runs in the background, and starts again where it is killed or something is in its way.

use zbus::{Variant, block_on};

use super::bus::{Asked, Bus};
use super::transient::{self, Properties};
use super::{ManagerError, timer};

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// The service's full name; one of this name must not be there.
    pub unit: String,
    /// What it is there for.
    pub description: String,
    /// Program (absolute) and arguments, as root. No shell, and nothing in them is substituted.
    pub command: Vec<String>,
}

impl Lasting {
    fn properties(&self) -> Properties {
        let mut properties = transient::service(&self.description, &self.command);
        properties.extend(timer::tried_again());
        // It is in nobody's way: what it has to do can wait for what others do.
        properties.push(("Nice", Variant::new(5_i32)));
        properties
    }
}

impl Bus {
    /// See [`super::ServiceManager::start_service`].
    pub(super) fn start_lasting(&self, service: &Lasting) -> Result<(), ManagerError> {
        let properties = service.properties();
        let started = self.manager.start_transient_unit(&service.unit, "replace", &properties, &[]);
        block_on(started).map(drop).to(format!("start {}", service.unit))
    }

    /// See [`super::ServiceManager::is_stopping`].
    pub(super) fn is_system_stopping(&self) -> Result<bool, ManagerError> {
        Ok(block_on(self.manager.system_state()).to("read the state of the system")? == "stopping")
    }
}
