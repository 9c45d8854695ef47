//! From a path on the command line to the option that it is of.

use strsim::damerau_levenshtein;

use super::Refused;
use crate::attr_path::AttrPath;
use crate::places::{self, Place};
use crate::plan::Plan;

/// Reads a path as people write it.
pub fn parse(text: &str) -> Result<AttrPath, Refused> {
    AttrPath::parse(text).map_err(|error| Refused(error.to_string()))
}

/// The option that `path` is or is below; else the nearest names.
pub fn find<'p>(plan: &'p Plan, path: &AttrPath) -> Result<Place<'p>, Refused> {
    places::find(plan, path).ok_or_else(|| {
        let options = plan.services.values().flat_map(|service| service.options.keys().cloned());
        let hint = match nearest(&cut(path), options).as_slice() {
            [] => "no service is dynamic-enabled".to_owned(),
            names => format!("the nearest that may change: {}", names.join(", ")),
        };
        Refused(format!("no dynamic-enabled service has the option {path}; {hint}"))
    })
}

/// Compared with options, names below an option say nothing.
fn cut(path: &AttrPath) -> String {
    AttrPath(path.names().iter().take(3).cloned().collect()).to_string()
}

/// The names that are most like `name`, nearest first.
pub fn nearest(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<(usize, String)> = names.map(|one| (damerau_levenshtein(name, &one), one)).collect();
    names.sort();
    names.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Services given by name, each of which the plan has.
pub fn services(plan: &Plan, names: &[String]) -> Result<Option<std::collections::BTreeSet<String>>, Refused> {
    for name in names {
        if !plan.services.contains_key(name) {
            let near = nearest(name, plan.services.keys().cloned());
            return Err(Refused(format!("no service {name} is dynamic-enabled; there are: {}", near.join(", "))));
        }
    }
    Ok(if names.is_empty() { None } else { Some(names.iter().cloned().collect()) })
}
