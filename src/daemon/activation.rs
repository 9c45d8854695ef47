//! The daemon's contact with systemd: its socket (`sd_listen_fds(3)`), readiness, the watchdog and its end
//! (`sd_notify(3)`), and the signals that end it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use anyhow::{Context, bail};
use camino::Utf8Path;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::host::fs;
use crate::host::interruption;

/// A socket of our own at `path`, which everybody may connect to.
pub fn own_socket(path: &Utf8Path) -> anyhow::Result<UnixListener> {
    if fs::exists(path)? {
        if UnixStream::connect(path).is_ok() {
            bail!("somebody listens at {path} already");
        }
        fs::remove(path)?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {path}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))
        .with_context(|| format!("cannot open {path} to everybody"))?;
    Ok(listener)
}

/// Readable after the daemon is asked to end.
pub fn end_requests() -> anyhow::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair().context("cannot be told of signals")?;
    reader.set_nonblocking(true)?;
    let signals = [SIGTERM, SIGINT];
    interruption::handled_elsewhere(&signals);
    for signal in signals {
        let writer = writer.try_clone()?;
        signal_hook::low_level::pipe::register(signal, writer).context("cannot be told of signals")?;
    }
    Ok(reader)
}

/// Says that calls are answered from now on.
pub fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that no more calls are taken.
pub fn tell_stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that all is well.
pub fn tell_alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that; half of what it waits.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

/// Best effort: without systemd nobody needs it.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
