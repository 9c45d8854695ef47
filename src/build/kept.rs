//! What a value has from the file that Nix built (`built`): parts that only the build knows, like the paths of other files
//! that it made. They become literals of the plan.

use camino::Utf8Path;
use serde_json::Value;

use super::problem::{Place, Problem, Problems};
use super::{json, text, yaml_value};
use crate::plan::{Plan, ValueSpec};

/// Puts what the static files have into the values of files that a description names.
pub fn fill(plan: &mut Plan, static_root: &Utf8Path) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    for (name, service) in &mut plan.services {
        for (file_name, file) in service.files.iter_mut().filter(|(_, file)| file.value.has_built()) {
            let place = Place::top().keys(["services", name, "files", file_name]);
            let nix = text(static_root, &file.static_file);
            match nix.and_then(|nix| filled(&file.value, &String::from_utf8_lossy(&nix))) {
                Ok(value) => file.value = value,
                Err(problem) => problems.add(&place.key("value"), problem),
            }
        }
    }
    problems.or(())
}

/// The value with what `nix` has, which is JSON or YAML.
pub fn filled(value: &ValueSpec, nix: &str) -> Result<ValueSpec, String> {
    let read = json::read(nix).ok().map_or_else(|| yaml_value::read(nix), Ok);
    let data: Value =
        read.map_err(|problem| format!("built is for a file of JSON or YAML, which this can't be read as: {problem}"))?;
    if !data.is_object() {
        return Err("built is for a file that is a set of names".to_owned());
    }
    Ok(value.with_built(&data))
}
