//! Carries messages from the threads to the loop. A byte wakes the loop.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::server::Message;

/// A thread's way to the loop.
#[derive(Debug)]
pub struct Outbox {
    messages: Sender<Message>,
    wake: UnixStream,
}

/// The loop's end: what is said, and what becomes readable when something is.
pub struct Mailbox {
    /// What is said.
    pub messages: Receiver<Message>,
    /// Readable then.
    pub wake: UnixStream,
}

/// A way for two threads.
pub fn connect() -> std::io::Result<([Outbox; 2], Mailbox)> {
    let (messages, receiver) = channel();
    let (wake, woken) = UnixStream::pair()?;
    for end in [&wake, &woken] {
        end.set_nonblocking(true)?;
    }
    let other = Outbox { messages: messages.clone(), wake: wake.try_clone()? };
    Ok(([Outbox { messages, wake }, other], Mailbox { messages: receiver, wake: woken }))
}

/// However a thread ends, the loop is told.
impl Drop for Outbox {
    fn drop(&mut self) {
        self.tell(Message::Done);
    }
}

impl Outbox {
    /// Says something. When nobody listens any more, there is nobody to tell.
    pub fn tell(&self, messages: Message) {
        let _ = self.messages.send(messages);
        // A full pipe wakes as well as one more byte in it.
        let _ = (&self.wake).write(&[1]);
    }
}
