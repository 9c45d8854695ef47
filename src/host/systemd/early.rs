//! The beginning of a boot: systemd runs, but its bus does not yet.
//!
//! dynix writes what services need before they start, as it does before systemd starts. But systemd has already read
//! its units, so systemctl(1), which reaches systemd without a bus, makes it load those that dynix wrote.

use std::time::Duration;

use camino::Utf8Path;

use super::ManagerError;
use crate::host::fs;
use crate::host::process;

/// The bus's socket (systemd, units/dbus.socket).
const BUS: &str = "/run/dbus/system_bus_socket";
/// A daemon-reload of a large system takes seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// Whether the bus is yet to come.
pub fn is_now() -> Result<bool, fs::FileError> {
    Ok(!fs::exists(Utf8Path::new(BUS))?)
}

/// Lets systemd read its units anew, and start `units` in their turn.
pub fn take_up(units: &[String]) -> Result<(), ManagerError> {
    systemctl(&["daemon-reload"], &[])?;
    if units.is_empty() { Ok(()) } else { systemctl(&["start", "--no-block", "--"], units) }
}

fn systemctl(words: &[&str], units: &[String]) -> Result<(), ManagerError> {
    let command: Vec<String> =
        ["systemctl"].iter().chain(words).map(|word| (*word).to_owned()).chain(units.iter().cloned()).collect();
    let failed = |message: String| ManagerError { operation: command[1..].join(" "), message, is_lost: false };
    let output = process::run(&command, DEADLINE).map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(output.words())) }
}
