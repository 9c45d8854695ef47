//! `dynix activate`: the step of the system's activation script, or of the unit that takes its place.

use super::apply;
use crate::cli::arguments;
use crate::exit::Exit;
use crate::system::activate::Activated;
use crate::system::session::Session;

/// Activates for the activation script, or for the unit in its place.
pub fn run(arguments: arguments::Activate, session: &Session) -> anyhow::Result<Exit> {
    let activated = if arguments.in_unit { session.activated_by_unit()? } else { arguments.system };
    let Some(system) = session.open_for_activation(activated)? else { return Ok(Exit::Done) };
    let activated = if arguments.in_unit {
        system.activate_in_unit()?
    } else {
        system.activate(&std::env::var("NIXOS_ACTION").unwrap_or_default())?
    };
    match activated {
        Activated::Nothing => Ok(Exit::Done),
        Activated::WouldDo(report) => {
            apply::show(&report, crate::cli::commands::change::Records::default(), false, true)
        }
        Activated::Did(report) => {
            let exit =
                apply::show_to_its_end(&report, crate::cli::commands::change::Records::default(), false, session);
            system.verify_soon();
            // Nobody waits for this apply, and systemd starts dynix when a secret appears.
            exit.map(|_| report.exit_in_background())
        }
    }
}
