//! `dynix unset`: removes an override.

use std::collections::BTreeSet;

use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::{Draft, Folded, LogFile};
use crate::plan::{allowed, options};
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::Unset;

/// Records it.
pub fn record(request: &Unset, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let path = lookup::parse(&request.path)?;
    let mut trial = trial::start(request.confirm, system)?;
    let mut recorded = Recorded::default();
    let mut concerned = Vec::new();
    let decide = |log: &LogFile| {
        concerned = concerned_by(&path, &log.fold()?);
        Ok(if concerned.is_empty() { Vec::new() } else { vec![Draft::Unset(path.clone())] })
    };
    recorded.records = trial::record((system, caller), &mut trial, decide)?;
    if concerned.is_empty() {
        recorded.notes.push(format!("nothing is overridden at {path}; see `dynix status`"));
    } else {
        recorded.what = format!("unset {path}");
    }
    let services = concerned.iter().chain([&path]).filter_map(|path| options::find(&system.plan, path));
    let mut services: BTreeSet<String> = services.map(|place| place.service_name.to_owned()).collect();
    if concerned.iter().chain([&path]).any(|path| allowed::is_evaluated(&system.plan, path)) {
        services.insert(SYSTEM.to_owned());
    }
    if request.apply {
        let mut apply = caller.apply(Some(services));
        apply.trial = trial;
        recorded.apply = Some(apply);
    } else if !recorded.records.is_empty() {
        recorded.next = Some(["dynix apply".to_owned()].into_iter().chain(services).collect::<Vec<_>>().join(" "));
    }
    Ok(recorded)
}

/// The overrides that would no longer hold, or would lose a name.
fn concerned_by(path: &AttrPath, folded: &Folded) -> Vec<AttrPath> {
    let leaves = folded.overlay.leaves().into_iter();
    let concerned = leaves
        .filter(|(leaf, one)| leaf.starts_with(path) || path.starts_with(leaf) && one.value.is_object())
        .map(|(leaf, _)| leaf);
    // An expression that has no value now might have one later.
    let pending = folded.unevaluated.iter().flat_map(|one| &one.paths).cloned();
    concerned.chain(pending.filter(|one| one.starts_with(path) || path.starts_with(one))).collect()
}
