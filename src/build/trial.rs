//! Tries the checks that the description does not vouch for on the static values: the validators that nixpkgs' own
//! modules run in the build.
//!
//! Takes the plan after its files are proven, and keeps the checks that accept the rendered static values. Gives, for
//! people, the checks that were left out and why: a check that refuses the static values would refuse every other value
//! too.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::atomic::{self, Durability};
use crate::host::templates;
use crate::plan::{Check, Plan, Service};
use crate::probe;
use crate::render::{render, static_values};

/// Tries every check that is on trial.
pub fn checks(plan: &mut Plan) -> Vec<String> {
    let mut unused = Vec::new();
    for (name, service) in &mut plan.services {
        let Some(mut check) = service.check.take_if(|check| check.on_trial) else { continue };
        match accepts(name, service, &check) {
            Ok(()) => {
                check.on_trial = false;
                service.check = Some(check);
            }
            Err(why) => unused.push(format!(
                "{name} goes without a check of new values: {} does not accept the static ones: {why}",
                check.command.join(" ")
            )),
        }
    }
    unused
}

/// Runs the check in an empty directory, on files with the names that they will have.
fn accepts(name: &str, service: &Service, check: &Check) -> Result<(), String> {
    let rendered = render(name, service, &static_values(service)).map_err(|error| error.to_string())?;
    let directory = tempfile::tempdir().map_err(|error| format!("there is no place to try it in: {error}"))?;
    let place = Utf8Path::from_path(directory.path()).ok_or("the place to try it in has no text for a name")?;
    let mut staged = BTreeMap::new();
    for (file, bytes) in &rendered.files {
        let path: Utf8PathBuf = place.join(file);
        atomic::write(&path, bytes, 0o444, Durability::Volatile).map_err(|error| error.to_string())?;
        staged.insert(file.clone(), path.into_string());
    }
    let command = templates::command(&check.command, &staged).map_err(|error| error.to_string())?;
    probe::check(&command, check.deadline, &|| false).map_err(|objection| objection.to_string())
}
