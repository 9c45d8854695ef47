//! Watches the state file and the log for changes by any process (inotify(7)).
//!
//! A notification only says that something may be new; the reader has to look what it is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::host::paths::Paths;

/// A watch on the files of a system.
#[derive(Debug)]
pub struct Notify(Option<OwnedFd>);

impl Notify {
    /// Starts the watch. If that fails, the daemon sees only its own changes at once.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        let Ok(socket) = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) else { return Self(None) };
        let log = paths.overrides().parent();
        // The state file is swapped in, the log is written to.
        let directories = [(Some(paths.run()), WatchFlags::MOVED_TO), (log.map(Into::into), WatchFlags::MODIFY)];
        for (directory, flags) in directories {
            if let Some(directory) = directory {
                let _ = inotify::add_watch(&socket, directory.as_std_path(), flags | WatchFlags::ONLYDIR);
            }
        }
        Self(Some(socket))
    }

    /// Readable when there may be something new.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Takes note.
    pub fn drain(&self) {
        let mut bytes = [0_u8; 4096];
        while let Some(socket) = &self.0 {
            if !matches!(rustix::io::read(socket, &mut bytes), Ok(length) if length > 0) {
                return;
            }
        }
    }
}
