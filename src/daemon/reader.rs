//! The thread that looks: values, status, records, measurements, and what changed. It waits for nobody who applies.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::events::{self, Said};
use super::interface::{self, Query};
use super::outlet::Outlet;
use super::server::{Look, News, Queues};
use super::wire::Reply;
use crate::apply::state::State;
use crate::cli::Global;
use crate::commands::session::Session;
use crate::commands::{self, get, status};
use crate::messages;
use crate::overrides::{Kind, Record};
use crate::secrets::Secrets;

/// Most bytes that a page of records may have.
const PAGE: usize = 1 << 20;

/// Looks until there is nothing more to look for.
pub fn run(global: &Global, queues: &Queues, outlet: &Outlet) {
    let mut seen: Option<events::Look> = None;
    while let Some(look) = queues.looks.pop() {
        match look {
            Look::Query { token, query } => {
                let session = Session::new(global.clone());
                outlet.tell(News::Reply(token, answer(&query, &session)));
            }
            Look::Begin { token } => match changes(&mut seen, &Session::new(global.clone()), outlet) {
                Ok(now) => outlet.tell(News::Begin(token, stream(&events::begin(&now)))),
                Err(error) => outlet.tell(News::Reply(token, failed(&error))),
            },
            Look::Changed => {
                if let Err(error) = changes(&mut seen, &Session::new(global.clone()), outlet) {
                    messages::warn(format!("what changed can't be told: {}", messages::chain(&error)));
                }
                outlet.tell(News::Looked);
            }
        }
    }
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
    records: Vec<Said>,
    complete: bool,
}

fn page(after: u64, limit: usize, session: &Session) -> anyhow::Result<Page> {
    let mut left = newer(after, session)?.into_iter().peekable();
    let (mut records, mut size) = (Vec::new(), 0);
    while let Some(next) = left.peek() {
        size += serde_json::to_vec(next)?.len();
        if records.len() == limit || size > PAGE && !records.is_empty() {
            break;
        }
        records.extend(left.next());
    }
    Ok(Page { records, complete: left.peek().is_none() })
}

/// The records behind one, with what became of them.
fn newer(after: u64, session: &Session) -> anyhow::Result<Vec<Said>> {
    let (plan, paths) = session.load()?;
    let secrets = Secrets::of(&plan);
    let history: Vec<(Record, bool)> = session.log(&plan, &paths).history()?;
    let rejections: BTreeMap<u64, String> = history
        .iter()
        .filter_map(|(record, counts)| match &record.kind {
            Kind::Reject { id, reason } if *counts => Some((*id, reason.clone())),
            _ => None,
        })
        .collect();
    let newer = history.into_iter().filter(|(record, _)| record.id > after);
    Ok(newer
        .map(|(record, counts)| {
            let rejected = rejections.get(&record.id);
            Said::of(secrets.shown_record(record), counts, rejected)
        })
        .collect())
}

/// Tells streams what changed since the last look, and gives what there is now.
fn changes(seen: &mut Option<events::Look>, session: &Session, outlet: &Outlet) -> anyhow::Result<events::Look> {
    let (plan, paths) = session.load()?;
    let last_record = session.log(&plan, &paths).fold()?.last_id;
    let now = events::Look::of(last_record, plan.services.keys(), &State::load(&paths.state())?);
    if let Some(before) = seen.as_ref().filter(|before| **before != now) {
        let records = if last_record > before.last_record { newer(before.last_record, session)? } else { Vec::new() };
        // What came meanwhile is for the next look.
        let records = records.into_iter().filter(|record| record.id() <= last_record).collect();
        for event in events::between(before, &now, records) {
            outlet.tell(News::Event(stream(&event)));
        }
    }
    Ok(seen.insert(now).clone())
}

fn stream(event: &events::Event) -> Reply {
    Reply { continues: true, ..Reply::of(json!({ "event": event })) }
}
