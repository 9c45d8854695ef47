//! Names of Git's objects.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an object: 40 hexadecimal digits (SHA-1) or 64 (SHA-256).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Oid(Box<str>);

/// It is no name of an object.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no whole name of a commit: 40 or 64 hexadecimal digits")]
pub(super) struct NoOid(String);

impl Oid {
    pub fn parse(text: &str) -> Result<Self, NoOid> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex && matches!(text.len(), 40 | 64) { Ok(Self(text.into())) } else { Err(NoOid(text.to_owned())) }
    }

    /// From the bytes of it, as trees have them.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        Self(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which names of objects these are.
    pub fn kind(&self) -> &'static str {
        if self.0.len() == 64 { "SHA-256" } else { "SHA-1" }
    }

    /// Whether both can be names in one repository.
    pub fn is_of_the_kind_of(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
    }

    /// As people say it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Oid {
    type Error = NoOid;

    fn try_from(text: String) -> Result<Self, NoOid> {
        Self::parse(&text)
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0.into()
    }
}
