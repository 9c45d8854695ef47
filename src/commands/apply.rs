//! `dynix apply`: what is recorded comes into effect.

use std::collections::BTreeSet;

use super::place;
use super::session::Session;
use crate::apply::action::Action;
use crate::apply::execute::Machine;
use crate::apply::report::{Outcome, Report};
use crate::apply::{self, Request};
use crate::cli::Apply;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::Change;
use crate::paths::Paths;
use crate::plan::Plan;

/// Applies, or says what it would do.
pub fn run(arguments: &Apply, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let services = place::services(&plan, &arguments.services)?;
    if arguments.applying.dry_run {
        return dry_run(&plan, &paths, &[], services, arguments.applying.json, session);
    }
    run_for(&plan, &paths, services, arguments.applying.json, session)
}

/// Applies to some services, and tells people.
pub fn services(
    plan: &Plan,
    paths: &Paths,
    services: Option<BTreeSet<String>>,
    session: &mut Session,
) -> anyhow::Result<Exit> {
    run_for(plan, paths, services, false, session)
}

/// Applies to some services or all.
pub fn run_for(
    plan: &Plan,
    paths: &Paths,
    services: Option<BTreeSet<String>>,
    json: bool,
    session: &mut Session,
) -> anyhow::Result<Exit> {
    let request = Request { services, by: session.user(), ..Request::default() };
    let report = carry_out(plan, paths, &request, session)?;
    show(&report, json, false)
}

/// Applies as `request` says.
pub fn carry_out(plan: &Plan, paths: &Paths, request: &Request, session: &mut Session) -> anyhow::Result<Report> {
    let log = session.log(plan, paths);
    let verbose = session.global.verbose;
    let mut observer = |action: &Action| {
        if verbose {
            messages::info(action);
        }
    };
    let mut machine = Machine { paths, manager: session.manager(), observer: &mut observer };
    Ok(apply::apply(plan, &log, request, &mut machine, super::waiting)?)
}

/// Says what an apply would do, with `changes` recorded first.
pub fn dry_run(
    plan: &Plan,
    paths: &Paths,
    changes: &[Change],
    services: Option<BTreeSet<String>>,
    json: bool,
    session: &mut Session,
) -> anyhow::Result<Exit> {
    let log = session.log(plan, paths);
    let request = Request { services, by: session.user(), ..Request::default() };
    let mut machine = Machine { paths, manager: session.manager(), observer: &mut |_| () };
    let report = apply::dry_run(plan, &log, changes, &request, &mut machine)?;
    show(&report, json, true)
}

/// Prints a report, and gives its exit code.
pub fn show(report: &Report, json: bool, dry: bool) -> anyhow::Result<Exit> {
    for warning in &report.warnings {
        messages::warn(warning);
    }
    for left_out in &report.left_out {
        messages::error(format!(
            "record {} does not hold: {}: {}; `dynix unset {}` takes it back",
            left_out.id, left_out.path, left_out.reason, left_out.path
        ));
    }
    if json {
        super::print_json(&Summary { exit: report.exit() as u8, report })?;
    } else {
        super::print(lines(report, dry).as_bytes())?;
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
        text.extend([service.as_str(), ": ", &done, "\n"]);
    }
    if text.is_empty() && report.services.is_empty() { "nothing to do\n".to_owned() } else { text }
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
