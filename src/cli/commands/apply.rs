//! `dynix apply`: reconciles services with the log.

use clap::ColorChoice;

use super::change::{Manner, Records};
use super::screen;
use crate::evaluated::SYSTEM;
use crate::exit::Exit;
use crate::host::messages;
use crate::host::timings;
use crate::reconcile::action::Action;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::{Occasion, Request};
use crate::system::System;
use crate::system::record::Changed;
use crate::system::session::Session;

/// Prints what would be done.
pub fn show_dry(report: &Report, records: Records<'_>, (json, color): (bool, ColorChoice)) -> anyhow::Result<Exit> {
    if !json {
        super::print(screen_of(report, color).as_bytes())?;
    }
    show(report, records, json, true)
}

/// The texts that would change.
fn screen_of(report: &Report, color: ColorChoice) -> String {
    let coloured = screen::colours(color);
    let shown = report.differences.iter();
    shown.map(|one| screen::diff(&one.name, ("now", &one.old), ("after an apply", &one.new), coloured)).collect()
}

/// Applies, and shows the report. `records`: those that were made for it.
pub fn run(request: &Request, records: Records<'_>, manner: Manner, system: &System<'_>) -> anyhow::Result<Exit> {
    let Manner { json, wait, .. } = manner;
    let session = system.session;
    session.heed_signals()?;
    let mut report = system.apply(request)?;
    if let Some(wait) = wait {
        system.await_verdict(&mut report, wait, || session.interrupted().is_some())?;
    }
    // A caller that stops waiting gets no message that all is well.
    let no_longer_waits = wait.is_some() && !report.watched.is_empty();
    let exit = match session.interrupted().filter(|_| no_longer_waits) {
        Some(interrupted) => show(&report, records, json, false).and_then(|_| Err(interrupted.into())),
        None => show_to_its_end(&report, records, json, session),
    };
    system.verify_soon();
    timings::mark("report");
    match request.occasion {
        // Nobody waits for this one, and systemd tells when a secret is there.
        Occasion::Retry | Occasion::Boot | Occasion::AfterBoot => exit.map(|_| report.exit_in_background()),
        _ => exit,
    }
}

/// Prints a report, and gives its exit code; an error if a signal ended the apply early.
pub fn show_to_its_end(report: &Report, records: Records<'_>, json: bool, session: &Session) -> anyhow::Result<Exit> {
    let exit = show(report, records, json, false);
    match session.interrupted().filter(|_| report.interrupted) {
        Some(interrupted) => Err(interrupted.into()),
        None => exit,
    }
}

/// Prints a report, and gives its exit code; `records`: those that were made for it.
pub fn show(report: &Report, records: Records<'_>, json: bool, dry: bool) -> anyhow::Result<Exit> {
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
        print_json(records, Some(report))?;
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
                "{service}: did not work on the new values, and going back failed: {reason}; see `dynix status` and the \
                 journal of its units"
            )),
        }
    }
    Ok(report.exit())
}

#[derive(serde::Serialize)]
struct Summary<'r> {
    version: u32,
    exit: u8,
    records: &'r [u64],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changed: &'r [Changed],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'r [String],
    #[serde(flatten)]
    report: Option<&'r Report>,
}

/// Prints the records that were made, and the report of the apply if there was one.
pub fn print_json(records: Records<'_>, report: Option<&Report>) -> anyhow::Result<Exit> {
    let Records { ids, changed, notes, .. } = records;
    let exit = report.map_or(Exit::Done, Report::exit) as u8;
    super::print_as_is(&Summary { version: super::VERSION, exit, records: ids, changed, notes, report })
}

fn lines(report: &Report, dry: bool) -> String {
    if dry {
        let steps = report.actions.iter().chain(&report.left_to_do);
        let steps: Vec<String> = steps.map(|action| format!("{}\n", Intention(action))).collect();
        let switched = report.switched.iter().flat_map(|line| [line.as_str(), "\n"]);
        let text: String = steps.iter().map(String::as_str).chain(switched).collect();
        let is_quiet = text.is_empty() && !report.services.contains_key(SYSTEM);
        return if is_quiet { "nothing to do\n".to_owned() } else { text };
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
        let steps = if service == SYSTEM { of_the_system(report) } else { steps };
        let took = took(report, service).map(|took| format!(" in {took}")).unwrap_or_default();
        let done = if steps.is_empty() { "noted".to_owned() } else { steps.join(", ") + &took };
        let watched = report.watched.get(service).map(|seconds| format!("; in effect, watched for {seconds} s"));
        text.extend([service.as_str(), ": ", &done, &watched.unwrap_or_default(), "\n"]);
    }
    if text.is_empty() && report.services.is_empty() && report.taken_back.is_empty() {
        "nothing to do\n".to_owned()
    } else {
        text
    }
}

/// How long it took, where a unit had to do something.
fn took(report: &Report, service: &str) -> Option<String> {
    let is_job =
        |action: &Action| matches!(action, Action::Start { .. } | Action::Restart { .. } | Action::Reload { .. });
    let acts = report.actions.iter().any(|action| action.service() == Some(service) && is_job(action));
    report.took.filter(|_| acts).map(|took| match took / 1000 {
        0 => format!("{took} us"),
        ms @ 1..10_000 => format!("{ms} ms"),
        ms => format!("{} s", ms / 1000),
    })
}

/// The changes of files, and what switch-to-configuration did to units.
fn of_the_system(report: &Report) -> Vec<String> {
    let is_about = |line: &&String| line.contains(" units: ") || line.contains(" units were started: ");
    let changed = report.differences.iter().map(|one| format!("change {}", one.name));
    changed.chain(report.switched.iter().filter(is_about).cloned()).collect()
}

fn left_to_do<'r>(report: &'r Report, service: &'r str) -> impl Iterator<Item = String> + 'r {
    let steps = report.left_to_do.iter().filter(move |action| action.service() == Some(service));
    steps.map(|action| format!("left to do: {}", action.step()))
}

fn is_worth_telling(action: &Action) -> bool {
    !matches!(action, Action::Stage { .. } | Action::Check { .. } | Action::Bind { .. } | Action::Probe { .. })
}

/// A step that is not taken, as a whole sentence.
struct Intention<'a>(&'a Action);

impl std::fmt::Display for Intention<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.service() {
            Some(service) => write!(f, "{service}: would {}", self.0.step()),
            None => write!(f, "would {}", self.0.step()),
        }
    }
}
