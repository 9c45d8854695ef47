//! Reads JSON strictly, as a contract needs it: no name twice in an object, and no number that 64 bits can't hold
//! exactly.
//!
//! Takes text; gives a value, or every problem with its place. `serde_json` by itself silently lets the last of two
//! equal names win, and rounds numbers.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::{Place, Problem, Problems};
use crate::types::number;

/// Reads a JSON document.
pub fn read(text: &str) -> Result<Value, Vec<Problem>> {
    let problems = RefCell::new(Problems::default());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let numbers = RefCell::new(number::faults(text.as_bytes()));
    let node = Node { place: Place::top(), problems: &problems, numbers: &numbers };
    let value = node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    let value = value.unwrap_or_else(|error| {
        problems.borrow_mut().add(&Place::top(), format!("it is not JSON: {error}"));
        Value::Null
    });
    problems.into_inner().or(value)
}

/// A value that is being read, and where.
struct Node<'p, N> {
    place: Place,
    problems: &'p RefCell<Problems>,
    /// The faults of the numbers that are yet to come.
    numbers: &'p RefCell<N>,
}

impl<N: Iterator<Item = Option<String>>> Node<'_, N> {
    fn number(&self) {
        if let Some(fault) = self.numbers.borrow_mut().next().flatten() {
            self.problems.borrow_mut().add(&self.place, fault);
        }
    }
}

impl<'de, N: Iterator<Item = Option<String>>> DeserializeSeed<'de> for Node<'_, N> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, N: Iterator<Item = Option<String>>> Visitor<'de> for Node<'_, N> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = self.place.key(&name);
            let (problems, numbers) = (self.problems, self.numbers);
            let value = entries.next_value_seed(Node { place: place.clone(), problems, numbers })?;
            if object.insert(name, value).is_some() {
                self.problems.borrow_mut().add(&place, "it is given twice");
            }
        }
        Ok(Value::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let (problems, numbers) = (self.problems, self.numbers);
        while let Some(value) =
            elements.next_element_seed(Node { place: self.place.element(list.len()), problems, numbers })?
        {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.number();
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.number();
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.number();
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number has to be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_document_is_what_serde_json_reads() {
        let text = r#"{"a": [1, -2, 2.5, 1e300, null, true, "x\u00e9"], "b": {"": {}}}"#;
        assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read("9223372036854775807").unwrap(), json!(i64::MAX));
    }

    #[test]
    fn every_name_that_is_given_twice_is_named() {
        let text = r#"{"a": {"b.c": 1, "b.c": 2}, "d": [{}, {"e": 1, "e": 1}]}"#;
        assert_eq!(problems(text), [r#"a."b.c": it is given twice"#, "d[1].e: it is given twice"]);
    }

    #[test]
    fn what_is_no_json_or_no_integer_of_nix_is_refused() {
        for (text, place) in [
            (r#"{"a": 9223372036854775808}"#, "a: "),
            (r#"{"x": [1, "-0 \" 1e-400", 2.5], "a": {"b": [0, 18446744073709551616]}}"#, "a.b[1]: "),
            (r#"{"a": -9223372036854775809}"#, "a: "),
            (r#"{"a": 1e-400}"#, "a: "),
            (r#"{"a": 0.1234567890123456789}"#, "a: "),
            (r#"{"a": -0}"#, "a: "),
        ] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
        }
        for bad in ["", "{", "{} {}", "{\"a\": 1e999}", "{'a': 1}", "[1,]", "NaN"] {
            assert!(problems(bad)[0].starts_with("the description: it is not JSON: "), "{bad}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
