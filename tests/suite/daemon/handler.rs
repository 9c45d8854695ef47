//! The daemon's worker without a socket: requests of any user, on a tree of their own.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dynix::daemon::channel::{Mailbox, Outbox, connect};
use dynix::daemon::gate::Gate;
use dynix::daemon::peer::Peer;
use dynix::daemon::server::{Message, Queues, Submission};
use dynix::daemon::sessions::Sessions;
use dynix::daemon::uses::Uses;
use dynix::daemon::worker::Worker;
use dynix::host::systemd::ServiceManager;
use dynix::system::session::{Given, Location};
use dynix::varlink::interface::{self, Asked};
use dynix::varlink::wire::{Call, Reply};
use serde_json::Value;

use crate::support::System;

/// A worker that serves one request after the other.
pub struct Handler {
    queues: Arc<Queues>,
    mailbox: Mailbox,
    asked: Cell<u64>,
    worker: Option<JoinHandle<()>>,
    _other: Outbox,
}

pub fn sessions(system: &System) -> Sessions {
    let location = Location { root: Some(system.root().to_owned()), ..Location::default() };
    Sessions { location, ..Sessions::default() }
}

impl Handler {
    pub fn on(system: &System) -> Self {
        Self::with(system, None)
    }

    /// With a service manager that stands for systemd.
    pub fn with(system: &System, manager: Option<Arc<dyn ServiceManager + Send + Sync>>) -> Self {
        let queues = Arc::new(Queues::default());
        let ([outbox, other], mailbox) = connect().unwrap();
        let (sessions, theirs) = (Sessions { given: manager.map(Given), ..sessions(system) }, queues.clone());
        let uses = Uses::load(&system.path("run/dynix/uses.json")).unwrap();
        let work = move || Worker::new(sessions, &theirs, &outbox, Duration::ZERO, Gate { uses: uses.into() }).run();
        Self { queues, mailbox, asked: Cell::new(0), worker: Some(std::thread::spawn(work)), _other: other }
    }

    /// Puts a call of a user into the queue.
    pub fn say(&self, user: u32, method: &str, parameters: Value) -> u64 {
        self.say_as(Peer { user, groups: Vec::new() }, method, parameters)
    }

    /// The same, for somebody with groups.
    pub fn say_as(&self, peer: Peer, method: &str, parameters: Value) -> u64 {
        let method = format!("io.dynix.Settings.{method}");
        let call =
            Call { method, parameters: Some(parameters), oneway: false, more: false, upgrade: false, fault: None };
        let Ok(Asked::Change(request)) = interface::understand(call) else { panic!("it is no change") };
        let token = self.asked.get();
        self.asked.set(token + 1);
        self.queues.changes.push(peer.user, Submission { token, peer, request: *request });
        token
    }

    /// The next answer, and to what.
    pub fn hear(&self) -> (u64, Reply) {
        match self.mailbox.messages.recv().unwrap() {
            Message::Reply(token, reply) => (token, reply),
            other => panic!("{other:?}"),
        }
    }

    pub fn ask(&self, user: u32, method: &str, parameters: Value) -> Reply {
        self.ask_as(Peer { user, groups: Vec::new() }, method, parameters)
    }

    pub fn ask_as(&self, peer: Peer, method: &str, parameters: Value) -> Reply {
        let token = self.say_as(peer, method, parameters);
        let (answered, reply) = self.hear();
        assert_eq!(answered, token);
        reply
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.queues.changes.close();
        let ended = self.worker.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()), "the worker broke down");
    }
}

/// The last part of an error's name.
pub fn error(reply: &Reply) -> Option<&str> {
    reply.error.as_deref().and_then(|name| name.rsplit('.').next())
}
