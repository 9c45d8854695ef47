//! The units of what dynix keeps running, each started by its socket: the daemon, and the warm evaluator.

use serde::Serialize;

use super::tree::Tree;
use super::{BuildError, Input};
use crate::host::systemd::hardening;
use crate::host::templates;
use crate::plan::Plan;

/// Adds a socket and a service for each that the description has.
pub fn add(tree: &mut Tree, plan: &Plan, input: &Input<'_>) -> Result<(), BuildError> {
    #[derive(Serialize)]
    struct Context<'c> {
        dynix: &'c str,
        socket: &'c str,
        hardening: Vec<String>,
    }
    let mut add = |socket: &str, units: [(&str, &str); 2]| {
        let context = Context { dynix: input.dynix.as_str(), socket, hardening: hardening::lines() };
        for (unit, template) in units {
            let text = templates::unit(template, &context)
                .map_err(|source| BuildError::Template { place: unit.to_owned(), source })?;
            tree.text(&format!("lib/systemd/system/{unit}"), text, 0o444);
        }
        Ok(())
    };
    if plan.daemon.is_some() {
        let units = [
            ("dynix.socket", include_str!("../../templates/dynix.socket")),
            ("dynix.service", include_str!("../../templates/dynix.service")),
        ];
        add("/run/dynix/dynix.sock", units)?;
    }
    if let Some(warm) = plan.evaluator.as_ref().and_then(|evaluator| evaluator.warm.as_ref()) {
        let units = [
            ("dynix-evaluator.socket", include_str!("../../templates/dynix-evaluator.socket")),
            ("dynix-evaluator.service", include_str!("../../templates/dynix-evaluator.service")),
        ];
        add(warm.socket.as_str(), units)?;
    }
    Ok(())
}
