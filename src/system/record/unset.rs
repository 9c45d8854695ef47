//! `dynix unset`: removes an override.

use std::collections::BTreeSet;

use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::{Draft, Folded, LogFile};
use crate::plan::{allowed, options};
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::Unset;
use crate::system::{Refused, System};

/// Records it.
pub fn record(request: &Unset, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let path = lookup::parse(&request.path)?;
    let mut trial = trial::start(request.confirm, system)?;
    let mut recorded = Recorded::default();
    let mut concerned = Vec::new();
    let decide = |log: &LogFile| {
        let folded = log.fold()?;
        concerned = concerned_by(&path, &folded);
        Ok(match concerned.as_slice() {
            [] => Vec::new(),
            _ if request.previous => previous(&path, &folded, log)?,
            _ => vec![Draft::Unset(path.clone())],
        })
    };
    let made = trial::record((system, caller), &mut trial, decide)?;
    if concerned.is_empty() {
        recorded.notes.push(match system.saying(&path, &system.log().fold()?) {
            Some(source) => format!(
                "nothing is overridden at {path} by this host; {source} says a value there: change it there, or set another here"
            ),
            None => format!("nothing is overridden at {path}; see `dynix status`"),
        });
    } else if request.previous {
        recorded.what = format!("the previous value of {path}");
    } else {
        recorded.what = format!("unset {path}");
    }
    let services = concerned.iter().chain([&path]).filter_map(|path| options::find(&system.plan, path));
    let mut services: BTreeSet<String> = services.map(|place| place.service_name.to_owned()).collect();
    if concerned.iter().chain([&path]).any(|path| allowed::is_evaluated(&system.plan, path)) {
        services.insert(SYSTEM.to_owned());
    }
    Ok(recorded.then(made, request.apply, Some(services), trial, caller))
}

/// The records that make of the overrides at a path and below what they were before the last of them was recorded.
fn previous(path: &AttrPath, folded: &Folded, log: &LogFile) -> anyhow::Result<Vec<Draft>> {
    let of = |folded: &Folded| -> Vec<(AttrPath, serde_json::Value, u64)> {
        let leaves = folded.own().leaves().into_iter().filter(|(leaf, _)| leaf.starts_with(path));
        leaves.map(|(leaf, one)| (leaf, one.value.clone(), one.id)).collect()
    };
    let now = of(folded);
    let Some(last) = now.iter().map(|(.., id)| *id).max() else {
        return Err(Refused(format!(
            "{path} is a part of an override that is one whole; give the path that `dynix status` shows"
        ))
        .into());
    };
    let before = of(&log.preview(&[Draft::Reject { id: last, reason: String::new() }])?);
    let mut drafts: Vec<Draft> = Vec::new();
    let is_gone = |leaf: &AttrPath| !before.iter().any(|(there, ..)| leaf.starts_with(there));
    drafts.extend(now.iter().filter(|(leaf, ..)| is_gone(leaf)).map(|(leaf, ..)| Draft::Unset(leaf.clone())));
    let changed = before
        .into_iter()
        .filter(|(leaf, value, _)| !now.iter().any(|(there, same, _)| there == leaf && same == value));
    let (whole, plain): (Vec<_>, Vec<_>) = changed.partition(|(_, value, _)| value.is_object());
    drafts.extend(whole.into_iter().map(|(leaf, value, _)| Draft::Replace(leaf, value)));
    drafts.extend(Draft::of_values(plain.into_iter().map(|(leaf, value, _)| (leaf, value)).collect()));
    Ok(drafts)
}

/// The overrides that would no longer hold, or would lose a name.
fn concerned_by(path: &AttrPath, folded: &Folded) -> Vec<AttrPath> {
    let leaves = folded.own().leaves().into_iter();
    let concerned = leaves
        .filter(|(leaf, one)| leaf.starts_with(path) || path.starts_with(leaf) && one.value.is_object())
        .map(|(leaf, _)| leaf);
    // An expression that has no value now might have one later.
    let pending = folded.unevaluated.iter().flat_map(|one| &one.paths).cloned();
    concerned.chain(pending.filter(|one| one.starts_with(path) || path.starts_with(one))).collect()
}
