//! The daemon's one loop: it serves connections in turns and never waits for one of them.
//!
//! Takes calls from connections and puts them into two queues; takes replies from the two threads that work on those
//! queues. Nothing here touches settings. So a slow apply never delays a question, and a slow client delays nothing at
//! all.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::activation;
use super::connection::{BACKLOG, Connection, Stage};
use super::guard::guarded;
use super::limits::Limits;
use super::peer::Peer;
use super::queue::Queue;
use crate::exit::Exit;
use crate::host::fs::notify::Notify;
use crate::system::request::Request;
use crate::varlink::answer::Denied;
use crate::varlink::interface::{self, Asked, Query};
use crate::varlink::wire::{Reply, encode};

/// Most bytes that are kept for the connections of one user that are not root's: as many may be on their way in at once.
const KEPT_PER_USER: usize = 4 << 20;
/// Most connections that are taken before those that are there have their turn.
const AT_ONCE: usize = 64;
/// How long no client is accepted if the system has no room for another connection.
const DEAF: Duration = Duration::from_millis(200);
/// How long clients have to read what is left when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection, by its number.
pub type Token = u64;

/// A call that changes something.
#[derive(Debug)]
pub struct Submission {
    /// Whose.
    pub token: Token,
    /// The user who asks.
    pub peer: Peer,
    /// For what.
    pub request: Request,
}

/// A look at something.
#[derive(Debug)]
pub enum Look {
    /// A question of a client.
    Query {
        /// Whose.
        token: Token,
        /// The question.
        query: Query,
    },
    /// The start of a client's stream.
    Begin {
        /// Whose.
        token: Token,
    },
    /// Something may have changed.
    Changed,
}

/// A message of a thread to the loop.
#[derive(Debug)]
pub enum Message {
    /// The last reply to a call.
    Reply(Token, Reply),
    /// The first of a stream.
    Begin(Token, Reply),
    /// For all streams.
    Event(Reply),
    /// A look at what changed is over.
    Looked,
    /// The work under way is done, and there will be no more.
    Done,
}

/// The queues between the loop and the threads.
#[derive(Debug, Default)]
pub struct Queues {
    /// Requests that change something, one at a time.
    pub changes: Queue<Submission>,
    /// Requests that only read.
    pub looks: Queue<Look>,
    /// Whether the daemon was asked to end.
    pub ending: Arc<AtomicBool>,
}

/// The loop's state.
pub struct Server<'s> {
    /// The socket that accepts clients.
    pub listener: UnixListener,
    /// Readable after the daemon is asked to end.
    pub end_requests: UnixStream,
    /// Readable when there are messages.
    pub wake: UnixStream,
    /// The messages of the threads.
    pub messages: Receiver<Message>,
    /// The queues of the threads.
    pub queues: Arc<Queues>,
    /// The watch for changes of the system.
    pub watch: &'s Notify,
    /// How much there may be.
    pub limits: Limits,
}

/// The connections, and the work under way.
#[derive(Default)]
struct Clients {
    connections: BTreeMap<Token, Connection>,
    next: Token,
    /// Whether a look at what changed is under way already.
    looking: bool,
    /// Whether something may have changed since it began.
    changed: bool,
    /// When a client was last connected.
    last: Option<Instant>,
    /// No client is accepted before this time.
    deaf: Option<Instant>,
}

impl Server<'_> {
    /// Serves until it is asked to end, or until no client is left.
    pub fn run(&self) -> anyhow::Result<()> {
        let mut clients = Clients { last: Some(Instant::now()), ..Clients::default() };
        let watchdog = activation::watchdog();
        self.listener.set_nonblocking(true)?;
        activation::tell_ready();
        let mut fed = Instant::now();
        loop {
            let now = Instant::now();
            clients.deaf.take_if(|until| now >= *until);
            if watchdog.is_some_and(|period| now.duration_since(fed) >= period) {
                activation::tell_alive();
                fed = now;
            }
            clients.give_up(now);
            if self.is_idle(&clients, now) {
                break;
            }
            let until = [
                watchdog.and_then(|period| fed.checked_add(period)),
                clients.deaf,
                clients.connections.values().filter_map(Connection::deadline).min(),
                self.limits
                    .idle
                    .filter(|_| clients.connections.is_empty())
                    .zip(clients.last)
                    .and_then(|(idle, last)| last.checked_add(idle)),
            ];
            let ready = self.wait(&clients, true, until.into_iter().flatten().min())?;
            if ready.end {
                break;
            }
            self.serve(&mut clients, &ready)?;
        }
        self.end(clients)
    }

    fn is_idle(&self, clients: &Clients, now: Instant) -> bool {
        let Some(idle) = self.limits.idle else { return false };
        clients.connections.is_empty() && clients.last.is_some_and(|last| now.duration_since(last) >= idle)
    }

    /// Takes no more calls, lets the work under way come to its end, and says to everybody what became of theirs.
    fn end(&self, mut clients: Clients) -> anyhow::Result<()> {
        activation::tell_stopping();
        // A switch may have stopped the daemon, and the work under way may wait for that switch.
        self.queues.ending.store(true, Ordering::Relaxed);
        let stopping = encode(&interface::denied(&Denied::Stopping));
        let left = self.queues.changes.close().into_iter().map(|change| change.token);
        let looks = self.queues.looks.close().into_iter().filter_map(|look| match look {
            Look::Query { token, .. } | Look::Begin { token } => Some(token),
            Look::Changed => None,
        });
        for token in left.chain(looks) {
            clients.reply(token, &stopping);
        }
        for connection in clients.connections.values_mut() {
            match connection.stage {
                Stage::Streaming => connection.send(&stopping),
                Stage::Busy { .. } => continue,
                Stage::Open | Stage::Closing => {}
            }
            connection.stage = Stage::Closing;
        }
        let mut over: Option<Instant> = None;
        let mut running = 2;
        loop {
            clients.flush();
            let waiting = clients.connections.values().any(|connection| connection.backlog() > 0);
            if running == 0 && (!waiting || over.is_some_and(|over| Instant::now() >= over)) {
                return Ok(());
            }
            self.wait(&clients, false, over.or_else(|| Some(Instant::now() + Duration::from_secs(1))))?;
            activation::tell_alive();
            while let Ok(messages) = self.messages.try_recv() {
                match messages {
                    Message::Done => running -= 1,
                    Message::Reply(token, reply) | Message::Begin(token, reply) => {
                        clients.reply(token, &encode(&reply));
                    }
                    Message::Event(_) | Message::Looked => {}
                }
            }
            drain(&self.wake);
            if running == 0 && over.is_none() {
                over = Some(Instant::now() + FAREWELL);
            }
        }
    }

    fn wait(&self, clients: &Clients, accepting: bool, until: Option<Instant>) -> anyhow::Result<Ready> {
        let mut polled: Vec<(Source, BorrowedFd<'_>, PollFlags)> = vec![
            (Source::End, self.end_requests.as_fd(), PollFlags::IN),
            (Source::Message, self.wake.as_fd(), PollFlags::IN),
        ];
        if accepting && clients.deaf.is_none() {
            polled.push((Source::Listener, self.listener.as_fd(), PollFlags::IN));
        }
        if accepting && clients.is_streaming() {
            polled.extend(self.watch.socket().map(|socket| (Source::Notify, socket, PollFlags::IN)));
        }
        let kept = clients.kept();
        for (token, connection) in &clients.connections {
            let mut flags = PollFlags::empty();
            let user = connection.peer.user;
            let has_room = user == 0 || kept.get(&user).copied().unwrap_or_default() < KEPT_PER_USER;
            // The reader of a stream sends nothing; poll(2) still reports its end.
            if connection.stage == Stage::Streaming || connection.may_speak() && (has_room || connection.kept() == 0) {
                flags |= PollFlags::IN;
            }
            if connection.backlog() > 0 {
                flags |= PollFlags::OUT;
            }
            polled.push((Source::Client(*token), connection.stream().as_fd(), flags));
        }
        let mut set: Vec<PollFd<'_>> =
            polled.iter().map(|(_, socket, flags)| PollFd::from_borrowed_fd(*socket, *flags)).collect();
        let timeout =
            until.map(|until| until.saturating_duration_since(Instant::now()).saturating_add(Duration::from_millis(1)));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut set, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let mut ready = Ready::default();
        for ((source, ..), found) in polled.iter().zip(&set) {
            let found = found.revents();
            if found.is_empty() {
                continue;
            }
            match source {
                Source::End => ready.end = true,
                Source::Message => {}
                Source::Listener => ready.listener = true,
                Source::Notify => ready.watch = true,
                Source::Client(token) => ready.clients.push((*token, found)),
            }
        }
        Ok(ready)
    }

    fn serve(&self, clients: &mut Clients, ready: &Ready) -> anyhow::Result<()> {
        drain(&self.wake);
        loop {
            match self.messages.try_recv() {
                Ok(Message::Reply(token, reply)) => {
                    clients.reply(token, &encode(&reply));
                    self.advance(clients, token);
                    self.look(clients);
                }
                Ok(Message::Begin(token, reply)) => clients.begin(token, &encode(&reply)),
                Ok(Message::Event(reply)) => clients.tell(&reply),
                Ok(Message::Looked) => {
                    clients.looking = false;
                    if std::mem::take(&mut clients.changed) {
                        self.look(clients);
                    }
                }
                Ok(Message::Done) | Err(TryRecvError::Disconnected) => {
                    anyhow::bail!("a thread of the daemon broke down")
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        if ready.watch {
            self.watch.drain();
            self.look(clients);
        }
        for (token, found) in &ready.clients {
            self.attend(clients, *token, *found);
        }
        if ready.listener {
            self.accept(clients);
        }
        if !clients.connections.is_empty() {
            clients.last = Some(Instant::now());
        }
        clients.flush();
        Ok(())
    }

    /// One look at a time: it sees all that changed until it begins, and what changes later needs another one.
    fn look(&self, clients: &mut Clients) {
        if !clients.is_streaming() {
            return;
        }
        clients.changed = clients.looking;
        if !std::mem::replace(&mut clients.looking, true) {
            self.queues.looks.push(0, Look::Changed);
        }
    }

    fn accept(&self, clients: &mut Clients) {
        for _ in 0..AT_ONCE {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    ErrorKind::WouldBlock => return,
                    // The system has no room for another file, or for the kernel's data about one (accept(2)). The
                    // clients keep waiting. Polling for them until then would take all of the time.
                    _ => {
                        clients.deaf = Instant::now().checked_add(DEAF);
                        return;
                    }
                },
            };
            let Ok(mut connection) = Connection::new(stream) else { continue };
            match self.limits.place(connection.peer.user, clients.users()) {
                Ok(()) => {
                    clients.next += 1;
                    clients.connections.insert(clients.next, connection);
                }
                // A message that does not fit at once would have to be kept.
                Err(full) => {
                    connection.send(&encode(&interface::denied(&full)));
                    let _ = connection.flush();
                }
            }
        }
    }

    fn attend(&self, clients: &mut Clients, token: Token, found: PollFlags) {
        let Some(connection) = clients.connections.get_mut(&token) else { return };
        if found.contains(PollFlags::IN) {
            match connection.receive() {
                Ok(true) if connection.stage == Stage::Streaming => {
                    // A client that sends something into a stream does not follow the protocol.
                    clients.connections.remove(&token);
                    return;
                }
                Ok(true) => {}
                Ok(false) | Err(_) => {
                    clients.connections.remove(&token);
                    return;
                }
            }
        } else if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            // A request that has begun is still finished.
            clients.connections.remove(&token);
            return;
        }
        // Reading replies makes room for the client's next call.
        if connection.flush().is_err() {
            clients.connections.remove(&token);
            return;
        }
        self.advance(clients, token);
    }

    /// Takes the next call of a client, if it is its turn.
    fn advance(&self, clients: &mut Clients, token: Token) {
        let Some(connection) = clients.connections.get_mut(&token) else { return };
        loop {
            let call = match connection.next_call() {
                Ok(Some(call)) => call,
                Ok(None) => return,
                Err(_) => {
                    clients.connections.remove(&token);
                    return;
                }
            };
            let oneway = call.oneway;
            let user = connection.peer.user;
            let asked = guarded(|| interface::understand(call))
                .unwrap_or_else(|broken| Err(interface::failed(Exit::Failed, &broken.to_string())));
            let known = match asked {
                Ok(Asked::Known(reply)) | Err(reply) => Some(reply),
                Ok(Asked::Change(request)) => {
                    connection.stage = Stage::Busy { oneway };
                    let peer = connection.peer.clone();
                    self.queues.changes.push(user, Submission { token, peer, request: *request });
                    None
                }
                Ok(Asked::Read(query)) => {
                    connection.stage = Stage::Busy { oneway };
                    self.queues.looks.push(user, Look::Query { token, query });
                    None
                }
                Ok(Asked::Monitor) => {
                    connection.stage = Stage::Busy { oneway: false };
                    self.queues.looks.push(user, Look::Begin { token });
                    None
                }
            };
            if let Some(reply) = known.filter(|_| !oneway) {
                connection.send(&encode(&reply));
                // The socket gets at once what fits, so that calls that were sent together are answered together.
                if connection.flush().is_err() {
                    clients.connections.remove(&token);
                    return;
                }
            }
        }
    }
}

impl Clients {
    fn is_streaming(&self) -> bool {
        self.connections.values().any(|connection| connection.stage == Stage::Streaming)
    }

    /// Whose the connections are.
    fn users(&self) -> impl Iterator<Item = u32> {
        self.connections.values().map(|connection| connection.peer.user)
    }

    fn kept(&self) -> BTreeMap<u32, usize> {
        self.connections.values().fold(BTreeMap::new(), |mut kept, connection| {
            *kept.entry(connection.peer.user).or_default() += connection.kept();
            kept
        })
    }

    fn give_up(&mut self, now: Instant) {
        self.connections.retain(|_, connection| !connection.is_over(now));
    }

    fn reply(&mut self, token: Token, message: &[u8]) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        if connection.stage != (Stage::Busy { oneway: true }) {
            connection.send(message);
        }
        connection.stage = Stage::Open;
        // Its next call may be here already. Whether it is gone shows when it is looked at next.
        let _ = connection.flush();
    }

    fn begin(&mut self, token: Token, message: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.send(message);
            connection.stage = Stage::Streaming;
        }
    }

    /// Sends a reply to all streams. A stream that its client does not read is closed.
    fn tell(&mut self, reply: &Reply) {
        let message = encode(reply);
        let streams = self.connections.values_mut().filter(|connection| connection.stage == Stage::Streaming);
        for connection in streams {
            if connection.backlog() + message.len() <= BACKLOG {
                connection.send(&message);
            } else {
                connection.send(&encode(&interface::denied(&Denied::Lost)));
                connection.stage = Stage::Closing;
            }
        }
    }

    /// Writes what clients take, and drops those that are gone or done.
    fn flush(&mut self) {
        self.connections.retain(|_, connection| {
            connection.flush().is_ok() && !(connection.stage == Stage::Closing && connection.backlog() == 0)
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Source {
    End,
    Message,
    Listener,
    Notify,
    Client(Token),
}

#[derive(Debug, Default)]
struct Ready {
    end: bool,
    listener: bool,
    watch: bool,
    clients: Vec<(Token, PollFlags)>,
}

fn drain(mut socket: &UnixStream) {
    let mut bytes = [0; 256];
    while matches!(socket.read(&mut bytes), Ok(length) if length > 0) {}
}
