//! Varlink's messages (varlink.org/Method-Call): JSON objects, each followed by a NUL.
//!
//! Takes bytes as they come, gives calls; takes replies, gives bytes. Pure. It is written here because neither of the
//! crates for it bounds what a client can make a server keep: `varlink` 13 reads up to the NUL however far that is, and
//! `zlink` 0.8 has a fixed limit of 100 MB for each connection.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::types::number;

/// Most bytes that a message to the daemon may have.
pub const MESSAGE: usize = 256 << 10;

/// A method call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Interface and method, as in `org.varlink.service.GetInfo`.
    pub method: String,
    /// The parameters of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the client wants no reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneway: bool,
    /// Whether there may be several replies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether the client asks to upgrade the connection to another protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrade: bool,
    /// A number in it that 64 bits don't hold, and so can't be what was meant.
    #[serde(skip)]
    pub fault: Option<String>,
}

/// A reply, or an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The error's full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The parameters of the reply.
    #[serde(default)]
    pub parameters: Value,
    /// Whether there is more to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

impl Reply {
    /// The only reply, or the last one.
    #[must_use]
    pub fn new(parameters: Value) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// An error.
    #[must_use]
    pub fn error(name: &str, parameters: Value) -> Self {
        Self { error: Some(name.to_owned()), parameters, continues: false }
    }
}

/// Writes a message.
#[must_use]
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    // Maps have text as keys, and all floats are numbers, so every message can be written.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(0);
    bytes
}

/// The received bytes that are not used yet.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// How far there is no NUL.
    searched: usize,
}

/// Bytes that can't be a message. Nothing after them can be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// Too long.
    #[error("a message has more than {MESSAGE} bytes")]
    TooLong,
    /// The message is not a call.
    #[error("a message is no Varlink call: {0}")]
    NoCall(String),
}

impl Inbox {
    /// Takes what came in.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next call, if it is there as a whole.
    pub fn next_call(&mut self) -> Result<Option<Call>, Garbled> {
        let Some(end) = memchr::memchr(0, &self.bytes[self.searched..]).map(|found| found + self.searched) else {
            self.searched = self.bytes.len();
            return if self.bytes.len() > MESSAGE { Err(Garbled::TooLong) } else { Ok(None) };
        };
        if end > MESSAGE {
            return Err(Garbled::TooLong);
        }
        let call = serde_json::from_slice(&self.bytes[..end]).map_err(|error| Garbled::NoCall(error.to_string()));
        // Readers of JSON round what 64 bits don't hold, so it has to be seen in the text.
        let call = call.map(|call: Call| Call { fault: fault_of_value(&self.bytes[..end]), ..call });
        self.bytes.drain(..=end);
        self.searched = 0;
        // The memory of a long message is not kept for the next.
        self.bytes.shrink_to(4096);
        call.map(Some)
    }
}

/// The fault of a number in the value of a call.
fn fault_of_value(call: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        parameters: Option<Parameters<'a>>,
    }
    #[derive(Deserialize)]
    struct Parameters<'a> {
        #[serde(borrow)]
        value: Option<&'a RawValue>,
    }
    // Few calls have one at all.
    number::first_fault(call)?;
    let asked: Asked<'_> = serde_json::from_slice(call).ok()?;
    number::first_fault(asked.parameters?.value?.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_found_however_they_come() {
        let call = Call {
            method: "a.b.C".to_owned(),
            parameters: Some(json!({"x": "\u{0}"})),
            oneway: false,
            more: true,
            upgrade: false,
            fault: None,
        };
        let bytes: Vec<u8> = [encode(&call), encode(&call)].concat();
        for size in [1, 3, bytes.len()] {
            let (mut inbox, mut found) = (Inbox::default(), Vec::new());
            for part in bytes.chunks(size) {
                inbox.take(part);
                while let Some(one) = inbox.next_call().unwrap() {
                    found.push(one);
                }
            }
            assert_eq!(found, [call.clone(), call.clone()]);
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn a_value_that_64_bits_do_not_hold_is_noticed() {
        let fault = |parameters: &str| {
            let mut inbox = Inbox::default();
            inbox.take(format!("{{\"method\":\"a.B\",\"parameters\":{parameters}}}\0").as_bytes());
            inbox.next_call().unwrap().unwrap().fault
        };
        assert!(fault(r#"{"value":{"a":18446744073709551616}}"#).is_some());
        assert!(fault(r#"{"value":0.1234567890123456789}"#).is_some());
        assert_eq!(fault(r#"{"value":1.5,"durationUSec":18446744073709551615}"#), None);
        assert_eq!(fault(r#"{"path":"18446744073709551616"}"#), None);
    }

    #[test]
    fn what_is_too_long_or_no_call_is_an_error() {
        let mut inbox = Inbox::default();
        inbox.take(&vec![b' '; MESSAGE + 1]);
        assert_eq!(inbox.next_call(), Err(Garbled::TooLong));
        for text in ["", "x", "[]", "{}", r#"{"method":1}"#, "{\"method\":\"\u{1}\"}"] {
            let mut inbox = Inbox::default();
            inbox.take(text.as_bytes());
            assert_eq!(inbox.next_call(), Ok(None));
            inbox.take(&[0]);
            assert!(matches!(inbox.next_call(), Err(Garbled::NoCall(_))), "{text}");
        }
        // As deep as a stack allows.
        let mut inbox = Inbox::default();
        inbox.take(format!("{{\"method\":\"a\",\"parameters\":{}\0", "[".repeat(100_000)).as_bytes());
        assert!(matches!(inbox.next_call(), Err(Garbled::NoCall(_))));
    }
}
