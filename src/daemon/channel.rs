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

/// The loop's end: the messages, and a socket that becomes readable when there is one.
pub struct Mailbox {
    /// The messages of the threads.
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

/// However a thread ends, the loop gets a message.
impl Drop for Outbox {
    fn drop(&mut self) {
        self.tell(Message::Done);
    }
}

impl Outbox {
    /// Sends messages. They are dropped if the loop has ended.
    pub fn tell(&self, messages: Message) {
        let _ = self.messages.send(messages);
        // A full pipe wakes as well as one more byte in it.
        let _ = (&self.wake).write(&[1]);
    }
}
