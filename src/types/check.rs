//! A whole option's value against its type.

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::describe;
use crate::attr_path::AttrPath;

/// An option's type, compiled.
#[derive(Debug)]
pub struct Type<'s> {
    schema: &'s Value,
    validator: jsonschema::Validator,
}

/// A schema that is not one (the plan was edited: `generate` checks them).
#[derive(Debug, thiserror::Error)]
#[error("not a JSON Schema: {0}")]
pub struct InvalidSchema(String);

/// One place where a value is not of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Where, below the option; list elements by index.
    pub path: AttrPath,
    /// What stands there.
    pub given: Value,
    /// What is wrong with it.
    pub problem: String,
    /// What may stand there, as a noun phrase.
    pub allowed: String,
}

impl<'s> Type<'s> {
    /// Compiles `schema` (JSON Schema 2020-12).
    pub fn new(schema: &'s Value) -> Result<Self, InvalidSchema> {
        let validator = jsonschema::draft202012::new(schema).map_err(|error| InvalidSchema(error.to_string()))?;
        Ok(Self { schema, validator })
    }

    /// Every place where `value` is not of this type, outermost first; empty for a value that is.
    #[must_use]
    pub fn mismatches(&self, value: &Value) -> Vec<Mismatch> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        self.validator.iter_errors(value).flat_map(|error| self.innermost(&error)).collect()
    }

    /// Of alternatives, the one that the value was meant to be says more than that it is none of them: it is the one
    /// that fits at the place itself, and fails only below it.
    fn innermost(&self, error: &jsonschema::ValidationError<'_>) -> Vec<Mismatch> {
        let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind()
        else {
            return vec![self.mismatch(error)];
        };
        let here = error.instance_path().as_str().len();
        let meant = context.iter().find(|branch| {
            !branch.is_empty() && branch.iter().all(|below| below.instance_path().as_str().len() > here)
        });
        match meant {
            Some(branch) => branch.iter().flat_map(|below| self.innermost(below)).collect(),
            None => vec![self.mismatch(error)],
        }
    }

    fn mismatch(&self, error: &jsonschema::ValidationError<'_>) -> Mismatch {
        let path = pointer_names(error.instance_path().as_str());
        let given = error.instance().clone().into_owned();
        // The schema that holds the failing keyword; for a name too many, what the set may hold.
        let schema_path = error.schema_path().as_str();
        let holder = schema_path.rsplit_once('/').map_or("", |(holder, _)| holder);
        let allowed = self.schema.pointer(holder).map_or_else(|| "anything".to_owned(), describe);
        let problem = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                format!("unknown name {}", unexpected.join(", "))
            }
            ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
                "it is none of what its type allows".to_owned()
            }
            _ => error.masked_with("it").to_string(),
        };
        Mismatch { path: AttrPath(path), given, problem, allowed }
    }
}

/// The names of a JSON pointer (RFC 6901).
fn pointer_names(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mismatch_names_the_place_the_value_and_what_is_allowed() {
        let schema = json!({"properties": {"a/b": {"properties": {"port": {"type": "integer", "maximum": 65535}}}}});
        let mismatches = Type::new(&schema).unwrap().mismatches(&json!({"a/b": {"port": 70000}}));
        assert_eq!(
            mismatches,
            vec![Mismatch {
                path: AttrPath(vec!["a/b".to_owned(), "port".to_owned()]),
                given: json!(70000),
                problem: "it is greater than the maximum of 65535".to_owned(),
                allowed: "integer of at most 65535".to_owned(),
            }]
        );
    }

    #[test]
    fn a_mismatch_within_an_alternative_is_found_where_it_is() {
        // As the type of pkgs.formats.toml is.
        let schema = json!({"$ref": "#/$defs/value", "$defs": {"value": {"anyOf": [
            {"type": "integer"},
            {"type": "string"},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
            {"type": "array", "items": {"$ref": "#/$defs/value"}},
        ]}}});
        let value = json!({"workers": 4, "listen": [{"port": null}]});
        let mismatches = Type::new(&schema).unwrap().mismatches(&value);
        assert_eq!(
            mismatches,
            vec![Mismatch {
                path: AttrPath(vec!["listen".to_owned(), "0".to_owned(), "port".to_owned()]),
                given: json!(null),
                problem: "it is none of what its type allows".to_owned(),
                allowed: "integer or string or attribute set or list".to_owned(),
            }]
        );
    }

    #[test]
    fn a_value_of_its_type_has_none() {
        let schema = json!({"type": "object"});
        assert_eq!(Type::new(&schema).unwrap().mismatches(&json!({"workers": 4})), vec![]);
    }

    #[test]
    fn a_schema_that_is_not_one_is_refused() {
        assert!(Type::new(&json!({"type": "intger"})).is_err());
    }
}
