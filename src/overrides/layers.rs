//! The layers of the sources, between the built configuration and the host's own records.
//!
//! Each source has one layer at most, the whole of what it says; the newest one that counts holds. A value that a newer layer
//! says again is still that of the older record, as it is not new. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::overlay::Overlay;
use super::record::leaves_at;
use crate::attr_path::AttrPath;

/// The newest layer of each source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Layers(BTreeMap<String, InEffect>);

/// The layer of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InEffect {
    /// Its record.
    pub id: u64,
    /// Its values.
    pub overlay: Overlay,
}

/// Which sources there are, and where their layers are. The layer of any other source has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Below the host's own records, the lowest first.
    pub below: Vec<String>,
    /// Above them, the lowest first.
    pub above: Vec<String>,
}

impl Layers {
    /// Whether no source ever said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The layer of a source.
    #[must_use]
    pub fn of(&self, source: &str) -> Option<&InEffect> {
        self.0.get(source)
    }

    /// From record `id` on, a source says this.
    pub(super) fn put(&mut self, source: &str, value: Value, id: u64) {
        let before = self.0.remove(source).unwrap_or_default().overlay;
        let mut overlay = Overlay::default();
        for (path, value) in leaves_at(AttrPath::default(), value) {
            let said_by = before.at(&path).filter(|one| *one.value == value).map_or(id, |one| one.id);
            overlay.put(&path.0, value, said_by);
        }
        self.0.insert(source.to_owned(), InEffect { id, overlay });
    }

    /// All layers, with the host's own overrides among them.
    #[must_use]
    pub fn around(&self, own: &Overlay, order: &Order) -> Overlay {
        let of =
            |names: &[String]| names.iter().filter_map(|name| self.of(name)).map(|one| one.overlay.clone()).collect();
        let (below, above): (Vec<Overlay>, Vec<Overlay>) = (of(&order.below), of(&order.above));
        let mut layers = below.into_iter().chain([own.clone()]).chain(above);
        let mut all = layers.next().unwrap_or_default();
        layers.for_each(|layer| all.cover(&layer));
        all
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(overlay: &Overlay) -> Vec<String> {
        overlay.leaves().iter().map(|(path, one)| format!("{path}={} ({})", one.value, one.id)).collect()
    }

    #[test]
    fn a_layer_is_all_that_its_source_says_and_what_it_repeats_is_not_new() {
        let mut layers = Layers::default();
        layers.put("web", json!({"a": {"b": 1, "c": 2}}), 3);
        layers.put("web", json!({"a": {"b": 1}, "d": [4]}), 5);
        assert_eq!(said(&layers.of("web").unwrap().overlay), ["a.b=1 (3)", "d=[4] (5)"]);
        layers.put("web", json!({}), 6);
        assert!(layers.of("web").unwrap().overlay.is_empty());
        assert_eq!(layers.of("web").unwrap().id, 6);
    }

    #[test]
    fn layers_are_in_the_configured_order_around_the_hosts_own_values() {
        let mut layers = Layers::default();
        layers.put("low", json!({"a": 1, "b": 1, "c": 1, "d": {"e": 1}}), 1);
        layers.put("high", json!({"b": 2}), 2);
        layers.put("top", json!({"c": 3}), 3);
        layers.put("unknown", json!({"a": 9}), 4);
        let mut own = Overlay::default();
        own.put(&["c"], json!(5), 5);
        own.put(&["d"], json!({"f": 6}), 6);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let order = Order { below: names(&["low", "missing", "high"]), above: names(&["top"]) };
        let all = layers.around(&own, &order);
        assert_eq!(said(&all), ["a=1 (1)", "b=2 (2)", "c=3 (3)", "d={\"f\":6} (6)"]);
        assert_eq!(said(&layers.around(&own, &Order::default())), ["c=5 (5)", "d={\"f\":6} (6)"]);
    }
}
