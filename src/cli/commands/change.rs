//! A change, from what is asked for to what came of it: the one way for the command line and for the daemon.
//!
//! Takes a [`Request`]; gives what was recorded and, where it is to be applied, the apply to run. Nothing here prints:
//! who asks is told by whoever asked.

use std::collections::BTreeSet;

use super::session::Session;
use super::{append, apply, confirm, place, recording, reset, rollback, unset};
use crate::cli::arguments::Wait;
use crate::daemon::client::Client;
use crate::exit::Exit;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::timings;
use crate::overrides::{Change, LogFile};
use crate::plan::Plan;
use crate::reconcile as engine;
use crate::system::request::Request;

/// What a request is worked on with.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The system's plan.
    pub plan: &'c Plan,
    /// Where everything is.
    pub paths: &'c Paths,
    /// Who is asking.
    pub by: &'c str,
    /// How systemd is reached.
    pub session: &'c Session,
    /// Who may change what.
    pub judge: Judge<'c>,
}

/// Says whether changes may be recorded, or why not. It may be asked twice of the same changes; see [`LogFile::decide`].
pub type Judge<'j> = &'j dyn Fn(&LogFile, &[Change]) -> anyhow::Result<()>;

/// For whoever can write the log without us.
pub fn anything(_: &LogFile, _: &[Change]) -> anyhow::Result<()> {
    Ok(())
}

impl Context<'_> {
    /// The log of overrides.
    #[must_use]
    pub fn log(&self) -> LogFile {
        self.session.log(self.plan, self.paths)
    }

    /// An apply of some services or of all.
    #[must_use]
    pub fn apply(&self, services: Option<BTreeSet<String>>) -> engine::Request {
        engine::Request { services, by: self.by.to_owned(), ..engine::Request::default() }
    }
}

/// What is in the log of a request.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The records.
    pub records: Vec<u64>,
    /// What they say, in a few words.
    pub what: String,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// The command that puts it into effect, where no apply is asked for.
    pub next: Option<String>,
    /// The apply that is asked for besides.
    pub apply: Option<engine::Request>,
}

impl Recorded {
    /// The line for people; programs find the ids in it. `None` where nothing was recorded.
    #[must_use]
    pub fn line(records: &[u64], what: &str) -> Option<String> {
        let ids: Vec<String> = records.iter().map(u64::to_string).collect();
        (!ids.is_empty()).then(|| format!("recorded {}: {what}\n", ids.join(", ")))
    }

    /// What else there is to say, with how to put into effect what was only recorded.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let next = self.next.iter().map(|next| format!("not in effect yet; run `{next}`"));
        self.notes.iter().cloned().chain(next).collect()
    }
}

/// Records what is asked for.
pub fn record(request: &Request, context: &Context<'_>) -> anyhow::Result<Recorded> {
    match request {
        Request::Append(one) => append::record(one, context),
        Request::Unset(one) => unset::record(one, context),
        Request::Rollback(one) => rollback::record(one, context),
        Request::Reset(one) => reset::record(one, context),
        Request::Apply(one) => {
            let services = place::services(context.plan, &one.services)?;
            let mut apply = context.apply(services);
            if one.expired {
                apply.occasion = engine::Occasion::Expiry;
            } else if one.retry {
                apply.occasion = engine::Occasion::Retry;
            } else if one.after_boot {
                apply.occasion = engine::Occasion::AfterBoot;
            }
            if one.before_units {
                apply.occasion = engine::Occasion::Boot;
                apply.before_units = true;
            }
            apply.trial = recording::start(one.confirm, context)?;
            Ok(Recorded { apply: Some(apply), ..Recorded::default() })
        }
        Request::Confirm(_) => Ok(Recorded::default()),
    }
}

/// How the command line is told what came of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// As JSON, for programs.
    pub json: bool,
    /// Whether it waits until that is known of the units, too.
    pub wait: Option<Wait>,
}

/// Does what the command line asks for, here or by the daemon, and says what came of it.
pub fn run(request: &Request, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
    let Manner { json, wait } = manner;
    if let Some(mut daemon) = Client::for_session(session)? {
        return daemon.change(request, manner, session);
    }
    let (plan, paths) = session.load()?;
    timings::mark("plan");
    let by = session.user();
    let context = Context { plan: &plan, paths: &paths, by: &by, session, judge: &anything };
    if let Request::Confirm(one) = request {
        session.heed_signals()?;
        return confirm::show(&confirm::perform(one, &context)?, json);
    }
    let recorded = record(request, &context)?;
    // That nobody can read it is no reason to leave the rest undone.
    let said = match (json, Recorded::line(&recorded.records, &recorded.what)) {
        (false, Some(line)) => super::print(line.as_bytes()),
        _ => Ok(Exit::Done),
    };
    recorded.notes().iter().for_each(messages::info);
    let Some(request) = recorded.apply else { return said };
    let task = apply::Task { request, json, wait, ..apply::Task::new(&plan, &paths, None, session) };
    let exit = task.run(&recorded.records, session)?;
    said.map(|_| exit)
}
