//! One client: what it sent, what it has yet to read, and how long that has lasted.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::peer::Peer;
use crate::varlink::wire::{Call, Garbled, Inbox};

/// How long a message that was begun may take to be sent, or to be read by the client.
const SLOW: Duration = Duration::from_secs(30);
/// How long a client may be silent.
const SILENT: Duration = Duration::from_secs(600);
/// Most bytes that a stream may have waiting for its reader.
pub const BACKLOG: usize = 1 << 20;
/// Most bytes that are read at a time: everybody gets a turn.
const PORTION: usize = 16 << 10;

/// The stage of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A call may come.
    Open,
    /// A call is being worked on.
    Busy {
        /// Whether the client wants no reply.
        oneway: bool,
    },
    /// It gets a stream.
    Streaming,
    /// It ends as soon as what is left is read.
    Closing,
}

/// A client.
#[derive(Debug)]
pub struct Connection {
    /// The user at the other end.
    pub peer: Peer,
    /// Its present stage.
    pub stage: Stage,
    stream: UnixStream,
    inbox: Inbox,
    outbox: Vec<u8>,
    written: usize,
    /// When something last moved.
    moved: Instant,
}

impl Connection {
    /// A client that has just come.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        let peer = Peer::from_stream(&stream)?;
        let (inbox, outbox) = (Inbox::default(), Vec::new());
        Ok(Self { peer, stage: Stage::Open, stream, inbox, outbox, written: 0, moved: Instant::now() })
    }

    /// Its socket.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// How many bytes are kept for it.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.inbox.len() + self.outbox.len()
    }

    /// How many bytes it has yet to read.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// Whether the client may send a call now.
    #[must_use]
    pub fn may_speak(&self) -> bool {
        self.stage == Stage::Open && self.backlog() == 0
    }

    /// Whether it is given up at `now`.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.patience().is_some_and(|patience| now >= self.moved + patience)
    }

    /// When it is given up unless something moves.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.patience().map(|patience| self.moved + patience)
    }

    fn patience(&self) -> Option<Duration> {
        match self.stage {
            _ if self.backlog() > 0 || self.stage == Stage::Closing => Some(SLOW),
            Stage::Open if self.inbox.is_empty() => Some(SILENT),
            Stage::Open => Some(SLOW),
            // It is we that it waits for.
            Stage::Busy { .. } | Stage::Streaming | Stage::Closing => None,
        }
    }

    /// Reads what is there; `false` at the end.
    pub fn receive(&mut self) -> std::io::Result<bool> {
        let mut portion = [0; PORTION];
        match self.stream.read(&mut portion) {
            Ok(0) => Ok(false),
            Ok(length) => {
                // The time for a message runs from its first byte: one that trickles in is not waited for.
                if self.inbox.is_empty() {
                    self.moved = Instant::now();
                }
                self.inbox.take(&portion[..length]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next call, if it is there and its turn.
    pub fn next_call(&mut self) -> Result<Option<Call>, Garbled> {
        if !self.may_speak() {
            return Ok(None);
        }
        let call = self.inbox.next_call()?;
        if call.is_some() {
            self.moved = Instant::now();
        }
        Ok(call)
    }

    /// Queues a message after those that the client has yet to read.
    pub fn send(&mut self, message: &[u8]) {
        if self.backlog() == 0 {
            self.moved = Instant::now();
        }
        self.outbox.extend_from_slice(message);
    }

    /// Writes as much as the client takes.
    pub fn flush(&mut self) -> std::io::Result<()> {
        while self.backlog() > 0 {
            match self.stream.write(&self.outbox[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.written += length;
                    self.moved = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outbox = Vec::new();
        self.written = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn who_is_slow_or_silent_is_given_up() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(ours).unwrap();
        let after = |connection: &Connection, seconds| {
            let moved = connection.moved;
            connection.is_over(moved + Duration::from_secs(seconds))
        };
        // Says nothing.
        assert_eq!((after(&connection, 599), after(&connection, 600)), (false, true));
        // Begins a message: its time does not begin anew with each byte.
        theirs.write_all(b"{").unwrap();
        assert!(connection.receive().unwrap());
        let began = connection.moved;
        theirs.write_all(b"\"").unwrap();
        assert!(connection.receive().unwrap());
        assert_eq!(connection.moved, began);
        assert_eq!((after(&connection, 29), after(&connection, 30)), (false, true));
        // It is we that it waits for.
        connection.stage = Stage::Busy { oneway: false };
        assert!(!after(&connection, 10_000) && connection.deadline().is_none());
        connection.stage = Stage::Streaming;
        assert!(!after(&connection, 10_000));
        // It does not read.
        connection.send(b"answer");
        assert_eq!((after(&connection, 29), after(&connection, 30)), (false, true));
        connection.flush().unwrap();
        assert!(!after(&connection, 10_000));
    }
}
