//! The daemon's units, for a description that has a daemon.

use serde::Serialize;

use super::tree::Tree;
use super::{BuildError, Input};
use crate::host::systemd::hardening;
use crate::host::templates;
use crate::plan::Plan;

/// Adds `dynix.socket` and `dynix.service`.
pub fn add(tree: &mut Tree, plan: &Plan, input: &Input<'_>) -> Result<(), BuildError> {
    #[derive(Serialize)]
    struct Context<'c> {
        dynix: &'c str,
        hardening: Vec<String>,
    }
    if plan.daemon.is_none() {
        return Ok(());
    }
    let context = Context { dynix: input.dynix.as_str(), hardening: hardening::lines() };
    for (unit, template) in [
        ("dynix.socket", include_str!("../../templates/dynix.socket")),
        ("dynix.service", include_str!("../../templates/dynix.service")),
    ] {
        let text = templates::unit(template, &context)
            .map_err(|source| BuildError::Template { place: unit.to_owned(), source })?;
        tree.text(&format!("lib/systemd/system/{unit}"), text, 0o444);
    }
    Ok(())
}
