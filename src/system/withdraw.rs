//! Takes everything of dynix out of effect, for a switch to a system without dynix.
//!
//! systemd asks for it when it stops dynix-withdraw.service. That happens within a switch to a system that lacks this
//! unit, after the switch took its lock and before it activates. Units are left alone: each service's drop-in goes with
//! the old system, so the switch itself restarts the service on the built values.

use std::time::Duration;

use super::System;
use super::session::Session;
use crate::host::fs::lock::{self, LockError, Patience};
use crate::host::fs::{self, generation};
use crate::host::paths::Paths;
use crate::host::systemd::{ManagerError, ServiceManager, own};
use crate::overrides::{Draft, Layer};
use crate::reconcile::execution::Machine;
use crate::reconcile::{Occasion, Request, apply, locks, rerun};

/// The author in the log.
const BY: &str = "nixos-rebuild";

impl System<'_> {
    /// Takes all overrides out of effect, if a switch asks for it. They stay at a shutdown, and if somebody stops the
    /// unit by hand.
    pub fn withdraw(&self) -> anyhow::Result<()> {
        let System { plan, paths, session } = self;
        // Without a switch nothing is asked of systemd, whose bus may be gone at a shutdown.
        if !is_switching(paths)? || is_shutting_down(session)? {
            return Ok(());
        }
        let occasion = Occasion::Switch { static_wins: true };
        let locks = locks::take(paths, occasion, Patience::from(locks::PATIENCE), self.waits())?;
        let log = self.log();
        let before = self.state()?;
        // A log whose records can't be read is no reason to keep what they led to.
        if before.trial.is_some() || log.fold().map_or(true, |folded| !folded.overlay.is_empty()) {
            let layers = plan.sources.iter().map(|one| Draft::Layer(Layer::nothing(&one.name)));
            let changes: Vec<Draft> = [Draft::Rollback(0)].into_iter().chain(layers).collect();
            let ids = log.append(&changes, BY, None, self.waits())?;
            let message = format!("recorded {}: the next system has no dynix, which the overrides need", ids[0]);
            session.progress().inform(&message);
        }
        self.with_machine(false, |machine| {
            let request = Request { by: BY.to_owned(), occasion, ..Request::default() };
            apply(plan, &log, &request, &Machine { manager: None, ..*machine }, &locks, self.waits())?;
            // The next system does not know them.
            if machine.manager.is_some() {
                own::stop(&rerun::names())?;
            }
            rerun::remove_units(machine)?;
            Ok(())
        })?;
        for service in before.services.keys().chain(plan.services.keys()) {
            generation::forget(&paths.service(service))?;
        }
        fs::remove(&paths.state())?;
        Ok(())
    }
}

fn is_shutting_down(session: &Session) -> Result<bool, ManagerError> {
    session.manager_to_ask().map_or(Ok(false), ServiceManager::is_stopping)
}

/// Whether another process holds the lock of switch-to-configuration.
pub(super) fn is_switching(paths: &Paths) -> Result<bool, LockError> {
    match lock::acquire(&paths.switch_lock(), Duration::ZERO, |_| ()) {
        Ok(_) => Ok(false),
        Err(LockError::Held { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
