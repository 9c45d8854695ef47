//! What a rollout does next. Pure: takes its state, what hosts report and a clock, gives the next state.
//!
//! In order:
//!
//! 1. A host of the waves so far that is gone, that says that it is not well, or that says nothing for too long, has
//!    failed, and stays so.
//! 2. More than the budget, or all of them: the rollout stops, and its values are taken back.
//! 3. Until every other host is well, and has been for the hold, it waits.
//! 4. Then the next wave begins, or the values become those of the target.
//!
//! The clock is the driver's own and only measures how long something has been so: no two machines have to agree on the
//! time. A driver that takes over begins the hold anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::state::{Rollout, State};
use crate::report::Report;

/// What there is to see of a rollout.
#[derive(Clone, Copy, Debug)]
pub struct World<'w> {
    /// The revision at which the values of the current wave were written.
    pub written: i64,
    /// By host; of those that are there.
    pub reports: &'w BTreeMap<String, Report>,
}

/// What the driver remembers of a rollout. Nothing that is lost with it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The revision that it is of.
    written: i64,
    /// Since when the wave is seen.
    seen: Duration,
    /// Since when all hosts are well.
    well: Option<Duration>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing, for this long unless something changes.
    Wait(Option<Duration>),
    /// This is to be written.
    Write(Box<Rollout>, Effect),
}

/// What is written besides the rollout's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Note,
    /// More hosts get the values.
    Begin,
    /// The values become those of the target.
    Finish,
    /// No host has the values any more.
    TakeBack,
}

/// The hosts of a rollout's target that are there.
#[must_use]
pub fn alive(rollout: &Rollout, reports: &BTreeMap<String, Report>) -> BTreeSet<String> {
    let is_in = |report: &&Report| rollout.target.has(&report.host, &report.groups);
    reports.values().filter(is_in).map(|report| report.host.clone()).collect()
}

/// What is next.
pub fn step(rollout: &Rollout, world: World<'_>, now: Duration, memory: &mut Memory) -> Decision {
    if rollout.state != State::Running {
        *memory = Memory::default();
        return Decision::Wait(None);
    }
    if memory.written != world.written {
        *memory = Memory { written: world.written, seen: now, well: None };
    }
    let mut failed = rollout.failed.clone();
    let mut waiting = false;
    let deadline = Duration::from_secs(rollout.deadline);
    let is_late = now.saturating_sub(memory.seen) >= deadline;
    for host in rollout.hosts.iter().filter(|host| !rollout.failed.contains_key(*host)) {
        let fault = match world.reports.get(host) {
            None => Some("it is gone: it reports nothing any more".to_owned()),
            Some(report) if report.became(world.written) == Some(true) => None,
            Some(report) if report.became(world.written) == Some(false) => {
                Some(format!("{}: {}", report.result, report.reason.as_deref().unwrap_or("it does not say why")))
            }
            Some(report) if is_late => {
                let reason = report
                    .reason
                    .as_ref()
                    .or(report.trouble.as_ref())
                    .map(|reason| format!(" ({reason})"))
                    .unwrap_or_default();
                Some(format!("it has not applied the values after {} s{reason}", rollout.deadline))
            }
            Some(_) => {
                waiting = true;
                None
            }
        };
        failed.extend(fault.map(|fault| (host.clone(), fault)));
    }
    let next = Rollout { failed, ..rollout.clone() };
    let of = next.hosts.len();
    // Whatever may fail: where no host is well on the values, nothing speaks for them.
    if next.failed.len() > usize::try_from(rollout.budget).unwrap_or(usize::MAX) || next.failed.len() == of {
        let first = next.failed.iter().map(|(host, why)| format!("{host}: {why}")).next().unwrap_or_default();
        let reason = format!("{} of {of} hosts failed, and {} may; {first}", next.failed.len(), rollout.budget);
        let next = Rollout { state: State::Stopped, reason: Some(reason), ..next };
        return Decision::Write(Box::new(next), Effect::TakeBack);
    }
    if next.failed.len() > rollout.failed.len() {
        memory.well = None;
        return Decision::Write(Box::new(next), Effect::Note);
    }
    if waiting {
        memory.well = None;
        return Decision::Wait(Some(deadline.saturating_sub(now.saturating_sub(memory.seen))));
    }
    let hold = Duration::from_secs(rollout.hold);
    let end = memory.well.get_or_insert(now).saturating_add(hold);
    if now < end {
        return Decision::Wait(Some(end.saturating_sub(now)));
    }
    match next.next_wave(&alive(rollout, world.reports), rollout.wave + 1) {
        Some(next) => Decision::Write(Box::new(next), Effect::Begin),
        None => Decision::Write(Box::new(Rollout { state: State::Done, ..next }), Effect::Finish),
    }
}
