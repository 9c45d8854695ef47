//! Rolls back a service that does not work on its new values: to what it had before, or to its static files.

use std::collections::BTreeSet;

use super::change::Change;
use super::execution::Fault;
use super::report::Outcome;
use super::rollout::{Fallback, Progress, Rollout, to_the_end};
use super::state::InEffect;
use super::verdict::stay_down;

impl Rollout<'_> {
    /// The fallback of a service that does not work.
    pub(super) fn fall_back(&self, change: &Change<'_>, fault: &Fault, progress: &mut Progress) -> (InEffect, Outcome) {
        let reason = self.reason(change, fault);
        match (self.fallback, fault) {
            (Fallback::Never, _) | (Fallback::Static, Fault::Dependent(_)) => {
                (change.to.clone(), Outcome::Failed { reason })
            }
            (Fallback::Static, _) => self.to_static(change, vec![reason], progress),
            (Fallback::Previous, _) => self.to_back(change, fault, reason, progress),
        }
    }

    fn to_back(
        &self,
        change: &Change<'_>,
        fault: &Fault,
        reason: String,
        progress: &mut Progress,
    ) -> (InEffect, Outcome) {
        let up = self.up(change);
        let touched: BTreeSet<&String> = progress.touched.difference(&progress.stopped).collect();
        let back =
            change.reversed(|unit| up.iter().any(|one| one == unit), |unit| touched.iter().any(|one| *one == unit));
        match self.switch(&back, progress) {
            // The service worked on this before, and nothing shows otherwise.
            None | Some(Fault::Stopped(_) | Fault::Unjudged(_)) => {}
            Some(worse) => {
                let worse = format!("going back: {}", self.reason(&back, &worse));
                return self.to_static(&back, vec![reason, worse], progress);
            }
        }
        self.revive(change, progress, &to_the_end);
        let stays_down =
            if progress.down.is_empty() { String::new() } else { format!("; {}", stay_down(&progress.down)) };
        let is_to_blame = match fault {
            Fault::Unit(_) | Fault::Unhealthy(_) | Fault::Refused(_) => true,
            Fault::Dependent(_) => progress.down.is_empty(),
            Fault::Broken(_) | Fault::Unjudged(_) | Fault::Stopped(_) | Fault::Interrupted => false,
        };
        let outcome = if is_to_blame {
            Outcome::RolledBack { reason: reason + &stays_down }
        } else if matches!(fault, Fault::Dependent(_)) {
            Outcome::Failed { reason: format!("{}; it is back on what it had", stay_down(&progress.down)) }
        } else {
            Outcome::Failed { reason: format!("{reason}; it is back on what it had{stays_down}") }
        };
        (back.to, outcome)
    }

    /// The last resort.
    fn to_static(&self, change: &Change<'_>, mut reasons: Vec<String>, progress: &mut Progress) -> (InEffect, Outcome) {
        if !change.to.is_static() {
            let last = change.to_static();
            if let Some(fault) = self.switch(&last, progress) {
                reasons.push(format!("going static: {}", self.reason(&last, &fault)));
            }
        }
        self.revive(change, progress, &to_the_end);
        if !progress.down.is_empty() {
            reasons.push(stay_down(&progress.down));
        }
        (InEffect::default(), Outcome::RollbackFailed { reason: reasons.join("; ") })
    }
}
