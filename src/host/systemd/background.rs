//! A program that systemd runs in the background, at low priority and within limits.

use std::time::Duration;

use zbus::{Variant, block_on};

use super::ManagerError;
use super::bus::Asked;
use super::proxies::ManagerProxy;
use super::transient::{self, Properties};

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Background {
    /// The service's full name; one of this name must not be there.
    pub unit: String,
    /// The description of its unit.
    pub description: String,
    /// Program (absolute) and arguments. No shell, and nothing in them is substituted.
    pub command: Vec<String>,
    /// Until it is killed.
    pub deadline: Duration,
}

/// The share of the machine's memory that it may use, in parts of 2^32 - 1 (org.freedesktop.systemd1(5),
/// `MemoryMaxScale`).
const MEMORY: u32 = u32::MAX / 2;

impl Background {
    fn properties(&self) -> Properties {
        let mut properties = transient::service(&self.description, &self.command);
        properties.extend([
            ("Nice", Variant::new(19_i32)),
            ("CPUWeight", Variant::new(1_u64)),
            // IOPRIO_CLASS_IDLE
            ("IOSchedulingClass", Variant::new(3_i32)),
            // The kernel kills this program first when memory runs out.
            ("OOMScoreAdjust", Variant::new(1000_i32)),
            ("MemoryMaxScale", Variant::new(MEMORY)),
            ("RuntimeMaxUSec", Variant::new(u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX))),
        ]);
        properties
    }

    /// Starts it, and does not wait for it.
    pub fn start(&self) -> Result<(), ManagerError> {
        let started = block_on(async {
            let connection = zbus::Connection::system().await?;
            let manager = ManagerProxy::new(&connection).await?;
            manager.start_transient_unit(&self.unit, "replace", &self.properties(), &[]).await.map(drop)
        });
        started.to(format!("start {}", self.unit))
    }
}
