//! The parameters of formats, and the strict check of them. Parameters that are data in nixpkgs keep their names.
//! Parameters that are Nix functions there (`mkKeyValue`) are named options for the conventions that modules use.

use serde_json::{Map, Value};

use super::{Format, all};

/// One parameter of a format.
pub struct Parameter {
    /// The name in the plan.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// Its effect, and the default.
    pub summary: &'static str,
}

/// The kind of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// `true`, `false`, or `null` for "not set"; part of the option's type in nixpkgs, and changes no text.
    OfTheType,
    /// Any string without NUL.
    Text,
    /// A string, or `null` for "not set".
    OptionalText,
    /// A number of columns, 1 to 1000.
    Columns,
    /// The name of a section, or `null` for "not set".
    Section,
    /// The name of an environment variable.
    Variable,
    /// One of these numbers.
    OneOf(&'static [u64]),
    /// One of these strings.
    Choice(&'static [&'static str]),
}

impl Kind {
    pub(super) fn allows(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean | Self::OfTheType, Value::Bool(_))
            | (Self::OfTheType | Self::OptionalText | Self::Section, Value::Null) => true,
            (Self::Text | Self::OptionalText | Self::Section, Value::String(text)) => !text.contains('\0'),
            (Self::Columns, Value::Number(number)) => {
                number.as_u64().is_some_and(|columns| (1..=1000).contains(&columns))
            }
            (Self::OneOf(numbers), Value::Number(number)) => number.as_u64().is_some_and(|one| numbers.contains(&one)),
            (Self::Variable, Value::String(name)) => crate::quote::is_variable_name(name),
            (Self::Choice(choices), Value::String(choice)) => choices.contains(&choice.as_str()),
            _ => false,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::OfTheType => f.write_str("true, false or null"),
            Self::Text => f.write_str("a string"),
            Self::OptionalText | Self::Section => f.write_str("a string or null"),
            Self::Columns => f.write_str("an integer from 1 to 1000"),
            Self::Variable => f.write_str("the name of an environment variable (letters, digits, _, no digit first)"),
            Self::OneOf(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
                f.write_str(&numbers.join(" or "))
            }
            Self::Choice(choices) => {
                let choices: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
                f.write_str(&choices.join(" or "))
            }
        }
    }
}

/// A format, dialect or parameter that there isn't.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No such format.
    #[error("unknown format {name:?}; known are {known}")]
    UnknownFormat {
        /// As it was given.
        name: String,
        /// All names.
        known: String,
    },
    /// The format has no such dialect.
    #[error("format {format} has no dialect {dialect:?}; {known}")]
    UnknownDialect {
        /// The format's name.
        format: &'static str,
        /// As it was given.
        dialect: String,
        /// The known ones.
        known: String,
    },
    /// The format has no such parameter.
    #[error("format {format} has no parameter {parameter:?}; {known}")]
    UnknownParameter {
        /// The format's name.
        format: &'static str,
        /// As it was given.
        parameter: String,
        /// The known ones.
        known: String,
    },
    /// The parameter can't have that value.
    #[error("parameter {parameter} of format {format} is {value}, but has to be {allowed}")]
    InvalidParameter {
        /// The format's name.
        format: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// As JSON.
        value: String,
        /// The allowed values.
        allowed: String,
    },
    /// Parameters that don't go together.
    #[error("{0}")]
    Inconsistent(&'static str),
}

impl SpecError {
    pub(super) fn unknown_format(name: &str) -> Self {
        Self::UnknownFormat { name: name.to_owned(), known: list(all().iter().map(|format| format.name)) }
    }

    pub(super) fn unknown_dialect(format: &Format, dialect: &str) -> Self {
        let known = match format.dialects {
            [] => "it is written in one way only".to_owned(),
            dialects => format!("it has {}", list(dialects.iter().copied())),
        };
        Self::UnknownDialect { format: format.name, dialect: dialect.to_owned(), known }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Whether `format` knows every one of `parameters` and allows its value.
pub(super) fn check(format: &Format, parameters: &Map<String, Value>) -> Result<(), SpecError> {
    for (name, value) in parameters {
        let Some(parameter) = format.parameters.iter().find(|parameter| parameter.name == name) else {
            let known = match format.parameters {
                [] => "it has none".to_owned(),
                known => format!("it has {}", list(known.iter().map(|parameter| parameter.name))),
            };
            return Err(SpecError::UnknownParameter { format: format.name, parameter: name.clone(), known });
        };
        if !parameter.kind.allows(value) {
            return Err(SpecError::InvalidParameter {
                format: format.name,
                parameter: parameter.name,
                value: value.to_string(),
                allowed: parameter.kind.to_string(),
            });
        }
    }
    Ok(())
}
