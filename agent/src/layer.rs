//! Layers of values, one upon the other. Pure.

use serde_json::{Map, Value};

/// The parts as one: later ones win, leaf by leaf. Attribute sets merge; everything else, lists as well, replaces.
pub fn merged(parts: impl IntoIterator<Item = Map<String, Value>>) -> Map<String, Value> {
    parts.into_iter().fold(Map::new(), |mut all, part| {
        merge(&mut all, part);
        all
    })
}

fn merge(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            // An empty set says nothing below it, and so takes nothing away.
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => drop(below.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn later_parts_win_leaf_by_leaf() {
        let all = map(json!({"services": {"a": {"x": 1, "y": [1, 2]}, "b": 1}}));
        let group = map(json!({"services": {"a": {"y": [3]}, "b": {"c": 1}}}));
        let host = map(json!({"services": {"a": {"x": {}}, "d": null}}));
        let expected = json!({"services": {"a": {"x": {}, "y": [3]}, "b": {"c": 1}, "d": null}});
        assert_eq!(Value::Object(merged([all, group, host])), expected);
        assert_eq!(merged([]), Map::new());
    }

    fn values() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![Just(Value::Null), any::<u8>().prop_map(Value::from), Just(json!([1]))];
        let tree = leaf.prop_recursive(3, 16, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| map.into_iter().collect())
        });
        prop::collection::btree_map("[abc]", tree, 0..3).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn merging_is_associative_and_a_part_is_nothing_upon_itself(a in values(), b in values(), c in values()) {
            let left = merged([merged([a.clone(), b.clone()]), c.clone()]);
            prop_assert_eq!(&left, &merged([a.clone(), b, c.clone()]));
            prop_assert_eq!(merged([a.clone(), a.clone()]), a.clone());
            prop_assert_eq!(merged([left.clone(), c]), left);
        }
    }
}
