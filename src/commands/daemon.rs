//! `dynix daemon`: changes settings for programs that ask over its socket.

use std::time::Duration;

use anyhow::Context;

use super::session::Session;
use crate::cli;
use crate::daemon::activation::{given_socket, own_socket};
use crate::daemon::server::Limits;
use crate::daemon::{Daemon, policy};
use crate::exit::Exit;

/// Most connections at a time, of everybody.
const CONNECTIONS: usize = 1024;

/// Serves until it is told to end, or nobody wants anything.
pub fn run(arguments: &cli::Daemon, session: &Session) -> anyhow::Result<Exit> {
    // This has to be the first of all: it takes variables out of the environment, which no other thread may look at.
    let listener = match &session.global.socket {
        Some(path) => own_socket(path)?,
        None => given_socket()?,
    };
    let (plan, paths) = session.load()?;
    let spec = plan.daemon.unwrap_or_else(policy::nobody);
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).context("the plan's daemon has an impossible time");
    let window = match arguments.window {
        Some(window) => window,
        None => seconds(spec.window)?,
    };
    let idle = match (arguments.idle, &session.global.socket) {
        (Some(idle), _) => Some(idle),
        // Nobody would start it again.
        (None, Some(_)) => None,
        (None, None) => Some(seconds(spec.idle)?),
    };
    let limits = Limits { connections: CONNECTIONS, per_user: spec.connections_per_user, idle };
    Daemon { global: session.global.clone(), paths, listener, window, limits }.run()?;
    Ok(Exit::Done)
}
