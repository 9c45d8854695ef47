//! The message about a service that does not work: pure, except for the log lines of its units.

use std::collections::BTreeMap;

use super::change::Change;
use super::execution::{Fault, Machine};
use crate::plan::File;

/// The fault, with the last log lines of its units. The lines are left out if only some users may read the service's
/// files, because everybody may read the log.
pub(super) fn with_last_words(change: &Change<'_>, fault: &Fault, machine: &Machine<'_>) -> String {
    let reason = fault.reason().to_owned();
    let (Fault::Unit(_) | Fault::Unhealthy(_), Some(manager), Some(service)) = (fault, machine.manager, change.service)
    else {
        return reason;
    };
    if service.has_secrets() || !service.files.values().all(File::is_public) {
        return reason;
    }
    let units: Vec<&String> = change.units.keys().collect();
    let named = units.iter().find(|unit| reason.starts_with(unit.as_str()));
    let words = named.map_or(units.as_slice(), std::slice::from_ref).iter();
    let words = words.filter_map(|unit| Some(format!("; {unit} said last: {}", manager.last_words(unit)?)));
    words.fold(reason, |reason, words| reason + &words)
}

/// The message about units that depend on a service and stay down.
pub(super) fn stay_down(down: &BTreeMap<String, String>) -> String {
    let each: Vec<String> =
        down.iter().map(|(unit, why)| format!("{unit}, which depends on it, does not come up again: {why}")).collect();
    each.join("; ")
}
