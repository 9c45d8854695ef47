//! For how long each override held, and what ended it: the log as a history of values.
//!
//! Takes the records of a part of the log and the overrides before them. Whether a record counts is judged as of each
//! moment, not as of the end. Expressions are not evaluated. Pure, except for the log's own reader at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::chain::{Chain, Control};
use super::entry::tree;
use super::fold;
use super::hand;
use super::layers::{Layers, Order};
use super::log::LogFile;
use super::overlay::Overlay;
use super::record::{Kind, Record};
use super::{LogError, Override};
use crate::attr_path::AttrPath;
use crate::time;

/// The reason of the rejection that ends an override whose time is over (docs/overrides.md).
const EXPIRED: &str = "expired";

/// A time for which one override held without a break.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// The option, and names below it.
    #[serde(serialize_with = "as_text")]
    pub path: AttrPath,
    /// Its value; the text of an expression.
    pub value: Value,
    /// Whether the value is the text of an expression.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expression: bool,
    /// The record that set it.
    pub record: u64,
    /// The user who recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What that user said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it began to hold (RFC 3339): at its record, or at a later one that returned to it. `None` if it held before
    /// the part of the log that was looked at, or if the record has no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it stopped to hold; `None` if it still does, or if the record has no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What ended it.
    pub end: Ending,
}

fn as_text<S: Serializer>(path: &AttrPath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}

/// What ended a period, with the record that did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Nothing: it still holds.
    Holds,
    /// Another value.
    Replaced(u64),
    /// It was removed.
    Unset(u64),
    /// A rollback to before it.
    RolledBack(u64),
    /// Its time was over.
    Expired(u64),
    /// A rejection.
    Rejected {
        /// The record that rejects it.
        record: u64,
        /// Why.
        reason: String,
    },
}

impl Period {
    /// How long it held, or has held until `now`; `None` if one of its ends is not known.
    #[must_use]
    pub fn lasted(&self, now: SystemTime) -> Option<Duration> {
        let from = time::read(self.from.as_deref()?).ok()?;
        let to = match &self.to {
            Some(to) => time::read(to).ok()?,
            None if self.end == Ending::Holds => now,
            None => return None,
        };
        let lasted = to.duration_since(from).ok()?;
        Some(Duration::from_secs(lasted.as_secs()))
    }
}

/// A part of the log's history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// In the order in which they began.
    pub periods: Vec<Period>,
    /// The records that were looked at, oldest first.
    pub records: Vec<Record>,
    /// Whether the log has records before these.
    pub is_partial: bool,
}

impl LogFile {
    /// The history of the newest `most` records.
    pub fn history(&self, most: usize) -> Result<History, LogError> {
        let ids = self.steadily(|look| Ok(fold::difference(&look.source(self), None, |_, _| {})?.0.into_ids()))?;
        let ids = ids.unwrap_or_default();
        // Ids may have gaps: then there are fewer records than `most`.
        let before = ids.up_to(ids.last().saturating_sub(most as u64)).unwrap_or_default();
        let records = self.find(|id| id > before)?;
        let held = |id| self.fold_at(id).map(|folded| Held { own: folded.own().clone(), layers: folded.layers });
        let periods = periods(&held(before)?, before, &records, self.order(), held)?;
        Ok(History { periods, records, is_partial: before > 0 })
    }
}

/// What holds at some moment.
#[derive(Clone, Default)]
struct Held {
    own: Overlay,
    layers: Layers,
}

/// The periods of `records`, which follow on `base`, what holds right after record `base_id`. `elsewhere` gives what holds
/// right after a record that depends on records before `base_id`.
fn periods<E>(
    base: &Held,
    base_id: u64,
    records: &[Record],
    order: &Order,
    mut elsewhere: impl FnMut(u64) -> Result<Held, E>,
) -> Result<Vec<Period>, E> {
    let mut walk = Walk { now: BTreeMap::new(), periods: Vec::new(), by_id: BTreeMap::new() };
    walk.arrive(&base.shown(order), None);
    let (mut held, mut controls) = (base.clone(), Vec::<(u64, Control)>::new());
    let is_layered = !base.layers.is_empty();
    for (index, record) in records.iter().enumerate() {
        let is_about_source = |id: u64| {
            let place = controls.binary_search_by_key(&id, |(id, _)| *id);
            is_layered && id <= base_id || place.is_ok_and(|place| controls[place].1.is_about_source())
        };
        let control = match record.kind {
            Kind::Rollback(to) => Some(Control::Rollback(to)),
            Kind::Reject { id, .. } if is_about_source(id) => Some(Control::RejectOfSource(id)),
            Kind::Reject { id, .. } => Some(Control::Reject(id)),
            Kind::Layer(_) => Some(Control::Layer),
            _ => None,
        };
        controls.extend(control.map(|control| (record.id, control)));
        if control.is_some_and(|control| control != Control::Layer) {
            held = match Chain::walk(record.id, &controls, base_id) {
                Ok(chain) => {
                    let own = if chain.from_base { base.own.clone() } else { Overlay::default() };
                    let start = Held { own, layers: base.layers.clone() };
                    records[..index].iter().filter(|one| chain.contains(one.id)).fold(start, folded)
                }
                Err(_) => elsewhere(record.id)?,
            };
        } else {
            held = folded(held, record);
        }
        walk.by_id.insert(record.id, record);
        walk.arrive(&held.shown(order), Some(record));
    }
    Ok(walk.periods)
}

/// One more record. An expression stands for itself.
fn folded(mut held: Held, record: &Record) -> Held {
    match &record.kind {
        Kind::Expression(text) => {
            for path in hand::paths(text) {
                held.own.put(&path.0, Value::String(text.clone()), record.id);
            }
        }
        Kind::Layer(layer) => held.layers.put(&layer.source, tree(&layer.values), record.id),
        _ => held.own.fold(record),
    }
    held
}

impl Held {
    fn shown(&self, order: &Order) -> Overlay {
        if self.layers.is_empty() { self.own.clone() } else { self.layers.around(&self.own, order) }
    }
}

/// From record to record: what holds, and what held.
struct Walk<'r> {
    /// The periods that go on, by path and record: their places.
    now: BTreeMap<(AttrPath, u64), usize>,
    periods: Vec<Period>,
    by_id: BTreeMap<u64, &'r Record>,
}

impl Walk<'_> {
    /// `overlay` holds right after `record`.
    fn arrive(&mut self, overlay: &Overlay, record: Option<&Record>) {
        let leaves = overlay.leaves();
        let here: BTreeSet<(&AttrPath, u64)> = leaves.iter().map(|(path, one)| (path, one.id)).collect();
        let time = record.and_then(|record| record.time.clone());
        let gone: Vec<_> = self.now.keys().filter(|(path, id)| !here.contains(&(path, *id))).cloned().collect();
        for key in gone {
            if let (Some(place), Some(record)) = (self.now.remove(&key), record) {
                self.periods[place].to.clone_from(&time);
                self.periods[place].end = ending(record);
            }
        }
        for (path, Override { value, id }) in leaves {
            let setter = self.by_id.get(&id);
            let place = *self.now.entry((path.clone(), id)).or_insert(self.periods.len());
            if place == self.periods.len() {
                self.periods.push(Period {
                    path,
                    value: value.clone(),
                    expression: setter.is_some_and(|record| matches!(record.kind, Kind::Expression(_))),
                    record: id,
                    by: setter.and_then(|record| record.by.clone()),
                    message: setter.and_then(|record| record.message.clone()),
                    from: time.clone(),
                    to: None,
                    end: Ending::Holds,
                });
            }
        }
    }
}

fn ending(record: &Record) -> Ending {
    match &record.kind {
        // Another layer of the same source says something else there, or nothing.
        Kind::Set(_) | Kind::Replace(..) | Kind::Expression(_) | Kind::Layer(_) => Ending::Replaced(record.id),
        Kind::Unset(_) => Ending::Unset(record.id),
        Kind::Rollback(_) => Ending::RolledBack(record.id),
        Kind::Reject { reason, .. } if reason == EXPIRED => Ending::Expired(record.id),
        Kind::Reject { reason, .. } => Ending::Rejected { record: record.id, reason: reason.clone() },
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::json;

    use super::*;
    use crate::overrides::Layer;

    fn path(name: &str) -> AttrPath {
        AttrPath::parse(name).unwrap()
    }

    fn set(name: &str, value: u64) -> Kind {
        Kind::Set(vec![(path(name), json!(value))])
    }

    fn reject(id: u64, reason: &str) -> Kind {
        Kind::Reject { id, reason: reason.to_owned() }
    }

    /// What the periods say in short: path, value, from and to by the records' ids, and the end.
    fn short(kinds: &[Kind]) -> Vec<String> {
        let records: Vec<Record> = (1..)
            .zip(kinds)
            .map(|(id, kind)| Record {
                id,
                time: Some(id.to_string()),
                by: None,
                until: None,
                message: None,
                kind: kind.clone(),
            })
            .collect();
        let none = |id| -> Result<Held, Infallible> { panic!("record {id}") };
        let order = Order { below: vec!["web".to_owned()], above: Vec::new() };
        let periods = periods(&Held::default(), 0, &records, &order, none).unwrap();
        let text = |period: Period| {
            let (from, to) = (period.from.unwrap(), period.to.unwrap_or_default());
            format!("{}={} {from}..{to} {:?}", period.path, period.value, period.end)
        };
        periods.into_iter().map(text).collect()
    }

    #[test]
    fn a_value_holds_until_something_ends_it() {
        assert_eq!(
            short(&[set("a", 1), set("b", 2), set("a", 3), Kind::Unset(path("b"))]),
            ["a=1 1..3 Replaced(3)", "b=2 2..4 Unset(4)", "a=3 3.. Holds"]
        );
    }

    #[test]
    fn what_a_rollback_returns_to_holds_anew() {
        assert_eq!(
            short(&[set("a", 1), set("a", 2), Kind::Rollback(1), Kind::Rollback(0)]),
            ["a=1 1..2 Replaced(2)", "a=2 2..3 RolledBack(3)", "a=1 3..4 RolledBack(4)"]
        );
    }

    #[test]
    fn a_rejection_ends_one_record_and_says_why() {
        assert_eq!(
            short(&[set("a", 1), set("b", 2), reject(1, "expired"), reject(2, "x.service failed")]),
            ["a=1 1..3 Expired(3)", "b=2 2..4 Rejected { record: 4, reason: \"x.service failed\" }"]
        );
        // One of a value that was replaced already changes nothing; what it replaced is not shown through it.
        assert_eq!(short(&[set("a", 1), set("a", 2), reject(1, "late")]), ["a=1 1..2 Replaced(2)", "a=2 2.. Holds"]);
    }

    #[test]
    fn what_a_source_says_holds_until_it_says_something_else_whatever_the_host_rolls_back() {
        let layer = |values: &[(&str, u64)]| {
            let values = values.iter().map(|(name, value)| (path(name), json!(value))).collect();
            Kind::Layer(Layer { source: "web".to_owned(), revision: None, values })
        };
        assert_eq!(
            short(&[layer(&[("a", 1), ("b", 1)]), set("a", 2), layer(&[("b", 1)]), Kind::Rollback(0)]),
            ["a=1 1..2 Replaced(2)", "b=1 1.. Holds", "a=2 2..4 RolledBack(4)"]
        );
        assert_eq!(
            short(&[layer(&[("a", 1)]), layer(&[("a", 2)]), reject(2, "x.service failed"), Kind::Rollback(1)]),
            ["a=1 1..2 Replaced(2)", "a=2 2..3 Rejected { record: 3, reason: \"x.service failed\" }", "a=1 3.. Holds"]
        );
    }

    #[test]
    fn an_expression_is_its_text() {
        let text = "{ id = 1; set.a = 1 + 1; }";
        let shown = short(&[Kind::Expression(text.to_owned())]);
        assert_eq!(shown, [format!("a={} 1.. Holds", json!(text))]);
    }

    #[test]
    fn records_before_the_part_are_asked_for() {
        let mut base = Held::default();
        base.own.put(&["a"], json!(1), 7);
        let back = Record { id: 9, time: None, by: None, until: None, message: None, kind: Kind::Rollback(3) };
        let given = periods(&base, 8, &[back], &Order::default(), |id| -> Result<Held, Infallible> {
            assert_eq!(id, 9);
            Ok(Held::default())
        });
        let [period] = &given.unwrap()[..] else { panic!("one period") };
        assert_eq!((&period.from, &period.end), (&None, &Ending::RolledBack(9)));
    }
}
