//! Makes a change, here or by the daemon, and shows its result.

use clap::ColorChoice;

use super::{apply, confirm, diff, terminal};
use crate::exit::Exit;
use crate::host::messages;
use crate::host::timings;
use crate::reconcile::report::Report;
use crate::system::caller::Caller;
use crate::system::confirm::Settled;
use crate::system::record::{Changed, Looked, Recorded};
use crate::system::request::{Request, Wait};
use crate::system::session::Session;
use crate::varlink::answer::Answer;
use crate::varlink::client::{Ask, Response};

/// How the command line shows the result of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// As JSON, for programs.
    pub json: bool,
    /// When to use colour.
    pub color: ColorChoice,
    /// Whether it waits until that is known of the units, too.
    pub wait: Option<Wait>,
    /// Whether it is shown before anything is done.
    pub look: Look,
    /// Whether the exit code says that there is something to do.
    pub exit_code: bool,
    /// Whether nothing is done if all is so already.
    pub if_different: bool,
}

/// Whether a request is shown before anything is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// It is done at once.
    #[default]
    Not,
    /// It is shown, and then asked whether it shall be done.
    First,
    /// It is only shown.
    Only,
}

/// The records that a request made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Records<'r> {
    /// Their ids.
    pub ids: &'r [u64],
    /// A summary.
    pub what: &'r str,
    /// What they change.
    pub changed: &'r [Changed],
    /// Notes for people.
    pub notes: &'r [String],
}

/// Runs a request of the command line, here or by the daemon, and shows its result.
pub fn run(request: &Request, manner: Manner, ask: &Ask, session: &Session) -> anyhow::Result<Exit> {
    if manner.if_different && is_so_already(request, session)? {
        let note = "nothing is recorded: it is so already".to_owned();
        let records = Records { notes: &[note], ..Records::default() };
        return show_records(records, manner, true);
    }
    if manner.look != Look::Not {
        let exit = look(request, manner, session)?;
        if manner.look == Look::Only {
            return Ok(exit);
        }
        if !terminal::agrees("do that?")? {
            messages::info("nothing was done");
            return Ok(Exit::Failed);
        }
    }
    if let Some(mut daemon) = ask.daemon(session.location())? {
        return show_response(daemon.change(request)?, manner, session);
    }
    // The other requests may concern any service.
    let system = match request {
        Request::Append(_) | Request::Set(_) | Request::Apply(_) => session.open_in_part()?,
        _ => session.open()?,
    };
    timings::mark("plan");
    let by = session.user();
    let caller = Caller::trusted(&by);
    if let Request::Confirm(one) = request {
        session.heed_signals()?;
        let found = system.state()?.trial.map(|trial| trial.timer);
        return confirm::show(&system.confirm(one, found.as_deref(), &caller)?, manner.json);
    }
    let recorded = system.record(request, &caller)?;
    let notes = recorded.notes();
    let records = Records { ids: &recorded.records, what: &recorded.what, changed: &recorded.changed, notes: &notes };
    let Some(request) = &recorded.apply else { return show_records(records, manner, true) };
    // A closed standard output is no reason to leave the rest undone.
    let said = show_records(records, manner, false);
    let exit = apply::run(request, records, manner, &system)?;
    said.map(|_| exit)
}

/// Whether recording this would change nothing: the values are recorded, and in effect where it is to be applied.
fn is_so_already(request: &Request, session: &Session) -> anyhow::Result<bool> {
    let Request::Set(set) = request else { return Ok(false) };
    let Looked { recorded, report, .. } = session.open()?.look(request)?;
    let same = recorded.changed.iter().all(|one| one.before == one.after);
    // What a secret is shows only in what an apply would write.
    let is_secret = set.changes.iter().any(|one| one.secret_file.is_some());
    let steps = report.actions.len() + report.left_to_do.len() + report.switched.len();
    Ok(same && (steps == 0 || !set.apply && !is_secret))
}

/// Shows what would be recorded, and what an apply would do then.
fn look(request: &Request, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
    if manner.look == Look::First {
        terminal::required("--ask")?;
    }
    let Looked { recorded, report, differences } = session.open()?.look(request)?;
    recorded.notes.iter().for_each(messages::info);
    let json = manner.json && manner.look == Look::Only;
    if !json {
        let changed = recorded
            .changed
            .iter()
            .map(ToString::to_string)
            .flat_map(|line| [line, "\n".to_owned()])
            .collect::<String>();
        // `dynix apply --dry-run` says the steps, and `dynix diff --pending` the texts.
        let texts = !matches!(request, Request::Apply(_)) || manner.look == Look::First;
        let differences = if texts { diff::text(&differences, diff::PENDING, manner.color) } else { String::new() };
        super::print((messages::visible(&changed).into_owned() + &differences).as_bytes())?;
    }
    let records = Records { changed: &recorded.changed, ..Records::default() };
    let exit = apply::show_dry(&report, records, (json, manner.color))?;
    let any = !report.actions.is_empty() || !report.left_to_do.is_empty() || !report.switched.is_empty();
    Ok(if manner.exit_code && any { exit.max(Exit::Found) } else { exit })
}

/// Shows the records. `whole`: no apply follows, which would show them as JSON.
fn show_records(records: Records<'_>, manner: Manner, whole: bool) -> anyhow::Result<Exit> {
    let said = match (manner.json, Recorded::line(records.ids, records.what, records.changed)) {
        (false, Some(line)) => super::print(messages::visible(&line).as_bytes()),
        (true, _) if whole => apply::print_json(records, None),
        _ => Ok(Exit::Done),
    };
    records.notes.iter().for_each(messages::info);
    said
}

/// Shows the result of a change that the daemon made.
fn show_response(response: Response, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
    let Response { answer, problem } = response;
    let shown = match answer {
        Some(answer) => show_answer(answer, manner, problem.is_none(), session)?,
        None => None,
    };
    match (shown, problem) {
        (Some(exit), _) => Ok(exit),
        (None, Some(problem)) => Err(problem),
        (None, None) => Ok(Exit::Done),
    }
}

/// Shows the report of an apply; `None` if there was none.
fn show_answer(answer: Answer, manner: Manner, is_all: bool, session: &Session) -> anyhow::Result<Option<Exit>> {
    let Manner { json, wait, .. } = manner;
    let Answer { records, what, changed, notes, report, confirmed, .. } = answer;
    let records = Records { ids: &records, what: &what, changed: &changed, notes: &notes };
    show_records(records, manner, is_all && report.is_none() && confirmed.is_none())?;
    match (confirmed, report) {
        (Some(confirmed), report) => {
            let settled = Settled { confirmed: Some(confirmed), report: report.unwrap_or_else(Report::default) };
            confirm::show(&settled, json).map(Some)
        }
        (None, Some(mut report)) => {
            if let Some(wait) = wait {
                session.open()?.await_verdict(&mut report, wait, || false)?;
            }
            apply::show(&report, records, json, false).map(Some)
        }
        (None, None) => Ok(None),
    }
}
