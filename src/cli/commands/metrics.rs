//! `dynix metrics`: what there is to measure.

use std::time::Duration;

use super::session::Session;
use super::verify;
use crate::exit::Exit;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::lock;
use crate::host::paths::Paths;
use crate::plan::Plan;
use crate::reconcile::state::State;
use crate::telemetry::metrics::{self, Counters, FILE, Measured};

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
    let (folded, state) = (session.log(plan, paths).fold()?, State::load(&paths.state())?);
    let verdict = verify::known(plan, paths)?;
    Ok(metrics::text(Measured { plan, state: &state, folded: &folded, counters, verdict: verdict.as_ref() }))
}

/// Counts, and writes the text where a collector looks for it; where nobody wants to know, nothing.
pub fn count(
    plan: &Plan,
    paths: &Paths,
    session: &Session,
    counting: impl FnOnce(&mut Counters),
) -> anyhow::Result<()> {
    if plan.metrics.is_none() && plan.daemon.is_none() {
        return Ok(());
    }
    let _counting = lock::acquire(&paths.run().join("metrics.lock"), PATIENCE, |_| ())?;
    let mut counters = Counters::load(&paths.counters())?;
    counting(&mut counters);
    counters.save(&paths.counters())?;
    write(plan, paths, session, &counters)
}

/// Writes the text anew where a collector looks for it: something else than what is counted has changed.
pub fn refresh(plan: &Plan, paths: &Paths, session: &Session) -> anyhow::Result<()> {
    if plan.metrics.is_none() {
        return Ok(());
    }
    let _counting = lock::acquire(&paths.run().join("metrics.lock"), PATIENCE, |_| ())?;
    write(plan, paths, session, &Counters::load(&paths.counters())?)
}

fn write(plan: &Plan, paths: &Paths, session: &Session, counters: &Counters) -> anyhow::Result<()> {
    let Some(spec) = &plan.metrics else { return Ok(()) };
    let text = of(plan, paths, session, counters)?;
    let path = paths.below_root(&spec.textfile).join(FILE);
    Ok(atomic::write(&path, text.as_bytes(), 0o644, Durability::Volatile)?)
}
