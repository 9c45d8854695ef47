//! `dynix daemon`: settings for programs, over Varlink.
//!
//! Takes calls of `io.dynix.Settings` (src/varlink/io.dynix.Settings.varlink) on a socket; gives answers. It has three
//! threads: [`server`] moves bytes and never waits for anybody, [`worker`] changes settings as the command line does
//! ([`crate::system`]), and [`reader`] answers questions. The state is only on disk. So a daemon that is killed loses
//! nothing that it acknowledged, and the next one continues from there.
//!
//! There is no asynchronous runtime: the loop is a poll(2) over sockets, each with at most one call under way.

pub mod activation;
pub mod channel;
pub mod connection;
pub mod events;
pub mod gate;
pub mod guard;
pub mod limits;
pub mod peer;
pub mod policy;
pub mod queue;
pub mod reader;
pub mod server;
pub mod sessions;
pub mod start;
pub mod uses;
pub mod worker;

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::host::fs::notify::Notify;
use crate::host::paths::Paths;
use channel::{Mailbox, connect};
use gate::Gate;
use limits::Limits;
use server::{Queues, Server};
use sessions::Sessions;
use uses::Uses;
use worker::Worker;

/// The settings of a daemon.
pub struct Daemon {
    /// How the system is reached.
    pub sessions: Sessions,
    /// The paths of the system.
    pub paths: Paths,
    /// How long it waits for more requests before it applies.
    pub window: Duration,
    /// The limits of the daemon.
    pub limits: Limits,
}

impl Daemon {
    /// Serves the clients of `listener` until it is asked to end, or until no client is left.
    pub fn run(self, listener: UnixListener) -> anyhow::Result<()> {
        let end_requests = activation::end_requests()?;
        let queues = Arc::new(Queues::default());
        let ([for_worker, for_reader], Mailbox { messages, wake }) = connect().context("cannot connect the threads")?;
        let watch = Notify::new(&self.paths);
        let uses = Uses::load(&self.paths.uses())?;
        let (sessions, window) = (self.sessions, self.window);
        let server = Server {
            listener,
            end_requests,
            wake,
            messages,
            queues: queues.clone(),
            watch: &watch,
            limits: self.limits,
        };
        let looks = (sessions.clone(), queues.clone());
        let working = std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            Worker::new(sessions, &queues, &for_worker, window, Gate { uses: uses.into() }).run();
        })?;
        let looking = std::thread::Builder::new().name("reader".to_owned()).spawn(move || {
            reader::run(&looks.0, &looks.1, &for_reader);
        })?;
        server.run()?;
        // Both threads have reported their end.
        let ended = [working.join(), looking.join()];
        anyhow::ensure!(ended.iter().all(Result::is_ok), "a thread of the daemon broke down");
        Ok(())
    }
}
