//! The changes of a system between two observations: new records, and services with other files.
//!
//! Takes the earlier and the present state; gives events for streams. The daemon reads both from disk, so events also
//! show the changes of the command line, a timer or a switch.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::overrides::{Kind, Record};
use crate::reconcile::state::{FailureKind, State};

/// One observation of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The newest record.
    pub last_record: u64,
    /// Every service of the plan.
    pub services: BTreeMap<String, Service>,
}

/// A service at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `None` on the static files.
    pub generation: Option<u64>,
    /// The last record that it has applied.
    pub applied: u64,
    /// When it last rolled back from new values, and why.
    pub last_failure: Option<(String, String)>,
}

impl Look {
    /// Observes the present system.
    #[must_use]
    pub fn from_state<'s>(last_record: u64, services: impl Iterator<Item = &'s String>, state: &State) -> Self {
        let service = |name: &String| {
            let known = state.services.get(name);
            let last_failure =
                known.and_then(|one| one.last_failure.as_ref()).filter(|one| one.result != FailureKind::NotConfirmed);
            Service {
                generation: known.and_then(|one| one.in_effect.generation),
                applied: state.log_id(name),
                last_failure: last_failure.map(|one| (one.time.clone(), one.reason.clone())),
            }
        };
        Self { last_record, services: services.map(|name| (name.clone(), service(name))).collect() }
    }
}

/// One thing that changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    #[serde(rename = "event")]
    kind: &'static str,
    last_record: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<RecordView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The beginning of a stream.
#[must_use]
pub fn begin(now: &Look) -> Event {
    Event { kind: "begin", last_record: now.last_record, ..Event::default() }
}

/// The events between two observations. `records`: those that are newer than `before`.
#[must_use]
pub fn between(before: &Look, now: &Look, records: Vec<RecordView>) -> Vec<Event> {
    let last_record = now.last_record;
    let recorded = records.into_iter().map(|record| Event {
        kind: "recorded",
        last_record,
        record: Some(record),
        ..Event::default()
    });
    let services = now.services.iter().filter_map(|(name, service)| {
        let was = before.services.get(name).cloned().unwrap_or_default();
        let failed = service.last_failure.is_some() && service.last_failure != was.last_failure;
        let changed = (service.generation, service.applied) != (was.generation, was.applied);
        let kind = if failed { "failed" } else { "changed" };
        (failed || changed).then(|| Event {
            kind,
            last_record,
            service: Some(name.clone()),
            generation: service.generation,
            applied: Some(service.applied),
            reason: service.last_failure.clone().filter(|_| failed).map(|(_, reason)| reason),
            ..Event::default()
        })
    });
    recorded.chain(services).collect()
}

/// A record, in the shape that the interface has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordView {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Vec<Assignment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replace: Option<Assignment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<Rejection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Assignment {
    path: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Rejection {
    id: u64,
    reason: String,
}

impl RecordView {
    /// A record without its secrets; whether it counts; why it was rejected.
    #[must_use]
    pub fn from_record(record: Record, counts: bool, rejected: Option<&String>) -> Self {
        let holds = counts && !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. });
        let Record { id, time, by, until, message, kind } = record;
        let rejected = rejected.cloned();
        let mut view = Self { id, time, by, until, message, holds, rejected, ..Self::default() };
        let assigned = |leaves: Vec<(AttrPath, Value)>| {
            leaves.into_iter().map(|(path, value)| Assignment { path: path.to_string(), value }).collect()
        };
        match kind {
            Kind::Set(leaves) => view.set = Some(assigned(leaves)),
            Kind::Layer(layer) => {
                (view.source, view.revision) = (Some(layer.source), layer.revision);
                view.set = Some(assigned(layer.values));
            }
            Kind::Replace(path, value) => view.replace = Some(Assignment { path: path.to_string(), value }),
            Kind::Unset(path) => view.unset = Some(path.to_string()),
            Kind::Rollback(to) => view.rollback = Some(to),
            Kind::Reject { id, reason } => view.reject = Some(Rejection { id, reason }),
            Kind::Expression(text) => view.expression = Some(text),
        }
        view
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_is_told_once() {
        let service = |generation, applied| Service { generation, applied, last_failure: None };
        let before = Look { last_record: 1, services: BTreeMap::from([("a".to_owned(), service(None, 0))]) };
        assert_eq!(between(&before, &before, Vec::new()), []);
        let mut now = Look { last_record: 2, services: BTreeMap::from([("a".to_owned(), service(Some(1), 2))]) };
        let record = Record { id: 2, time: None, by: None, until: None, message: None, kind: Kind::Rollback(0) };
        let events = between(&before, &now, vec![RecordView::from_record(record, true, None)]);
        assert_eq!(
            serde_json::to_value(events).unwrap(),
            json!([
                {"event": "recorded", "lastRecord": 2, "record": {"id": 2, "holds": false, "rollback": 0}},
                {"event": "changed", "lastRecord": 2, "service": "a", "generation": 1, "applied": 2},
            ])
        );
        let was = now.clone();
        now.services.get_mut("a").unwrap().last_failure = Some(("now".to_owned(), "it hung".to_owned()));
        let events = serde_json::to_value(between(&was, &now, Vec::new())).unwrap();
        assert_eq!((&events[0]["event"], &events[0]["reason"]), (&json!("failed"), &json!("it hung")));
    }
}
