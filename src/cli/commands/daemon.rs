//! `dynix daemon`: changes settings for programs that ask over its socket.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::session::Session;
use crate::cli::arguments;
use crate::daemon::activation::{given_socket, own_socket};
use crate::daemon::limits::Limits;
use crate::daemon::wire::encode;
use crate::daemon::{Daemon, interface, policy};
use crate::exit::Exit;
use crate::host::messages;

/// Serves until it is told to end, or nobody wants anything.
pub fn run(arguments: &arguments::Daemon, session: &Session) -> anyhow::Result<Exit> {
    // This has to be the first of all: it takes variables out of the environment, which no other thread may look at.
    let listener = match &session.global.socket {
        Some(path) => own_socket(path)?,
        None => given_socket()?,
    };
    match daemon(arguments, session) {
        Ok(daemon) => daemon.run(listener).map(|()| Exit::Done),
        Err(error) => {
            turn_away(&listener, &error);
            Err(error)
        }
    }
}

fn daemon(arguments: &arguments::Daemon, session: &Session) -> anyhow::Result<Daemon> {
    let (plan, paths) = session.load()?;
    let spec = plan.daemon.unwrap_or_else(policy::nobody);
    // More than a Duration can say is for ever.
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let window = arguments.window.unwrap_or_else(|| seconds(spec.window));
    let idle = match (arguments.idle, &session.global.socket) {
        (Some(idle), _) => Some(idle),
        // Nobody would start it again.
        (None, Some(_)) => None,
        (None, None) => Some(seconds(spec.idle)),
    };
    let limits = Limits::new(getrlimit(Resource::Nofile).current, spec.connections_per_user, idle);
    Ok(Daemon { global: session.global.clone(), paths, window, limits })
}

/// Hangs up on who waits, and says why. Else systemd would start a daemon that can't serve them over and over.
fn turn_away(listener: &UnixListener, error: &anyhow::Error) {
    let said = encode(&interface::failed(Exit::Failed, &messages::chain(error)));
    let _ = listener.set_nonblocking(true);
    while let Ok((mut stream, _)) = listener.accept() {
        let _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(&said));
    }
}
