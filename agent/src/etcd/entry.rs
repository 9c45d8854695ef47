//! What is under the keys of a target: values, a rollout's values, and who changed something. Pure.

use std::collections::BTreeMap;

use dynix::attr_path::AttrPath;
use dynix::types::number;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys::BadKey;

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The value; null is one.
    #[serde(deserialize_with = "anything")]
    pub value: Value,
    /// Who set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// `null` is a value, and a missing one is not.
fn anything<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer)
}

/// What becomes of an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Step {
    /// It gets this value.
    Set(#[serde(deserialize_with = "anything")] Value),
    /// It gets none here.
    Unset,
}

/// Several of them, by path as it is written in keys.
pub type Steps = BTreeMap<String, Step>;

/// The values of a rollout, and which hosts have them by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// The rollout.
    pub rollout: String,
    /// The hosts whose place ([`crate::rollout::order::place`]) is at most this have the values.
    pub until: u64,
    /// The values.
    pub steps: Steps,
    /// Who rolls it out.
    pub by: Option<String>,
    /// What was said about it.
    pub message: Option<String>,
}

/// Who changed something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// Who.
    pub by: Option<String>,
    /// What was said about it.
    pub message: Option<String>,
}

/// Reads what is under a key.
pub fn read<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, BadKey> {
    let bad = |reason: String| BadKey { key: key.to_owned(), reason };
    if let Some(fault) = number::first_fault(bytes) {
        return Err(bad(fault));
    }
    serde_json::from_slice(bytes).map_err(|error| bad(format!("it is not what dynix-fleet writes there: {error}")))
}

/// Values by path as nested sets. A path that is below another one's value is refused unless that is a set.
pub fn nested<'v>(values: impl IntoIterator<Item = (&'v AttrPath, &'v Value)>) -> Result<Map<String, Value>, String> {
    let mut sorted: Vec<(&AttrPath, &Value)> = values.into_iter().collect();
    sorted.sort_by_key(|(path, _)| path.names().len());
    let mut all = Map::new();
    for (path, value) in sorted {
        let Some((last, above)) = path.names().split_last() else { return Err("a path is empty".to_owned()) };
        let mut at = &mut all;
        for (depth, name) in above.iter().enumerate() {
            let next = at.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(next) = next else {
                let shorter = AttrPath(above[..=depth].to_vec());
                return Err(format!("there are values for {shorter}, which is no set, and for {path} below it"));
            };
            at = next;
        }
        // A set of values merges with what is there.
        let below = crate::layer::merged([std::mem::take(at), Map::from_iter([(last.clone(), value.clone())])]);
        *at = below;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nest(values: &[(&str, Value)]) -> Result<Value, String> {
        let paths: Vec<AttrPath> = values.iter().map(|(path, _)| path.parse().unwrap()).collect();
        nested(paths.iter().zip(values.iter().map(|(_, value)| value))).map(Value::Object)
    }

    #[test]
    fn paths_become_sets() {
        let values =
            [("a.b", json!({"x": 1, "y": 2})), ("a.\"c.d\"", json!(null)), ("a.b.x", json!(3)), ("e", json!({}))];
        assert_eq!(nest(&values), Ok(json!({"a": {"b": {"x": 3, "y": 2}, "c.d": null}, "e": {}})));
    }

    #[test]
    fn a_path_below_a_value_is_refused_in_any_order() {
        for values in [[("a.b", json!(1)), ("a.b.c", json!(2))], [("a.b.c.d", json!(2)), ("a.b", json!([]))]] {
            let error = nest(&values).unwrap_err();
            assert!(error.starts_with("there are values for a.b, which is no set, and for a.b.c"), "{error}");
        }
    }

    #[test]
    fn what_is_no_entry_is_named() {
        let entry =
            |text: &str| read::<Entry>("/k", text.as_bytes()).map(|entry| entry.value).map_err(|bad| bad.to_string());
        assert_eq!(entry(r#"{"value": null, "by": "a"}"#), Ok(Value::Null));
        for bad in [
            "",
            "1",
            "{}",
            r#"{"vlaue": 1}"#,
            r#"{"value": 1, "x": 2}"#,
            r#"{"value": 1"#,
            r#"{"value":18446744073709551616}"#,
        ] {
            let error = entry(bad).unwrap_err();
            assert!(error.starts_with("/k: "), "{error}");
        }
        let deep = format!("{{\"value\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(entry(&deep).is_err());
    }
}
