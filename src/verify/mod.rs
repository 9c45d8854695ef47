//! Checks whether what is in effect is what a rebuild with the same values would give.
//!
//! [`comparison`] is the Nix evaluator's comparison of the whole system without and with the overrides (`lib/verify`).
//! [`judge`] takes it with the plan and the values in effect, and gives what a rebuild would change beyond what dynix
//! changed: pure. [`proof`] says, for all values at once, what can depend on them. [`evaluation`] asks the evaluator.

pub mod comparison;
pub mod evaluation;
pub mod own;
pub mod proof;
mod summary;
pub mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Plan;
use comparison::{Comparison, Difference};

/// One thing that a rebuild would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The kind of thing: `unit`, `etc`, `package`, `assertion`, ...
    pub kind: String,
    /// Which one.
    pub name: String,
    /// The changes that a rebuild would make to it, as text.
    pub changes: Vec<String>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind.as_str() {
            "assertion" => write!(f, "a rebuild would fail: {}", self.changes.join("; ")),
            "evaluation" => write!(f, "a rebuild would fail: {}", self.changes.join("\n")),
            "value" => write!(f, "a rebuild would give {} another value: {}", self.name, self.changes.join("; ")),
            kind => {
                write!(f, "a rebuild would also change {}", summary::named(kind, &self.name))?;
                if self.changes.is_empty() { Ok(()) } else { write!(f, ": {}", self.changes.join("; ")) }
            }
        }
    }
}

/// The verdict of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judgement {
    /// The things that a rebuild would change; empty if what is in effect is sound.
    pub findings: Vec<Finding>,
    /// Notes for people.
    pub notes: Vec<String>,
    /// Whether the configuration that was evaluated is another than the one that was switched to.
    #[serde(default)]
    pub stale: bool,
}

/// The values in effect of each service that has overrides, by option.
pub type Values = BTreeMap<String, BTreeMap<String, Value>>;

/// Finds what a rebuild would change beyond dynix's own changes.
#[must_use]
pub fn judge(plan: &Plan, effective: &Values, comparison: &Comparison) -> Judgement {
    let mut judgement = Judgement::default();
    let findings = &mut judgement.findings;
    for message in &comparison.failed_assertions {
        findings.push(Finding { kind: "assertion".to_owned(), name: String::new(), changes: vec![message.clone()] });
    }
    for (kind, differences) in &comparison.changed {
        for (name, difference) in differences {
            let found = finding(plan, effective, comparison, (kind, name), difference);
            match (found, exemption(plan, kind, name)) {
                (Some(found), Some(reason)) => judgement.notes.push(format!("{found} (exempt: {reason})")),
                (found, _) => findings.extend(found),
            }
        }
    }
    leave_out_consequences(findings);
    for (name, service) in &plan.services {
        let Some(sides) = comparison.services.get(name) else {
            judgement.stale = true;
            judgement.notes.push(format!(
                "{name} is not dynamic-enabled in the configuration that was evaluated: it was changed since the last \
                 switch"
            ));
            continue;
        };
        let values = effective.get(name);
        for (option, spec) in &service.options {
            let wanted = values.and_then(|values| values.get(option)).unwrap_or(&spec.static_value);
            let Some(after) = &sides.after else {
                let changes = vec!["its value can't be evaluated".to_owned()];
                findings.push(Finding { kind: "value".to_owned(), name: option.clone(), changes });
                continue;
            };
            if sides.before.options.get(option) != Some(&spec.static_value) {
                judgement.stale = true;
                judgement.notes.push(format!(
                    "the configuration that was evaluated has another {option} than the one that was switched to"
                ));
            } else if let Some(given) = after.options.get(option).filter(|given| *given != wanted) {
                let changes = summary::changes(wanted, given);
                findings.push(Finding { kind: "value".to_owned(), name: option.clone(), changes });
            }
        }
    }
    judgement.notes.extend(comparison.new_warnings.iter().map(|text| format!("a rebuild would warn: {text}")));
    judgement
}

/// An activation script that only names another file made of users, groups and such says nothing more than they do.
fn leave_out_consequences(findings: &mut Vec<Finding>) {
    if findings.iter().any(|one| matches!(one.kind.as_str(), "user" | "group" | "wrapper")) {
        let says_nothing = |one: &Finding| one.changes.iter().all(|change| change.ends_with(summary::ANOTHER_BUILD));
        findings.retain(|one| !(one.kind == "activation" && says_nothing(one)));
    }
}

/// Why a part may keep the built values.
fn exemption<'p>(plan: &'p Plan, kind: &str, name: &str) -> Option<&'p str> {
    let exempt = plan.services.values().flat_map(|service| &service.exempt);
    exempt.filter(|one| one.kind == kind && one.name == name).map(|one| one.reason.as_str()).next()
}

fn finding(
    plan: &Plan,
    effective: &Values,
    comparison: &Comparison,
    (kind, name): (&str, &str),
    difference: &Difference,
) -> Option<Finding> {
    let changes = match difference {
        Difference::Fails => vec!["it can't be evaluated with the overrides".to_owned()],
        Difference::Changed { before, after } if kind == "unit" => {
            match own::remaining(plan, effective, &comparison.services, name, before, after) {
                own::Remaining::Nothing => return None,
                own::Remaining::Changes(changes) => changes,
                own::Remaining::Foreign => foreign_unit(comparison, name, before, after),
            }
        }
        // dynix's file is there as well, for every reader.
        Difference::Changed { before, after } if kind == "etc" && plan.has_link(name) => {
            let changes = summary::changes(&without_content(before), &without_content(after));
            if changes.is_empty() {
                return None;
            }
            changes
        }
        // Reported with the unit that is made of it.
        Difference::Changed { .. } if kind == "firewall" => return None,
        Difference::Changed { before, after } => summary::changes(before, after),
    };
    Some(Finding { kind: kind.to_owned(), name: name.to_owned(), changes })
}

/// A file under /etc by its place and permissions alone.
fn without_content(file: &Value) -> Value {
    let mut file = file.clone();
    if let Some(parts) = file.as_object_mut() {
        parts.retain(|name, _| name != "source" && name != "text");
    }
    file
}

/// The firewall's units are made of options that show more than the unit.
fn foreign_unit(comparison: &Comparison, name: &str, before: &Value, after: &Value) -> Vec<String> {
    let options =
        comparison.changed.get("firewall").filter(|_| name == "firewall.service" || name == "nftables.service");
    let told = options.into_iter().flatten().filter_map(|(option, difference)| match difference {
        Difference::Changed { before, after } => Some((option, summary::changes(before, after))),
        Difference::Fails => None,
    });
    let told: Vec<String> = told.flat_map(|(option, changes)| summary::under(option, changes)).collect();
    if told.is_empty() { summary::changes(before, after) } else { told }
}
