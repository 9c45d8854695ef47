//! Reports an apply to the journal and the metrics. Best effort: this never fails or delays an apply.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::System;
use crate::host;
use crate::overrides::{Folded, LogFile, Most};
use crate::plan::Plan;
use crate::plan::options::OptionIndex;
use crate::reconcile::concerns;
use crate::reconcile::report::Report;
use crate::reconcile::state::State;
use crate::telemetry::journal::Entry;

impl System<'_> {
    /// Tells of an apply. `before`: what was in effect.
    pub(super) fn tell(&self, by: &str, (before, report, took): (&State, &Report, Duration)) {
        if report.services.is_empty() {
            return;
        }
        if !self.session.is_elsewhere() {
            self.tell_journal(by, before, report, took);
        }
        let now = SystemTime::now();
        self.unless_written(self.count(|counters| counters.count(report, took, now)));
    }

    fn tell_journal(&self, by: &str, before: &State, report: &Report, took: Duration) {
        let log = self.log();
        let folded = log.fold().unwrap_or_default();
        let rejected = match report.rejected.as_slice() {
            [] => Vec::new(),
            some => log.find(|id| some.contains(&id)).unwrap_or_default(),
        };
        let mut causes = causes(&self.plan, before, &folded);
        let messages = messages(&log, &causes.values().flatten().map(|(id, _)| *id).collect());
        for (service, outcome) in &report.services {
            let mut causes = causes.remove(service.as_str()).unwrap_or_default();
            for record in &rejected {
                let paths = record.paths().into_iter().filter(|path| concerns(&self.plan, service, path));
                causes.extend(paths.map(|path| (record.id, path.to_string())));
            }
            let causes = Vec::from_iter(causes);
            let of = |id: &u64| {
                messages.get(id).or_else(|| rejected.iter().find(|record| record.id == *id)?.message.as_ref())
            };
            let ids: BTreeSet<u64> = causes.iter().map(|(id, _)| *id).collect();
            let messages: Vec<&str> = ids.iter().filter_map(of).map(String::as_str).collect();
            Entry::outcome(service, outcome, by, &causes, &messages, took).send();
        }
    }

    /// Warns if the metrics could not be written.
    pub(super) fn unless_written(&self, counted: anyhow::Result<()>) {
        if let Err(error) = counted {
            let problem = host::messages::chain(&error);
            self.session.progress().warn(&format!("what there is to measure can't be written: {problem}"));
        }
    }
}

/// What was said about these records, as far as it is near the end of the log.
fn messages(log: &LogFile, ids: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    const MOST: Most = Most { records: 1000, bytes: 1 << 20 };
    let Some(first) = ids.first() else { return BTreeMap::new() };
    let page = log.page(first.saturating_sub(1), MOST).unwrap_or_default();
    let records = page.records.into_iter().map(|(record, _)| record).filter(|record| ids.contains(&record.id));
    records.filter_map(|record| Some((record.id, record.message?))).collect()
}

/// The records that each service's change is from, each with an option that it sets.
fn causes<'p>(plan: &'p Plan, before: &State, folded: &Folded) -> BTreeMap<&'p str, BTreeSet<(u64, String)>> {
    let places = OptionIndex::new(plan);
    let mut causes: BTreeMap<&str, BTreeSet<(u64, String)>> = BTreeMap::new();
    for (path, one) in folded.overlay.leaves() {
        let Some(service) = places.find(&path).map(|place| place.service_name) else { continue };
        if one.id > before.log_id(service) {
            causes.entry(service).or_default().insert((one.id, path.to_string()));
        }
    }
    causes
}
