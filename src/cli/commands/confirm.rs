//! `dynix confirm`: a change that awaits its confirmation is kept, or taken back at once.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::apply;
use super::change::Context;
use super::turn::Turn;
use crate::exit::Exit;
use crate::host::messages;
use crate::reconcile::report::Report;
use crate::reconcile::state::State;
use crate::reconcile::trial::{self, NOT_CONFIRMED};
use crate::reconcile::{Occasion, locks};
use crate::system::request::Confirm;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What counts from now on; `None` where it went back.
    pub confirmed: Option<Confirmed>,
    /// What was done for it.
    pub report: Report,
}

/// What counts from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// Of which services.
    pub services: Vec<String>,
    /// The records.
    pub records: Vec<u64>,
}

/// Confirms, or goes back.
pub fn perform(request: &Confirm, context: &Context<'_>) -> anyhow::Result<Settled> {
    let session = context.session;
    let patience = if request.revert { trial::PATIENCE } else { locks::PATIENCE };
    let turn = Turn::take((context.plan, context.paths), Occasion::Asked, patience, session)?;
    let (plan, paths) = turn.system();
    let log = session.log(plan, paths);
    let (recall, observer) = (session.recall(false)?, session.observer());
    let machine = session.machine(paths, &recall, &observer);
    if request.revert {
        let timer = request.of.as_deref();
        let (start, before) = (Instant::now(), State::load(&paths.state())?);
        let report = trial::revert(plan, &log, timer, NOT_CONFIRMED, &machine, &turn.locks)?;
        super::notice::tell(plan, paths, session, context.by, (&before, &report, start.elapsed()));
        drop(turn);
        super::verify::after_apply(context.plan, context.paths, session);
        return Ok(Settled { confirmed: None, report });
    }
    let (kept, report) = trial::confirm(plan, &log, context.by, &machine, &turn.locks, super::waiting)?;
    let (services, records) = (kept.back.into_keys().collect(), kept.marks.iter().map(|one| one.record).collect());
    Ok(Settled { confirmed: Some(Confirmed { services, records }), report })
}

/// Says what came of it.
pub fn show(settled: &Settled, json: bool) -> anyhow::Result<Exit> {
    let Settled { confirmed, report } = settled;
    let Some(confirmed) = confirmed else { return apply::show(report, &[], json, false) };
    report.warnings.iter().for_each(messages::warn);
    if json {
        return super::print_json(confirmed);
    }
    messages::info(format!("confirmed: {}", confirmed.services.join(", ")));
    Ok(Exit::Done)
}
