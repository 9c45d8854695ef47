//! `dynix confirm`: shows the result, for people and programs.

use super::apply;
use super::change::Records;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::confirm::Settled;

/// Shows the result.
pub fn show(settled: &Settled, json: bool) -> anyhow::Result<Exit> {
    let Settled { confirmed, report } = settled;
    let Some(confirmed) = confirmed else { return apply::show(report, Records::default(), json, false) };
    report.warnings.iter().for_each(messages::warn);
    if json {
        return super::print_json(confirmed);
    }
    messages::info(format!("confirmed: {}", confirmed.services.join(", ")));
    Ok(Exit::Done)
}
