//! The metrics, in Prometheus text format (`prometheus.io/docs/instrumenting/exposition_formats`).
//!
//! Takes what is in effect and the counts; gives text. Every apply counts, whoever runs it, in a file below /run. The
//! file ends with the boot, as counters may. The node exporter reads the text from a file, and the daemon serves it.

mod counters;

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

pub use counters::{BUCKETS, Counters};

use crate::overrides::Folded;
use crate::plan::Plan;
use crate::plan::options::OptionIndex;
use crate::reconcile::state::State;
use crate::time;
use crate::verify::verdict::{Soundness, Verdict};

/// The file's name in the directory of the textfile collector.
pub const FILE: &str = "dynix.prom";

/// The sources of the text.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'m> {
    /// The services.
    pub plan: &'m Plan,
    /// The state: what is in effect.
    pub state: &'m State,
    /// The fold of the log.
    pub folded: &'m Folded,
    /// The counts.
    pub counters: &'m Counters,
    /// The verdict on the values in effect.
    pub verdict: Option<&'m Verdict>,
}

/// The text.
#[must_use]
pub fn text(measured: Measured<'_>) -> String {
    let Measured { plan, state, folded, counters, verdict } = measured;
    let mut text = Text::default();
    let generation =
        |name: &String| state.services.get(name).and_then(|one| one.in_effect.generation).unwrap_or_default();
    text.metric("dynix_generation", "gauge", "Generation of rendered files in effect; 0 on the static files.");
    for name in plan.services.keys() {
        text.sample("dynix_generation", &[("service", name)], generation(name));
    }
    recorded(&mut text, measured);
    said(&mut text, measured);
    text.metric("dynix_unit_dynamic", "gauge", "Whether a unit reads dynamic values (1) or static ones (0).");
    for (name, service) in &plan.services {
        let is_dynamic = state.services.get(name).is_some_and(|one| !one.in_effect.is_static());
        for unit in service.units.keys() {
            text.sample("dynix_unit_dynamic", &[("service", name), ("unit", unit)], u8::from(is_dynamic));
        }
    }
    text.metric("dynix_last_record", "gauge", "The newest record of the log.");
    text.sample("dynix_last_record", &[], folded.last_id);
    text.metric("dynix_awaiting_confirmation", "gauge", "Whether a change awaits its confirmation.");
    text.sample("dynix_awaiting_confirmation", &[], u8::from(state.trial.is_some()));
    verified(&mut text, verdict);
    counted(&mut text, counters);
    text.0
}

/// The overrides, those of them that are only recorded or end, and the services that went back.
fn recorded(text: &mut Text, Measured { plan, state, folded, .. }: Measured<'_>) {
    let places = OptionIndex::new(plan);
    let ends: BTreeMap<u64, f64> =
        folded.ends().iter().filter_map(|(id, until)| Some((*id, time::seconds(until)?))).collect();
    // How many there are, and how many of them are pending.
    let mut counts: BTreeMap<&str, (u64, u64)> = plan.services.keys().map(|name| (name.as_str(), (0, 0))).collect();
    let mut first_end: BTreeMap<&str, f64> = BTreeMap::new();
    for (path, one) in folded.overlay.leaves() {
        let Some(place) = places.find(&path) else { continue };
        let service = place.service_name;
        let (all, pending) = counts.entry(service).or_default();
        *all += 1;
        *pending += u64::from(one.id > state.log_id(service));
        if let Some(end) = ends.get(&one.id) {
            first_end.entry(service).and_modify(|first| *first = end.min(*first)).or_insert(*end);
        }
    }
    text.metric("dynix_overrides", "gauge", "Values that are overridden.");
    for (service, (all, _)) in &counts {
        text.sample("dynix_overrides", &[("service", service)], all);
    }
    text.metric("dynix_overrides_pending", "gauge", "Values that are recorded and not in effect.");
    for (service, (_, pending)) in &counts {
        text.sample("dynix_overrides_pending", &[("service", service)], pending);
    }
    let name = "dynix_override_ends_timestamp_seconds";
    text.metric(name, "gauge", "When the first of a service's overrides that have an end is over.");
    for (service, end) in first_end {
        text.sample(name, &[("service", service)], end);
    }
    text.metric("dynix_last_failure", "gauge", "Services that could not keep their newest values, by what came of it.");
    for (service, one) in &state.services {
        if let Some(failure) = &one.last_failure {
            text.sample("dynix_last_failure", &[("service", service), ("result", failure.result.name())], 1);
        }
    }
}

/// The sources, and how much of what each says counts.
fn said(text: &mut Text, Measured { plan, folded, .. }: Measured<'_>) {
    if plan.sources.is_empty() {
        return;
    }
    let of = |name: &str| folded.layers.of(name);
    text.metric("dynix_source_record", "gauge", "The record of what a source says; 0 where it never said anything.");
    for source in &plan.sources {
        text.sample("dynix_source_record", &[("source", &source.name)], of(&source.name).map_or(0, |layer| layer.id));
    }
    text.metric("dynix_source_overrides", "gauge", "Values that are overridden by what a source says.");
    for source in &plan.sources {
        let leaves = of(&source.name).map(|layer| layer.overlay.leaves()).unwrap_or_default();
        let count = leaves.iter().filter(|(path, one)| folded.overlay.at(path) == Some(*one)).count();
        text.sample("dynix_source_overrides", &[("source", &source.name)], count);
    }
}

fn verified(text: &mut Text, verdict: Option<&Verdict>) {
    let name = "dynix_verified";
    text.metric(
        name,
        "gauge",
        "Whether a rebuild would change more: 1 for what was found last; 0 for all where nothing was.",
    );
    for outcome in Soundness::ALL {
        let is_it = verdict.is_some_and(|verdict| verdict.verdict == outcome);
        text.sample(name, &[("verdict", outcome.name())], u8::from(is_it));
    }
    text.metric("dynix_verified_record", "gauge", "The newest record that this was found of.");
    text.sample("dynix_verified_record", &[], verdict.map_or(0, |verdict| verdict.record));
}

fn counted(text: &mut Text, counters: &Counters) {
    text.metric("dynix_applies_total", "counter", "Changes of a service, by what came of them.");
    for (service, results) in &counters.results {
        for (result, count) in results {
            text.sample("dynix_applies_total", &[("service", service), ("result", result)], count);
        }
    }
    text.metric("dynix_unsound_rejected_total", "counter", "Records taken back because a rebuild would change more.");
    text.sample("dynix_unsound_rejected_total", &[], counters.unsound);
    text.metric("dynix_last_change_timestamp_seconds", "gauge", "When a service last came to have other values.");
    for (service, time) in &counters.last_change {
        text.sample("dynix_last_change_timestamp_seconds", &[("service", service)], time);
    }
    let name = "dynix_apply_duration_seconds";
    text.metric(name, "histogram", "How long applies took that changed something.");
    let mut sum = 0;
    for (bound, count) in BUCKETS.iter().zip(&counters.durations.buckets) {
        sum += count;
        text.sample(&format!("{name}_bucket"), &[("le", &bound.to_string())], sum);
    }
    text.sample(&format!("{name}_bucket"), &[("le", "+Inf")], counters.durations.count);
    text.sample(&format!("{name}_sum"), &[], counters.durations.sum);
    text.sample(&format!("{name}_count"), &[], counters.durations.count);
}

#[derive(Default)]
struct Text(String);

// Writing to a String can't fail.
impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_where_it_ends() {
        let mut text = Text::default();
        text.sample("x", &[("unit", "a\\b\"c\nd")], 1);
        assert_eq!(text.0, "x{unit=\"a\\\\b\\\"c\\nd\"} 1\n");
    }
}
