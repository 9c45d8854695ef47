//! The client of the daemon: one call, and its result.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::answer::Answer;
use super::interface::{self, NAME};
use super::wire::{Reply, encode};
use crate::system::Refused;
use crate::system::request::Request;
use crate::system::session::Location;

/// The socket of a system's daemon.
pub const SOCKET: &str = "/run/dynix/dynix.sock";
/// Most bytes that a reply may have.
const LIMIT: u64 = 64 << 20;

/// Which daemon is asked.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The daemon that the user names.
    pub socket: Option<Utf8PathBuf>,
}

impl Ask {
    /// The daemon of a system, if the command has to ask it: the user is not root and the daemon exists, or the user
    /// names its socket.
    pub fn daemon(&self, location: &Location) -> anyhow::Result<Option<Client>> {
        if let Some(path) = &self.socket {
            return Client::connect(path).with_context(|| format!("cannot reach the daemon at {path}")).map(Some);
        }
        let elsewhere = location.home.is_some()
            || location.root.is_some()
            || location.plan.is_some()
            || location.overrides.is_some();
        if elsewhere || rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        match Client::connect(Utf8Path::new(SOCKET)) {
            Ok(client) => Ok(Some(client)),
            // There is none, or none is wanted any more.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot reach the daemon at {SOCKET}")),
        }
    }
}

/// The result of a change.
#[derive(Debug)]
pub struct Response {
    /// The part that was done.
    pub answer: Option<Answer>,
    /// Why not all of it was done.
    pub problem: Option<anyhow::Error>,
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(path: &Utf8Path) -> std::io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path)?)))
    }

    /// Asks for a change.
    pub fn change(&mut self, request: &Request) -> anyhow::Result<Response> {
        let sent = self.0.get_mut().write_all(&encode(&interface::call(request)));
        // A daemon that refuses a client says why before it reads a call.
        let turned_away = sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        if !turned_away {
            sent.context("cannot ask the daemon")?;
        }
        let mut bytes = Vec::new();
        let mut reader = self.0.by_ref().take(LIMIT);
        reader.read_until(0, &mut bytes).context("cannot hear the daemon")?;
        if bytes.pop() != Some(0) {
            bail!(
                "the daemon ended without an answer; see `dynix log` for what is recorded, and `journalctl -u dynix`"
            );
        }
        let reply: Reply = serde_json::from_slice(&bytes).context("cannot understand the daemon")?;
        understood(&reply)
    }
}

fn understood(reply: &Reply) -> anyhow::Result<Response> {
    let parameter = |name: &str| reply.parameters.get(name).filter(|value| !value.is_null());
    let answer: Option<Answer> =
        parameter("answer").map(|answer| serde_json::from_value(answer.clone())).transpose()?;
    let Some(error) = &reply.error else {
        return match answer {
            Some(answer) => Ok(Response { answer: Some(answer), problem: None }),
            None => bail!("cannot understand the daemon: {}", reply.parameters),
        };
    };
    let reason = parameter("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    let problem = match error.strip_prefix(NAME).and_then(|name| name.strip_prefix('.')) {
        Some("Refused") => Refused(reason).into(),
        Some("TooOften") => {
            let wait = parameter("retryUSec").and_then(Value::as_u64).unwrap_or_default();
            anyhow!("{reason}; try again in {} s", wait.div_ceil(1_000_000))
        }
        Some("Stopping") => anyhow!("the daemon is ending, and did nothing; try again"),
        Some(_) if !reason.is_empty() => anyhow!(reason),
        _ => anyhow!("the daemon refuses: {error} {}", reply.parameters),
    };
    Ok(Response { answer, problem: Some(problem) })
}
