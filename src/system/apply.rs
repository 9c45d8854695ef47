//! Applying: reconciles running services with the log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::System;
use super::evaluated::Pending;
use super::exclusive::Exclusive;
use crate::overrides::Draft;
use crate::reconcile::report::Report;
use crate::reconcile::{self, Request, locks};

impl System<'_> {
    /// A request to apply some services, or all, for the user who runs dynix.
    #[must_use]
    pub fn request(&self, services: Option<BTreeSet<String>>) -> Request {
        Request { services, by: self.session.user(), ..Request::default() }
    }

    /// Applies. Whether a rebuild would give the same is not looked at; see [`System::verify_soon`].
    pub fn apply(&self, request: &Request) -> anyhow::Result<Report> {
        self.apply_as(request, false)
    }

    /// The same; `activating`: as the activation of a system, which is the one that runs from now on.
    pub(super) fn apply_as(&self, request: &Request, activating: bool) -> anyhow::Result<Report> {
        let pending = self.pending(request, activating)?;
        let trial_goes_on = pending.as_ref().is_some_and(Pending::is_any);
        let request = Request { trial_goes_on, ..request.clone() };
        let mut report = self.apply_services(&request, activating)?;
        if !report.interrupted {
            self.apply_rest(&request, pending, &mut report)?;
        }
        if activating {
            self.activate_evaluated(&request, &mut report)?;
        }
        Ok(report)
    }

    /// Applies what is of services.
    pub(super) fn apply_services(&self, request: &Request, activating: bool) -> anyhow::Result<Report> {
        // The holder of the lock may be waiting for units that wait for this apply.
        let patience = if request.before_units { Duration::ZERO } else { locks::PATIENCE };
        let turn = Exclusive::take(self, request.occasion, patience)?;
        let system = turn.system();
        let log = system.log().trying_again();
        system.with_machine(activating, |machine| {
            let (start, before) = (Instant::now(), system.state()?);
            let mut report = reconcile::apply(&system.plan, &log, request, machine, &turn.locks, system.waits())?;
            let took = start.elapsed();
            report.took = machine.manager.and_then(|_| u64::try_from(took.as_micros()).ok());
            system.tell(&request.by, (&before, &report, took));
            Ok(report)
        })
    }

    /// The report of an apply that is only simulated, with `changes` recorded first.
    pub fn dry_run(&self, request: &Request, changes: &[Draft]) -> anyhow::Result<Report> {
        self.with_machine(false, |machine| {
            Ok(reconcile::dry_run(&self.plan, &self.log().trying_again(), changes, request, machine)?)
        })
    }
}
