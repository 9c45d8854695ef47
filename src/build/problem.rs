//! A problem of a description, and its place.

use std::fmt;

use crate::nix;

/// A place in the description: the keys from the top, in the notation of attribute paths
/// (`services.harmonia.files."harmonia.toml".value.list[0]`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Element(usize),
}

impl Place {
    /// The description as a whole.
    #[must_use]
    pub fn top() -> Self {
        Self::default()
    }

    /// Below a key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// Below several keys.
    #[must_use]
    pub fn keys<const N: usize>(&self, keys: [&str; N]) -> Self {
        keys.into_iter().fold(self.clone(), |place, key| place.key(key))
    }

    /// A list's element.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        self.with(Step::Element(index))
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the description");
        }
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Element(number) => write!(f, "[{number}]")?,
                Step::Key(key) => {
                    let dot = if index > 0 { "." } else { "" };
                    let key = if nix::is_plain_name(key) { key.clone() } else { nix::quoted(key) };
                    write!(f, "{dot}{key}")?;
                }
            }
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The place in the description.
    pub place: Place,
    /// The problem, what is allowed, and what to do.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Everything that was found to be wrong, in the order in which it was found.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one.
    pub fn add(&mut self, place: &Place, problem: impl fmt::Display) {
        self.0.push(Problem { place: place.clone(), problem: problem.to_string() });
    }

    /// `value` if there are none.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_one_would_write_it() {
        assert_eq!(Place::top().to_string(), "the description");
        let place = Place::top().keys(["services", "x", "files", "a.toml", "value", "list"]).element(0).key("attrs");
        assert_eq!(place.to_string(), r#"services.x.files."a.toml".value.list[0].attrs"#);
    }
}
