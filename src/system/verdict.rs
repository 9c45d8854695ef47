//! Waits for the verdict on the units that a command changed (`--wait`).

use std::time::{Duration, Instant};

use anyhow::bail;

use super::System;
use super::request::Wait;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::state::FailureKind;
use crate::time::clock::{Clock, SystemClock};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(25);
/// How long after the end of a watch there may be nothing known yet, in seconds: a unit may still change, a switch may be
/// under way.
const GRACE: f64 = 120.0;

impl System<'_> {
    /// Waits until it is known whether the services that an apply changed work on their values, and puts that into `report`.
    pub fn await_verdict(
        &self,
        report: &mut Report,
        limit: Wait,
        interrupted: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let watched: Vec<String> = report.watched.keys().cloned().collect();
        if watched.is_empty() {
            return Ok(());
        }
        self.session.progress().inform(&format!("waiting for what becomes of {}", watched.join(", ")));
        loop {
            let state = self.state()?;
            let mut is_open = false;
            for service in &watched {
                let entry = state.services.get(service);
                // An apply that succeeds leaves no last failure.
                if let Some(last_failure) = entry.and_then(|one| one.last_failure.clone()) {
                    let reason = last_failure.reason;
                    let outcome = match last_failure.result {
                        FailureKind::RolledBack => Outcome::RolledBack { reason },
                        FailureKind::RollbackFailed => Outcome::RollbackFailed { reason },
                        FailureKind::NotConfirmed => Outcome::Failed { reason },
                        FailureKind::Unseen => Outcome::Unseen { reason },
                    };
                    report.services.insert(service.clone(), outcome);
                    report.watched.remove(service);
                    continue;
                }
                match entry.and_then(|one| one.watch.as_ref()) {
                    None => drop(report.watched.remove(service)),
                    Some(watch) if now() > watch.end + GRACE => {
                        bail!(
                            "nobody watches {service} any more, so what becomes of it is not known; see `dynix status`"
                        )
                    }
                    Some(_) => is_open = true,
                }
            }
            let is_over = matches!(limit, Wait::For(limit) if start.elapsed() >= limit);
            if !is_open || is_over || interrupted() {
                return Ok(());
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

/// Seconds of the monotonic clock.
fn now() -> f64 {
    SystemClock.monotonic().as_secs_f64()
}
