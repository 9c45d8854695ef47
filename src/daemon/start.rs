//! `dynix daemon`: starts the daemon, which changes settings for programs that ask over its socket.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use camino::Utf8PathBuf;
use rustix::process::{Resource, getrlimit};

use super::Daemon;
use super::activation::own_socket;
use super::limits::Limits;
use super::sessions::Sessions;
use crate::exit::Exit;
use crate::host::{messages, socket};
use crate::varlink::interface;
use crate::varlink::wire::encode;

/// How it is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How the system is reached.
    pub sessions: Sessions,
    /// The path of the socket; `None` for the socket that systemd passes.
    pub socket: Option<Utf8PathBuf>,
    /// How long the daemon waits for more requests before it applies; `None` for the plan's value.
    pub window: Option<Duration>,
    /// How long the daemon stays without clients; `None` for the plan's value.
    pub idle: Option<Duration>,
}

/// Serves until it is asked to end, or until no client is left.
pub fn run(options: Options) -> anyhow::Result<Exit> {
    // This has to come first: it removes variables from the environment, which no other thread may read meanwhile.
    let listener = match &options.socket {
        Some(path) => own_socket(path)?,
        None => socket::given("dynix.socket")?,
    };
    match daemon(options) {
        Ok(daemon) => daemon.run(listener).map(|()| Exit::Done),
        Err(error) => {
            turn_away(&listener, &error);
            Err(error)
        }
    }
}

fn daemon(options: Options) -> anyhow::Result<Daemon> {
    let session = options.sessions.session();
    let system = session.open()?;
    let spec = system.plan.daemon.unwrap_or_default();
    // A value that is too large for a Duration means for ever.
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let window = options.window.unwrap_or_else(|| seconds(spec.window));
    let idle = match (options.idle, &options.socket) {
        (Some(idle), _) => Some(idle),
        // Without systemd's socket, nothing would start it again.
        (None, Some(_)) => None,
        (None, None) => Some(seconds(spec.idle)),
    };
    let limits = Limits::new(getrlimit(Resource::Nofile).current, spec.connections_per_user, idle);
    Ok(Daemon { sessions: options.sessions, paths: system.paths, window, limits })
}

/// Closes the connections of waiting clients, and says why. Otherwise systemd would start a daemon that can't serve
/// them over and over.
fn turn_away(listener: &UnixListener, error: &anyhow::Error) {
    let answer = encode(&interface::failed(Exit::Failed, &messages::chain(error)));
    let _ = listener.set_nonblocking(true);
    while let Ok((mut stream, _)) = listener.accept() {
        let _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(&answer));
    }
}
