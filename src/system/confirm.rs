//! The end of a trial: the change is kept, or rolled back at once.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::System;
use super::caller::Caller;
use super::exclusive::Exclusive;
use super::request::Confirm;
use crate::reconcile::report::Report;
use crate::reconcile::trial::{self, NOT_CONFIRMED, Which};
use crate::reconcile::{Occasion, locks};

/// The result of a confirmation.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The records that count from now on; `None` if the trial rolled back.
    pub confirmed: Option<Confirmed>,
    /// The report of the apply.
    pub report: Report,
}

/// The records that count from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// The services that they concern.
    pub services: Vec<String>,
    /// The records.
    pub records: Vec<u64>,
}

impl System<'_> {
    /// Confirms the trial, or rolls it back. `found`: the timer of the trial that the caller saw and may end. A trial
    /// that begins while this waits for its turn belongs to another caller.
    pub fn confirm(&self, request: &Confirm, found: Option<&str>, caller: &Caller<'_>) -> anyhow::Result<Settled> {
        if !request.revert {
            return self.keep_trial(found, caller);
        }
        let which = request.of.as_deref().map_or(Which::Observed(found), Which::Of);
        let mut report = self.revert(which, NOT_CONFIRMED, caller.by)?;
        self.after_trial(&mut report)?;
        self.verify_soon();
        Ok(Settled { confirmed: None, report })
    }

    fn keep_trial(&self, found: Option<&str>, caller: &Caller<'_>) -> anyhow::Result<Settled> {
        let turn = Exclusive::take(self, Occasion::Asked, locks::PATIENCE)?;
        let system = turn.system();
        let log = system.log();
        let (kept, mut report) = system.with_machine(false, |machine| {
            Ok(trial::confirm(&system.plan, &log, (found, caller.by), machine, &turn.locks, system.waits())?)
        })?;
        drop(turn);
        self.after_trial(&mut report)?;
        let (services, records) = (kept.back.into_keys().collect(), kept.marks.iter().map(|one| one.record).collect());
        Ok(Settled { confirmed: Some(Confirmed { services, records }), report })
    }

    /// Goes back from a change on trial.
    pub(super) fn revert(&self, which: Which<'_>, reason: &str, by: &str) -> anyhow::Result<Report> {
        let turn = Exclusive::take(self, Occasion::Asked, trial::PATIENCE)?;
        let system = turn.system();
        let log = system.log();
        system.with_machine(false, |machine| {
            let (start, before) = (Instant::now(), system.state()?);
            let report = trial::revert(&system.plan, &log, which, reason, machine, &turn.locks)?;
            system.tell(by, (&before, &report, start.elapsed()));
            Ok(report)
        })
    }
}
