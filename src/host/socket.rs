//! The socket that systemd listens on for a service (`sd_listen_fds(3)`).

use std::os::unix::net::UnixListener;

use anyhow::Context as _;

/// Takes it over. It changes the environment: no other thread may run yet. `unit`: the socket's.
pub fn given(unit: &str) -> anyhow::Result<UnixListener> {
    let socket = listenfd::ListenFd::from_env().take_unix_listener(0);
    let socket = socket.with_context(|| format!("cannot use the socket of {unit}"))?;
    socket.with_context(|| format!("there is no socket: systemd starts this when somebody needs it ({unit})"))
}
