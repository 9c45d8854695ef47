//! A Nix evaluator that has read the configuration already, and evaluates a change of it in a fraction of the time.
//!
//! `dynix evaluator` (`crate::warm`) keeps one ([`repl`]) and answers questions of root's over a socket. It answers only
//! if it knows that nothing it has read has changed ([`sources`]), and only with what an evaluation gave. In every other
//! case, the one who asks evaluates by itself, as it would without: a warm evaluator saves time, and decides nothing.

pub mod repl;
pub mod sources;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest;
use super::evaluator::Evaluator;
use super::process::SLICE;

/// Most bytes of a question or an answer.
pub const LARGEST: u64 = 64 << 20;

/// How the warm evaluator runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Warm {
    /// `nix repl` and its options; `--expr EXPRESSION` is appended.
    pub command: Vec<String>,
    /// What an evaluation reads outside of the store: paths, or places of Nix's that are no paths.
    pub sources: Vec<String>,
    /// MiB that it may come to before it begins anew.
    #[serde(default = "default_memory")]
    pub memory: u64,
    /// Seconds after which it ends if nobody asks.
    #[serde(default = "default_idle")]
    pub idle: f64,
    /// Where it listens.
    #[serde(default = "default_socket")]
    pub socket: Utf8PathBuf,
}

fn default_memory() -> u64 {
    1024
}

fn default_idle() -> f64 {
    3600.0
}

fn default_socket() -> Utf8PathBuf {
    "/run/dynix/evaluator.sock".into()
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The evaluator that the one who asks would run, by [`name`].
    pub evaluator: String,
    /// Where relative paths lead.
    pub directory: Utf8PathBuf,
    /// The call; `None` asks it to get ready.
    pub call: Option<Call>,
}

/// A call of a function of `config.lib.dynamicism`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The function.
    pub function: String,
    /// Its argument.
    pub argument: Value,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The value of the call; null if there was none.
    Value(Value),
    /// Nothing, and why.
    Nothing(String),
}

/// Identifies an evaluator.
#[must_use]
pub fn name(evaluator: &Evaluator) -> String {
    digest::sha256(serde_json::to_string(evaluator).unwrap_or_default().as_bytes())
}

/// Asks the warm evaluator. `Err` says why there is no value: the one who asks has to evaluate.
pub fn ask(
    warm: &Warm,
    question: &Question,
    patience: Duration,
    interrupted: &dyn Fn() -> bool,
) -> Result<Value, String> {
    let problem = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(&warm.socket).map_err(problem)?;
    let question = serde_json::to_vec(question).map_err(|error| error.to_string())?;
    stream.set_write_timeout(Some(patience)).map_err(problem)?;
    stream.write_all(&question).and_then(|()| stream.shutdown(Shutdown::Write)).map_err(problem)?;
    stream.set_read_timeout(Some(SLICE)).map_err(problem)?;
    let end = Instant::now() + patience;
    let mut answer = Vec::new();
    loop {
        // What was read before a time-out stays.
        match (&mut stream).take(LARGEST).read_to_end(&mut answer) {
            Ok(_) => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.to_string()),
        }
        if interrupted() {
            return Err("interrupted".to_owned());
        }
        if Instant::now() >= end {
            return Err(format!("no answer within {} s", patience.as_secs()));
        }
    }
    match serde_json::from_slice(&answer) {
        Ok(Answer::Value(value)) => Ok(value),
        Ok(Answer::Nothing(why)) => Err(why),
        Err(error) => Err(format!("an answer that is none: {error}")),
    }
}
