//! A boot: the values that services start on, and what is tried after the system is up.
//!
//! Before systemd starts, each service gets values that are known good ([`known_good`]), and the recorded values beyond
//! that are postponed. After the system is up (`dynix apply --after-boot`), dynix judges the services that did not come
//! up on their values. It then applies what was postponed as at any other time: watched, and rolled back if it does not
//! work.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Sides};
use super::execution::Machine;
use super::known_good::{self, KnownGood, Start};
use super::observed::dependents::Dependents;
use super::observed::observe;
use super::pass::Pass;
use super::report::{Outcome, Report};
use super::rollout::Fallback;
use super::state::{InEffect, State};
use super::view::View;
use super::{ApplyError, Failed, rejection};
use crate::host::systemd::Verb;
use crate::overrides::{Draft, LogFile};
use crate::plan::Plan;
use crate::render;
use crate::render::key::Key;

/// Finds what services start on, and puts it into `view`. Gives those that do not start on what is recorded.
pub(super) fn choose(
    plan: &Plan,
    log: &LogFile,
    view: &mut View,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<BTreeMap<String, Start>, ApplyError> {
    let known = KnownGood::load(machine.paths).unwrap_or_else(|error| {
        // Without this file the system still boots: then no values are known good.
        report.warnings.push(error.to_string());
        KnownGood::default()
    });
    let chosen = known_good::choose(plan, machine.paths, log, &known, view)?;
    for (service, start) in &chosen {
        let on = match start.record {
            0 => "on what was built".to_owned(),
            record => format!("on what held after record {record}"),
        };
        report.warnings.push(format!(
            "{service} starts {on}: what is recorded is not known to work on this system, and is tried once it is up"
        ));
    }
    Ok(chosen)
}

/// Notes the values that services start on, and those that are tried later: values that are not known good, that do not
/// hold, or that wait for a secret. (Values that can't be put into effect are tried again in any case:
/// [`super::rerun::retry`].)
pub(super) fn note(
    plan: &Plan,
    chosen: BTreeMap<String, Start>,
    state: &mut State,
    machine: &Machine<'_>,
    report: &mut Report,
) {
    let left_out = report.left_out.iter().flat_map(|one| {
        plan.services.keys().filter(|service| super::concerns(plan, service, &one.path)).collect::<Vec<_>>()
    });
    state.postponed.extend(left_out.cloned());
    state.postponed.extend(report.awaited.keys().cloned());
    for one in state.services.values_mut() {
        one.works = !one.in_effect.is_static();
    }
    for (service, Start { record, values }) in chosen {
        let entry = state.service(&service);
        entry.log_id = record;
        entry.values = values;
        state.postponed.insert(service);
    }
    let is_any = state.services.values().any(|one| one.works) || !state.postponed.is_empty();
    if is_any && let Err(error) = machine.recall.after_boot(machine) {
        report.warnings.push(format!("what is not known to work is not tried after the boot: {error}"));
    }
}

/// Restarts services that did not come up on their values during the boot, when much may have been missing that is
/// there now. If a service does not come up on them again, but does on the built values, its values do not work on this
/// system any more. Gives the services for which this was found; some of their recorded values are left to be applied.
pub(super) fn revive(
    plan: &Plan,
    log: &LogFile,
    by: &str,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<BTreeSet<String>, ApplyError> {
    let Some(manager) = machine.manager else { return Ok(BTreeSet::new()) };
    let paths = machine.paths;
    let state = State::load(&paths.state())?;
    let key = Key::load(paths)?;
    let mut changes: Vec<Change<'_>> = Vec::new();
    for (name, service) in &plan.services {
        let Some(entry) = state.services.get(name).filter(|one| !one.in_effect.is_static() && one.watch.is_none())
        else {
            continue;
        };
        let units: Vec<String> = service.units.keys().cloned().collect();
        let failed = manager.status(&units)?.into_iter().filter(|one| one.active_state == "failed" && !one.was_stopped);
        let failed: BTreeSet<String> = failed.map(|one| one.unit).collect();
        if failed.is_empty() || state.trial.as_ref().is_some_and(|trial| trial.back.contains_key(name)) {
            continue;
        }
        let now = observe(name, Some(service), &state, paths, &key)?.now;
        let as_built = render::identities_as_built(service).unwrap_or_default();
        let back = InEffect::default();
        let sides = Sides { from: &now, to: &now, confirmed: &back, as_built: &as_built, pending: &failed };
        changes.extend(Change::between(name, service, sides).map(|mut change| {
            change.units.values_mut().for_each(|verb| *verb = Verb::Restart);
            change
        }));
        debug_assert!(entry.pending.is_empty(), "an apply finishes what another one began");
    }
    if changes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known = KnownGood::load(paths).unwrap_or_default();
    let dependents = Dependents::note(&changes, Some(manager))?;
    let mut pass = Pass::new(plan, state, 0);
    pass.watched_by = Some((by.to_owned(), Vec::new()));
    pass.take(&changes, &BTreeMap::new(), &dependents, Fallback::Previous, machine);
    let mut to_blame = Vec::new();
    for change in &changes {
        let outcome = pass.outcome(change.name).cloned();
        let system = known_good::system(plan, change.name, paths)?;
        let entry = pass.state.service(change.name);
        let tried = entry.log_id;
        // The records after the last values that worked are to blame, whenever they were applied.
        let unproven = entry.watch.as_mut().and_then(|watch| watch.changes.last_mut());
        let values = unproven.as_ref().map_or_else(|| entry.values.clone(), |unproven| unproven.values.clone());
        let log_id = known.before(change.name, &system, values.as_deref());
        if let Some(unproven) = unproven {
            (unproven.log_id, unproven.values, unproven.works) = (log_id, None, false);
        }
        if let Some(Outcome::RolledBack { reason }) = outcome {
            entry.log_id = log_id;
            to_blame.push((Failed { service: change.name.to_owned(), log_id, reason }, tried));
        }
    }
    pass.state.save(&paths.state())?;
    pass.tell(report);
    let services = to_blame.iter().map(|(failed, _)| failed.service.clone()).collect();
    for (failed, tried) in to_blame {
        reject(log, rejection::find(plan, log, &[failed], tried, &[])?, by, report)?;
    }
    Ok(services)
}

/// The services whose recorded values are tried now. Those on which the machine went down each time that they were tried
/// are rejected instead.
pub(super) fn to_try(
    plan: &Plan,
    log: &LogFile,
    by: &str,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<BTreeSet<String>, ApplyError> {
    let state = State::load(&machine.paths.state())?;
    if state.postponed.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut known = KnownGood::load(machine.paths).unwrap_or_default();
    let recorded = super::view::view(plan, machine.paths, log, &[], Some(&state.postponed))?;
    let mut given_up = Vec::new();
    for service in &state.postponed {
        let Some(values) = known_good::digest(plan, service, recorded.recorded()) else { continue };
        let system = known_good::system(plan, service, machine.paths)?;
        if !known.is_good(service, &system, &values) && !known.may_try(service, &values) {
            known.tried(service);
            let reason = format!("the machine went down {} times while it was tried after a boot", known_good::TRIES);
            given_up.push(Failed { service: service.clone(), log_id: state.log_id(service), reason });
        }
    }
    // Saved before anything is touched, so that dynix knows of the try if it takes the machine down.
    report.warnings.extend(known.save(machine.paths).err().map(|error| error.to_string()));
    for failed in given_up {
        let outcome = Outcome::Refused { reason: failed.reason.clone() };
        report.services.insert(failed.service.clone(), outcome);
        reject(log, rejection::find(plan, log, &[failed], recorded.last_id, &[])?, by, report)?;
    }
    Ok(state.postponed)
}

fn reject(
    log: &LogFile,
    rejections: Vec<rejection::Rejection>,
    by: &str,
    report: &mut Report,
) -> Result<(), ApplyError> {
    report.rejected.extend(rejections.iter().map(|one| one.id));
    let changes: Vec<Draft> =
        rejections.into_iter().map(|one| Draft::Reject { id: one.id, reason: one.reason }).collect();
    log.append(&changes, by, None, |_| {})?;
    Ok(())
}
