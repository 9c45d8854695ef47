//! The fold of the log under a plan, and the values of the services that it concerns.
//!
//! A record that does not hold (the type of its option refuses it) counts as not recorded, so that the earlier value
//! holds again. Nothing of that is written to the log: the next system's types may accept it. An expression without a
//! value is left out and reported in the same way.

use std::collections::BTreeSet;

use super::desired::{Desired, LeftOut, desired};
use super::{ApplyError, concerns};
use crate::attr_path::AttrPath;
use crate::host::paths::Paths;
use crate::host::timings;
use crate::overrides::{Draft, Folded, LogFile, Overlay};
use crate::plan::{Plan, PlanError};
use crate::render::secrets::SecretFiles;

/// The log under a plan.
#[derive(Debug)]
pub struct View {
    /// The fold, without the records that do not hold.
    pub folded: Folded,
    /// The values that the services shall have, and all that does not hold.
    pub desired: Desired,
    /// The last record of the log.
    pub last_id: u64,
    /// The fold including the records that do not hold, if there are any.
    with_refused: Option<Overlay>,
}

impl View {
    /// All overrides that are recorded, whether they hold or not.
    #[must_use]
    pub fn recorded(&self) -> &Overlay {
        self.with_refused.as_ref().unwrap_or(&self.folded.overlay)
    }
}

/// Folds the log with `changes` at its end, for the services in `only` or for all. The values have the contents of
/// secrets; the fold has the references.
pub fn view(
    plan: &Plan,
    paths: &Paths,
    log: &LogFile,
    changes: &[Draft],
    only: Option<&BTreeSet<String>>,
) -> Result<View, ApplyError> {
    let mut changes = changes.to_vec();
    let mut left_out: Vec<LeftOut> = Vec::new();
    let mut with_refused = None;
    loop {
        let folded = if changes.is_empty() { log.fold()? } else { log.preview(&changes)? };
        timings::mark("fold");
        require(plan, &folded, only)?;
        // The unrecorded changes have ids as well.
        let last_id = folded.last_id.saturating_sub(changes.len() as u64);
        let mut desired = desired(plan, &folded.overlay, only, &SecretFiles::new(paths));
        timings::mark("values and types");
        let refused: BTreeSet<u64> = desired.left_out.iter().map(|one| one.id).collect();
        left_out.append(&mut desired.left_out);
        if refused.is_empty() {
            desired.left_out = left_out;
            desired.left_out.append(&mut desired.strangers);
            desired.left_out.extend(without_value(plan, &folded, only));
            return Ok(View { folded, desired, last_id, with_refused });
        }
        with_refused.get_or_insert(folded.overlay);
        changes.extend(refused.into_iter().map(|id| Draft::Reject { id, reason: String::new() }));
    }
}

/// Reads the services that have overrides, and those that are asked for.
fn require(plan: &Plan, folded: &Folded, only: Option<&BTreeSet<String>>) -> Result<(), PlanError> {
    if !folded.unevaluated.is_empty() {
        // A record without a value could concern any service.
        return plan.services.require_all();
    }
    let overridden: Vec<AttrPath> = folded.overlay.leaves().into_iter().map(|(path, _)| path).collect();
    plan.services.require_options(&overridden)?;
    plan.services.require(only.into_iter().flatten())
}

/// The records without a value that may concern the services in `only`.
fn without_value<'f>(
    plan: &'f Plan,
    folded: &'f Folded,
    only: Option<&'f BTreeSet<String>>,
) -> impl Iterator<Item = LeftOut> + 'f {
    let is_asked =
        move |path: &AttrPath| only.is_none_or(|only| only.iter().any(|service| concerns(plan, service, path)));
    folded.unevaluated.iter().flat_map(move |one| {
        one.paths.iter().filter(move |path| is_asked(path)).map(|path| LeftOut {
            path: path.clone(),
            id: one.id,
            reason: one.problem.clone(),
        })
    })
}
