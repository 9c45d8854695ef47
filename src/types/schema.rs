//! A type as the plan has it: its schema, which is compiled on first use.

use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::compile::{SchemaError, compile};
use super::kind::Type;

/// A schema, compiled when it is first needed: most commands need the types of few options.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    source: Value,
    kind: OnceLock<Result<Type, SchemaError>>,
}

impl Schema {
    /// The compiled type. A failure is an error of the plan: `generate` compiles every schema.
    pub fn kind(&self) -> Result<&Type, &SchemaError> {
        self.kind.get_or_init(|| compile(&self.source)).as_ref()
    }
}

impl From<Value> for Schema {
    fn from(source: Value) -> Self {
        Self { source, kind: OnceLock::new() }
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}
