//! The daemon of the host, over its socket: a call and its answer, as `io.dynix.Settings` has them.

use std::time::Duration;

use camino::Utf8Path;
use dynix::varlink::interface::NAME;
use dynix::varlink::wire::{Call, Reply, encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::report::Outcome;
use crate::sources::Layer;

/// Most bytes that a reply may have.
const LIMIT: u64 = 64 << 20;

/// Most characters of what is said about a layer.
const MESSAGE: usize = 200;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Daemon {
    stream: BufReader<UnixStream>,
    /// What there is of a reply; it is kept where waiting for the rest of it is given up.
    reply: Vec<u8>,
}

/// Why the daemon did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It can't be reached, or is not understood; nothing is known.
    #[error("the daemon can't be reached: {0}")]
    Lost(String),
    /// It says so, by this error of the interface.
    #[error("{reason}")]
    Said {
        /// The name of the error, as in `Refused`.
        error: String,
        /// What it says.
        reason: String,
        /// When to try again.
        retry: Option<Duration>,
    },
}

impl Fault {
    /// What it is for a layer.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Said { error, .. } => match error.as_str() {
                "Refused" | "NotAllowed" => Outcome::Refused,
                "RolledBack" => Outcome::RolledBack,
                "RollbackFailed" => Outcome::RollbackFailed,
                "Unseen" => Outcome::Unseen,
                _ => Outcome::Failed,
            },
            Self::Lost(_) => Outcome::Failed,
        }
    }
}

/// A source as the daemon has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The revision of the layer in effect.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether all of it is in effect.
    pub applied: bool,
    /// The last layer, if it was refused.
    #[serde(default)]
    pub refused: Option<RefusedLayer>,
}

/// A layer that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedLayer {
    /// Its revision.
    #[serde(default)]
    pub revision: Option<String>,
    /// Why.
    pub reason: String,
}

fn lost(error: impl std::fmt::Display) -> Fault {
    Fault::Lost(error.to_string())
}

impl Daemon {
    /// Connects.
    pub async fn connect(socket: &Utf8Path) -> Result<Self, Fault> {
        let stream = UnixStream::connect(socket).await.map_err(|error| lost(format!("{socket}: {error}")))?;
        Ok(Self { stream: BufReader::new(stream), reply: Vec::new() })
    }

    async fn say(&mut self, method: &str, parameters: Value, more: bool) -> Result<(), Fault> {
        let call = Call {
            method: format!("{NAME}.{method}"),
            parameters: Some(parameters),
            oneway: false,
            more,
            upgrade: false,
            fault: None,
        };
        self.stream.get_mut().write_all(&encode(&call)).await.map_err(lost)
    }

    async fn hear(&mut self) -> Result<Value, Fault> {
        (&mut self.stream).take(LIMIT).read_until(0, &mut self.reply).await.map_err(lost)?;
        let mut bytes = std::mem::take(&mut self.reply);
        if bytes.pop() != Some(0) {
            return Err(lost("it ended without an answer"));
        }
        let Reply { error, parameters, .. } = serde_json::from_slice(&bytes).map_err(lost)?;
        let Some(error) = error else { return Ok(parameters) };
        let name = error.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&error);
        let reason = parameters.get("reason").and_then(Value::as_str);
        let retry = parameters.get("retryUSec").and_then(Value::as_u64).map(Duration::from_micros);
        let reason = match (reason, name) {
            (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
            (_, "Stopping") => "the daemon is ending".to_owned(),
            _ => format!("the daemon says {error} {parameters}"),
        };
        Err(Fault::Said { error: name.to_owned(), reason, retry })
    }

    /// Calls a method.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Result<Value, Fault> {
        let said = self.say(method, parameters, false).await;
        // A daemon that turns a client away says why before it reads a call.
        match (said, self.hear().await) {
            (Ok(()), heard) | (Err(_), heard @ Err(Fault::Said { .. })) => heard,
            (Err(fault), _) => Err(fault),
        }
    }

    /// Hands over a layer, which is applied.
    pub async fn set_layer(&mut self, source: &str, layer: &Layer) -> Result<(), Fault> {
        let parameters = json!({
            "source": source,
            "revision": layer.revision,
            "values": layer.values,
            "by": layer.by.as_deref().map(line).filter(|by| !by.is_empty()),
            "message": layer.message.as_deref().map(line).filter(|message| !message.is_empty()),
            "apply": true,
        });
        self.call("SetLayer", parameters).await.map(drop)
    }

    /// The sources as it has them.
    pub async fn sources(&mut self) -> Result<Vec<Source>, Fault> {
        let answer = self.call("Sources", json!({})).await?;
        serde_json::from_value(answer.get("sources").cloned().unwrap_or_default()).map_err(lost)
    }

    /// The last verdict on the values in effect, in one word.
    pub async fn verified(&mut self) -> Result<Option<String>, Fault> {
        let answer = self.call("Status", json!({})).await?;
        let verdict = answer.get("verified").and_then(|verified| verified.get("verdict"));
        Ok(verdict.and_then(Value::as_str).map(str::to_owned))
    }

    /// Begins to hear what changes.
    pub async fn monitor(mut self) -> Result<Monitor, Fault> {
        self.say("Monitor", json!({}), true).await?;
        Ok(Monitor(self))
    }
}

/// A text as the log takes it: one line, and not too long. What is said about values is no reason to refuse them.
fn line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|ch: char| ch.is_whitespace() || ch.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// What changes on a host.
#[derive(Debug)]
pub struct Monitor(Daemon);

impl Monitor {
    /// Waits until something changed.
    pub async fn changed(&mut self) -> Result<(), Fault> {
        self.0.hear().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_line() {
        assert_eq!(line(" a\n b\t\u{7}c\u{85}"), "a b c");
        assert_eq!(line(&"ü".repeat(300)).chars().count(), MESSAGE + 3);
        assert_eq!(line("\n"), "");
    }
}
