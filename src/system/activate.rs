//! Activation: the step of the system's activation script.
//!
//! nixos-rebuild sets `NIXOS_ACTION` for it (nixpkgs, switch-to-configuration-ng). Run by hand
//! (`/nix/var/nix/profiles/system/activate`), it is not set; and at boot systemd does not run yet.
//!
//! If NixOS runs no activation scripts, dynix-activate.service does the same: at a boot before sysinit.target, when
//! there is no bus yet, and at a switch when switch-to-configuration restarts sysinit-reactivation.target.

use camino::{Utf8Path, Utf8PathBuf};

use super::System;
use super::withdraw::is_switching;
use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::host::systemd::early;
use crate::overrides::Draft;
use crate::plan::OnSwitch;
use crate::reconcile::report::Report;
use crate::reconcile::{Occasion, rerun};
use crate::system::session::Session;

/// The result of an activation.
#[derive(Debug)]
pub enum Activated {
    /// There was nothing to do.
    Nothing,
    /// The changes that a switch would make.
    WouldDo(Report),
    /// The changes that were made.
    Did(Report),
}

impl Session {
    /// Opens the system that is being activated; `None` if dynix has nothing to do for it.
    pub fn open_for_activation(&self, activated: Option<Utf8PathBuf>) -> anyhow::Result<Option<System<'_>>> {
        match self.open() {
            // A directory with wrong permissions matters only after something is recorded in it.
            Err(error) if error.is::<FileError>() && self.nothing_recorded()? => Ok(None),
            opened => opened.map(|system| Some(System { paths: system.paths.activating(activated), ..system })),
        }
    }
}

impl Session {
    /// The system that a unit activates: by then it is the one that runs. Finds out how far the boot is.
    pub fn activated_by_unit(&self) -> anyhow::Result<Option<Utf8PathBuf>> {
        if self.location().home.is_none() && early::is_now()? {
            self.is_before_bus();
        }
        let system = Paths::new(Utf8Path::new("/"), None, None).current_system();
        Ok(fs::read_link(&system)?.map(Utf8PathBuf::from))
    }
}

impl System<'_> {
    /// The same as [`Self::activate`], as a unit.
    pub fn activate_in_unit(&self) -> anyhow::Result<Activated> {
        if self.paths.home().is_some() {
            return self.activate_at_login();
        }
        if self.session.reaches_systemd() {
            // `switch` and `test` are the same to it.
            return self.activate(if is_switching(&self.paths)? { "test" } else { "" });
        }
        let activated = self.activate("")?;
        let units = rerun::units_to_start(&self.paths)?;
        if !units.is_empty() {
            early::take_up(&units)?;
        }
        Ok(activated)
    }

    /// The same in a user's service manager, which starts the other units after it: a boot for the user's own services.
    fn activate_at_login(&self) -> anyhow::Result<Activated> {
        // The unit was started anew within a session.
        if !self.session.is_starting()? {
            return self.activate("");
        }
        // A runtime directory may outlive the manager. Nothing reads what an earlier one left.
        fs::remove_tree(&self.paths.run())?;
        let mut request = self.request(None);
        (request.occasion, request.before_units) = (Occasion::Boot, true);
        self.session.heed_signals()?;
        Ok(Activated::Did(self.apply_as(&request, true)?))
    }

    /// Activates. `action` is the action of nixos-rebuild; it is empty if nixos-rebuild does not run.
    pub fn activate(&self, action: &str) -> anyhow::Result<Activated> {
        let static_wins = match (action, self.plan.on_switch) {
            // The next boot's system is not the one that runs.
            ("boot", _) => return Ok(Activated::Nothing),
            ("switch" | "test" | "dry-activate", OnSwitch::Static) => true,
            _ => false,
        };
        let log = self.log();
        let folded = log.fold()?;
        // What sources say holds on top of any system.
        let is_layered = folded.is_layered();
        let back = if static_wins && !folded.own().is_empty() { vec![Draft::Rollback(0)] } else { Vec::new() };
        let mut request = self.request(None);
        if action == "dry-activate" {
            return Ok(Activated::WouldDo(self.dry_run(&request, &back)?));
        }
        if !back.is_empty() {
            let ids = log.append(&back, "nixos-rebuild", None, self.waits())?;
            let message = format!("recorded {}: the built configuration wins over the overrides", ids[0]);
            self.session.progress().inform(&message);
        }
        if !action.is_empty() {
            request.occasion = Occasion::Switch { static_wins: static_wins && !is_layered };
        } else if self.session.recall(true)?.before_boot {
            request.occasion = Occasion::Boot;
        }
        self.session.heed_signals()?;
        let report = self.apply_as(&request, true)?;
        // The metrics file may have services that this system lacks.
        self.refresh_metrics();
        Ok(Activated::Did(report))
    }
}
