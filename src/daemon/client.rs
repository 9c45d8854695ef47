//! The command line's way to the daemon: one call, and what came of it, told as if it had been done here.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, anyhow, bail};
use camino::Utf8Path;
use serde_json::Value;

use super::answer::Answer;
use super::interface::{self, NAME};
use super::wire::{Reply, encode};
use crate::cli::commands::change::{Manner, Recorded};
use crate::cli::commands::confirm::Settled;
use crate::cli::commands::session::Session;
use crate::cli::commands::{Refused, apply, confirm, watch};
use crate::exit::Exit;
use crate::host::messages;
use crate::reconcile::report::Report;
use crate::system::request::Request;

/// Where the daemon of a system listens.
pub const SOCKET: &str = "/run/dynix/dynix.sock";
/// Most bytes that a reply may have.
const LIMIT: u64 = 64 << 20;

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// The daemon, where it is the one to ask: whoever runs this is not root, and it is there; or it is named.
    pub fn for_session(session: &Session) -> anyhow::Result<Option<Self>> {
        let global = &session.global;
        if let Some(path) = &global.socket {
            return Self::connect(path).with_context(|| format!("cannot reach the daemon at {path}")).map(Some);
        }
        let elsewhere = global.root.is_some() || global.plan.is_some() || global.overrides.is_some();
        if elsewhere || rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        match Self::connect(Utf8Path::new(SOCKET)) {
            Ok(client) => Ok(Some(client)),
            // There is none, or none is wanted any more.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot reach the daemon at {SOCKET}")),
        }
    }

    fn connect(path: &Utf8Path) -> std::io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(path)?)))
    }

    /// Asks for a change, and says what came of it.
    pub fn change(&mut self, request: &Request, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
        let sent = self.0.get_mut().write_all(&encode(&interface::call(request)));
        // Who is turned away is told why before there is a question.
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
        show(&reply, manner, session)
    }
}

fn show(reply: &Reply, manner: Manner, session: &Session) -> anyhow::Result<Exit> {
    let said = |name: &str| reply.parameters.get(name).filter(|value| !value.is_null());
    let answer: Option<Answer> = said("answer").map(|answer| serde_json::from_value(answer.clone())).transpose()?;
    if let Some(answer) = &answer {
        if let (false, Some(line)) = (manner.json, Recorded::line(&answer.records, &answer.what)) {
            crate::cli::commands::print(line.as_bytes())?;
        }
        answer.notes.iter().for_each(messages::info);
    }
    let Some(error) = &reply.error else {
        let Some(answer) = answer else { bail!("cannot understand the daemon: {}", reply.parameters) };
        return told(answer, manner, session).map(Option::unwrap_or_default);
    };
    if let Some(exit) = answer.map(|answer| told(answer, manner, session)).transpose()?.flatten() {
        return Ok(exit);
    }
    let reason = said("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    match error.strip_prefix(NAME).and_then(|name| name.strip_prefix('.')) {
        Some("Refused") => Err(Refused(reason).into()),
        Some("TooOften") => {
            let wait = said("retryUSec").and_then(Value::as_u64).unwrap_or_default();
            Err(anyhow!("{reason}; try again in {} s", wait.div_ceil(1_000_000)))
        }
        Some("Stopping") => Err(anyhow!("the daemon is ending, and did nothing; try again")),
        Some(_) if !reason.is_empty() => Err(anyhow!(reason)),
        _ => Err(anyhow!("the daemon refuses: {error} {}", reply.parameters)),
    }
}

/// Says what came of an apply; `None` where there was none.
fn told(answer: Answer, manner: Manner, session: &Session) -> anyhow::Result<Option<Exit>> {
    let Manner { json, wait } = manner;
    let Answer { records, report, confirmed, .. } = answer;
    match (confirmed, report) {
        (Some(confirmed), report) => {
            let settled = Settled { confirmed: Some(confirmed), report: report.unwrap_or_else(Report::default) };
            confirm::show(&settled, json).map(Some)
        }
        (None, Some(mut report)) => {
            if let Some(wait) = wait {
                let (_, paths) = session.load()?;
                watch::await_verdict(&mut report, wait, &paths, || false)?;
            }
            apply::show(&report, &records, json, false).map(Some)
        }
        (None, None) => Ok(None),
    }
}
