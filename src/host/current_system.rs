//! The system that is running, or being activated.

use super::digest::sha256;
use super::fs::{self, FileError};
use super::paths::Paths;

/// Identifies a system: by its plan, and by the system itself if one is booted.
#[must_use]
pub fn identity(plan: &[u8], system: Option<&str>) -> String {
    let system = system.unwrap_or_default().as_bytes();
    sha256(&[plan, b"\0", system].concat())
}

/// The same of the running system, or of the one that is being activated.
pub fn identify(paths: &Paths) -> Result<String, FileError> {
    let plan = fs::read(paths.plan())?.unwrap_or_default();
    let system = match paths.activated() {
        Some(system) => Some(system.to_string()),
        None => fs::read_link(&paths.current_system()).unwrap_or_default(),
    };
    Ok(identity(&plan, system.as_deref()))
}
