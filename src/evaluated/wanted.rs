//! The overrides that take effect by an evaluation.

use serde_json::Value;

use super::stand_in::StandIn;
use crate::attr_path::AttrPath;
use crate::host::digest;
use crate::overrides::Overlay;
use crate::plan::{Plan, allowed};
use crate::reconcile::desired::LeftOut;
use crate::verify::Values;

/// Overrides to put into effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Path, value and record of each, in the order of paths.
    pub overrides: Vec<(AttrPath, Value, u64)>,
    /// The same of services' values whose other effects are wanted as well.
    pub completed: Vec<(AttrPath, Value, u64)>,
    /// All values of the services that have overrides, where [`Wanted::completed`] has some.
    pub effective: Values,
    /// Those of options that may not change.
    pub left_out: Vec<LeftOut>,
}

impl Wanted {
    /// Those of an overlay that are of no service.
    #[must_use]
    pub fn new(plan: &Plan, overlay: &Overlay) -> Self {
        let mut wanted = Self::default();
        if !allowed::any(plan) {
            return wanted;
        }
        let places = crate::plan::options::OptionIndex::new(plan);
        for (path, one) in overlay.leaves() {
            if places.find(&path).is_some() {
                continue;
            }
            match allowed::check(plan, &path) {
                Ok(()) => wanted.overrides.push((path, one.value.clone(), one.id)),
                Err(refusal) => wanted.left_out.push(LeftOut { path, id: one.id, reason: refusal.to_string() }),
            }
        }
        wanted
    }

    /// All overrides that are evaluated.
    pub fn all(&self) -> impl Iterator<Item = &(AttrPath, Value, u64)> {
        self.overrides.iter().chain(&self.completed)
    }

    /// Whether the system is to be as it is built.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overrides.is_empty() && self.completed.is_empty()
    }

    /// The same without the effects of services' values.
    #[must_use]
    pub fn without_completed(&self) -> Self {
        Self { completed: Vec::new(), effective: Values::new(), ..self.clone() }
    }

    /// Whether the overrides of no service are those of a stand-in, whatever it has of services' values.
    #[must_use]
    pub fn is_settled(&self, in_effect: Option<&StandIn>) -> bool {
        let values = in_effect.map(|one| one.about.values.as_slice()).unwrap_or_default();
        *values == named(&self.overrides)
    }

    /// Identifies these overrides. Recording the same values again makes no difference, unless their order changes.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut ranks: Vec<u64> = self.all().map(|(_, _, id)| *id).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let rank = |id: &u64| ranks.binary_search(id).unwrap_or_default();
        let said = |all: &[(AttrPath, Value, u64)]| {
            let all = all.iter().map(|(path, value, id)| (path.clone(), value.clone(), rank(id)));
            serde_json::to_string(&all.collect::<Vec<_>>()).unwrap_or_default()
        };
        let completed = if self.completed.is_empty() { String::new() } else { said(&self.completed) };
        digest::sha256((said(&self.overrides) + &completed).as_bytes())
    }
}

/// Paths and values as a stand-in has them.
pub(super) fn named(overrides: &[(AttrPath, Value, u64)]) -> Vec<(String, Value)> {
    overrides.iter().map(|(path, value, _)| (path.to_string(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(overrides: &[(&str, Value, u64)]) -> Wanted {
        let overrides = overrides.iter().map(|(path, value, id)| (AttrPath::parse(path).unwrap(), value.clone(), *id));
        Wanted { overrides: overrides.collect(), ..Wanted::default() }
    }

    #[test]
    fn a_digest_tells_values_and_their_order() {
        let one = wanted(&[("a.b", json!(1), 3), ("c", json!(2), 7)]);
        assert_eq!(one.digest(), wanted(&[("a.b", json!(1), 30), ("c", json!(2), 70)]).digest());
        assert_ne!(one.digest(), wanted(&[("a.b", json!(1), 7), ("c", json!(2), 3)]).digest());
        assert_ne!(one.digest(), wanted(&[("a.b", json!(2), 3), ("c", json!(2), 7)]).digest());
        let completed = |ids: &[u64; 2]| {
            let all = wanted(&[("a.b", json!(1), ids[0]), ("c", json!(2), ids[1])]);
            let (own, of_a_service) = all.overrides.split_at(1);
            Wanted { overrides: own.to_vec(), completed: of_a_service.to_vec(), ..Wanted::default() }
        };
        assert_eq!(completed(&[3, 7]).digest(), completed(&[4, 9]).digest());
        assert_ne!(completed(&[3, 7]).digest(), completed(&[7, 3]).digest());
        assert_ne!(completed(&[3, 7]).digest(), one.digest());
        assert_eq!(completed(&[3, 7]).without_completed().digest(), wanted(&[("a.b", json!(1), 3)]).digest());
    }

    #[test]
    fn overrides_are_told_apart_from_those_of_services() {
        let plan: Plan =
            serde_json::from_value(json!({"version": 1, "options": ["networking"], "services": {}})).unwrap();
        let mut overlay = Overlay::default();
        overlay.put(&["networking", "domain"], json!("x"), 1);
        overlay.put(&["other"], json!("x"), 2);
        let wanted = Wanted::new(&plan, &overlay);
        assert_eq!(wanted.overrides, [(AttrPath::parse("networking.domain").unwrap(), json!("x"), 1)]);
        assert_eq!(wanted.left_out[0].id, 2);
        let none: Plan = serde_json::from_value(json!({"version": 1, "services": {}})).unwrap();
        assert_eq!(Wanted::new(&none, &overlay), Wanted::default());
    }
}
