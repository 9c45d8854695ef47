//! `dynix reset`: back to what nixos-rebuild built.

use super::apply::Task;
use super::session::Session;
use super::{place, recording};
use crate::apply::Occasion;
use crate::attr_path::AttrPath;
use crate::cli::Reset;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::{Change, Folded};
use crate::plan::Plan;

/// Records it and applies it.
pub fn run(arguments: &Reset, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let services = place::services(&plan, &arguments.services)?;
    let changes = changes(&plan, &log.fold()?, &arguments.services);
    let mut task = Task { json: arguments.applying.json, ..Task::new(&plan, &paths, services, session) };
    if arguments.applying.dry_run {
        return task.dry_run(&changes, session);
    }
    let mut trial = recording::start(arguments.applying.confirm, &paths, session)?;
    if changes.is_empty() {
        messages::info("nothing is overridden");
    } else {
        recording::record(&log, &changes, &mut trial, None, session)?;
    }
    // The way out of anything: also of a change that awaits its confirmation.
    if trial.is_none() {
        task.request.occasion = Occasion::Reset;
    }
    task.request.trial = trial;
    task.run(session)
}

/// The records that leave nothing overridden.
fn changes(plan: &Plan, folded: &Folded, services: &[String]) -> Vec<Change> {
    if folded.overlay.is_empty() {
        return Vec::new();
    }
    if services.is_empty() {
        return vec![Change::Rollback(0)];
    }
    let options =
        services.iter().filter_map(|service| plan.services.get(service)).flat_map(|service| service.options.keys());
    options
        .filter_map(|option| AttrPath::parse(option).ok())
        .filter(|option| !folded.overlay.below(option).is_empty())
        .map(Change::Unset)
        .collect()
}
