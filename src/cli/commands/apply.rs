//! `dynix apply`: what is recorded comes into effect.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::session::Session;
use super::turn::Turn;
use super::{notice, place, watch};
use crate::cli::arguments::Wait;
use crate::exit::Exit;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::timings;
use crate::overrides::Change;
use crate::plan::Plan;
use crate::reconcile::action::Action;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::state::State;
use crate::reconcile::{self, Occasion, Request, locks};

/// Says what an apply would do, after a reset where that is what is asked for.
pub fn dry_run(services: &[String], reset: bool, json: bool, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let only = place::services(&plan, services)?;
    let task = Task { json, ..Task::new(&plan, &paths, only, session) };
    let log = session.log(&plan, &paths);
    let changes = if reset {
        super::reset::changes(&plan, &super::reset::in_effect(&log, &paths)?, services)
    } else {
        Vec::new()
    };
    task.dry_run(&changes, session)
}

/// An apply, as the commands ask for it.
pub struct Task<'t> {
    /// The system's plan.
    pub plan: &'t Plan,
    /// Where everything is.
    pub paths: &'t Paths,
    /// What is applied.
    pub request: Request,
    /// Whether programs are told what came of it.
    pub json: bool,
    /// Whether it waits for what becomes of the units.
    pub wait: Option<Wait>,
    /// Whether this is the activation of a system.
    pub activating: bool,
}

impl<'t> Task<'t> {
    /// For some services or all, by whoever runs this, for people.
    #[must_use]
    pub fn new(plan: &'t Plan, paths: &'t Paths, services: Option<BTreeSet<String>>, session: &Session) -> Self {
        let request = Request { services, by: session.user(), ..Request::default() };
        Self { plan, paths, request, json: false, wait: None, activating: false }
    }

    /// Applies, and says what came of it; `records`: those that were made for it.
    pub fn run(&self, records: &[u64], session: &Session) -> anyhow::Result<Exit> {
        session.heed_signals()?;
        let mut report = self.report(session)?;
        if let Some(wait) = self.wait {
            watch::await_verdict(&mut report, wait, self.paths, || session.interrupted().is_some())?;
        }
        let exit = show(&report, records, self.json, false);
        super::verify::after_apply(self.plan, self.paths, session);
        timings::mark("report");
        // Whoever waits no longer is not told that all is well.
        let is_told = report.interrupted || self.wait.is_some() && !report.watched.is_empty();
        match session.interrupted().filter(|_| is_told) {
            Some(interrupted) => Err(interrupted.into()),
            // Nobody waits for this one, and systemd tells when the secret is there.
            None if self.activating
                || matches!(self.request.occasion, Occasion::Retry | Occasion::Boot | Occasion::AfterBoot) =>
            {
                exit.map(|_| report.exit_in_background())
            }
            None => exit,
        }
    }

    /// Applies.
    pub fn report(&self, session: &Session) -> anyhow::Result<Report> {
        // Who has the lock may be waiting for units that wait for this.
        let patience = if self.request.before_units { Duration::ZERO } else { locks::PATIENCE };
        let turn = Turn::take((self.plan, self.paths), self.request.occasion, patience, session)?;
        let (plan, paths) = turn.system();
        let log = session.log(plan, paths).trying_again();
        let (recall, observer) = (session.recall(self.activating)?, session.observer());
        let machine = session.machine(paths, &recall, &observer);
        let (start, before) = (Instant::now(), State::load(&paths.state())?);
        let report = reconcile::apply(plan, &log, &self.request, &machine, &turn.locks, super::waiting)?;
        notice::tell(plan, paths, session, &self.request.by, (&before, &report, start.elapsed()));
        Ok(report)
    }

    /// Says what an apply would do, with `changes` recorded first.
    pub fn dry_run(&self, changes: &[Change], session: &Session) -> anyhow::Result<Exit> {
        let log = session.log(self.plan, self.paths).trying_again();
        let recall = session.recall(self.activating)?;
        let machine = session.machine(self.paths, &recall, &|_| ());
        let report = reconcile::dry_run(self.plan, &log, changes, &self.request, &machine)?;
        show(&report, &[], self.json, true)
    }
}

/// Prints a report, and gives its exit code; `records`: those that were made for it.
pub fn show(report: &Report, records: &[u64], json: bool, dry: bool) -> anyhow::Result<Exit> {
    for warning in &report.warnings {
        messages::warn(warning);
    }
    for left_out in &report.left_out {
        messages::error(format!(
            "record {} does not hold: {}: {}; it counts as not recorded until another value is, or `dynix unset {}`",
            left_out.id, left_out.path, left_out.reason, left_out.path
        ));
    }
    report.taken_back.iter().for_each(messages::error);
    if json {
        super::print_json(&Summary { exit: report.exit() as u8, records, report })?;
    } else {
        super::print(lines(report, dry).as_bytes())?;
    }
    if let Some(awaiting) = &report.awaiting {
        messages::info(awaiting);
    }
    for (service, outcome) in &report.services {
        match outcome {
            Outcome::Applied => {}
            Outcome::Failed { reason } => messages::error(format!("{service}: {reason}")),
            Outcome::Refused { reason } => {
                messages::error(format!("{service}: refused, nothing of it was changed: {reason}"));
            }
            Outcome::RolledBack { reason } => messages::error(format!(
                "{service}: did not work on the new values and is back on what it had: {reason}; see `dynix log`"
            )),
            Outcome::Unseen { reason } => messages::error(format!(
                "{service}: its values are in place, and it does not run on them: {reason}; then run `dynix apply {service}`"
            )),
            Outcome::RollbackFailed { reason } => messages::error(format!(
                "{service}: did not work on the new values, and going back failed: {reason}; see `dynix status` and \
                 `journalctl -b`"
            )),
        }
    }
    Ok(report.exit())
}

#[derive(serde::Serialize)]
struct Summary<'r> {
    exit: u8,
    records: &'r [u64],
    #[serde(flatten)]
    report: &'r Report,
}

fn lines(report: &Report, dry: bool) -> String {
    if dry {
        let steps = report.actions.iter().chain(&report.left_to_do);
        let steps: Vec<String> = steps.map(|action| format!("would {}\n", Phrase(action))).collect();
        return if steps.is_empty() { "nothing to do\n".to_owned() } else { steps.concat() };
    }
    let done = report.services.iter().filter(|(_, outcome)| **outcome == Outcome::Applied);
    let mut text = String::new();
    for (service, _) in done {
        let steps: Vec<String> = report
            .actions
            .iter()
            .filter(|action| action.service() == Some(service) && is_worth_telling(action))
            .map(|action| action.step().to_string())
            .chain(left_to_do(report, service))
            .collect();
        let done = if steps.is_empty() { "noted".to_owned() } else { steps.join(", ") };
        let watched = report.watched.get(service).map(|seconds| format!("; in effect, watched for {seconds} s"));
        text.extend([service.as_str(), ": ", &done, &watched.unwrap_or_default(), "\n"]);
    }
    if text.is_empty() && report.services.is_empty() && report.taken_back.is_empty() {
        "nothing to do\n".to_owned()
    } else {
        text
    }
}

fn left_to_do<'r>(report: &'r Report, service: &'r str) -> impl Iterator<Item = String> + 'r {
    let steps = report.left_to_do.iter().filter(move |action| action.service() == Some(service));
    steps.map(|action| format!("left to do: {}", action.step()))
}

fn is_worth_telling(action: &Action) -> bool {
    !matches!(action, Action::Stage { .. } | Action::Check { .. } | Action::Bind { .. } | Action::Probe { .. })
}

/// A step as a whole sentence.
struct Phrase<'a>(&'a Action);

impl std::fmt::Display for Phrase<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.service() {
            Some(service) => write!(f, "{} (for {service})", self.0.step()),
            None => write!(f, "{}", self.0.step()),
        }
    }
}
