//! `dynix reset`: returns to what nixos-rebuild built.

use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::{Draft, Folded, LogFile};
use crate::plan::{Plan, allowed};
use crate::reconcile::Occasion;
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::Reset;

/// Records it.
pub fn record(request: &Reset, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let services = lookup::services(&system.plan, &request.services)?;
    let mut trial = trial::start(request.confirm, system)?;
    let mut recorded = Recorded::default();
    let decide = |log: &LogFile| system.reset_changes(log, &request.services);
    let made = trial::record((system, caller), &mut trial, decide)?;
    if made.drafts.is_empty() {
        recorded.notes.push("nothing is overridden by this host".to_owned());
    } else {
        "reset".clone_into(&mut recorded.what);
    }
    let is_tried = trial.is_some();
    let mut recorded = recorded.then(made, true, services, trial, caller);
    if let Some(apply) = &mut recorded.apply {
        // The records are no values that could be to blame.
        apply.records.clear();
        // The way out of anything: also of a change of these services that awaits its confirmation.
        if !is_tried {
            apply.occasion = Occasion::Reset;
        }
    }
    Ok(recorded)
}

impl System<'_> {
    /// The records that remove all overrides of these services, or of all if none is named. They also reset a trial.
    pub(in crate::system) fn reset_changes(&self, log: &LogFile, services: &[String]) -> anyhow::Result<Vec<Draft>> {
        let on_trial = self.state()?.on_trial();
        let folded = if on_trial.is_empty() { log.fold()? } else { log.preview(&on_trial)? };
        Ok(changes(&self.plan, &folded, services))
    }
}

/// The records that leave nothing overridden: also of what has no value now, and might have one later.
fn changes(plan: &Plan, folded: &Folded, services: &[String]) -> Vec<Draft> {
    let pending: Vec<&AttrPath> = folded.unevaluated.iter().flat_map(|one| &one.paths).collect();
    let own = folded.own();
    if own.is_empty() && pending.is_empty() {
        return Vec::new();
    }
    if services.is_empty() {
        return vec![Draft::Rollback(0)];
    }
    let options =
        services.iter().filter_map(|service| plan.services.get(service)).flat_map(|service| service.options.keys());
    let is_about = |option: &AttrPath| pending.iter().any(|path| path.starts_with(option) || option.starts_with(path));
    let of_services = options
        .filter_map(|option| AttrPath::parse(option).ok())
        .filter(|option| !own.below(option).is_empty() || is_about(option));
    let mut unset: Vec<AttrPath> = of_services.collect();
    if services.iter().any(|service| service == SYSTEM) {
        let all = own.leaves().into_iter().map(|(path, _)| path).chain(pending.into_iter().cloned());
        unset.extend(all.filter(|path| allowed::is_evaluated(plan, path)));
    }
    unset.into_iter().map(Draft::Unset).collect()
}
