//! Reads a literal record on one line, at memory speed.
//!
//! Takes the text from the record's opening brace to the end of its line; gives the record, or nothing. Then
//! [`super::hand`] reads it with Nix's whole syntax. This reader accepts a subset of Nix in which the text can mean
//! nothing else, and declines in doubt.

use std::borrow::Cow;

use memchr::{memchr, memchr3};
use serde_json::{Map, Number, Value};

use super::entry::{Entry, Names, Operation, plain_names};
use crate::nix;
use crate::types::number;

/// The record that begins at the start of `line`, if nothing but a comment follows it.
pub(super) fn record(line: &str) -> Option<Entry<'_>> {
    let mut scanner = Scanner { text: line, at: 0 };
    let entry = scanner.record()?;
    scanner.space();
    match scanner.peek() {
        None => Some(entry),
        // A carriage return ends a comment for Nix.
        Some(b'#') if !line[scanner.at..].trim_end_matches('\r').contains('\r') => Some(entry),
        _ => None,
    }
}

/// The length of a time as dynix writes it.
const TIME: usize = 20;

/// The bytes that continue a name.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\'');
        byte += 1;
    }
    table
};

/// Strings up to here are looked at byte by byte.
const SHORT: usize = 32;

/// The bytes of a string that need a closer look, or end it.
const ENDS_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'$' as usize] = true;
    table[b'\r' as usize] = true;
    table
};

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// The byte, after any space.
    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn identifier(&mut self) -> Option<&'a str> {
        let bytes = &self.text.as_bytes()[self.at..];
        let first = *bytes.first()?;
        if !(first.is_ascii_alphabetic() || first == b'_') {
            return None;
        }
        let length = bytes.iter().position(|byte| !IN_NAME[usize::from(*byte)]).unwrap_or(bytes.len());
        let name = &self.text[self.at..self.at + length];
        self.at += length;
        Some(name)
    }

    fn record(&mut self) -> Option<Entry<'a>> {
        let (mut id, mut time, mut by, mut until, mut message, mut reason) = (None, None, None, None, None, None);
        let (mut operation, mut rejected, mut source, mut revision) = (None, None, None, None);
        if let Some((number, text)) = self.beginning() {
            (id, time) = (Some(number), Some(Cow::Borrowed(text)));
        } else {
            self.expect(b'{')?;
        }
        while !self.eat(b'}') {
            let name = self.identifier()?;
            match name {
                "id" => put(&mut id, self.assigned(Self::integer)?)?,
                "time" => put(&mut time, self.assigned(Self::string)?)?,
                "by" => put(&mut by, self.assigned(Self::string)?)?,
                "until" => put(&mut until, self.assigned(Self::string)?)?,
                "message" => put(&mut message, self.assigned(Self::string)?)?,
                "reason" => put(&mut reason, self.assigned(Self::string)?)?,
                "source" => put(&mut source, self.assigned(Self::string)?)?,
                "revision" => put(&mut revision, self.assigned(Self::string)?)?,
                "set" => put(&mut operation, self.set()?)?,
                "replace" => put(&mut operation, self.assigned(Self::replace)?)?,
                "unset" => put(&mut operation, Operation::Unset(self.assigned(Self::path_list)?))?,
                "rollback" => put(&mut operation, Operation::Rollback(self.assigned(Self::integer)?))?,
                "reject" => put(&mut rejected, self.assigned(Self::integer)?)?,
                _ => return None,
            }
            self.expect(b';')?;
        }
        let operation = match (operation, rejected, reason) {
            (None, Some(id), reason) => Operation::Reject { id, reason },
            (Some(operation), None, None) => operation,
            _ => return None,
        };
        let is_of_host = source.is_none() && revision.is_none();
        let operation = if is_of_host { operation } else { operation.with_source(source, revision).ok()? };
        if !is_of_host && until.is_some() {
            return None;
        }
        Some(Entry { id, time, by, until, message, operation })
    }

    /// `{ id = 1; time = "2026-11-21T10:00:00Z"; `, as all records of dynix begin.
    fn beginning(&mut self) -> Option<(u64, &'a str)> {
        let rest = self.text.strip_prefix("{ id = ")?;
        let digits = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let time = rest[digits..].strip_prefix("; time = \"")?;
        let (time, rest) = (time.get(..TIME)?, time.get(TIME..)?.strip_prefix("\"; ")?);
        // More digits than that are a matter for the closer look, and so are zeros in front.
        if !(1..=18).contains(&digits) || self.text.as_bytes()[7] == b'0' || !is_plain_time(time.as_bytes()) {
            return None;
        }
        let id = self.text[7..7 + digits].bytes().fold(0, |id, digit| id * 10 + u64::from(digit - b'0'));
        self.at = self.text.len() - rest.len();
        Some((id, time))
    }

    fn assigned<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.expect(b'=')?;
        self.space();
        read(self)
    }

    /// After `set`: `.path = value`, or `= { ... }`.
    fn set(&mut self) -> Option<Operation<'a>> {
        let from = self.at;
        if let Some(path) = self.plain_path() {
            let value = self.assigned(|scanner| scanner.value(0))?;
            let path =
                if value.is_object() { plain_names(path) } else { return Some(Operation::Leaf { path, value }) };
            return Some(Operation::Set { path, value });
        }
        self.at = from;
        let mut path = Names::new();
        while self.eat(b'.') {
            self.space();
            path.push(self.name()?);
        }
        let value = self.assigned(|scanner| scanner.value(0))?;
        if path.len() > nix::MAX_DEPTH || path.is_empty() && !value.is_object() {
            return None;
        }
        Some(Operation::Set { path, value })
    }

    /// Reads `.a.b.c` of names without quotes. If it is none, the text that was read is lost.
    fn plain_path(&mut self) -> Option<&'a str> {
        let from = self.at + 1;
        let mut names = 0;
        while self.peek() == Some(b'.') {
            self.at += 1;
            let name = self.identifier()?;
            names += 1;
            if nix::is_keyword(name) || nix::is_reserved(name) || names > nix::MAX_DEPTH {
                return None;
            }
        }
        // With spaces between the names it is no plain text.
        matches!(self.peek(), Some(b' ')).then(|| self.text.get(from..self.at)).flatten()
    }

    /// `{ path = [ ... ]; value = ...; }`
    fn replace(&mut self) -> Option<Operation<'a>> {
        self.expect(b'{')?;
        let (mut path, mut value) = (None, None);
        while !self.eat(b'}') {
            match self.identifier()? {
                "path" => put(&mut path, self.assigned(Self::path_list)?)?,
                "value" => put(&mut value, self.assigned(|scanner| scanner.value(0))?)?,
                _ => return None,
            }
            self.expect(b';')?;
        }
        Some(Operation::Replace { path: path?, value: value? })
    }

    /// `[ "a" "b" ]`; an empty path is no path.
    fn path_list(&mut self) -> Option<Names<'a>> {
        self.expect(b'[')?;
        let mut names = Names::new();
        while !self.eat(b']') {
            names.push(self.string()?);
        }
        (1..=nix::MAX_DEPTH).contains(&names.len()).then_some(names)
    }

    fn name(&mut self) -> Option<Cow<'a, str>> {
        let name = if self.peek() == Some(b'"') {
            self.string()?
        } else {
            Cow::Borrowed(self.identifier().filter(|name| !nix::is_keyword(name))?)
        };
        (!nix::is_reserved(&name)).then_some(name)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        // Most strings are short and plain.
        let plain = bytes.iter().take(SHORT).position(|byte| ENDS_PLAIN[usize::from(*byte)]);
        if let Some(end) = plain.filter(|end| bytes[*end] == b'"') {
            self.at += end + 1;
            return Some(Cow::Borrowed(&rest[..end]));
        }
        let mut unescaped: Option<String> = None;
        let (mut from, mut search) = (0, 0);
        loop {
            let found = search + memchr3(b'"', b'\\', b'$', &bytes[search..])?;
            match bytes[found] {
                b'"' => {
                    self.at += found + 1;
                    let literal = &rest[from..found];
                    // Nix reads a raw carriage return as a line feed.
                    return match unescaped {
                        _ if memchr(b'\r', &bytes[..found]).is_some() => None,
                        None => Some(Cow::Borrowed(literal)),
                        Some(mut text) => {
                            text.push_str(literal);
                            Some(Cow::Owned(text))
                        }
                    };
                }
                b'$' => {
                    if bytes.get(found + 1) == Some(&b'{') {
                        return None;
                    }
                    search = found + 1;
                }
                _ => {
                    let escaped = rest[found + 1..].chars().next()?;
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&rest[from..found]);
                    text.push(nix::unescaped(escaped));
                    from = found + 1 + escaped.len_utf8();
                    search = from;
                }
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > nix::MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'"' => Some(Value::String(self.string()?.into_owned())),
            b'[' => self.list(depth),
            b'{' => self.attributes(depth),
            b'(' => {
                self.at += 1;
                self.space();
                let number = self.number()?;
                self.space();
                // How the smallest integer is written.
                let number = if number.as_i64() == Some(-i64::MAX) && self.eat(b'-') {
                    self.space();
                    (self.integer()? == 1).then_some(Number::from(i64::MIN))?
                } else {
                    number
                };
                self.expect(b')')?;
                Some(Value::Number(number))
            }
            b'-' | b'0'..=b'9' => Some(Value::Number(self.number()?)),
            _ => match self.identifier()? {
                "null" => Some(Value::Null),
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        while !self.eat(b']') {
            // `[ -1 ]` is a syntax error.
            if self.peek() == Some(b'-') {
                return None;
            }
            items.push(self.value(depth + 1)?);
        }
        Some(Value::Array(items))
    }

    fn attributes(&mut self, depth: usize) -> Option<Value> {
        self.expect(b'{')?;
        let mut attributes = Map::new();
        while !self.eat(b'}') {
            let mut path = vec![self.name()?];
            while self.eat(b'.') {
                self.space();
                path.push(self.name()?);
            }
            let depth = depth + path.len();
            let value = self.assigned(|scanner| scanner.value(depth))?;
            self.expect(b';')?;
            define(&mut attributes, path, value)?;
        }
        Some(Value::Object(attributes))
    }

    fn digits(&mut self) -> &'a str {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// A number ends where nothing can continue it, or make it part of a path or URI.
    fn number_ends(&self) -> Option<()> {
        matches!(self.peek(), None | Some(b' ' | b'\t' | b';' | b']' | b'}' | b')')).then_some(())
    }

    fn integer(&mut self) -> Option<u64> {
        let digits = self.digits();
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.number_ends()?;
        digits.parse::<i64>().ok()?.try_into().ok()
    }

    /// As the lexer has it: `([1-9][0-9]*\.[0-9]*|0?\.[0-9]+)([Ee][+-]?[0-9]+)?` is a float.
    fn number(&mut self) -> Option<Number> {
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let from = self.at;
        let whole = self.digits();
        if whole.is_empty() || whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        if self.peek() != Some(b'.') {
            self.number_ends()?;
            let integer: i64 = whole.parse().ok()?;
            return Some(Number::from(if negative { -integer } else { integer }));
        }
        self.at += 1;
        if self.digits().is_empty() {
            return None;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits().is_empty() {
                return None;
            }
        }
        let token = &self.text[from..self.at];
        let float: f64 = token.parse().ok()?;
        // One that 64 bits don't hold is no number here; few are so long or so small.
        if (token.len() > 16 || !float.is_normal()) && number::fault(token).is_some() {
            return None;
        }
        self.number_ends()?;
        match float {
            0.0 => Number::from_f64(0.0),
            float if float.is_normal() => Number::from_f64(if negative { -float } else { float }),
            _ => None,
        }
    }
}

/// Adds `a.b = value;` to a set. What is defined twice is declined, as Nix refuses it; so are two sets in the same place.
fn define(attributes: &mut Map<String, Value>, path: Names<'_>, value: Value) -> Option<()> {
    let mut names = path.into_iter().map(Cow::into_owned).rev().collect::<Vec<_>>();
    let last = names.remove(0);
    let mut at = attributes;
    while let Some(name) = names.pop() {
        let below = at.entry(name).or_insert_with(|| Value::Object(Map::new()));
        at = below.as_object_mut()?;
    }
    at.insert(last, value).is_none().then_some(())
}

fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    // Nix refuses an attribute that is defined twice.
    place.replace(value).is_none().then_some(())
}

/// Whether a time is as dynix writes it, on a day that every month has: most are, and need no closer look.
pub(super) fn is_plain_time(time: &[u8]) -> bool {
    let two = |at: usize| match (time[at], time[at + 1]) {
        (tens @ b'0'..=b'9', ones @ b'0'..=b'9') => (tens - b'0') * 10 + ones - b'0',
        _ => u8::MAX,
    };
    time.len() == TIME
        && (time[4], time[7], time[10], time[13], time[16], time[19]) == (b'-', b'-', b'T', b':', b':', b'Z')
        && (20..=99).contains(&two(0))
        && two(2) <= 99
        && (1..=12).contains(&two(5))
        && (1..=28).contains(&two(8))
        && two(11) < 24
        && two(14) < 60
        && two(17) < 60
}
