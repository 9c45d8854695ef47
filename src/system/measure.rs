//! Collects the metrics, and writes them where a collector looks for them.

use std::time::Duration;

use super::System;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::lock::{self, Lock};
use crate::telemetry::metrics::{self, Counters, FILE, Measured};

/// How long to wait for another process that counts.
const PATIENCE: Duration = Duration::from_secs(1);

impl System<'_> {
    /// The metrics, in Prometheus text format.
    pub fn metrics(&self) -> anyhow::Result<String> {
        self.measured(&Counters::load(&self.paths.counters())?)
    }

    /// Counts, and writes the metrics for the collector. It does nothing if metrics are not wanted.
    pub(super) fn count(&self, counting: impl FnOnce(&mut Counters)) -> anyhow::Result<()> {
        if self.plan.metrics.is_none() && self.plan.daemon.is_none() {
            return Ok(());
        }
        let _counting = self.counting()?;
        let mut counters = Counters::load(&self.paths.counters())?;
        counting(&mut counters);
        counters.save(&self.paths.counters())?;
        self.write_metrics(&counters)
    }

    /// Writes the metrics for the collector again, because something that is not counted has changed.
    pub(super) fn refresh_metrics(&self) {
        self.unless_written(self.refresh());
    }

    fn refresh(&self) -> anyhow::Result<()> {
        if self.plan.metrics.is_none() {
            return Ok(());
        }
        let _counting = self.counting()?;
        self.write_metrics(&Counters::load(&self.paths.counters())?)
    }

    fn counting(&self) -> anyhow::Result<Lock> {
        Ok(lock::acquire(&self.paths.run().join("metrics.lock"), PATIENCE, |_| ())?)
    }

    fn measured(&self, counters: &Counters) -> anyhow::Result<String> {
        let (folded, state, verdict) = (self.log().fold()?, self.state()?, self.known_verdict()?);
        let measured =
            Measured { plan: &self.plan, state: &state, folded: &folded, counters, verdict: verdict.as_ref() };
        Ok(metrics::text(measured))
    }

    fn write_metrics(&self, counters: &Counters) -> anyhow::Result<()> {
        let Some(spec) = &self.plan.metrics else { return Ok(()) };
        self.plan.services.require_all()?;
        let text = self.measured(counters)?;
        let path = self.paths.below_root(&spec.textfile).join(FILE);
        Ok(atomic::write(&path, text.as_bytes(), 0o644, Durability::Volatile)?)
    }
}
