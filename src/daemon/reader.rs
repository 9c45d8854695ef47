//! The thread that looks: values, status, records, measurements, and what changed. It waits for nobody who applies.

use serde::Serialize;
use serde_json::json;

use super::events;
use super::guard::guarded;
use super::interface::{self, Query};
use super::outlet::Outlet;
use super::server::{Look, News, Queues};
use super::wire::Reply;
use crate::cli::arguments::Global;
use crate::cli::commands::session::Session;
use crate::cli::commands::{self, get, status};
use crate::host::messages;
use crate::overrides::Most;
use crate::reconcile::state::State;
use crate::render::secrets::Secrets;

/// Most bytes of the log that are on a page.
const PAGE: u64 = 1 << 20;
/// Most records that are read at once for streams.
const PORTION: usize = 1000;

/// Looks until there is nothing more to look for.
pub fn run(global: &Global, queues: &Queues, outlet: &Outlet) {
    let mut seen: Option<events::Look> = None;
    while let Some(look) = queues.looks.pop() {
        match look {
            Look::Query { token, query } => {
                let session = Session::new(global.clone());
                let reply = guarded(|| answer(&query, &session)).unwrap_or_else(|broken| failed(&broken.into()));
                outlet.tell(News::Reply(token, reply));
            }
            Look::Begin { token } => match all_changes(&mut seen, global, outlet) {
                Ok(now) => outlet.tell(News::Begin(token, stream(&events::begin(&now)))),
                Err(error) => outlet.tell(News::Reply(token, failed(&error))),
            },
            Look::Changed => {
                if let Err(error) = all_changes(&mut seen, global, outlet) {
                    messages::warn(format!("what changed can't be told: {}", messages::chain(&error)));
                }
                outlet.tell(News::Looked);
            }
        }
    }
}

/// Tells streams what changed since the last look, and gives what there is now.
fn all_changes(seen: &mut Option<events::Look>, global: &Global, outlet: &Outlet) -> anyhow::Result<events::Look> {
    guarded(|| changes(seen, &Session::new(global.clone()), outlet))?
}

fn answer(query: &Query, session: &Session) -> Reply {
    let found = match query {
        Query::Get(path) => get::answer(path, session).map(|found| interface::found(&found)),
        Query::Status => status::status(session).map(|(found, _)| interface::found(&found)),
        Query::Log { after, limit } => page(*after, *limit, session).map(|found| interface::found(&found)),
        Query::Metrics => commands::metrics::text(session).map(|text| Reply::of(json!({ "text": text }))),
    };
    found.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> Reply {
    interface::failed(commands::exit_of(error), &messages::chain(error))
}

/// Some records.
#[derive(Serialize)]
struct Page {
    records: Vec<events::Said>,
    complete: bool,
}

fn page(after: u64, records: usize, session: &Session) -> anyhow::Result<Page> {
    let (plan, paths) = session.load()?;
    let secrets = Secrets::of(&plan);
    let page = session.log(&plan, &paths).page(after, Most { records, bytes: PAGE })?;
    let said = page.records.into_iter().map(|(record, counts)| {
        let rejected = page.rejections.get(&record.id);
        events::Said::of(secrets.shown_record(record), counts, rejected)
    });
    Ok(Page { records: said.collect(), complete: page.complete })
}

fn changes(seen: &mut Option<events::Look>, session: &Session, outlet: &Outlet) -> anyhow::Result<events::Look> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    if seen.is_some() {
        log.settle();
    }
    let last_record = log.fold()?.last_id;
    let now = events::Look::of(last_record, plan.services.keys(), &State::load(&paths.state())?);
    if let Some(before) = seen.as_ref().filter(|before| **before != now) {
        let (recorded, mut behind) = (events::Look { last_record, ..before.clone() }, before.last_record);
        while behind < last_record {
            let page = page(behind, PORTION, session)?;
            // What came meanwhile is for the next look.
            let records: Vec<_> = page.records.into_iter().filter(|record| record.id() <= last_record).collect();
            let Some(last) = records.last() else { break };
            behind = last.id();
            tell(before, &recorded, records, outlet);
        }
        tell(&recorded, &now, Vec::new(), outlet);
    }
    Ok(seen.insert(now).clone())
}

fn tell(before: &events::Look, now: &events::Look, records: Vec<events::Said>, outlet: &Outlet) {
    for event in events::between(before, now, records) {
        outlet.tell(News::Event(stream(&event)));
    }
}

fn stream(event: &events::Event) -> Reply {
    Reply { continues: true, ..Reply::of(json!({ "event": event })) }
}
