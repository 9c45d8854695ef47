//! Overrides that expire: rejects the records whose time is over, and runs dynix again when the next one expires.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::execution::Machine;
use super::report::Report;
use super::request::{Occasion, Request};
use super::state::State;
use super::{ApplyError, concerns, rerun};
use crate::overrides::{Draft, Folded, Kind, LogError, LogFile};
use crate::plan::Plan;

/// Rejects the records whose time is over, and adds the services concerned to those to apply. Otherwise values that the
/// log no longer has would stay in effect. Records that concern a service in `held` end when the service is no longer
/// held.
pub(super) fn expired(
    plan: &Plan,
    log: &LogFile,
    folded: &Folded,
    now: SystemTime,
    held: &BTreeSet<String>,
    request: &mut Request,
) -> Result<Vec<Draft>, ApplyError> {
    let mut ids = folded.expired(now);
    if request.occasion == Occasion::Expiry {
        request.services = Some(BTreeSet::new());
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let services = concerned(plan, log, &ids)?;
    ids.retain(|id| services[id].is_disjoint(held));
    if let Some(asked) = &mut request.services {
        asked.extend(ids.iter().flat_map(|id| services[id].iter().cloned()));
    }
    Ok(expiry(ids))
}

/// How many ends are looked at, for whether they change anything.
const ENDS: usize = 16;

/// The first of `ends` that changes anything. The end of a record whose value was replaced changes nothing. If there
/// are many of those, the next one is assumed to change something: the only cost is an apply that finds nothing to do.
fn next_end(log: &LogFile, folded: &Folded, ends: &[(u64, String)]) -> Result<Option<SystemTime>, LogError> {
    let mut ends: Vec<(SystemTime, u64)> =
        ends.iter().filter_map(|(id, end)| Some((crate::time::read(end).ok()?, *id))).collect();
    ends.sort_unstable();
    let leaves: BTreeSet<u64> = folded.overlay.leaves().into_iter().map(|(_, one)| one.id).collect();
    for (number, (end, id)) in ends.into_iter().enumerate() {
        // The values that an unset or a rollback with an end removed come back after that end.
        if leaves.contains(&id) || number >= ENDS || log.preview(&expiry(vec![id]))?.overlay != log.fold()?.overlay {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// The services that each of some records concerns; all services if only the evaluator could tell.
pub(super) fn concerned(plan: &Plan, log: &LogFile, ids: &[u64]) -> Result<BTreeMap<u64, BTreeSet<String>>, LogError> {
    let mut found: BTreeMap<u64, BTreeSet<String>> = ids.iter().map(|id| (*id, BTreeSet::new())).collect();
    for record in log.find(|id| found.contains_key(&id))? {
        let unknown = matches!(record.kind, Kind::Expression(_));
        let is_about = |service: &str| unknown || record.paths().iter().any(|path| concerns(plan, service, path));
        let services = plan.services.keys().filter(|service| is_about(service)).cloned();
        found.insert(record.id, services.collect());
    }
    Ok(found)
}

/// Lets dynix be woken when the next override is over; those of services in `held` wait. Without a way to, they end at the
/// next apply, which is worth a warning and no more.
pub(super) fn wake(
    plan: &Plan,
    log: &LogFile,
    folded: &Folded,
    held: &BTreeSet<String>,
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    // Most logs have none, and cost nothing here.
    if folded.ends().is_empty() && state.alarm.is_none() {
        return Ok(());
    }
    let mut ends = folded.ends().to_vec();
    if !held.is_empty() {
        let ids: Vec<u64> = ends.iter().map(|(id, _)| *id).collect();
        let services = concerned(plan, log, &ids)?;
        ends.retain(|(id, _)| services[id].is_disjoint(held));
    }
    let next = next_end(log, folded, &ends)?;
    match rerun::set(next, state, machine) {
        Ok(false) => {}
        Ok(true) => state.save(&machine.paths.state())?,
        Err(error) => report.warnings.push(format!("overrides that end do so only at the next apply: {error}")),
    }
    Ok(())
}

pub(super) fn expiry(ids: Vec<u64>) -> Vec<Draft> {
    ids.into_iter().map(|id| Draft::Reject { id, reason: "expired".to_owned() }).collect()
}
