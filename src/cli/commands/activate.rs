//! `dynix activate`: what the system's activation script runs.
//!
//! nixos-rebuild sets `NIXOS_ACTION` for it (nixpkgs, switch-to-configuration-ng); run by hand
//! (`/nix/var/nix/profiles/system/activate`) it is not set, and at boot systemd does not run yet.

use super::apply::Task;
use super::session::Session;
use super::{metrics, notice};
use crate::cli::arguments;
use crate::exit::Exit;
use crate::host::fs::FileError;
use crate::host::messages;
use crate::overrides::Change;
use crate::plan::OnSwitch;
use crate::reconcile::Occasion;

/// Does the right thing for who runs it.
pub fn run(arguments: arguments::Activate, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = match session.load() {
        // A place that may not be used is nobody's concern before something is recorded there.
        Err(error) if error.is::<FileError>() && session.nothing_recorded()? => return Ok(Exit::Done),
        loaded => loaded?,
    };
    let paths = paths.activating(arguments.system);
    let action = std::env::var("NIXOS_ACTION").unwrap_or_default();
    let inside_switch = !action.is_empty();
    let static_wins = match (action.as_str(), plan.on_switch) {
        // The next boot's system is not the one that runs.
        ("boot", _) => return Ok(Exit::Done),
        ("switch" | "test" | "dry-activate", OnSwitch::Static) => true,
        _ => false,
    };
    let log = session.log(&plan, &paths);
    let overridden = !log.fold()?.overlay.is_empty();
    let back = if static_wins && overridden { vec![Change::Rollback(0)] } else { Vec::new() };
    if action == "dry-activate" {
        return Task::new(&plan, &paths, None, session).dry_run(&back, session);
    }
    if !back.is_empty() {
        let ids = log.append(&back, "nixos-rebuild", None, super::waiting)?;
        messages::info(format!("recorded {}: the built configuration wins over the overrides", ids[0]));
    }
    let mut task = Task { activating: true, ..Task::new(&plan, &paths, None, session) };
    if inside_switch {
        task.request.occasion = Occasion::Switch { static_wins };
    } else if session.recall(true)?.before_boot {
        task.request.occasion = Occasion::Boot;
    }
    let exit = task.run(&[], session)?;
    // What a collector reads may speak of services that this system does not have.
    notice::unless_written(metrics::refresh(&plan, &paths, session));
    Ok(exit)
}
