//! A file's value, put together from the effective values of options: pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plan::ValueSpec;

/// A value that can't be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueSpecError {
    /// An option that the service does not have.
    #[error("the option {0} is not one of the service's options")]
    NoSuchOption(String),
    /// A condition that says neither yes nor no.
    #[error("a condition is {0}, expected true or false")]
    NotABoolean(Value),
}

impl ValueSpec {
    /// The value. `values` has every option of the service by its full name.
    pub fn evaluate(&self, values: &BTreeMap<String, Value>) -> Result<Value, ValueSpecError> {
        match self {
            Self::Option(name) => values.get(name).cloned().ok_or_else(|| ValueSpecError::NoSuchOption(name.clone())),
            Self::Literal(value) => Ok(value.clone()),
            Self::Attrs(attributes) => {
                let attributes: Result<Map<String, Value>, _> =
                    attributes.iter().map(|(name, spec)| Ok((name.clone(), spec.evaluate(values)?))).collect();
                attributes.map(Value::Object)
            }
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    match item {
                        Self::When { condition, then } => {
                            if holds(condition, values)? {
                                list.push(then.evaluate(values)?);
                            }
                        }
                        item => list.push(item.evaluate(values)?),
                    }
                }
                Ok(Value::Array(list))
            }
            Self::When { condition, then } => {
                if holds(condition, values)? {
                    then.evaluate(values)
                } else {
                    Ok(Value::Null)
                }
            }
            Self::Select { from, path } => {
                let from = from.evaluate(values)?;
                let found = path.names().iter().try_fold(&from, |value, name| value.get(name));
                Ok(found.cloned().unwrap_or(Value::Null))
            }
        }
    }

    /// The options that it speaks of, by full name.
    pub fn options(&self) -> Vec<&str> {
        match self {
            Self::Option(name) => vec![name],
            Self::Literal(_) => Vec::new(),
            Self::Attrs(attributes) => attributes.values().flat_map(Self::options).collect(),
            Self::List(items) => items.iter().flat_map(Self::options).collect(),
            Self::When { condition, then } => [condition.options(), then.options()].concat(),
            Self::Select { from, .. } => from.options(),
        }
    }
}

fn holds(condition: &ValueSpec, values: &BTreeMap<String, Value>) -> Result<bool, ValueSpecError> {
    match condition.evaluate(values)? {
        Value::Bool(truth) => Ok(truth),
        other => Err(ValueSpecError::NotABoolean(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(spec: Value) -> Result<Value, ValueSpecError> {
        let spec: ValueSpec = serde_json::from_value(spec).unwrap();
        spec.evaluate(&BTreeMap::from([(
            "services.x.settings".to_owned(),
            json!({"stats": {"enable": true, "port": 1}}),
        )]))
    }

    #[test]
    fn values_are_put_together_from_options() {
        let stats =
            |name: &str| json!({"select": {"from": {"option": "services.x.settings"}, "path": ["stats", name]}});
        let list = json!({"list": [
            {"literal": "--daemon"},
            {"when": {"condition": stats("enable"), "then": {"attrs": {"port": stats("port")}}}},
            {"when": {"condition": {"literal": false}, "then": {"literal": 1}}},
            stats("missing"),
        ]});
        assert_eq!(evaluate(list), Ok(json!(["--daemon", {"port": 1}, null])));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let missing = evaluate(json!({"option": "services.y"}));
        assert_eq!(missing, Err(ValueSpecError::NoSuchOption("services.y".to_owned())));
        let condition = evaluate(json!({"when": {"condition": {"literal": 1}, "then": {"literal": 1}}}));
        assert_eq!(condition, Err(ValueSpecError::NotABoolean(json!(1))));
    }
}
