//! Values and types: what is taken is what the module system takes, by a judge that is not ours.

use dynix::types::{Below, compile};
use serde_json::{Value, json};

use super::Bytes;

impl Bytes<'_> {
    fn schema(&mut self, depth: u32) -> Value {
        match self.byte() % 12 {
            0 => json!({"type": "null"}),
            1 => json!({"type": "boolean"}),
            2 => json!({"type": "integer"}),
            3 => json!({"type": "integer", "minimum": self.byte() % 8, "maximum": self.byte()}),
            4 => json!({"type": "number", "not": {"type": "integer"}}),
            5 => json!({"enum": [self.scalar(), self.scalar()]}),
            6 if depth < 3 => json!({"type": "array", "items": self.schema(depth + 1)}),
            7 if depth < 3 => json!({"type": "object", "additionalProperties": self.schema(depth + 1)}),
            8 if depth < 3 => {
                let required: &[&str] = if self.byte().is_multiple_of(2) { &["a"] } else { &[] };
                json!({"type": "object", "properties": {"a": self.schema(depth + 1), "b": self.schema(depth + 1)},
                       "required": required, "additionalProperties": false})
            }
            9 | 10 if depth < 3 => json!({"anyOf": [self.schema(depth + 1), self.schema(depth + 1)]}),
            _ => json!({"type": "string"}),
        }
    }

    fn scalar(&mut self) -> Value {
        match self.byte() % 6 {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(1.5),
            3 => json!("a"),
            4 => json!("b"),
            _ => json!(self.byte() % 8),
        }
    }

    fn candidate(&mut self, depth: u32) -> Value {
        match self.byte() % 8 {
            0 if depth < 4 => (0..self.byte() % 3).map(|_| self.candidate(depth + 1)).collect(),
            1 | 2 if depth < 4 => {
                let name = |byte: u8| ["a", "b", "c"][usize::from(byte) % 3].to_owned();
                Value::Object((0..self.byte() % 3).map(|_| (name(self.byte()), self.candidate(depth + 1))).collect())
            }
            3 => self.value(6),
            _ => self.scalar(),
        }
    }
}

/// `check` of a type (nixpkgs lib/types.nix): what a value is at its top.
fn is_at_top(schema: &Value, value: &Value) -> bool {
    if let Some(values) = schema["enum"].as_array() {
        // `==` of Nix, by which `elem` finds them: 1 is 1.0.
        let is_equal = |one: &Value| one == value || one.is_number() && one.as_f64() == value.as_f64();
        return values.iter().any(is_equal);
    }
    if let Some(parts) = schema["anyOf"].as_array() {
        return parts.iter().any(|part| is_at_top(part, value));
    }
    match schema["type"].as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_f64(),
        "integer" => value.as_i64().is_some_and(|number| {
            schema["minimum"].as_i64().is_none_or(|least| number >= least)
                && schema["maximum"].as_i64().is_none_or(|most| number <= most)
        }),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_string(),
    }
}

/// What comes of a definition: the first of several types that takes its top decides for all that is below.
fn is_taken(schema: &Value, value: &Value) -> bool {
    if let Some(parts) = schema["anyOf"].as_array() {
        return parts.iter().find(|part| is_at_top(part, value)).is_some_and(|part| is_taken(part, value));
    }
    if !is_at_top(schema, value) {
        return false;
    }
    match value {
        Value::Array(items) => items.iter().all(|item| is_taken(&schema["items"], item)),
        Value::Object(attributes) => {
            let closed = schema["additionalProperties"] == false;
            let required = schema["required"].as_array().into_iter().flatten();
            required.clone().all(|name| attributes.contains_key(name.as_str().unwrap()))
                && attributes.iter().all(|(name, value)| match (schema["properties"].get(name), closed) {
                    (Some(property), _) => is_taken(property, value),
                    (None, true) => false,
                    (None, false) => is_taken(&schema["additionalProperties"], value),
                })
        }
        _ => true,
    }
}

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (schema, value) = (bytes.schema(0), bytes.candidate(0));
    let kind = match compile(&schema) {
        Ok(kind) => kind,
        // A range that is none, an enumeration with a value twice.
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mismatches = kind.mismatches(&value, None);
    assert_eq!(mismatches.is_empty(), is_taken(&schema, &value), "{schema} {value} {mismatches:?}");
    assert!(!kind.describe().is_empty());
    for one in &mismatches {
        assert!(!one.allowed.is_empty() && !one.fault.to_string().is_empty(), "{schema} {value}");
    }
    let Below::Part(part) = kind.below(&[]) else { panic!("the whole is there") };
    assert_eq!(part.takes(&value, None), mismatches.is_empty(), "{schema} {value}");
    assert!(part.listed().len() < 100 && !part.describe().is_empty());
    // Any value at all is judged.
    let _ = kind.mismatches(&bytes.value(0), Some(&value));
}
