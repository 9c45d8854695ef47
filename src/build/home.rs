//! What a user's plan comes with: the script for home-manager's activation, and the units for the start of a session.

use serde_json::json;

use super::tree::Tree;
use super::{BuildError, Input};
use crate::host::templates;

/// Adds them.
pub fn add(tree: &mut Tree, input: &Input<'_>) -> Result<(), BuildError> {
    let context = json!({ "dynix": input.dynix });
    let failed = |place: &str| {
        let place = place.to_owned();
        move |source| BuildError::Template { place, source }
    };
    let script =
        templates::script(include_str!("../../templates/home-activate"), &context).map_err(failed("activate"))?;
    tree.text("activate", script, 0o555);
    for (unit, template) in [
        ("dynix-activate.service", include_str!("../../templates/home-activate.service")),
        ("dynix-after-login.service", include_str!("../../templates/home-after-login.service")),
    ] {
        let text = templates::unit(template, &context).map_err(failed(unit))?;
        tree.text(&format!("lib/systemd/user/{unit}"), text, 0o444);
    }
    Ok(())
}
