//! Checks the rules of the daemon against the options of the description.

use std::cmp::Ordering;

use crate::attr_path::AttrPath;
use crate::build::problem::{Place, Problems};
use crate::overrides::source as source_name;
use crate::plan::allowed;
use crate::plan::options::nearest;
use crate::plan::rule::{Pattern, Rate};
use crate::plan::{Bounds, OptionSpec, Plan};
use crate::types::Below;
use crate::types::number::compare;

/// Adds what is wrong with the rules.
pub fn check(plan: &Plan, problems: &mut Problems) {
    check_sources(plan, problems);
    let Some(daemon) = &plan.daemon else { return };
    for (name, rule) in &daemon.allow {
        let place = Place::top().keys(["daemon", "allow", name]);
        if rule.users.is_empty() && rule.groups.is_empty() {
            problems.add(&place, "it is for nobody; name users or groups");
        }
        if let Some(source) = rule.source.as_ref().filter(|name| plan.sources.iter().all(|one| one.name != **name)) {
            problems.add(&place.key("source"), format!("{source} is none of the sources"));
        }
        for (pattern, bounds) in &rule.options {
            let place = place.keys(["options", pattern]);
            if let Err(problem) = reaches(plan, pattern) {
                problems.add(&place, problem);
            }
            check_bounds(&place, bounds, problems);
        }
    }
}

fn check_sources(plan: &Plan, problems: &mut Problems) {
    let place = Place::top().key("sources");
    for (index, source) in plan.sources.iter().enumerate() {
        if let Err(problem) = source_name(&source.name) {
            problems.add(&place.element(index).key("name"), problem);
        }
        if plan.sources[..index].iter().any(|one| one.name == source.name) {
            problems.add(&place.element(index), format!("{} is there twice", source.name));
        }
    }
}

fn check_bounds(place: &Place, bounds: &Bounds, problems: &mut Problems) {
    if bounds.methods.is_empty() {
        problems.add(&place.key("methods"), "it is empty; nothing is allowed");
    }
    if let (Some(minimum), Some(maximum)) = (&bounds.minimum, &bounds.maximum)
        && compare(minimum, maximum) == Ordering::Greater
    {
        problems.add(&place.key("minimum"), format!("{minimum} is more than the maximum, which is {maximum}"));
    }
    if let Some(Err(problem)) = bounds.rate.as_deref().map(Rate::parse) {
        problems.add(&place.key("rate"), problem);
    }
}

/// Whether there is anything for a pattern to be about.
fn reaches(plan: &Plan, text: &str) -> Result<(), String> {
    let pattern = Pattern::parse(text).map_err(|error| error.to_string())?;
    let all = || plan.services.values().flat_map(|service| &service.options);
    let met: Vec<(AttrPath, &OptionSpec)> = all()
        .filter_map(|(name, option)| Some((AttrPath::parse(name).ok()?, option)))
        .filter(|(path, _)| pattern.meets(path))
        .collect();
    if met.is_empty() && allowed::meets(plan, &pattern) {
        return Ok(());
    }
    if met.is_empty() {
        let near = nearest(text, all().map(|(name, _)| name.clone()));
        let hint =
            if near.is_empty() { "none may change".to_owned() } else { format!("the nearest are {}", near.join(", ")) };
        return Err(format!("no dynamic-enabled service has such an option; {hint}"));
    }
    let problems: Vec<String> = met.iter().filter_map(|(path, option)| unreachable(&pattern, path, option)).collect();
    if problems.len() == met.len() { Err(problems.join("; ")) } else { Ok(()) }
}

/// Why nothing below an option is what a pattern is about.
fn unreachable(pattern: &Pattern, path: &AttrPath, option: &OptionSpec) -> Option<String> {
    if let Some(dynamic) = &option.dynamic
        && !dynamic.iter().any(|below| pattern.meets(&path.join(below)))
    {
        let names: Vec<String> = dynamic.iter().map(|below| path.join(below).to_string()).collect();
        return Some(format!("it may not change at run time; of {path} only these may: {}", names.join(", ")));
    }
    let names = pattern.names_behind(path.names().len())?;
    match option.schema.kind().ok()?.below(&names) {
        Below::NoSuchName { name, known } => {
            let near = nearest(&name, known.iter().cloned());
            let hint = if near.is_empty() {
                "it has nothing below it".to_owned()
            } else {
                format!("the nearest are {}", near.join(", "))
            };
            Some(format!("{path} has no {name}; {hint}"))
        }
        Below::Part(_) => None,
    }
}
