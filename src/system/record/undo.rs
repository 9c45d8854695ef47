//! `dynix undo`, `dynix redo` and `dynix reject`: one record no longer counts, or counts again. Later records stay.

use std::ops::ControlFlow;

use super::{Changed, Recorded, trial};
use crate::overrides::{Draft, Kind, LogError, LogFile, Record};
use crate::system::caller::Caller;
use crate::system::request::{Redo, Reject, Undo};
use crate::system::{Refused, System};
use crate::time;

/// The reason of a record that was taken back.
const UNDONE: &str = "taken back";
/// The reason of a rejection that was taken back.
const REDONE: &str = "brought back";

/// Takes a record back.
pub fn undo(request: &Undo, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let wanted = Wanted { apply: request.apply, confirm: request.confirm, verb: "undo" };
    let decide = |log: &LogFile| {
        let id = match request.id {
            Some(id) => counted(log, id)?,
            None => last(log)?,
        };
        Ok(id.map(|id| (id, vec![Draft::Reject { id, reason: UNDONE.to_owned() }])))
    };
    one(&wanted, system, caller, decide)
}

/// Rejects a record for a reason.
pub fn reject(request: &Reject, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let wanted = Wanted { apply: request.apply, confirm: request.confirm, verb: "reject" };
    let reason = crate::overrides::message(&request.message).map_err(Refused)?;
    let decide = |log: &LogFile| {
        let id = counted(log, request.id)?;
        Ok(id.map(|id| (id, vec![Draft::Reject { id, reason: reason.to_owned() }])))
    };
    one(&wanted, system, caller, decide)
}

/// Brings a record back that was taken back.
pub fn redo(request: &Redo, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let wanted = Wanted { apply: request.apply, confirm: request.confirm, verb: "redo" };
    let on_trial: Vec<u64> =
        system.state()?.trial.iter().flat_map(|trial| trial.marks.iter().map(|mark| mark.record)).collect();
    let decide = |log: &LogFile| {
        let Some((id, rejections)) = rejected(log, request.id)? else { return Ok(None) };
        if on_trial.contains(&id) {
            return Err(Refused(format!("record {id} awaits its confirmation; run `dynix confirm`")).into());
        }
        let again = |id: &u64| Draft::Reject { id: *id, reason: REDONE.to_owned() };
        Ok(Some((id, rejections.iter().map(again).collect())))
    };
    one(&wanted, system, caller, decide)
}

/// How a request is carried out.
struct Wanted {
    apply: bool,
    confirm: Option<std::time::Duration>,
    verb: &'static str,
}

fn one(
    wanted: &Wanted,
    system: &System<'_>,
    caller: &Caller<'_>,
    mut find: impl FnMut(&LogFile) -> anyhow::Result<Option<(u64, Vec<Draft>)>>,
) -> anyhow::Result<Recorded> {
    let Wanted { apply, confirm, verb } = *wanted;
    let mut trial = trial::start(confirm, system)?;
    let mut about = None;
    let decide = |log: &LogFile| {
        let found = find(log)?;
        about = found.as_ref().map(|(id, _)| *id);
        Ok(found.map(|(_, drafts)| drafts).unwrap_or_default())
    };
    let made = trial::record((system, caller), &mut trial, decide)?;
    let mut recorded = Recorded::default();
    match about {
        None => recorded.notes.push(format!("there is nothing to {verb}; see `dynix log`")),
        Some(id) => {
            recorded.what = format!("{verb} {id}");
            if made.changed.is_empty() {
                recorded.notes.push("no value changes: later records say the same".to_owned());
            }
        }
    }
    let services = Changed::services(&made.changed);
    let is_any = !services.is_empty();
    let mut recorded = recorded.then(made, apply && about.is_some(), Some(services), trial, caller);
    if !is_any {
        recorded.next = None;
    }
    Ok(recorded)
}

/// The record, if it counts: an error says why it does not.
fn counted(log: &LogFile, id: u64) -> anyhow::Result<Option<u64>> {
    let mut found: Option<Result<(), String>> = None;
    log.each(|record, fate| {
        if record.id != id {
            return ControlFlow::Continue(());
        }
        found = Some(match (fate.counts, fate.rejected) {
            (true, _) => Ok(()),
            (false, Some(UNDONE)) => Err(format!("is taken back already; `dynix redo {id}` brings it back")),
            (false, Some(reason)) => {
                Err(format!("is rejected already ({}); `dynix redo {id}` brings it back", reason.trim_end()))
            }
            (false, None) => Err("is rolled back already".to_owned()),
        });
        ControlFlow::Break(())
    })?;
    match found {
        None => Err(LogError::NoSuchRecord { path: log.path().to_string(), id }.into()),
        Some(Ok(())) => Ok(Some(id)),
        Some(Err(why)) => Err(Refused(format!("record {id} {why}")).into()),
    }
}

/// The last record that counts and is no rejection.
fn last(log: &LogFile) -> Result<Option<u64>, LogError> {
    let mut last = None;
    log.each(|record, fate| {
        // What a source says is undone only by name.
        if fate.counts && !matches!(record.kind, Kind::Reject { .. } | Kind::Layer(_)) {
            last = Some(record.id);
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// A record that is rejected, and the rejections of it that count. Without an id it is the one that was undone last.
fn rejected(log: &LogFile, id: Option<u64>) -> anyhow::Result<Option<(u64, Vec<u64>)>> {
    let mut rejections: Vec<(u64, u64, bool)> = Vec::new();
    let mut asked: Option<Record> = None;
    log.each(|record, fate| {
        if let (Kind::Reject { id, reason }, true) = (&record.kind, fate.counts) {
            rejections.push((record.id, *id, reason == UNDONE));
        }
        if Some(record.id) == id {
            asked = Some(record);
        }
        ControlFlow::Continue(())
    })?;
    let of = |id: u64| rejections.iter().filter(|(_, of, _)| *of == id).map(|(by, ..)| *by).collect::<Vec<_>>();
    let Some(id) = id else {
        let last = rejections.iter().rev().find(|(.., undone)| *undone);
        return Ok(last.map(|(_, id, _)| (*id, of(*id))));
    };
    let Some(record) = asked else {
        return Err(LogError::NoSuchRecord { path: log.path().to_string(), id }.into());
    };
    let is_over = |until: &String| time::read(until).is_ok_and(|until| until <= std::time::SystemTime::now());
    if record.until.as_ref().is_some_and(is_over) {
        return Err(Refused(format!("the time of record {id} is over; record its value again")).into());
    }
    match of(id) {
        found if found.is_empty() => {
            Err(Refused(format!("record {id} is not taken back, so there is nothing to bring back")).into())
        }
        found => Ok(Some((id, found))),
    }
}
