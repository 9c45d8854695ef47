//! Rolls back a service that failed while it was watched, to what it had before, as an apply itself does.
//!
//! Takes what [`crate::reconcile::watch`] found; gives the result of each service, with the records to blame rejected.
//! If an earlier change turns out not to work, the records that were blamed for it before are tried again without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::systemd::Verb;
use crate::overrides::{Draft, LogFile};
use crate::plan::Plan;
use crate::reconcile::change::{Change, Sides};
use crate::reconcile::difference::check_all_units;
use crate::reconcile::execution::{Fault, Machine};
use crate::reconcile::observed::dependents::Dependents;
use crate::reconcile::observed::observe;
use crate::reconcile::pass::Pass;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::rollout::Fallback;
use crate::reconcile::state::{FailureKind, LastFailure, State, Trial};
use crate::reconcile::verdict::with_last_words;
use crate::reconcile::watch::upkeep::{begin, forget_tries, last_good, went_back};
use crate::reconcile::watch::{Unproven, Watch};
use crate::reconcile::{ApplyError, Failed, Request, reconcile, rejection, trial};
use crate::render;
use crate::render::key::Key;

/// A service that rolls back.
struct Failing<'p> {
    change: Change<'p>,
    watch: Watch,
    /// The change that does not work.
    unproven: Unproven,
    /// The last record that it had applied.
    tried: u64,
    reason: String,
}

/// Records that are to be rejected.
struct Blame {
    failed: Failed,
    tried: u64,
    /// The records that are to blame first.
    own: Vec<u64>,
    /// Rejections that were perhaps a mistake.
    doubtful: Vec<u64>,
}

/// Takes services back to what they had, and rejects the records that they had applied since. `failed`: why, by service.
pub(in crate::reconcile) fn roll_back(
    plan: &Plan,
    log: &LogFile,
    mut state: State,
    failed: BTreeMap<String, String>,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let failing = ways_back(plan, &mut state, failed, machine)?;
    let services: BTreeSet<String> = failing.iter().map(|one| one.change.name.to_owned()).collect();
    let by = failing.first().map(|one| one.watch.by.clone()).unwrap_or_default();
    let on_trial = state.trial.clone();
    let (mut state, blames) = go(plan, state, failing, machine, report)?;
    trial::let_go(&mut state, services.iter(), machine);
    state.save(&machine.paths.state())?;
    forget_tries(services.iter(), machine, report);
    let mut is_rejected = false;
    for blame in blames {
        is_rejected |= reject(plan, log, blame, &mut state, (on_trial.as_ref(), &by), report)?;
    }
    state.save(&machine.paths.state())?;
    if is_rejected {
        // Reconciles the services with the log, which has new rejections.
        let request = Request { services: Some(services), by, follows: true, ..Request::default() };
        return reconcile(plan, log, request, machine, report, &mut |_| {});
    }
    begin(&mut state, machine, report)
}

/// Finds the fallback of each service. A service without one is not watched any more.
fn ways_back<'p>(
    plan: &'p Plan,
    state: &mut State,
    failed: BTreeMap<String, String>,
    machine: &Machine<'_>,
) -> Result<Vec<Failing<'p>>, ApplyError> {
    let key = Key::load(machine.paths)?;
    let mut failing = Vec::new();
    for (name, reason) in failed {
        let Some(watch) = state.services.get_mut(&name).and_then(|one| one.watch.take()) else { continue };
        let Some(unproven) = watch.changes.last().cloned() else { continue };
        let Some((name, service)) = plan.services.get_key_value(&name) else { continue };
        let found = observe(name, Some(service), state, machine.paths, &key)?;
        let as_built = render::identities_as_built(service).unwrap_or_default();
        let pending: BTreeSet<String> = watch.units.keys().cloned().collect();
        let back = &unproven.back;
        let sides = Sides { from: &found.now, to: back, confirmed: back, as_built: &as_built, pending: &pending };
        let Some(change) = Change::between(name, service, sides) else { continue };
        let reason = with_last_words(&change, &Fault::Unit(reason), machine);
        failing.push(Failing { change, watch, unproven, tried: state.log_id(name), reason });
    }
    Ok(failing)
}

/// Rolls the services back. Gives their states, and the records to blame.
fn go(
    plan: &Plan,
    state: State,
    failing: Vec<Failing<'_>>,
    machine: &Machine<'_>,
    report: &mut Report,
) -> Result<(State, Vec<Blame>), ApplyError> {
    let mut changes: Vec<Change<'_>> = failing.iter().map(|one| one.change.clone()).collect();
    let (mut unreached, mut dependents) = (BTreeMap::new(), Dependents::default());
    if let Some(manager) = machine.manager {
        unreached = check_all_units(&mut changes, manager)?;
        for (change, one) in changes.iter_mut().zip(&failing) {
            // A unit that stopped by itself is started again, whatever systemd calls its state.
            let blamed = one.watch.units.keys().find(|unit| one.reason.starts_with(&format!("{unit}: ")));
            change.units.extend(blamed.map(|unit| (unit.clone(), Verb::Restart)));
        }
        dependents = Dependents::note(&changes, Some(manager))?;
    }
    let mut pass = Pass::new(plan, state, 0);
    pass.take(&changes, &BTreeMap::new(), &dependents, Fallback::Static, machine);
    pass.leave(unreached);
    let mut blames = Vec::new();
    for Failing { change, watch, unproven, tried, reason } in failing {
        let (went, reason) = match pass.outcome(change.name) {
            Some(Outcome::RollbackFailed { reason: worse }) => {
                (FailureKind::RollbackFailed, format!("{reason}; going back: {worse}"))
            }
            Some(Outcome::Failed { reason: more }) => (FailureKind::RolledBack, format!("{reason}; {more}")),
            _ => (FailureKind::RolledBack, reason),
        };
        let entry = pass.state.service(change.name);
        entry.last_failure = Some(LastFailure::now(went, &reason));
        entry.log_id = match went {
            FailureKind::RollbackFailed => unproven.log_id.min(last_good(plan, change.name, machine)),
            _ => unproven.log_id,
        };
        went_back(entry, (went == FailureKind::RolledBack).then_some(watch), machine);
        let service = change.name.to_owned();
        if went == FailureKind::RolledBack {
            let failed = Failed { service: service.clone(), log_id: unproven.log_id, reason: reason.clone() };
            blames.push(Blame { failed, tried, own: unproven.own, doubtful: unproven.doubtful });
        }
        pass.forget(&service);
        let outcome = match went {
            FailureKind::RollbackFailed => Outcome::RollbackFailed { reason },
            FailureKind::RolledBack | FailureKind::NotConfirmed | FailureKind::Unseen => Outcome::RolledBack { reason },
        };
        report.services.insert(service, outcome);
    }
    Ok((pass.tell(report), blames))
}

/// Rejects what is to blame, and lifts rejections that were a mistake. Gives whether there were any.
fn reject(
    plan: &Plan,
    log: &LogFile,
    Blame { failed, tried, own, doubtful }: Blame,
    state: &mut State,
    (on_trial, by): (Option<&Trial>, &str),
    report: &mut Report,
) -> Result<bool, ApplyError> {
    let (service, reason) = (failed.service.clone(), failed.reason.clone());
    // A trial's records are rejected only for a while; now they are rejected for good.
    let on_trial = on_trial.filter(|trial| trial.back.contains_key(&service));
    let marks = on_trial.map(|trial| trial.marks.as_slice()).unwrap_or_default();
    let failed = [failed];
    let mut rejections = rejection::find(plan, log, &failed, tried, marks)?;
    let in_effect = if marks.is_empty() { log.fold()? } else { log.preview(&trial::confirmation(marks, "tried"))? };
    let uncovered = rejection::uncovered(plan, log, &failed, &in_effect, &rejections)?;
    rejections.extend(uncovered.into_iter().filter(|one| one.id <= tried));
    if marks.is_empty() {
        rejection::own_first(&mut rejections, &failed, &own);
    }
    report.rejected.extend(rejections.iter().map(|one| one.id));
    let count = rejections.len();
    let rejections = rejections.into_iter().map(|one| Draft::Reject { id: one.id, reason: one.reason });
    let lifted = doubtful
        .into_iter()
        .map(|id| Draft::Reject { id, reason: format!("{service} failed without it as well: {reason}") });
    let recorded: Vec<Draft> = rejections.chain(lifted).collect();
    let ids = log.append(&recorded, by, None, |_| {})?;
    // Perhaps it is what is below that does not work.
    if let Some(below) = state.service(&service).watch.as_mut().and_then(|watch| watch.changes.last_mut()) {
        below.doubtful.extend(&ids[..count.min(ids.len())]);
    }
    Ok(!ids.is_empty())
}
