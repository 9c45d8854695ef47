//! `dynix confirm`: a change that awaits its confirmation is kept, or taken back at once.

use serde::Serialize;

use super::apply;
use super::session::Session;
use crate::apply::trial::{self, NOT_CONFIRMED};
use crate::cli::Confirm;
use crate::exit::Exit;
use crate::messages;

/// Confirms, or goes back.
pub fn run(arguments: &Confirm, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let by = session.user();
    let (recall, observer) = (session.recall(false)?, session.observer());
    let machine = session.machine(&paths, &recall, &observer);
    if arguments.revert {
        let timer = arguments.of.as_deref();
        let report = trial::revert(&plan, &log, &by, timer, NOT_CONFIRMED, &machine, super::waiting)?;
        let exit = apply::show(&report, arguments.json, false)?;
        super::verify::after_apply(&plan, &paths, session);
        return Ok(exit);
    }
    let (kept, report) = trial::confirm(&plan, &log, &by, &machine, super::waiting)?;
    report.warnings.iter().for_each(messages::warn);
    let (services, records) = (kept.back.into_keys().collect(), kept.marks.iter().map(|one| one.record).collect());
    let confirmed = Confirmed { services, records };
    if arguments.json {
        return super::print_json(&confirmed);
    }
    messages::info(format!("confirmed: {}", confirmed.services.join(", ")));
    Ok(Exit::Done)
}

/// What counts from now on.
#[derive(Debug, Serialize)]
struct Confirmed {
    services: Vec<String>,
    records: Vec<u64>,
}
