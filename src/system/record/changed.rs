//! What a request changes of the recorded values, for its answer.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::Overlay;
use crate::plan::options;
use crate::plan::{Plan, allowed};
use crate::render::secrets::Secrets;
use crate::system::request::present;
use crate::system::{System, effective};
use crate::types::{brief, kind_of};

/// One value before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The path.
    pub path: String,
    /// What was recorded, or built; missing if it was not set.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// What is recorded now, or built; missing if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
    /// Whether nothing is overridden there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_built: bool,
    /// The service that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_of_system = self.service.as_deref() == Some(SYSTEM);
        let unset = if is_of_system { "as built" } else { "not set" };
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| unset.to_owned(), brief);
        let kind = self.after.as_ref().map(|value| {
            let kind = kind_of(value);
            kind.strip_prefix("an ").or_else(|| kind.strip_prefix("a ")).unwrap_or(kind)
        });
        let notes: Vec<&str> = kind.into_iter().chain((self.as_built && !is_of_system).then_some("as built")).collect();
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        if self.before == self.after {
            return write!(f, "{}: {}{notes}, as before", self.path, shown(&self.after));
        }
        write!(f, "{}: {} -> {}{notes}", self.path, shown(&self.before), shown(&self.after))
    }
}

impl Changed {
    /// The line for a service whose values these are.
    #[must_use]
    pub fn services(all: &[Self]) -> BTreeSet<String> {
        all.iter().filter_map(|one| one.service.clone()).collect()
    }
}

/// The values that differ between two folds, and those at and below the paths in `given`.
pub fn between(system: &System<'_>, before: &Overlay, after: &Overlay, given: &[&AttrPath]) -> Vec<Changed> {
    let (was, is) = (before.leaves(), after.leaves());
    let differing = |one: &[(AttrPath, crate::overrides::Override<'_>)],
                     other: &[(AttrPath, crate::overrides::Override<'_>)]| {
        let missing = one.iter().filter(|(path, leaf)| {
            let there = other.binary_search_by(|(there, _)| there.cmp(path)).ok();
            there.is_none_or(|index| other[index].1.value != leaf.value)
        });
        missing.map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let mut paths: BTreeSet<AttrPath> = differing(&was, &is).into_iter().chain(differing(&is, &was)).collect();
    let is_given = |path: &AttrPath| given.iter().any(|one| path.starts_with(one));
    paths.extend(is.iter().map(|(path, _)| path).filter(|path| is_given(path)).cloned());
    let secrets = Secrets::new(&system.plan);
    paths.iter().map(|path| at(path, &system.plan, (before, after), &secrets)).collect()
}

fn at(path: &AttrPath, plan: &Plan, (before, after): (&Overlay, &Overlay), secrets: &Secrets) -> Changed {
    let is_overridden = |overlay: &Overlay| !overlay.below(path).is_empty();
    let as_built = !is_overridden(after);
    let Some(place) = options::find(plan, path) else {
        let value = |overlay: &Overlay| {
            let below = overlay.below(path);
            let leaf = below.leaves().into_iter().find(|(leaf, _)| leaf.names().is_empty());
            leaf.map(|(_, one)| one.value.clone())
        };
        let service = allowed::is_evaluated(plan, path).then(|| SYSTEM.to_owned());
        return Changed { path: path.to_string(), before: value(before), after: value(after), as_built, service };
    };
    let value = |overlay: &Overlay| {
        let whole = effective(&place, overlay).ok()?;
        let value = place.below(path).within(&whole)?;
        Some(secrets.shown(path, value))
    };
    let service = Some(place.service_name.to_owned());
    Changed { path: path.to_string(), before: value(before), after: value(after), as_built, service }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_said_with_what_was() {
        let said = |before: Option<Value>, after: Option<Value>, as_built| {
            Changed { path: "a.b".to_owned(), before, after, as_built, service: Some("a".to_owned()) }.to_string()
        };
        assert_eq!(said(Some(json!(4)), Some(json!(20)), false), "a.b: 4 -> 20 (integer)");
        assert_eq!(said(Some(json!(20)), Some(json!(4)), true), "a.b: 20 -> 4 (integer, as built)");
        assert_eq!(said(None, Some(json!("x")), false), "a.b: not set -> \"x\" (string)");
        assert_eq!(said(Some(json!([1])), None, true), "a.b: [1] -> not set (as built)");
        assert_eq!(said(Some(json!(null)), Some(json!(null)), false), "a.b: null (null), as before");
    }

    #[test]
    fn null_is_a_value_and_not_the_same_as_none() {
        let changed = Changed { path: "a".to_owned(), before: Some(Value::Null), ..Changed::default() };
        let written = serde_json::to_value(&changed).unwrap();
        assert_eq!(written, json!({"path": "a", "before": null}));
        assert_eq!(serde_json::from_value::<Changed>(written).unwrap(), changed);
    }
}
