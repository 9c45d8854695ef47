//! Runs `git`, which inherits nothing: no configuration of the system or of a user, no hook, no prompt, no time without
//! end.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8PathBuf;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::words::plain;

/// What of the environment reaches git: where programs are, the way through a proxy, and who vouches for servers.
const INHERITED: [&str; 11] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
];
/// Most bytes of messages that are kept.
const MESSAGES: usize = 16 << 10;
/// Most bytes of a file that git writes, which bounds a transfer.
const LARGEST_FILE: u64 = 512 << 20;
/// Seconds of the processor for one process.
const PROCESSOR: u64 = 600;

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot run git: {0}")]
    Unrunnable(#[source] io::Error),
    #[error("{0}")]
    Failed(String),
    #[error("no answer within {} s", .0.as_secs_f64())]
    TooLate(Duration),
    #[error("git says more than {0} bytes")]
    TooMuch(usize),
}

/// How git is run.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The repository.
    pub repository: Utf8PathBuf,
    /// The configuration in place of a user's.
    pub configuration: Utf8PathBuf,
    /// Where GPG's keyring is.
    pub keyring: Utf8PathBuf,
    /// A home without anything in it.
    pub home: Utf8PathBuf,
}

/// One run.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub arguments: &'a [&'a str],
    /// Configuration for this run alone.
    pub settings: &'a [(String, String)],
    pub input: Vec<u8>,
    /// Whether git may fetch what it finds missing.
    pub may_fetch: bool,
    pub patience: Duration,
    /// Most bytes of output.
    pub most: usize,
}

impl Program {
    /// The output of git, which has to succeed.
    pub async fn run(&self, run: Run<'_>) -> Result<Vec<u8>, Failure> {
        let patience = run.patience;
        match tokio::time::timeout(patience, self.ended(run)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::TooLate(patience)),
        }
    }

    /// Dropping this ends git and all that it started.
    async fn ended(&self, run: Run<'_>) -> Result<Vec<u8>, Failure> {
        let mut command = Command::new("git");
        command.env_clear();
        command.envs(INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.environment(run.settings));
        if !run.may_fetch {
            command.env("GIT_NO_LAZY_FETCH", "1");
        }
        command.args(["--no-pager", "--literal-pathspecs"]).args(run.arguments);
        command.current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::Unrunnable)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let _group = Group(group);
        bound(group);
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::Unrunnable(io::ErrorKind::BrokenPipe.into()));
        };
        let write = async move {
            // git may end before it has read everything; its status says why.
            let _ = stdin.write_all(&run.input).await;
            drop(stdin);
        };
        let ((), output, messages) = tokio::join!(write, up_to(stdout, run.most), kept(stderr));
        let Some(output) = output.map_err(Failure::Unrunnable)? else { return Err(Failure::TooMuch(run.most)) };
        let status = child.wait().await.map_err(Failure::Unrunnable)?;
        if status.success() {
            return Ok(output);
        }
        let said = plain(&String::from_utf8_lossy(&messages));
        Err(Failure::Failed(if said.is_empty() { format!("git ended with {status}") } else { said }))
    }

    fn environment(&self, settings: &[(String, String)]) -> Vec<(OsString, OsString)> {
        let mut environment: Vec<(OsString, OsString)> = [
            ("GIT_DIR", self.repository.as_str()),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", self.configuration.as_str()),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GNUPGHOME", self.keyring.as_str()),
            ("HOME", self.home.as_str()),
            ("XDG_CONFIG_HOME", self.home.as_str()),
            ("LC_ALL", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        environment.push(("GIT_CONFIG_COUNT".into(), settings.len().to_string().into()));
        for (index, (name, value)) in settings.iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{index}").into(), name.into()));
            environment.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        environment
    }
}

/// A process and what it started.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // They may all have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What git starts inherits it. git starts nothing before it has read its configuration.
fn bound(process: Option<Pid>) {
    for (resource, most) in [(Resource::Fsize, LARGEST_FILE), (Resource::Cpu, PROCESSOR), (Resource::Core, 0)] {
        // A stricter limit of the unit holds.
        let _ = prlimit(process, resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// All that a stream says; nothing if it is more than `most` bytes.
async fn up_to(stream: impl AsyncRead + Unpin, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    stream.take(most as u64 + 1).read_to_end(&mut bytes).await?;
    Ok((bytes.len() <= most).then_some(bytes))
}

/// The end of what a stream says: the reason comes last.
async fn kept(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut block) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut block).await {
        kept.extend_from_slice(&block[..count]);
        if kept.len() > 2 * MESSAGES {
            kept.drain(..kept.len() - MESSAGES);
        }
    }
    kept
}
