//! Finds the records to blame when a service did not take its values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::Value;

use super::state::Mark;
use super::{Failed, concerns};
use crate::attr_path::AttrPath;
use crate::overrides::{Folded, Kind, Layer, LogError, LogFile, Record};
use crate::plan::Plan;

/// Ids of records that reject others.
pub(super) type Marks = BTreeSet<u64>;

/// A record that is to be rejected.
pub(super) struct Rejection {
    /// The record.
    pub id: u64,
    /// Why.
    pub reason: String,
}

/// Rejects all records that took effect since each failed service's last good apply and concern it. That includes the
/// records that only `marks` reject, for a while. Which one of several is to blame can't be known: they took effect
/// together. Records after `tried` are not rejected.
pub(super) fn find(
    plan: &Plan,
    log: &LogFile,
    failed: &[Failed],
    tried: u64,
    marks: &[Mark],
) -> Result<Vec<Rejection>, LogError> {
    let for_a_while: Marks = marks.iter().map(|one| one.mark).collect();
    let mut rejects: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
    let mut expressions: BTreeSet<u64> = BTreeSet::new();
    // Only this much of each record stays in memory: its id, and the services that it concerns.
    let mut concerned: Vec<(u64, &Failed)> = Vec::new();
    let about = |record: &Record| {
        let id = record.id;
        failed.iter().filter(|one| is_about(plan, &one.service, record)).map(|one| (id, one)).collect::<Vec<_>>()
    };
    // What each source said before.
    let mut said: BTreeMap<String, Vec<(AttrPath, Value)>> = BTreeMap::new();
    log.each(|record, fate| {
        match record.kind {
            Kind::Reject { id, .. } => drop(rejects.insert(record.id, (id, fate.counts))),
            _ if record.id > tried => {}
            Kind::Expression(_) => drop(expressions.insert(record.id)),
            Kind::Layer(Layer { ref source, ref values, .. }) => {
                let before = said.get(source).map(Vec::as_slice).unwrap_or_default();
                let changed = differing(before, values);
                let is_about = |one: &&Failed| changed.iter().any(|path| concerns(plan, &one.service, path));
                concerned.extend(failed.iter().filter(is_about).map(|one| (record.id, one)));
                if fate.counts {
                    said.insert(source.clone(), values.clone());
                }
            }
            _ => concerned.extend(about(&record)),
        }
        ControlFlow::Continue(())
    })?;
    if !expressions.is_empty() {
        concerned.extend(log.evaluated(|id| expressions.contains(&id))?.iter().flat_map(about));
        concerned.sort_by_key(|(id, _)| *id);
    }
    let mut rejected: BTreeSet<u64> = BTreeSet::new();
    // A rejection that was itself rejected (a confirmed change has one) has no effect: its record counts from then on.
    let mut lifted: BTreeMap<u64, u64> = BTreeMap::new();
    for (id, (target, _)) in rejects.iter().filter(|(_, (_, counts))| *counts) {
        if !for_a_while.contains(id) {
            rejected.insert(*target);
        }
        if let Some((record, _)) = rejects.get(target).filter(|_| *id <= tried) {
            lifted.insert(*record, *id);
        }
    }
    let mut rejections: Vec<Rejection> = Vec::new();
    for (id, one) in concerned.into_iter().filter(|(id, _)| !rejected.contains(id)) {
        let since = lifted.get(&id).copied().unwrap_or(id);
        if since > one.log_id && rejections.last().is_none_or(|last| last.id != id) {
            rejections.push(Rejection { id, reason: format!("{}: {}", one.service, one.reason) });
        }
    }
    Ok(rejections)
}

/// Rejections for services that fail without a record of their own since their last good apply: an override expired or
/// was undone, and uncovered an older one that was never tried. `folded`: the fold that was tried; `known`: the records
/// that are already to blame.
pub(super) fn uncovered(
    plan: &Plan,
    log: &LogFile,
    failed: &[Failed],
    folded: &Folded,
    known: &[Rejection],
) -> Result<Vec<Rejection>, LogError> {
    let mut found = Vec::new();
    for one in failed {
        let name = format!("{}: ", one.service);
        if known.iter().any(|rejection| rejection.reason.starts_with(&name)) {
            continue;
        }
        let before = match log.fold_at(one.log_id) {
            Ok(folded) => folded.overlay,
            // Somebody edited the log: what held then is not known.
            Err(LogError::NoSuchRecord { .. }) => continue,
            Err(error) => return Err(error),
        };
        let before: BTreeSet<(AttrPath, u64)> =
            before.leaves().into_iter().map(|(path, leaf)| (path, leaf.id)).collect();
        let now = folded.overlay.leaves().into_iter().map(|(path, leaf)| (path, leaf.id));
        let new: BTreeSet<u64> = now
            .filter(|leaf| !before.contains(leaf) && concerns(plan, &one.service, &leaf.0))
            .map(|(_, id)| id)
            .collect();
        found.extend(new.into_iter().map(|id| Rejection { id, reason: format!("{name}{}", one.reason) }));
    }
    Ok(found)
}

/// Keeps, for each service, only the rejections of `own` records, if there are any. The caller asked for these, and
/// earlier records of others took effect with them. Those are tried without `own`, and are to blame if they fail by
/// themselves. Gives whether there are such services.
pub(super) fn own_first(rejections: &mut Vec<Rejection>, failed: &[Failed], own: &[u64]) -> bool {
    let before = rejections.len();
    for one in failed {
        let name = format!("{}: ", one.service);
        let is_own = |rejection: &Rejection| own.contains(&rejection.id);
        if rejections.iter().any(|rejection| rejection.reason.starts_with(&name) && is_own(rejection)) {
            rejections.retain(|rejection| !rejection.reason.starts_with(&name) || is_own(rejection));
        }
    }
    rejections.len() < before
}

/// The paths at which two layers of a source differ.
fn differing<'v>(before: &'v [(AttrPath, Value)], now: &'v [(AttrPath, Value)]) -> Vec<&'v AttrPath> {
    let without = |these: &'v [(AttrPath, Value)], those: &'v [(AttrPath, Value)]| {
        these.iter().filter(|one| !those.contains(one)).map(|(path, _)| path)
    };
    without(before, now).chain(without(now, before)).collect()
}

fn is_about(plan: &Plan, service: &str, record: &Record) -> bool {
    match &record.kind {
        Kind::Set(_) | Kind::Replace { .. } | Kind::Unset(_) => {
            record.paths().iter().any(|path| concerns(plan, service, path))
        }
        // Concerns all services at once.
        Kind::Rollback(_) => true,
        // For a layer see [`differing`].
        Kind::Reject { .. } | Kind::Expression(_) | Kind::Layer(_) => false,
    }
}
