//! `dynix reset`: back to what nixos-rebuild built.

use super::change::{Context, Recorded};
use super::{place, recording};
use crate::attr_path::AttrPath;
use crate::host::paths::Paths;
use crate::overrides::{Change, Folded, LogFile};
use crate::plan::Plan;
use crate::reconcile::Occasion;
use crate::reconcile::state::State;
use crate::system::request::Reset;

/// Records it.
pub fn record(request: &Reset, context: &Context<'_>) -> anyhow::Result<Recorded> {
    let services = place::services(context.plan, &request.services)?;
    let mut trial = recording::start(request.confirm, context)?;
    let mut recorded = Recorded::default();
    let decide = |log: &LogFile| Ok(changes(context.plan, &in_effect(log, context.paths)?, &request.services));
    recorded.records = recording::record(context, &mut trial, decide)?;
    if recorded.records.is_empty() {
        recorded.notes.push("nothing is overridden".to_owned());
    } else {
        "reset".clone_into(&mut recorded.what);
    }
    let mut apply = context.apply(services);
    // The way out of anything: also of a change of these services that awaits its confirmation.
    if trial.is_none() {
        apply.occasion = Occasion::Reset;
    }
    apply.trial = trial;
    recorded.apply = Some(apply);
    Ok(recorded)
}

/// What the log comes to now, with a change on trial: that is reset as well.
pub fn in_effect(log: &LogFile, paths: &Paths) -> anyhow::Result<Folded> {
    let on_trial = State::load(&paths.state())?.on_trial();
    Ok(if on_trial.is_empty() { log.fold()? } else { log.preview(&on_trial)? })
}

/// The records that leave nothing overridden: also of what has no value now, and might have one later.
pub fn changes(plan: &Plan, folded: &Folded, services: &[String]) -> Vec<Change> {
    let pending: Vec<&AttrPath> = folded.unevaluated.iter().flat_map(|one| &one.paths).collect();
    if folded.overlay.is_empty() && pending.is_empty() {
        return Vec::new();
    }
    if services.is_empty() {
        return vec![Change::Rollback(0)];
    }
    let options =
        services.iter().filter_map(|service| plan.services.get(service)).flat_map(|service| service.options.keys());
    let is_about = |option: &AttrPath| pending.iter().any(|path| path.starts_with(option) || option.starts_with(path));
    options
        .filter_map(|option| AttrPath::parse(option).ok())
        .filter(|option| !folded.overlay.below(option).is_empty() || is_about(option))
        .map(Change::Unset)
        .collect()
}
