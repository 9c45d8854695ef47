//! The desired values of each service's options: the static values with the overrides folded in, and checked. Pure.
//!
//! An override that can't hold (its option is gone, its type refuses it, its path may not change) is left out and
//! reported; the others hold. So the plan of an older system refuses only what it does not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::overrides::{Conflict, Overlay};
use crate::plan::options::{OptionIndex, OptionRef};
use crate::plan::{Plan, allowed};
use crate::render::secrets::{self, Awaited, Reveal, Unrevealed};
use crate::render::static_values;

/// An override that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The path that the override sets.
    pub path: AttrPath,
    /// The record's id.
    pub id: u64,
    /// Why it does not hold.
    pub reason: String,
}

/// The desired options of all services.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The values of every option, of each service that has overrides.
    pub services: BTreeMap<String, BTreeMap<String, Value>>,
    /// The overrides that do not hold.
    pub left_out: Vec<LeftOut>,
    /// Overrides of options that no service has.
    pub strangers: Vec<LeftOut>,
    /// Secrets that can't be used now, by service. Such a service stays as it is: what an older record says in the place of
    /// the secret was replaced, and the built configuration has none.
    pub awaited: BTreeMap<String, Vec<Awaited>>,
}

/// Folds the overlay into the plan's static values, for the services in `only` or for all. Overrides that belong to no
/// service are reported only if all services are asked for. Secrets are read from `files`.
#[must_use]
pub fn desired(plan: &Plan, overlay: &Overlay, only: Option<&BTreeSet<String>>, files: &dyn Reveal) -> Desired {
    let mut desired = Desired::default();
    let places = OptionIndex::new(plan);
    let mut overridden: BTreeSet<usize> = BTreeSet::new();
    for (path, one) in overlay.leaves() {
        if let Some(position) = places.position(&path) {
            overridden.insert(position);
        } else if only.is_none() {
            let reason = match allowed::check(plan, &path) {
                // It is evaluated.
                Ok(()) => continue,
                Err(allowed::Refusal::NotAllowed) => "no service has such an option".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            desired.strangers.push(LeftOut { path, id: one.id, reason });
        }
    }
    for place in places.at(overridden) {
        if only.is_some_and(|only| !only.contains(place.service_name)) {
            continue;
        }
        let (value, left_out) = effective(place, overlay.below(&place.path), files);
        desired.left_out.extend(left_out);
        let value = value.unwrap_or_else(|awaited| {
            desired.awaited.entry(place.service_name.to_owned()).or_default().push(awaited);
            None
        });
        if let Some(value) = value {
            let values = desired.services.entry(place.service_name.to_owned());
            values.or_insert_with(|| static_values(place.service)).insert(place.option_name.to_owned(), value);
        }
    }
    desired.services.retain(|service, _| !desired.awaited.contains_key(service));
    desired
}

/// The option's value with as many of its overrides as can hold, `None` if none of them can; or the secret that is missing
/// for that. `overrides` are those below the option.
fn effective(
    place: &OptionRef<'_>,
    mut overrides: Overlay,
    files: &dyn Reveal,
) -> (Result<Option<Value>, Awaited>, Vec<LeftOut>) {
    let mut left_out: Vec<LeftOut> = Vec::new();
    let mut leave_out = |overrides: &mut Overlay, path: &AttrPath, reason: &str| {
        let concerned: Vec<(AttrPath, u64)> = overrides
            .leaves()
            .into_iter()
            .filter(|(leaf, _)| leaf.starts_with(path) || path.starts_with(leaf))
            .map(|(leaf, one)| (leaf, one.id))
            .collect();
        for (leaf, id) in &concerned {
            overrides.unset(leaf);
            left_out.push(LeftOut { path: place.path.join(leaf), id: *id, reason: reason.to_owned() });
        }
        !concerned.is_empty()
    };
    let paths: Vec<AttrPath> = overrides.leaves().into_iter().map(|(path, _)| path).collect();
    for path in paths.iter().filter(|path| !place.option.may_change(path.names())) {
        leave_out(&mut overrides, path, "it is not among the paths that may change at run time");
    }
    let kind = match place.option.schema.kind() {
        Ok(kind) => kind,
        Err(error) => {
            leave_out(&mut overrides, &AttrPath::default(), &format!("the plan says no type of it: {error}"));
            return (Ok(None), left_out);
        }
    };
    // Each turn leaves out at least one override, or ends.
    while !overrides.is_empty() {
        let progress = match overrides.effective(&place.option.static_value) {
            Err(conflict) => leave_out(&mut overrides, &conflict.path, &in_full(place, &conflict).to_string()),
            Ok(with_references) => match secrets::reveal(place.option, with_references.clone(), files) {
                Err(Unrevealed { path, problem, file: Some(file) }) => {
                    let path = place.path.join(&path);
                    return (Err(Awaited { path, file, reason: problem }), left_out);
                }
                Err(unrevealed) => leave_out(&mut overrides, &unrevealed.path, &unrevealed.problem),
                Ok(value) => {
                    let faults = kind.mismatches(&value, Some(&place.option.static_value));
                    if faults.is_empty() {
                        return (Ok(Some(value)), left_out);
                    }
                    if let Some(awaited) = faults.iter().find_map(|fault| {
                        let file = secrets::file_at(place.option, &with_references, &fault.path)?;
                        let path = place.path.join(&fault.path);
                        let reason = format!(
                            "the secret in {file} can't be used: what it says is not possible; expected {}",
                            fault.allowed
                        );
                        Some(Awaited { path, file: secrets::File { path: file, is_there: true }, reason })
                    }) {
                        return (Err(awaited), left_out);
                    }
                    faults.iter().fold(false, |any, fault| {
                        // The message about a problem can quote the value.
                        let reason = if place.option.concerns_secret(&fault.path) {
                            format!("what the secret says is not possible; expected {}", fault.allowed)
                        } else {
                            format!("{}; expected {}", fault.fault, fault.allowed)
                        };
                        leave_out(&mut overrides, &fault.path, &reason) || any
                    })
                }
            },
        };
        if !progress {
            leave_out(&mut overrides, &AttrPath::default(), "with it, the option has not its type");
        }
    }
    (Ok(None), left_out)
}

fn in_full(place: &OptionRef<'_>, conflict: &Conflict) -> Conflict {
    Conflict { path: place.path.join(&conflict.path), given: conflict.given.clone() }
}
