//! Makes a change, here or by the daemon, and shows its result.

use super::{apply, confirm};
use crate::exit::Exit;
use crate::host::messages;
use crate::host::timings;
use crate::reconcile::report::Report;
use crate::system::caller::Caller;
use crate::system::confirm::Settled;
use crate::system::record::Recorded;
use crate::system::request::{Request, Wait};
use crate::system::session::Session;
use crate::varlink::answer::Answer;
use crate::varlink::client::{Ask, Response};

/// How the command line shows the result of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// As JSON, for programs.
    pub json: bool,
    /// Whether it waits until that is known of the units, too.
    pub wait: Option<Wait>,
}

/// Runs a request of the command line, here or by the daemon, and shows its result.
pub fn run(request: &Request, manner: Manner, ask: &Ask, session: &Session) -> anyhow::Result<Exit> {
    if let Some(mut daemon) = ask.daemon(session.location())? {
        return show_response(daemon.change(request)?, manner, session);
    }
    // The other requests may concern any service.
    let system = match request {
        Request::Append(_) | Request::Apply(_) => session.open_in_part()?,
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
    // A closed standard output is no reason to leave the rest undone.
    let said = show_records(&recorded.records, &recorded.what, &recorded.notes(), manner);
    let Some(request) = recorded.apply else { return said };
    let exit = apply::run(&request, &recorded.records, manner, &system)?;
    said.map(|_| exit)
}

fn show_records(records: &[u64], what: &str, notes: &[String], manner: Manner) -> anyhow::Result<Exit> {
    let said = match (manner.json, Recorded::line(records, what)) {
        (false, Some(line)) => super::print(line.as_bytes()),
        _ => Ok(Exit::Done),
    };
    notes.iter().for_each(messages::info);
    said
}

/// Shows the result of a change that the daemon made.
fn show_response(response: Response, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
    let Response { answer, problem } = response;
    let shown = match answer {
        Some(answer) => show_answer(answer, manner, session)?,
        None => None,
    };
    match (shown, problem) {
        (Some(exit), _) => Ok(exit),
        (None, Some(problem)) => Err(problem),
        (None, None) => Ok(Exit::Done),
    }
}

/// Shows the report of an apply; `None` if there was none.
fn show_answer(answer: Answer, manner: Manner, session: &Session) -> anyhow::Result<Option<Exit>> {
    let Manner { json, wait } = manner;
    show_records(&answer.records, &answer.what, &answer.notes, manner)?;
    let Answer { records, report, confirmed, .. } = answer;
    match (confirmed, report) {
        (Some(confirmed), report) => {
            let settled = Settled { confirmed: Some(confirmed), report: report.unwrap_or_else(Report::default) };
            confirm::show(&settled, json).map(Some)
        }
        (None, Some(mut report)) => {
            if let Some(wait) = wait {
                session.open()?.await_verdict(&mut report, wait, || false)?;
            }
            apply::show(&report, &records, json, false).map(Some)
        }
        (None, None) => Ok(None),
    }
}
