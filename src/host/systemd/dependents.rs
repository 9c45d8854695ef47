//! Finds the units that systemd stops when it restarts others.

use std::collections::{BTreeMap, BTreeSet};

use futures_lite::future::zip;

use super::ManagerError;
use super::bus::{Asked, Bus};
use super::proxies::{ListedUnit, UnitProxy};

impl Bus {
    /// See [`super::ServiceManager::dependents`].
    pub(super) async fn dependents_of(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        let mut seen: BTreeSet<String> = units.iter().cloned().collect();
        let mut up: Vec<ListedUnit> = Vec::new();
        let mut next: Vec<ListedUnit> = self.list(units).await?.into_values().collect();
        while !next.is_empty() {
            let mut found = Vec::new();
            for listed in &next {
                let direct = direct(&self.unit(listed.6.clone()).await?).await.to("read what depends on a unit")?;
                found.extend(direct.into_iter().filter(|unit| seen.insert(unit.clone())));
            }
            next = if found.is_empty() { Vec::new() } else { self.list(&found).await?.into_values().collect() };
            for listed in &next {
                if matches!(listed.3.as_str(), "active" | "reloading" | "refreshing") {
                    up.push(listed.clone());
                }
            }
        }
        let mut after: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for listed in up {
            let order = self.unit(listed.6).await?.after().await.to("read the order of units")?;
            after.insert(listed.0, order);
        }
        Ok(in_order(after))
    }
}

/// Those that systemd stops with a unit (systemd's src/core/unit-dependency-atom.c, `UNIT_ATOM_PROPAGATE_STOP`).
async fn direct(unit: &UnitProxy<'static>) -> zbus::Result<Vec<String>> {
    let required = zip(unit.required_by(), unit.requisite_of());
    let bound = zip(unit.bound_by(), unit.consists_of());
    let ((required, bound), propagated) = zip(zip(required, bound), unit.propagates_stop_to()).await;
    Ok([required.0?, required.1?, bound.0?, bound.1?, propagated?].concat())
}

/// Units with those that each comes after, in that order.
#[must_use]
pub fn in_order(mut after: BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut ordered = Vec::with_capacity(after.len());
    while !after.is_empty() {
        let waits = |unit: &String| after[unit].iter().any(|other| other != unit && after.contains_key(other));
        let free: Vec<String> = after.keys().filter(|unit| !waits(unit)).cloned().collect();
        // systemd breaks cycles too; any order will do.
        let next = if free.is_empty() { after.keys().take(1).cloned().collect() } else { free };
        for unit in next {
            after.remove(&unit);
            ordered.push(unit);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_started_after_those_that_they_come_after() {
        let after = |units: &[(&str, &[&str])]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            in_order(units.iter().map(|(unit, after)| ((*unit).to_owned(), names(after))).collect())
        };
        assert_eq!(after(&[("a", &["b", "elsewhere"]), ("b", &["c"]), ("c", &[]), ("d", &[])]), ["c", "d", "b", "a"]);
        // A cycle ends all the same.
        assert_eq!(after(&[("a", &["b"]), ("b", &["a", "b"]), ("c", &["a"])]).len(), 3);
    }
}
