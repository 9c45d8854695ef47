//! Computes a file's value from the effective values of options: pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::attr_path::AttrPath;
use crate::plan::{Drop, ValueSpec, Within};

/// A value that can't be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", if place.is_empty() { String::new() } else { format!("at {place}: ") })]
pub struct ValueSpecError {
    /// The place in the specification, as in `list[2].when.condition`; empty for the whole.
    pub place: String,
    /// The fault at that place.
    pub fault: ValueSpecFault,
}

/// Why a value can't be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueSpecFault {
    /// An option that the service does not have.
    #[error("the option {0} is not one of the service's options")]
    NoSuchOption(String),
    /// Something with no place on one line: a list or a set.
    #[error("{0} is {1}, expected a string, a number or a boolean")]
    NoText(String, Value),
    /// Two paths that would have the same name.
    #[error("{0} and {1} would both be {2}")]
    SameName(String, String, String),
    /// A condition that says neither yes nor no.
    #[error("a condition is {0}, expected true or false")]
    NotABoolean(Value),
}

/// Adds the place to an error on its way up, so that evaluation itself keeps none.
fn below<T>(result: Result<T, ValueSpecError>, place: impl Fn() -> String) -> Result<T, ValueSpecError> {
    result.map_err(|mut error| {
        let separator = if error.place.is_empty() { "" } else { "." };
        error.place = format!("{}{separator}{}", place(), error.place);
        error
    })
}

fn here(fault: ValueSpecFault) -> ValueSpecError {
    ValueSpecError { place: String::new(), fault }
}

/// The values that modules leave out, the most common first: `lib.filterAttrsRecursive (_: value: value != null)` and
/// similar.
const LEFT_OUT: [(&[Drop], Within); 6] = [
    (&[Drop::Null], Within::Sets),
    (&[Drop::Null], Within::Top),
    (&[Drop::Null], Within::All),
    (&[Drop::Null, Drop::Set], Within::Sets),
    (&[Drop::Null, Drop::Set, Drop::List], Within::Sets),
    (&[Drop::Null, Drop::Set, Drop::List, Drop::String], Within::All),
];

impl ValueSpec {
    /// The same without what modules leave out, in each way.
    pub fn pruned(&self) -> impl Iterator<Item = Self> {
        LEFT_OUT.iter().map(|(drop, within)| Self::Prune {
            from: Box::new(self.clone()),
            drop: drop.to_vec(),
            within: *within,
        })
    }

    /// The value. `values` has every option of the service by its full name.
    pub fn evaluate<'v>(&'v self, values: &'v BTreeMap<String, Value>) -> Result<Cow<'v, Value>, ValueSpecError> {
        match self {
            Self::Option(name) => {
                let value = values.get(name).ok_or_else(|| here(ValueSpecFault::NoSuchOption(name.clone())))?;
                Ok(Cow::Borrowed(value))
            }
            Self::Literal(value) => Ok(Cow::Borrowed(value)),
            // Until the file has been read.
            Self::Built(_) => Ok(Cow::Owned(Value::Null)),
            Self::Attrs(attributes) => {
                let attributes: Result<Map<String, Value>, _> = attributes
                    .iter()
                    .map(|(name, spec)| {
                        let value =
                            below(spec.evaluate(values), || format!("attrs.{}", AttrPath::default().child(name)))?;
                        Ok((name.clone(), value.into_owned()))
                    })
                    .collect();
                attributes.map(|attributes| Cow::Owned(Value::Object(attributes)))
            }
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let value = match item {
                        Self::When { condition, then } => when(condition, then, values),
                        item => item.evaluate(values).map(Some),
                    };
                    list.extend(below(value, || format!("list[{index}]"))?.map(Cow::into_owned));
                }
                Ok(Cow::Owned(Value::Array(list)))
            }
            Self::When { condition, then } => Ok(when(condition, then, values)?.unwrap_or(Cow::Owned(Value::Null))),
            Self::Select { from, path } => {
                let from = below(from.evaluate(values), || "select.from".to_owned())?;
                Ok(match from {
                    Cow::Borrowed(from) => path.within(from).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
                    Cow::Owned(from) => Cow::Owned(path.within(&from).cloned().unwrap_or(Value::Null)),
                })
            }
            Self::Prune { from, drop, within } => {
                let from = below(from.evaluate(values), || "prune.from".to_owned())?;
                Ok(Cow::Owned(Self::prune(&from, drop, *within)))
            }
            Self::Merge(layers) => {
                let mut merged = Value::Null;
                for (index, layer) in layers.iter().enumerate() {
                    put_on(&mut merged, below(layer.evaluate(values), || format!("merge[{index}]"))?.into_owned());
                }
                Ok(Cow::Owned(merged))
            }
            Self::Flatten { from, prefix, separator, upper } => {
                let from = below(from.evaluate(values), || "flatten.from".to_owned())?;
                let mut flat = BTreeMap::new();
                flatten(
                    &from,
                    &AttrPath::default(),
                    &|path| {
                        let name = format!("{prefix}{}", path.0.join(separator));
                        if *upper { name.to_ascii_uppercase() } else { name }
                    },
                    &mut flat,
                )?;
                let flat = flat.into_iter().map(|(name, (_, value))| (name, value));
                Ok(Cow::Owned(Value::Object(flat.collect())))
            }
            Self::Entries { from, separator } => {
                let from = below(from.evaluate(values), || "entries.from".to_owned())?;
                let entries = from.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
                let texts: Result<Vec<Value>, _> = entries
                    .map(|(name, value)| Ok(format!("{name}{separator}{}", text(name, value)?).into()))
                    .collect();
                texts.map(|texts| Cow::Owned(Value::Array(texts)))
            }
        }
    }

    /// A value without what `drop` says.
    #[must_use]
    pub fn prune(value: &Value, drop: &[Drop], within: Within) -> Value {
        let is_dropped = |value: &Value| match value {
            Value::Null => drop.contains(&Drop::Null),
            Value::Object(attributes) => attributes.is_empty() && drop.contains(&Drop::Set),
            Value::Array(list) => list.is_empty() && drop.contains(&Drop::List),
            Value::String(text) => text.is_empty() && drop.contains(&Drop::String),
            _ => false,
        };
        let inner =
            |value: &Value| if within == Within::Top { value.clone() } else { Self::prune(value, drop, within) };
        match value {
            Value::Object(attributes) => {
                let left = attributes.iter().map(|(name, value)| (name.clone(), inner(value)));
                Value::Object(left.filter(|(_, value)| !is_dropped(value)).collect())
            }
            Value::Array(list) if within == Within::All => Value::Array(list.iter().map(inner).collect()),
            other => other.clone(),
        }
    }

    /// The same with what the static file has in it.
    #[must_use]
    pub fn with_built(&self, file: &Value) -> Self {
        let of = |spec: &Self| Box::new(spec.with_built(file));
        match self {
            Self::Built(path) => Self::Literal(path.within(file).cloned().unwrap_or(Value::Null)),
            Self::Option(_) | Self::Literal(_) => self.clone(),
            Self::Attrs(attributes) => {
                Self::Attrs(attributes.iter().map(|(name, spec)| (name.clone(), spec.with_built(file))).collect())
            }
            Self::List(items) => Self::List(items.iter().map(|spec| spec.with_built(file)).collect()),
            Self::Merge(layers) => Self::Merge(layers.iter().map(|spec| spec.with_built(file)).collect()),
            Self::When { condition, then } => Self::When { condition: of(condition), then: of(then) },
            Self::Select { from, path } => Self::Select { from: of(from), path: path.clone() },
            Self::Prune { from, drop, within } => Self::Prune { from: of(from), drop: drop.clone(), within: *within },
            Self::Flatten { from, prefix, separator, upper } => {
                Self::Flatten { from: of(from), prefix: prefix.clone(), separator: separator.clone(), upper: *upper }
            }
            Self::Entries { from, separator } => Self::Entries { from: of(from), separator: separator.clone() },
        }
    }

    /// Whether it has something from the static file.
    #[must_use]
    pub fn has_built(&self) -> bool {
        self.with_built(&Value::Null) != *self
    }

    /// The options that it speaks of, by full name.
    pub fn options(&self) -> Vec<&str> {
        match self {
            Self::Option(name) => vec![name],
            Self::Literal(_) | Self::Built(_) => Vec::new(),
            Self::Attrs(attributes) => attributes.values().flat_map(Self::options).collect(),
            Self::List(items) => items.iter().flat_map(Self::options).collect(),
            Self::When { condition, then } => [condition.options(), then.options()].concat(),
            Self::Select { from, .. }
            | Self::Prune { from, .. }
            | Self::Flatten { from, .. }
            | Self::Entries { from, .. } => from.options(),
            Self::Merge(layers) => layers.iter().flat_map(Self::options).collect(),
        }
    }
}

/// Merges a value onto another: attribute sets are merged, anything else is replaced.
fn put_on(under: &mut Value, value: Value) {
    match (under, value) {
        (Value::Object(under), Value::Object(attributes)) => {
            for (name, value) in attributes {
                put_on(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, value) => *under = value,
    }
}

/// What is in the sets of a value, by the names of their paths.
fn flatten(
    value: &Value,
    path: &AttrPath,
    name: &dyn Fn(&AttrPath) -> String,
    flat: &mut BTreeMap<String, (AttrPath, Value)>,
) -> Result<(), ValueSpecError> {
    if let Value::Object(attributes) = value {
        return attributes.iter().try_for_each(|(below, value)| flatten(value, &path.child(below), name, flat));
    }
    if let Some((other, _)) = flat.insert(name(path), (path.clone(), value.clone())) {
        return Err(here(ValueSpecFault::SameName(other.to_string(), path.to_string(), name(path))));
    }
    Ok(())
}

/// A value on one line, as `lib.boolToString` and `toString` write it.
fn text(name: &str, value: &Value) -> Result<String, ValueSpecError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => Err(here(ValueSpecFault::NoText(name.to_owned(), other.clone()))),
    }
}

/// The value if the condition holds.
fn when<'v>(
    condition: &'v ValueSpec,
    then: &'v ValueSpec,
    values: &'v BTreeMap<String, Value>,
) -> Result<Option<Cow<'v, Value>>, ValueSpecError> {
    let holds = match condition.evaluate(values).as_deref() {
        Ok(Value::Bool(truth)) => Ok(*truth),
        Ok(other) => Err(here(ValueSpecFault::NotABoolean(other.clone()))),
        Err(error) => Err(error.clone()),
    };
    if !below(holds, || "when.condition".to_owned())? {
        return Ok(None);
    }
    below(then.evaluate(values), || "when.then".to_owned()).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(spec: Value) -> Result<Value, ValueSpecError> {
        let spec: ValueSpec = serde_json::from_value(spec).unwrap();
        let values =
            BTreeMap::from([("services.x.settings".to_owned(), json!({"stats": {"enable": true, "port": 1}}))]);
        spec.evaluate(&values).map(Cow::into_owned)
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
    fn sets_become_one_set_or_texts() {
        let from = |value: Value| json!({ "literal": value });
        let nested = json!({"server": {"port": 8989, "urlBase": null}, "log": {"level": "info"}, "hosts": ["a"]});
        let flat =
            evaluate(json!({"flatten": {"from": from(nested), "prefix": "X__", "separator": "__", "upper": true}}));
        let expected =
            json!({"X__HOSTS": ["a"], "X__LOG__LEVEL": "info", "X__SERVER__PORT": 8989, "X__SERVER__URLBASE": null});
        assert_eq!(flat, Ok(expected));
        let same = json!({"a": {"b": 1}, "A": {"B": 2}});
        let error = evaluate(json!({"flatten": {"from": from(same), "separator": "_", "upper": true}})).unwrap_err();
        assert_eq!(error.to_string(), "A.B and a.b would both be A_B");
        let variables = json!({"TZ": "UTC", "DEBUG": false, "PORT": 80, "GONE": null});
        let entries = evaluate(json!({"entries": {"from": from(variables), "separator": "="}}));
        assert_eq!(entries, Ok(json!(["DEBUG=false", "PORT=80", "TZ=UTC"])));
        let error = evaluate(json!({"entries": {"from": from(json!({"A": [1]})), "separator": "="}})).unwrap_err();
        assert_eq!(error.to_string(), "A is [1], expected a string, a number or a boolean");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let missing = evaluate(json!({"option": "services.y"})).unwrap_err();
        assert_eq!(missing.fault, ValueSpecFault::NoSuchOption("services.y".to_owned()));
        assert_eq!(missing.to_string(), "the option services.y is not one of the service's options");
    }

    #[test]
    fn errors_name_their_place() {
        let places = [
            (json!({"when": {"condition": {"literal": 1}, "then": {"literal": 1}}}), "when.condition"),
            (
                json!({"list": [{"literal": 1}, {"when": {"condition": {"literal": 1}, "then": {"literal": 1}}}]}),
                "list[1].when.condition",
            ),
            (json!({"attrs": {"a.b": {"select": {"from": {"option": "x"}, "path": []}}}}), "attrs.\"a.b\".select.from"),
            (
                json!({"when": {"condition": {"literal": true}, "then": {"list": [{"option": "x"}]}}}),
                "when.then.list[0]",
            ),
        ];
        for (spec, place) in places {
            let error = evaluate(spec).unwrap_err();
            assert_eq!(error.place, place);
            assert!(error.to_string().starts_with(&format!("at {place}: ")), "{error}");
        }
    }
}
