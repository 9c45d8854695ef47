//! `dynix metrics`: what there is to measure.

use std::time::{Duration, SystemTime};

use super::session::Session;
use crate::apply::report::Report;
use crate::apply::state::State;
use crate::exit::Exit;
use crate::fs::atomic::{self, Durability};
use crate::fs::lock;
use crate::metrics::{self, Counters, FILE};
use crate::paths::Paths;
use crate::plan::Plan;

/// How long somebody else who counts is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the text.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    super::print(text(session)?.as_bytes())
}

/// The text.
pub fn text(session: &Session) -> anyhow::Result<String> {
    let (plan, paths) = session.load()?;
    of(&plan, &paths, session, &Counters::load(&paths.counters())?)
}

fn of(plan: &Plan, paths: &Paths, session: &Session, counters: &Counters) -> anyhow::Result<String> {
    let folded = session.log(plan, paths).fold()?;
    Ok(metrics::text(plan, &State::load(&paths.state())?, &folded, counters))
}

/// Counts an apply, and writes the text where a collector looks for it; where nobody wants to know, nothing.
pub fn count(
    plan: &Plan,
    paths: &Paths,
    session: &Session,
    (report, took, now): (&Report, Duration, SystemTime),
) -> anyhow::Result<()> {
    if plan.metrics.is_none() && plan.daemon.is_none() {
        return Ok(());
    }
    let _counting = lock::acquire(&paths.run().join("metrics.lock"), PATIENCE, |_| ())?;
    let mut counters = Counters::load(&paths.counters())?;
    counters.count(report, took, now);
    counters.save(&paths.counters())?;
    if let Some(spec) = &plan.metrics {
        let text = of(plan, paths, session, &counters)?;
        let path = paths.below_root(&spec.textfile).join(FILE);
        atomic::write(&path, text.as_bytes(), 0o644, Durability::Volatile)?;
    }
    Ok(())
}
