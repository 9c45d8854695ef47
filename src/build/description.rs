//! Reads the description: strictly, so that a misspelt key is an error with its place and not a default.

use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};

use super::checks::Problem;
use crate::plan::{Plan, VERSION};

/// Reads a description: the plan without what `generate` adds.
pub fn read(text: &str) -> Result<Plan, Vec<Problem>> {
    let problem = |place: String, problem: String| vec![Problem { place, problem }];
    let version = serde_json::from_str::<serde_json::Value>(text)
        .map_err(|error| problem("description".to_owned(), format!("it is not JSON: {error}")))?
        .get("version")
        .cloned();
    match version {
        Some(version) if version == VERSION => {}
        Some(other) => {
            return Err(problem("version".to_owned(), format!("it is {other}, this dynix reads version {VERSION}")));
        }
        None => return Err(problem("version".to_owned(), format!("it is missing; expected {VERSION}"))),
    }
    let unique = serde_path_to_error::deserialize::<_, Unique>(&mut serde_json::Deserializer::from_str(text));
    unique.map_err(|error| problem(error.path().to_string(), plain(&error.inner().to_string())))?;
    let plan: Plan = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| problem(error.path().to_string(), plain(&error.inner().to_string())))?;
    let proofs = plan.services.iter().flat_map(|(name, service)| {
        service.files.iter().filter(|(_, file)| file.proof.is_some()).map(move |(file, _)| Problem {
            place: format!("services.{name}.files.{file}.proof"),
            problem: "it is for generate to say".to_owned(),
        })
    });
    let proofs: Vec<Problem> = proofs.collect();
    if proofs.is_empty() { Ok(plan) } else { Err(proofs) }
}

/// The path says where; the line of a generated text says nothing.
fn plain(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

/// Any JSON in which no object has a name twice: the last one would win without a word.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut names = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("{name:?} is given twice")));
            }
            names.insert(name);
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}
