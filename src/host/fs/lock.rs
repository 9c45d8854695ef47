//! Locks between processes (flock(2)), with the name of the process that holds one.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::fs::OFlags;

use super::{Context, Directory, FileError};

/// How often a holder is looked for.
const LOOKS: usize = 5;

/// How long a held lock is left alone before the next try.
const RETRY: Duration = Duration::from_millis(5);

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing the file is not enough: a lock is held as long as any descriptor of it is open (flock(2)), and a program
    /// that another thread starts at this moment has one until it is executed.
    fn drop(&mut self) {
        // Best effort: the file is closed next in any case.
        let _ = self.file.unlock();
    }
}

/// How long a lock is waited for.
#[derive(Clone, Copy)]
pub struct Patience<'p> {
    most: Duration,
    is_over: &'p dyn Fn() -> bool,
}

impl<'p> Patience<'p> {
    /// Waits at most `most`, and only until `is_over` gives true.
    #[must_use]
    pub fn until(most: Duration, is_over: &'p dyn Fn() -> bool) -> Self {
        Self { most, is_over }
    }

    /// The same, but no longer than `most`.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        Self { most: self.most.min(most), ..self }
    }
}

impl From<Duration> for Patience<'_> {
    fn from(most: Duration) -> Self {
        Self { most, is_over: &|| false }
    }
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process held it for all of the time.
    #[error("{path} is still locked by {holder} after {} s", waited.as_secs())]
    Held {
        /// The lock file.
        path: String,
        /// The process that holds it.
        holder: String,
        /// How long we waited.
        waited: Duration,
    },
    /// Another process holds it, and the process that waits for it has to end.
    #[error("{path} is locked by {holder}, and this process is told to end: it waits no longer")]
    Ending {
        /// The lock file.
        path: String,
        /// The process that holds it.
        holder: String,
    },
}

/// Takes the lock at `path` (created if missing), waiting up to `patience`. `waiting` is called once, with the holder's
/// name, when there is somebody to wait for.
pub fn acquire<'p>(
    path: &Utf8Path,
    patience: impl Into<Patience<'p>>,
    waiting: impl FnOnce(&str),
) -> Result<Lock, LockError> {
    let (directory, name) = Directory::create_above(path)?;
    let missing =
        || FileError { operation: "open", path: path.to_string(), source: std::io::ErrorKind::NotFound.into() };
    let file = directory.open_file(name, OFlags::WRONLY | OFlags::CREATE)?.ok_or_else(missing)?;
    directory.check_file(&file, name)?;
    hold(file, path, patience, waiting)
}

/// Locks an open file; the rest as for [`acquire`].
pub fn hold<'p>(
    file: File,
    path: &Utf8Path,
    patience: impl Into<Patience<'p>>,
    waiting: impl FnOnce(&str),
) -> Result<Lock, LockError> {
    let patience = patience.into();
    if try_lock(&file, path)? {
        return Ok(Lock { file });
    }
    waiting(&holder(&file));
    let start = Instant::now();
    while start.elapsed() < patience.most {
        if (patience.is_over)() {
            return Err(LockError::Ending { path: path.to_string(), holder: holder(&file) });
        }
        std::thread::sleep(RETRY);
        if try_lock(&file, path)? {
            return Ok(Lock { file });
        }
    }
    Err(LockError::Held { path: path.to_string(), holder: holder(&file), waited: start.elapsed() })
}

fn try_lock(file: &File, path: &Utf8Path) -> Result<bool, FileError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

/// The process that holds the lock, from /proc/locks and /proc/PID/comm; best effort, for messages.
fn holder(file: &File) -> String {
    // The file is read in pieces, so a line can be missed while many others lock and unlock.
    let Some(pid) = (0..LOOKS).find_map(|_| holding(file)) else { return "another process".to_owned() };
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(command) => format!("{} (process {pid})", command.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

/// The process that holds it (`proc_locks(5)`).
fn holding(file: &File) -> Option<String> {
    let (metadata, locks) = (file.metadata().ok()?, std::fs::read_to_string("/proc/locks").ok()?);
    let device = metadata.dev();
    let place = format!("{:02x}:{:02x}:{}", rustix::fs::major(device), rustix::fs::minor(device), metadata.ino());
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 1234 00:1a:5678 0 EOF`; waiting ones have `->` in second place.
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == place => Some(pid.to_owned()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn a_held_lock_is_waited_for_and_its_holder_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("run/lock")).unwrap();
        let held = acquire(&path, Duration::ZERO, |_| unreachable!()).unwrap();
        let mut waited_for = String::new();
        let error = acquire(&path, Duration::from_millis(10), |holder| holder.clone_into(&mut waited_for)).unwrap_err();
        assert!(waited_for.contains(&std::process::id().to_string()), "{waited_for}");
        assert!(error.to_string().contains("is still locked by"), "{error}");
        let at_once = acquire(&path, Patience::until(Duration::from_secs(600), &|| true), |_| ()).unwrap_err();
        assert!(at_once.to_string().contains("this process is told to end"), "{at_once}");
        drop(held);
        acquire(&path, Patience::until(Duration::ZERO, &|| true), |_| unreachable!()).unwrap();
    }

    #[test]
    fn a_lock_ends_whoever_has_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("lock")).unwrap();
        let held = acquire(&path, Duration::ZERO, |_| unreachable!()).unwrap();
        // What a child has of it until it executes its program.
        let _inherited = held.file.try_clone().unwrap();
        drop(held);
        acquire(&path, Duration::ZERO, |_| unreachable!()).unwrap();
    }
}
