//! What the outside is told of an apply: entries in the journal, and measurements. Neither ever fails or delays it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::session::Session;
use super::{metrics, place};
use crate::apply::concerns;
use crate::apply::report::Report;
use crate::apply::state::State;
use crate::journal::Entry;
use crate::messages;
use crate::overrides::{Folded, Record};
use crate::paths::Paths;
use crate::plan::Plan;

/// Tells of an apply. `before`: what was in effect.
pub fn tell(
    plan: &Plan,
    paths: &Paths,
    session: &Session,
    by: &str,
    (before, report, took): (&State, &Report, Duration),
) {
    if report.services.is_empty() {
        return;
    }
    if session.global.root.is_none() {
        let log = session.log(plan, paths);
        let folded = log.fold().unwrap_or_default();
        let rejected = match report.rejected.as_slice() {
            [] => Vec::new(),
            some => log.find(|id| some.contains(&id)).unwrap_or_default(),
        };
        for (service, outcome) in &report.services {
            let causes = causes(plan, service, before.log_id(service), &folded, &rejected);
            Entry::outcome(service, outcome, by, &causes, took).send();
        }
    }
    let now = SystemTime::now();
    if_counted(metrics::count(plan, paths, session, |counters| counters.count(report, took, now)));
}

/// Says so where what there is to measure could not be written.
pub fn if_counted(counted: anyhow::Result<()>) {
    if let Err(error) = counted {
        messages::warn(format!("what there is to measure can't be written: {}", messages::chain(&error)));
    }
}

/// The records that a service's change is from, each with an option that it sets; best effort.
fn causes(plan: &Plan, service: &str, applied: u64, folded: &Folded, rejected: &[Record]) -> Vec<(u64, String)> {
    let is_ours = |path: &_| place::find(plan, path).is_ok_and(|place| place.service_name == service);
    let overrides = folded.overlay.leaves().into_iter().filter(|(path, one)| one.id > applied && is_ours(path));
    let mut causes: BTreeSet<(u64, String)> = overrides.map(|(path, one)| (one.id, path.to_string())).collect();
    for record in rejected {
        let paths = record.paths().into_iter().filter(|path| concerns(plan, service, path));
        causes.extend(paths.map(|path| (record.id, path.to_string())));
    }
    causes.into_iter().collect()
}
