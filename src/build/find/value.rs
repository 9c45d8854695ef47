//! The parts of an option's value that a file can hold: all of it, or all except the nulls.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::plan::ValueSpec;

/// A value that a file may have.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How it is made.
    pub spec: ValueSpec,
    /// The value for the static values.
    pub value: Value,
}

/// The values that a file of `spec` may have, each once: as it is first.
#[must_use]
pub fn wanted(spec: &ValueSpec, value: &Value) -> Vec<Wanted> {
    let mut wanted = vec![Wanted { spec: spec.clone(), value: value.clone() }];
    for spec in spec.pruned() {
        let ValueSpec::Prune { drop, within, .. } = &spec else { continue };
        let value = ValueSpec::prune(value, drop, *within);
        if wanted.iter().all(|other| other.value != value) {
            wanted.push(Wanted { spec, value });
        }
    }
    wanted
}

/// Whether the values show too little of what is left out: another convention would have given the same.
#[must_use]
pub fn leaves_open(spec: &ValueSpec, values: &BTreeMap<String, Value>) -> bool {
    let from = if let ValueSpec::Prune { from, .. } = spec { from } else { spec };
    let (Ok(whole), Ok(written)) = (from.evaluate(values), spec.evaluate(values)) else { return false };
    let same = from.pruned().filter(|spec| spec.evaluate(values).is_ok_and(|value| value == written));
    same.count() + usize::from(whole == written) > 1
}

/// Whether nothing is in it that could tell one file from another.
#[must_use]
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(attributes) => attributes.values().all(is_empty),
        Value::Array(list) => list.iter().all(is_empty),
        _ => false,
    }
}

/// The names in a value that every format writes as they are.
#[must_use]
pub fn names(value: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(attributes) => {
            for (name, value) in attributes {
                // A name of nothing is left out by some.
                if !is_empty(value) {
                    let is_plain = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '-');
                    found.extend(name.split(|ch| !is_plain(ch)).filter(|part| !part.is_empty()));
                    collect(value, found);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// How many of the names a text has, of how many there are.
#[must_use]
pub fn share(names: &BTreeSet<&str>, text: &str) -> (usize, usize) {
    (names.iter().filter(|name| text.contains(**name)).count(), names.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Drop, Within};

    #[test]
    fn a_null_shows_what_becomes_of_nulls_and_how_deep() {
        let option = ValueSpec::Option("a".to_owned());
        let left_out =
            |drop: &[Drop], within| ValueSpec::Prune { from: Box::new(option.clone()), drop: drop.to_vec(), within };
        let nulls = [Drop::Null];
        for (value, spec, open) in [
            (json!({ "a": 1 }), option.clone(), true),
            (json!({ "a": null }), option.clone(), false),
            (json!({ "a": null }), left_out(&nulls, Within::Sets), true),
            (
                json!({ "a": null, "b": { "c": null, "d": [{ "e": null }], "f": {} } }),
                left_out(&nulls, Within::Sets),
                false,
            ),
            (
                json!({ "a": null, "b": { "c": null, "d": [{ "e": null }], "f": {} } }),
                left_out(&nulls, Within::Top),
                false,
            ),
        ] {
            let values = BTreeMap::from([("a".to_owned(), value.clone())]);
            assert_eq!(leaves_open(&spec, &values), open, "{value} {spec:?}");
        }
    }
}
