//! `dynix prune`: overrides that say what the build says by now no longer hold.

use super::{Changed, Recorded, trial};
use crate::attr_path::AttrPath;
use crate::overrides::{Draft, LogFile, Overlay};
use crate::plan::Plan;
use crate::plan::options::OptionIndex;
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::Prune;

/// Records it.
pub fn record(request: &Prune, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let services = lookup::services(&system.plan, &request.services)?;
    let decide = |log: &LogFile| {
        let folded = log.fold()?;
        let built = built_in(&system.plan, folded.own());
        let asked = built
            .into_iter()
            .filter(|(service, _)| services.as_ref().is_none_or(|services| services.contains(service)));
        Ok(asked.map(|(_, path)| Draft::Unset(path)).collect())
    };
    let made = trial::record((system, caller), &mut None, decide)?;
    let mut recorded = Recorded::default();
    if made.drafts.is_empty() {
        recorded.notes.push("no override says what is built".to_owned());
    } else {
        recorded.notes.push("nothing changes: the build says the same".to_owned());
        recorded.what = format!("{} that the build has by now", plural(made.drafts.len()));
    }
    let services = Changed::services(&made.changed);
    Ok(Recorded { next: None, ..recorded.then(made, false, Some(services), None, caller) })
}

fn plural(count: usize) -> String {
    if count == 1 { "1 override".to_owned() } else { format!("{count} overrides") }
}

/// The overrides whose value the build has at their path, each with its service.
pub fn built_in(plan: &Plan, overlay: &Overlay) -> Vec<(String, AttrPath)> {
    let places = OptionIndex::new(plan);
    let leaves = overlay.leaves().into_iter().filter_map(|(path, one)| {
        let place = places.find(&path)?;
        let built = place.below(&path).within(&place.option.static_value)?;
        (built == one.value).then(|| (place.service_name.to_owned(), path))
    });
    leaves.collect()
}
