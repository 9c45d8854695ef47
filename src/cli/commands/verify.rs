//! `dynix verify`: checks whether a rebuild with the recorded values would change more than dynix did.

use super::apply;
use super::screen::Screen;
use crate::cli::arguments::Verify;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::session::Session;
use crate::verify::verdict::Soundness;

/// Evaluates, judges and prints; in the background it keeps what it found, and does what the plan says.
pub fn run(arguments: &Verify, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let system = session.open()?;
    if arguments.background {
        return match system.verify_in_background(arguments.system.as_deref())? {
            Some(report) => {
                apply::show_to_its_end(&report, crate::cli::commands::change::Records::default(), false, session)
            }
            None => Ok(Exit::Done),
        };
    }
    session.progress().busy("evaluating the configuration");
    let verdict = system.verify()?;
    let exit = match verdict.verdict {
        Soundness::Sound => Exit::Done,
        Soundness::Unsound => Exit::Unsound,
        Soundness::Unverified => Exit::Failed,
    };
    if arguments.json {
        super::print_json(&verdict)?
    } else {
        screen.show(&messages::visible(&verdict.text()))?
    };
    Ok(exit)
}
