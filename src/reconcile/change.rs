//! The difference between observed and desired state, for one service: pure.
//!
//! Takes both states and the plan; gives the [`Change`], with the units to act on: those that read something that
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

use super::state::InEffect;
use crate::host::fs::generation;
use crate::host::paths::Paths;
use crate::host::systemd::Verb;
use crate::plan::{Attach, OnChange, Service};

/// The difference of one service, with the units to act on.
#[derive(Clone, Debug)]
pub struct Change<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its plan; `None` for a service that the plan no longer has.
    pub service: Option<&'p Service>,
    /// The observed state.
    pub from: InEffect,
    /// The desired state.
    pub to: InEffect,
    /// The state to roll back to: `from`, unless an apply that did not finish left `from` behind.
    pub back: InEffect,
    /// The units to act on.
    pub units: BTreeMap<String, Verb>,
    /// Those units that an earlier apply may have left on another state than `from`.
    pub unsettled: BTreeSet<String>,
    /// Whether its units are watched afterwards. Then the apply does not wait for them to stay up.
    pub is_watched: bool,
}

/// The three states from which a change is computed.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'s> {
    /// The observed state.
    pub from: &'s InEffect,
    /// The desired state.
    pub to: &'s InEffect,
    /// The state that was last seen to work.
    pub confirmed: &'s InEffect,
    /// Identities of the files that the static configuration has.
    pub as_built: &'s BTreeMap<String, String>,
    /// Units that an apply before may have left half-way.
    pub pending: &'s BTreeSet<String>,
}

impl Sides<'_> {
    fn changed_files(&self) -> BTreeSet<&str> {
        let identities = |side: &'_ InEffect| match side.generation {
            Some(_) => side.files.clone(),
            None => self.as_built.clone(),
        };
        let (from, to) = (identities(self.from), identities(self.to));
        self.as_built.keys().map(String::as_str).filter(|name| from.get(*name) != to.get(*name)).collect()
    }

    fn changed_drop_ins(&self) -> BTreeSet<&str> {
        let units = self.from.drop_ins.keys().chain(self.to.drop_ins.keys());
        units.map(String::as_str).filter(|unit| self.from.drop_ins.get(*unit) != self.to.drop_ins.get(*unit)).collect()
    }
}

impl<'p> Change<'p> {
    /// The change of a service; `None` if nothing differs.
    #[must_use]
    pub fn between(name: &'p str, service: &'p Service, sides: Sides<'_>) -> Option<Self> {
        let (files, drop_ins) = (sides.changed_files(), sides.changed_drop_ins());
        let mut units = BTreeMap::new();
        for (unit, spec) in &service.units {
            let read: Vec<&str> = service
                .files
                .iter()
                .filter(|(file, spec)| files.contains(file.as_str()) && spec.is_read_by(unit))
                .map(|(file, _)| file.as_str())
                .collect();
            let pending = sides.pending.contains(unit);
            if read.is_empty() && !drop_ins.contains(unit.as_str()) && !pending {
                continue;
            }
            let read_again = |file: &&str| matches!(service.files[*file].attach, Attach::Bind(_) | Attach::Etc(_));
            let bound = read.iter().all(read_again);
            let reload = spec.on_change == OnChange::Reload && bound && !drop_ins.contains(unit.as_str()) && !pending;
            units.insert(unit.clone(), if reload { Verb::Reload } else { Verb::TryRestart });
        }
        let (from, to, back) = (sides.from.clone(), sides.to.clone(), sides.confirmed.clone());
        let unsettled = sides.pending.iter().filter(|unit| units.contains_key(*unit)).cloned().collect();
        let change = Self { name, service: Some(service), from, to, back, units, unsettled, is_watched: false };
        (change.from != change.to || !change.units.is_empty()).then_some(change)
    }

    /// Removes what is left of a service that the plan no longer has. NixOS itself handles its units.
    #[must_use]
    pub fn removal(name: &'p str, from: &InEffect) -> Self {
        let (from, back) = (from.clone(), from.clone());
        let (to, units, unsettled) = (InEffect::default(), BTreeMap::new(), BTreeSet::new());
        Self { name, service: None, from, to, back, units, unsettled, is_watched: false }
    }

    /// The change that rolls back to exactly what last worked. It acts again on the units that the change touched
    /// (`is_touched`), and on those that may have had another state before; the others never left it. A unit that
    /// reloads and is still up (`is_up`) reloads once more; any other restarts.
    #[must_use]
    pub fn reversed(&self, is_up: impl Fn(&str) -> bool, is_touched: impl Fn(&str) -> bool) -> Self {
        let again = |unit: &str, verb| if verb == Verb::Reload && is_up(unit) { Verb::Reload } else { Verb::Restart };
        let mut back = self.fallback(self.back.clone(), again);
        back.units.retain(|unit, _| is_touched(unit) || self.unsettled.contains(unit));
        back
    }

    /// The change to the static files, for a rollback that failed too.
    #[must_use]
    pub fn to_static(&self) -> Self {
        Self { from: self.back.clone(), ..self.fallback(InEffect::default(), |_, _| Verb::Restart) }
    }

    fn fallback(&self, to: InEffect, verb: impl Fn(&str, Verb) -> Verb) -> Self {
        let units = self.units.iter().map(|(unit, was)| (unit.clone(), verb(unit, *was))).collect();
        let (from, back, unsettled) = (self.to.clone(), self.back.clone(), self.unsettled.clone());
        Self { from, to, back, units, unsettled, is_watched: false, ..*self }
    }

    /// Leaves out the units that are not running: they read their files when they are started.
    pub fn keep_units(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.units.retain(|unit, _| is_wanted(unit));
    }

    /// Whether a new generation has to be written.
    #[must_use]
    pub fn stages(&self) -> bool {
        self.to.generation.is_some() && self.to.generation != self.from.generation
    }

    /// The generation's directory that `to` reads, if it is not on static files.
    #[must_use]
    pub fn directory(&self, paths: &Paths) -> Option<Utf8PathBuf> {
        self.to.generation.map(|number| generation::directory(&paths.service(self.name), number))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub fn service() -> Service {
        let file = |units: serde_json::Value| {
            json!({"format": {"name": "toml"}, "value": {"literal": {}}, "static": "/nix/store/x",
                   "attach": {"bind": "/nix/store/x"}, "units": units})
        };
        serde_json::from_value(json!({
            "options": {},
            "files": {"a": file(json!(["a.service"])), "b": file(json!(null))},
            "units": {"a.service": {}, "b.service": {"onChange": "reload"}},
        }))
        .unwrap()
    }

    pub fn built() -> BTreeMap<String, String> {
        BTreeMap::from([("a".to_owned(), "a0".to_owned()), ("b".to_owned(), "b0".to_owned())])
    }

    pub fn generation(number: u64, a: &str, b: &str) -> InEffect {
        let files = BTreeMap::from([("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())]);
        InEffect { generation: Some(number), files, drop_ins: BTreeMap::new() }
    }

    fn units(from: &InEffect, to: &InEffect, pending: &[&str]) -> Vec<(String, Verb)> {
        let pending = pending.iter().map(|unit| (*unit).to_owned()).collect();
        let sides = Sides { from, to, confirmed: from, as_built: &built(), pending: &pending };
        let service = service();
        Change::between("s", &service, sides).map_or_else(Vec::new, |change| change.units.into_iter().collect())
    }

    #[test]
    fn a_unit_is_touched_only_if_a_file_that_it_reads_changed() {
        let (restart_a, reload_b) =
            (("a.service".to_owned(), Verb::TryRestart), ("b.service".to_owned(), Verb::Reload));
        let one = generation(1, "a1", "b0");
        assert_eq!(units(&InEffect::default(), &one, &[]), vec![restart_a.clone()]);
        assert_eq!(units(&one, &generation(2, "a1", "b2"), &[]), vec![restart_a.clone(), reload_b.clone()]);
        assert_eq!(units(&one, &generation(2, "a1", "b0"), &[]), vec![]);
        assert_eq!(units(&generation(2, "a0", "b2"), &InEffect::default(), &[]), vec![restart_a, reload_b]);
    }

    #[test]
    fn a_drop_in_or_an_unfinished_apply_means_a_restart() {
        let restart_b = ("b.service".to_owned(), Verb::TryRestart);
        let mut with = InEffect::default();
        with.drop_ins.insert("b.service".to_owned(), "[Service]".to_owned());
        assert_eq!(units(&InEffect::default(), &with, &[]), vec![restart_b.clone()]);
        assert_eq!(units(&InEffect::default(), &InEffect::default(), &["b.service"]), vec![restart_b]);
    }

    #[test]
    fn the_way_back_leads_to_what_there_was() {
        let service = service();
        let (from, to) = (generation(1, "a1", "b0"), generation(2, "a1", "b2"));
        let sides = Sides { from: &from, to: &to, confirmed: &from, as_built: &built(), pending: &BTreeSet::new() };
        let change = Change::between("s", &service, sides).unwrap();
        let back = change.reversed(|unit| unit == "b.service", |_| true);
        assert_eq!((&back.from, &back.to), (&to, &from));
        assert_eq!(back.units["b.service"], Verb::Reload);
        assert_eq!(change.reversed(|_| false, |_| true).units["b.service"], Verb::Restart);
        // What was not touched never left.
        assert!(change.reversed(|_| true, |_| false).units.is_empty());
        assert!(!back.stages() || back.to.generation == Some(1));
        assert!(change.to_static().to.is_static());
    }

    #[test]
    fn the_way_back_from_an_unfinished_apply_leads_to_what_last_worked() {
        let service = service();
        let (good, half) = (generation(1, "a1", "b1"), generation(2, "a2", "b1"));
        let pending = BTreeSet::from(["a.service".to_owned()]);
        let sides = Sides { from: &half, to: &half, confirmed: &good, as_built: &built(), pending: &pending };
        let change = Change::between("s", &service, sides).unwrap();
        let back = change.reversed(|_| true, |_| false);
        assert_eq!((&back.from, &back.to), (&half, &good));
        assert_eq!(back.units.keys().collect::<Vec<_>>(), ["a.service"]);
        let last = change.to_static();
        assert_eq!((&last.from, &last.to), (&good, &InEffect::default()));
    }
}
