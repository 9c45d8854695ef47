//! Checks that a description is consistent. It finds every problem, each with its place. Pure.

mod built;
mod daemon;
mod drop_in;
mod file;
pub(super) mod names;
pub(super) mod namespace;
mod secrets;
mod service;
mod sharing;
mod users;

pub use names::exec_section;

use super::problem::{Place, Problem, Problems};
use crate::plan::Plan;
use crate::plan::rule::Pattern;

/// Warnings about a description without errors.
#[must_use]
pub fn warnings(plan: &Plan) -> Vec<String> {
    plan.services.values().flat_map(service::warnings).collect()
}

/// All problems of a description that could be read.
pub fn check(plan: &Plan) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    let top = Place::top();
    if let Some(path) = &plan.overrides_file
        && let Err(problem) = names::path(path)
    {
        problems.add(&top.key("overridesFile"), problem);
    }
    if let Some(metrics) = &plan.metrics
        && let Err(problem) = names::path(&metrics.textfile)
    {
        problems.add(&top.keys(["metrics", "textfile"]), problem);
    }
    for (number, option) in plan.options.iter().enumerate() {
        if let Err(error) = Pattern::parse(option) {
            problems.add(&top.key("options").element(number), error.to_string());
        }
    }
    for (name, service) in &plan.services {
        let place = top.keys(["services", name]);
        if let Err(problem) = names::service(name) {
            problems.add(&place, problem);
        }
        service::check(&place, service, &mut problems);
        secrets::check(&place, service, &mut problems);
    }
    sharing::check(plan, &mut problems);
    users::check(plan, &mut problems);
    daemon::check(plan, &mut problems);
    problems.or(())
}
