//! For how long each override held, and what ended it: the log as a history of values.
//!
//! Takes the records of a part of the log and the overrides before them. Whether a record counts is judged as of each
//! moment, not as of the end. Expressions are not evaluated. Pure, except for the log's own reader at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::chain::{Chain, Control};
use super::fold;
use super::hand;
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
        let base = self.fold_at(before)?.overlay;
        let periods = periods(&base, before, &records, |id| self.fold_at(id).map(|folded| folded.overlay))?;
        Ok(History { periods, records, is_partial: before > 0 })
    }
}

/// The periods of `records`, which follow on `base`, the overrides right after record `base_id`. `elsewhere` gives the
/// overrides right after a record that depends on records before `base_id`.
fn periods<E>(
    base: &Overlay,
    base_id: u64,
    records: &[Record],
    mut elsewhere: impl FnMut(u64) -> Result<Overlay, E>,
) -> Result<Vec<Period>, E> {
    let mut walk = Walk { now: BTreeMap::new(), periods: Vec::new(), by_id: BTreeMap::new() };
    walk.arrive(base, None);
    let (mut overlay, mut controls) = (base.clone(), Vec::new());
    for (index, record) in records.iter().enumerate() {
        let control = match record.kind {
            Kind::Rollback(to) => Some(Control::Rollback(to)),
            Kind::Reject { id, .. } => Some(Control::Reject(id)),
            _ => None,
        };
        if let Some(control) = control {
            controls.push((record.id, control));
            overlay = match Chain::walk(record.id, &controls, base_id) {
                Ok(chain) => {
                    let start = if chain.from_base { base.clone() } else { Overlay::default() };
                    records[..index].iter().filter(|one| chain.contains(one.id)).fold(start, folded)
                }
                Err(_) => elsewhere(record.id)?,
            };
        } else {
            overlay = folded(overlay, record);
        }
        walk.by_id.insert(record.id, record);
        walk.arrive(&overlay, Some(record));
    }
    Ok(walk.periods)
}

/// One more record. An expression stands for itself.
fn folded(mut overlay: Overlay, record: &Record) -> Overlay {
    match &record.kind {
        Kind::Expression(text) => {
            for path in hand::paths(text) {
                overlay.put(&path.0, Value::String(text.clone()), record.id);
            }
        }
        _ => overlay.fold(record),
    }
    overlay
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
        Kind::Set(_) | Kind::Replace(..) | Kind::Expression(_) => Ending::Replaced(record.id),
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
        let none = |id| -> Result<Overlay, Infallible> { panic!("record {id}") };
        let periods = periods(&Overlay::default(), 0, &records, none).unwrap();
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
    fn an_expression_is_its_text() {
        let text = "{ id = 1; set.a = 1 + 1; }";
        let shown = short(&[Kind::Expression(text.to_owned())]);
        assert_eq!(shown, [format!("a={} 1.. Holds", json!(text))]);
    }

    #[test]
    fn records_before_the_part_are_asked_for() {
        let mut base = Overlay::default();
        base.put(&["a"], json!(1), 7);
        let back = Record { id: 9, time: None, by: None, until: None, message: None, kind: Kind::Rollback(3) };
        let given = periods(&base, 8, &[back], |id| -> Result<Overlay, Infallible> {
            assert_eq!(id, 9);
            Ok(Overlay::default())
        });
        let [period] = &given.unwrap()[..] else { panic!("one period") };
        assert_eq!((&period.from, &period.end), (&None, &Ending::RolledBack(9)));
    }
}
