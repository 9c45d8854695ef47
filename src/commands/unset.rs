//! `dynix unset`: an override no longer holds.

use std::collections::BTreeSet;

use super::change::{Context, Recorded};
use super::{place, recording};
use crate::overrides::Change;
use crate::places;
use crate::request::Unset;

/// Records it.
pub fn record(request: &Unset, context: &Context<'_>) -> anyhow::Result<Recorded> {
    let log = context.log();
    let path = place::parse(&request.path)?;
    let folded = log.fold()?;
    let concerned: Vec<_> = folded
        .overlay
        .leaves()
        .into_iter()
        .filter(|(leaf, one)| leaf.starts_with(&path) || path.starts_with(leaf) && one.value.is_object())
        .map(|(leaf, _)| leaf)
        .collect();
    let mut trial = recording::start(request.confirm, context)?;
    let mut recorded = Recorded::default();
    if concerned.is_empty() {
        recorded.notes.push(format!("nothing is overridden at {path}; see `dynix status`"));
    } else {
        recorded.records = recording::record(&log, &[Change::Unset(path.clone())], &mut trial, None, context.by)?;
        recorded.what = format!("unset {path}");
    }
    let services = concerned.iter().chain([&path]).filter_map(|path| places::find(context.plan, path));
    let services: BTreeSet<String> = services.map(|place| place.service_name.to_owned()).collect();
    if request.apply {
        let mut apply = context.apply(Some(services));
        apply.trial = trial;
        recorded.apply = Some(apply);
    } else if !recorded.records.is_empty() {
        recorded.next = Some(["dynix apply".to_owned()].into_iter().chain(services).collect::<Vec<_>>().join(" "));
    }
    Ok(recorded)
}
