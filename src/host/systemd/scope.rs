//! A process of dynix that continues after its parent ends, in a scope: a unit for processes that systemd did not start
//! itself.
//!
//! A switch lists the services and timers that were started during it, but no scopes (nixpkgs,
//! switch-to-configuration-ng). So a process that only waits for the end of the switch does not show up in its list.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use zbus::{Variant, block_on};

use super::ManagerError;
use super::bus::Asked;
use super::proxies::ManagerProxy;

/// A process and what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The unit's full name; one of this name must not be there.
    pub unit: String,
    /// The description of its unit.
    pub description: String,
    /// Program (absolute) and arguments. No shell.
    pub command: Vec<String>,
    /// Until it is killed.
    pub deadline: Duration,
}

impl Scope {
    /// Starts it, and does not wait for it.
    pub fn start(&self) -> Result<(), ManagerError> {
        let failed =
            |message: String| ManagerError { operation: format!("start {}", self.unit), message, is_lost: false };
        let (program, arguments) = self.command.split_first().ok_or_else(|| failed("no command".to_owned()))?;
        let stream = journal().map_err(|error| failed(format!("the journal: {error}")))?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(stream))
            .spawn()
            .map_err(|error| failed(format!("{program}: {error}")))?;
        let deadline = u64::try_from(self.deadline.as_micros()).unwrap_or(u64::MAX);
        let properties = [
            ("Description", Variant::new(self.description.clone())),
            ("PIDs", Variant::new(vec![child.id()])),
            ("CollectMode", Variant::new("inactive-or-failed".to_owned())),
            ("RuntimeMaxUSec", Variant::new(deadline)),
        ];
        let started = block_on(async {
            let connection = zbus::Connection::system().await?;
            let manager = ManagerProxy::new(&connection).await?;
            manager.start_transient_unit(&self.unit, "replace", &properties, &[]).await
        });
        started.map(drop).to(format!("start {}", self.unit)).inspect_err(|_| {
            // Without a unit nobody would end it.
            let _ = child.kill();
            let _ = child.wait();
        })
    }
}

/// A stream of lines to the journal (`sd_journal_stream_fd(3)`).
fn journal() -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect("/run/systemd/journal/stdout")?;
    // Identifier, unit, priority, prefixes of priorities, and three forwardings.
    stream.write_all(b"dynix\n\n6\n1\n0\n0\n0\n")?;
    Ok(stream)
}
