//! `dynix prove`: finds everything that can depend on the values of each dynamic service, and stores it.

use std::fmt::Write as _;

use super::screen::Screen;
use crate::cli::arguments::Read;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::system::session::Session;
use crate::verify::proof::{self, Proof};

/// Proves, keeps and prints.
pub fn run(arguments: &Read, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let system = session.open()?;
    session.progress().busy("evaluating the configuration");
    let proof = system.prove()?;
    if arguments.json { super::print_as_is(&proof) } else { screen.show(&text(&system.plan, &proof)) }
}

fn text(plan: &Plan, proof: &Proof) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for (name, service) in &proof.services {
        let Some(all) = proof.flows(plan, name, &crate::attr_path::AttrPath::default()) else { continue };
        if all.is_empty() {
            let _ = writeln!(text, "{name}: independent; whatever its values are, nothing else follows them");
            continue;
        }
        let _ = writeln!(text, "{name}: its values can decide {}", proof::named(&all).join(", "));
        for one in &service.paths {
            if let Some(flows) = proof.flows(plan, name, &one.path).filter(|flows| !flows.is_empty()) {
                let _ = writeln!(text, "  {} decides {}", one.path, proof::named(&flows).join(", "));
            }
        }
        let free =
            service.paths.iter().filter(|one| proof.flows(plan, name, &one.path).is_some_and(|it| it.is_empty()));
        let _ =
            writeln!(text, "  {} of {} values that there are decide nothing else", free.count(), service.paths.len());
    }
    text
}
