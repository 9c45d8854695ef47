//! How the threads reach the loop: what they have to say, and a byte that wakes it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::server::News;

/// A thread's way to the loop.
#[derive(Debug)]
pub struct Outlet {
    news: Sender<News>,
    wake: UnixStream,
}

/// The loop's end: what is said, and what becomes readable when something is.
pub struct Inlet {
    /// What is said.
    pub news: Receiver<News>,
    /// Readable then.
    pub wake: UnixStream,
}

/// A way for two threads.
pub fn outlets() -> std::io::Result<([Outlet; 2], Inlet)> {
    let (news, receiver) = channel();
    let (wake, woken) = UnixStream::pair()?;
    for end in [&wake, &woken] {
        end.set_nonblocking(true)?;
    }
    let other = Outlet { news: news.clone(), wake: wake.try_clone()? };
    Ok(([Outlet { news, wake }, other], Inlet { news: receiver, wake: woken }))
}

/// However a thread ends, the loop is told.
impl Drop for Outlet {
    fn drop(&mut self) {
        self.tell(News::Done);
    }
}

impl Outlet {
    /// Says something. When nobody listens any more, there is nobody to tell.
    pub fn tell(&self, news: News) {
        let _ = self.news.send(news);
        // A full pipe wakes as well as one more byte in it.
        let _ = (&self.wake).write(&[1]);
    }
}
