//! The counts since the boot: /run/dynix/metrics.json.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::host::fs::{FileError, json_file};
use crate::reconcile::report::{Outcome, Report};
use crate::telemetry::journal::Kind;

/// Upper bounds of the histogram's buckets, in seconds.
pub const BUCKETS: [f64; 12] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// By service and result.
    pub results: BTreeMap<String, BTreeMap<String, u64>>,
    /// When each service last came to have other values, in seconds since 1970.
    pub last_change: BTreeMap<String, f64>,
    /// Of applies that changed something.
    pub durations: Durations,
    /// Records that were rejected because a rebuild would differ with them.
    #[serde(default)]
    pub unsound: u64,
}

/// A histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// How many are in each bucket and in none below it.
    pub buckets: [u64; BUCKETS.len()],
    /// Seconds in all.
    pub sum: f64,
    /// How many in all.
    pub count: u64,
}

impl Counters {
    /// The stored counts. A file that can't be used begins anew, because nothing depends on it.
    pub fn load(path: &Utf8Path) -> Result<Self, FileError> {
        Ok(json_file::load(path)?.unwrap_or_default())
    }

    /// Keeps them.
    pub fn save(&self, path: &Utf8Path) -> Result<(), FileError> {
        json_file::save(path, self, 0o644)
    }

    /// Counts an apply.
    pub fn count(&mut self, report: &Report, took: Duration, now: SystemTime) {
        if report.services.is_empty() {
            return;
        }
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        for (service, outcome) in &report.services {
            let results = self.results.entry(service.clone()).or_default();
            *results.entry(Kind::from_outcome(outcome).result().to_owned()).or_default() += 1;
            if matches!(outcome, Outcome::Applied | Outcome::RollbackFailed { .. }) {
                self.last_change.insert(service.clone(), now);
            }
        }
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.durations.buckets[bucket] += 1;
        }
        self.durations.sum += seconds;
        self.durations.count += 1;
    }
}
