//! The thread that answers questions: values, status, records, measurements and events. It never waits for an apply.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::json;

use super::channel::Outbox;
use super::events;
use super::guard::guarded;
use super::server::{Look, Message, Queues};
use super::sessions::Sessions;
use crate::host::messages;
use crate::overrides::Most;
use crate::render::secrets::Secrets;
use crate::system;
use crate::system::records::Filter;
use crate::system::session::Session;
use crate::varlink::interface::{self, LogQuery, Query};
use crate::varlink::wire::Reply;

/// Most bytes of the log that are on a page.
const PAGE: u64 = 1 << 20;
/// Most records that are read at once for streams.
const PORTION: usize = 1000;

/// Looks until there is nothing more to look for.
pub fn run(sessions: &Sessions, queues: &Queues, outbox: &Outbox) {
    let mut seen: Option<events::Look> = None;
    while let Some(look) = queues.looks.pop() {
        match look {
            Look::Query { token, query } => {
                let session = sessions.session();
                let reply = guarded(|| answer(&query, &session)).unwrap_or_else(|broken| failed(&broken.into()));
                outbox.tell(Message::Reply(token, reply));
            }
            Look::Begin { token } => match all_changes(&mut seen, sessions, outbox) {
                Ok(now) => outbox.tell(Message::Begin(token, stream(&events::begin(&now)))),
                Err(error) => outbox.tell(Message::Reply(token, failed(&error))),
            },
            Look::Changed => {
                if let Err(error) = all_changes(&mut seen, sessions, outbox) {
                    messages::warn(format!("what changed can't be told: {}", messages::chain(&error)));
                }
                outbox.tell(Message::Looked);
            }
        }
    }
}

/// Sends streams the changes since the last observation, and gives the present one.
fn all_changes(seen: &mut Option<events::Look>, sessions: &Sessions, outbox: &Outbox) -> anyhow::Result<events::Look> {
    guarded(|| changes(seen, &sessions.session(), outbox))?
}

fn answer(query: &Query, session: &Session) -> Reply {
    let found = match query {
        Query::Get(path) => session.open().and_then(|system| Ok(interface::found(&system.value(path)?))),
        Query::Status => session.open().and_then(|system| Ok(interface::found(&system.status()?.0))),
        Query::Log(query) => records(query, session).map(|found| interface::found(&found)),
        Query::Sources => session.open().and_then(|system| Ok(Reply::new(json!({ "sources": system.sources()? })))),
        Query::Metrics => session.open().and_then(|system| Ok(Reply::new(json!({ "text": system.metrics()? })))),
    };
    found.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> Reply {
    interface::failed(system::exit_of(error), &messages::chain(error))
}

fn records(query: &LogQuery, session: &Session) -> anyhow::Result<Page> {
    let LogQuery { after, before, limit, about, by } = query;
    if before.is_none() && about.is_none() && by.is_none() {
        return page(*after, *limit, session);
    }
    let filter = Filter { about: about.clone(), by: by.clone(), ..Filter::default() };
    let (mut found, mut bytes, mut complete) = (VecDeque::new(), 0, true);
    session.open()?.records(&filter, |shown| {
        if shown.record.id <= *after {
            return true;
        }
        if before.is_some_and(|before| shown.record.id >= before) {
            return false;
        }
        let view = events::RecordView::from_record(shown.record.clone(), shown.holds, shown.rejected.as_ref());
        let length = serde_json::to_vec(&view).map_or(0, |text| text.len() as u64);
        bytes += length;
        found.push_back((view, length));
        let has_room = |found: &VecDeque<_>, bytes| found.len() <= 1 || found.len() <= *limit && bytes <= PAGE;
        if before.is_none() && !has_room(&found, bytes) {
            found.pop_back();
            complete = false;
            return false;
        }
        while !has_room(&found, bytes) {
            bytes -= found.pop_front().map_or(0, |(_, length)| length);
            complete = false;
        }
        true
    })?;
    Ok(Page { records: found.into_iter().map(|(view, _)| view).collect(), complete })
}

/// Some records.
#[derive(Serialize)]
struct Page {
    records: Vec<events::RecordView>,
    complete: bool,
}

fn page(after: u64, records: usize, session: &Session) -> anyhow::Result<Page> {
    let system = session.open()?;
    let secrets = Secrets::new(&system.plan);
    let page = system.log().page(after, Most { records, bytes: PAGE })?;
    let views = page.records.into_iter().map(|(record, counts)| {
        let rejected = page.rejections.get(&record.id);
        events::RecordView::from_record(secrets.shown_record(record), counts, rejected)
    });
    Ok(Page { records: views.collect(), complete: page.complete })
}

fn changes(seen: &mut Option<events::Look>, session: &Session, outbox: &Outbox) -> anyhow::Result<events::Look> {
    let system = session.open()?;
    let log = system.log();
    if seen.is_some() {
        log.settle();
    }
    let last_record = log.fold()?.last_id;
    let now = events::Look::from_state(last_record, system.plan.services.keys(), &system.state()?);
    if let Some(before) = seen.as_ref().filter(|before| **before != now) {
        let (recorded, mut behind) = (events::Look { last_record, ..before.clone() }, before.last_record);
        while behind < last_record {
            let page = page(behind, PORTION, session)?;
            // Records that came meanwhile are for the next observation.
            let records: Vec<_> = page.records.into_iter().filter(|record| record.id() <= last_record).collect();
            let Some(last) = records.last() else { break };
            behind = last.id();
            tell(before, &recorded, records, outbox);
        }
        tell(&recorded, &now, Vec::new(), outbox);
    }
    Ok(seen.insert(now).clone())
}

fn tell(before: &events::Look, now: &events::Look, records: Vec<events::RecordView>, outbox: &Outbox) {
    for event in events::between(before, now, records) {
        outbox.tell(Message::Event(stream(&event)));
    }
}

fn stream(event: &events::Event) -> Reply {
    Reply { continues: true, ..Reply::new(json!({ "event": event })) }
}
