//! Reads a record that dynix wrote: one line, literals only, at memory speed.
//!
//! Takes a line and gives the record, or nothing where the line is anything else than such a record: then the whole of
//! Nix's syntax is for [`super::syntax`]. What is accepted here is a subset of Nix's grammar with the same meaning.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::record::{Kind, Record, descend, literal};
use crate::attr_path::AttrPath;
use crate::nix;

/// A record, borrowing from its line what it can.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'t> {
    /// Its id, if it says one.
    pub id: Option<u64>,
    /// `time`, `by`, `until` as far as it has them.
    pub marks: [Option<Cow<'t, str>>; 3],
    /// What it says.
    pub kind: LineKind<'t>,
}

/// What a line says; by far most set one value.
#[derive(Clone, Debug, PartialEq)]
pub enum LineKind<'t> {
    /// A value without attribute sets.
    Set(Vec<Cow<'t, str>>, Value),
    /// Anything else.
    Other(Kind),
}

impl Line<'_> {
    /// The record. `before` is the id of the one before it.
    #[must_use]
    pub fn into_record(self, before: u64) -> Record {
        let [time, by, until] = self.marks.map(|mark| mark.map(Cow::into_owned));
        let kind = match self.kind {
            LineKind::Set(path, value) => {
                Kind::Set(vec![(AttrPath(path.into_iter().map(Cow::into_owned).collect()), value)])
            }
            LineKind::Other(kind) => kind,
        };
        Record { id: self.id.unwrap_or(before + 1), time, by, until, kind }
    }
}

/// Reads `line`, without its end.
#[must_use]
pub fn read(line: &str) -> Option<Line<'_>> {
    let mut reader = Reader { text: line, at: 0 };
    let parsed = reader.record()?;
    reader.blanks();
    (reader.at == line.len()).then_some(parsed)
}

/// Reads one literal that is all of `text`.
#[must_use]
pub fn read_value(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes `byte`, and blanks before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn starts(&mut self, byte: u8) -> bool {
        self.blanks();
        self.peek() == Some(byte)
    }

    fn record(&mut self) -> Option<Line<'t>> {
        self.take(b'{')?;
        let (mut id, mut marks, mut reason, mut kind) = (None, [None, None, None], None, None);
        while !self.starts(b'}') {
            let name = self.name()?;
            match name.as_ref() {
                "set" => {
                    let mut path = Vec::with_capacity(5);
                    while self.starts(b'.') {
                        self.at += 1;
                        path.push(self.name()?);
                    }
                    self.take(b'=')?;
                    let value = self.value(0)?;
                    fill(&mut kind, Self::set(path, value)?)?;
                }
                "replace" => {
                    let value = self.bound()?;
                    fill(&mut kind, LineKind::Other(replacement(value)?))?;
                }
                "unset" => {
                    let value = self.bound()?;
                    fill(&mut kind, LineKind::Other(Kind::Unset(path(&value)?)))?;
                }
                "rollback" => fill(&mut kind, LineKind::Other(Kind::Rollback(self.bound()?.as_u64()?)))?,
                "reject" => fill(
                    &mut kind,
                    LineKind::Other(Kind::Reject { id: self.bound()?.as_u64()?, reason: String::new() }),
                )?,
                "id" => fill(&mut id, self.bound()?.as_u64()?)?,
                "time" => self.text(&mut marks[0])?,
                "by" => self.text(&mut marks[1])?,
                "until" => self.text(&mut marks[2])?,
                "reason" => self.text(&mut reason)?,
                _ => return None,
            }
            self.take(b';')?;
        }
        self.take(b'}')?;
        let mut kind = kind?;
        if let (Some(reason), LineKind::Other(Kind::Reject { reason: place, .. })) = (&reason, &mut kind) {
            *place = reason.clone().into_owned();
        } else if reason.is_some() {
            return None;
        }
        Some(Line { id, marks, kind })
    }

    /// A set of one leaf stays borrowed.
    fn set(path: Vec<Cow<'t, str>>, value: Value) -> Option<LineKind<'t>> {
        if path.is_empty() || path.iter().any(|name| nix::is_reserved(name)) || literal(&value).is_err() {
            return None;
        }
        let Value::Object(tree) = value else { return Some(LineKind::Set(path, value)) };
        let mut found = Vec::new();
        descend(tree, &mut path.into_iter().map(Cow::into_owned).collect(), &mut found).ok()?;
        Some(LineKind::Other(Kind::Set(found)))
    }

    fn bound(&mut self) -> Option<Value> {
        self.take(b'=')?;
        self.value(0)
    }

    fn text(&mut self, place: &mut Option<Cow<'t, str>>) -> Option<()> {
        self.take(b'=')?;
        self.blanks();
        fill(place, self.string()?)
    }

    fn name(&mut self) -> Option<Cow<'t, str>> {
        self.blanks();
        if self.peek()? == b'"' { self.string() } else { self.identifier().map(Cow::Borrowed) }
    }

    fn identifier(&mut self) -> Option<&'t str> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'-')))
            .unwrap_or(rest.len());
        if length == 0 || !(rest[0].is_ascii_alphabetic() || rest[0] == b'_') {
            return None;
        }
        let word = &self.text[self.at..self.at + length];
        self.at += length;
        nix::is_plain_name(word).then_some(word)
    }

    /// A quoted string without interpolation.
    fn string(&mut self) -> Option<Cow<'t, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let end = memchr::memchr3(b'"', b'\\', b'$', rest)?;
        if rest[end] == b'"' {
            self.at = start + end + 1;
            let text = &self.text[start..start + end];
            // Nix reads a carriage return as a line end.
            return (memchr::memchr(b'\r', text.as_bytes()).is_none()).then_some(Cow::Borrowed(text));
        }
        self.escaped(start).map(Cow::Owned)
    }

    fn escaped(&mut self, start: usize) -> Option<String> {
        let mut string = String::new();
        let mut characters = self.text[start..].char_indices();
        loop {
            match characters.next()? {
                (end, '"') => {
                    self.at = start + end + 1;
                    return Some(string);
                }
                (_, '\\') => string.push(nix::unescaped(characters.next()?.1)),
                // `${` begins code, mostly; `$${` has rules of its own.
                (at, '$') if self.text.as_bytes().get(start + at + 1) == Some(&b'{') => return None,
                (_, '\r') => return None,
                (_, other) => string.push(other),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > nix::MAX_DEPTH {
            return None;
        }
        self.blanks();
        match self.peek()? {
            b'"' => self.string().map(|text| Value::String(text.into_owned())),
            b'[' => self.list(depth),
            b'{' => self.attributes(depth),
            b'(' => self.parenthesised(),
            b'-' => {
                self.at += 1;
                self.blanks();
                self.number(true)
            }
            b'0'..=b'9' => self.number(false),
            _ => match self.identifier()? {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" => Some(Value::Null),
                _ => None,
            },
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.take(b'[')?;
        let mut items = Vec::new();
        while !self.starts(b']') {
            // In a list a minus is no sign, and what stands next to each other needs a blank between.
            if self.peek()? == b'-' || !self.separated() {
                return None;
            }
            items.push(self.value(depth + 1)?);
        }
        self.take(b']')?;
        Some(Value::Array(items))
    }

    fn separated(&self) -> bool {
        matches!(self.text.as_bytes()[self.at - 1], b' ' | b'\t' | b'[')
    }

    fn attributes(&mut self, depth: usize) -> Option<Value> {
        self.take(b'{')?;
        let mut attributes = Map::new();
        while !self.starts(b'}') {
            let name = self.name()?;
            self.take(b'=')?;
            let value = self.value(depth + 1)?;
            self.take(b';')?;
            if attributes.insert(name.into_owned(), value).is_some() {
                return None;
            }
        }
        self.take(b'}')?;
        Some(Value::Object(attributes))
    }

    /// `(-1)`, `(-1.5)` and `(-9223372036854775807 - 1)`.
    fn parenthesised(&mut self) -> Option<Value> {
        self.take(b'(')?;
        self.take(b'-')?;
        let value = self.number(true)?;
        if self.starts(b')') {
            self.at += 1;
            return Some(value);
        }
        let least = value.as_i64()? == -i64::MAX && self.text[self.at..].starts_with("- 1)");
        least.then(|| {
            self.at += 4;
            Value::from(i64::MIN)
        })
    }

    /// An integer, or a float as Nix's lexer has it: `(([1-9][0-9]*\.[0-9]*)|(0?\.[0-9]+))([Ee][+-]?[0-9]+)?`.
    fn number(&mut self, negative: bool) -> Option<Value> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = digits(0);
        if whole == 0 {
            return None;
        }
        if rest.get(whole) != Some(&b'.') {
            let number: i64 = self.text[self.at..self.at + whole].parse().ok()?;
            self.at += whole;
            self.ends()?;
            return Some(Value::from(if negative { -number } else { number }));
        }
        let fraction = digits(whole + 1);
        if fraction == 0 || (rest[0] == b'0' && whole > 1) {
            return None;
        }
        let mut length = whole + 1 + fraction;
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent == 0 {
                return None;
            }
            length += 1 + sign + exponent;
        }
        let number: f64 = self.text[self.at..self.at + length].parse().ok()?;
        self.at += length;
        self.ends()?;
        Number::from_f64(if negative { -number } else { number }).map(Value::Number)
    }

    /// What follows a number can't be part of another token.
    fn ends(&self) -> Option<()> {
        matches!(self.peek(), None | Some(b' ' | b'\t' | b';' | b')' | b']')).then_some(())
    }
}

/// Each word once.
fn fill<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn path(value: &Value) -> Option<AttrPath> {
    let names: Option<Vec<String>> = value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    names.filter(|names| !names.is_empty()).map(AttrPath)
}

fn replacement(value: Value) -> Option<Kind> {
    let Value::Object(mut attributes) = value else { return None };
    let (at, value) = (attributes.remove("path")?, attributes.remove("value")?);
    (attributes.is_empty() && literal(&value).is_ok()).then_some(())?;
    Some(Kind::Replace(path(&at)?, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::record::{Change, Stamp, write_line};
    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::from(i64::MIN)),
            any::<f64>().prop_filter("one that Nix has", |float| float.is_normal()).prop_map(Value::from),
            "[^\0]{0,12}".prop_map(Value::from),
            prop_oneof![Just("${x}"), Just("\\${"), Just("\"; }\n{"), Just("''"), Just("$$"), Just("$${")]
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[^\0]{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(names in proptest::collection::vec("[^\0]{0,8}", 1..5), value in values()) {
            let stamp = Stamp { time: "2026-11-21T10:00:00Z", by: "a \"b\" ${c}", until: None };
            let change = Change::Replace(AttrPath(names.clone()), value.clone());
            let mut text = String::new();
            write_line(&mut text, 7, &stamp, &change).unwrap();
            let line = text.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains('\n'));
            let read = read(line).unwrap();
            prop_assert_eq!(read.id, Some(7));
            prop_assert_eq!(read.marks[1].as_deref(), Some(stamp.by));
            prop_assert_eq!(read.kind, LineKind::Other(Kind::Replace(AttrPath(names), value)));
        }

        #[test]
        fn no_line_breaks_the_reader(line in "\\PC{0,60}") {
            let _ = read(&line);
        }
    }

    #[test]
    fn every_kind_of_record_is_read() {
        for (line, kind) in [
            (r#"{ id = 1; unset = [ "a" "b.c" ]; }"#, Kind::Unset(AttrPath(vec!["a".into(), "b.c".into()]))),
            ("{ id = 1; rollback = 0; }", Kind::Rollback(0)),
            (r#"{ id = 1; reject = 4; reason = "no"; }"#, Kind::Reject { id: 4, reason: "no".into() }),
        ] {
            assert_eq!(read(line).unwrap().kind, LineKind::Other(kind), "{line}");
        }
        let set = read(r#"{ id = 3; until = "x"; set.services."a.b".c = [ 1 (-2) "x" ]; }"#).unwrap();
        assert_eq!(set.kind, LineKind::Set(vec!["services".into(), "a.b".into(), "c".into()], json!([1, -2, "x"])));
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        for line in [
            "{ id = 1; set.a = b; }",
            "{ id = 1; set.a = \"${b}\"; }",
            "{ id = 1; set.a = 1; set.b = 2; }",
            "{ id = 1; set.a = 1; id = 2; }",
            "{ id = 1; set.a = [ 1-2 ]; }",
            "{ id = 1; set.a = [ -2 ]; }",
            "{ id = 1; set.a = 01.5; }",
            "{ id = 1; set.a = 1.; }",
            "{ id = 1; set.a = 99999999999999999999; }",
            "{ id = 1; set.a = 1; } # note",
            "{ id = 1; set.a = 1; } {",
            "{ id = 1; set.a._type = \"override\"; }",
            "{ id = 1; }",
            "{ id = 1; set.if = 1; }",
            "rec { id = 1; set.a = 1; }",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
