//! What makes the log fast at any length: notes on a log that was read whole, beside it in /var/cache. Disposable.
//!
//! The *stamp* says which file was read and found good; it follows each append of ours. The *checkpoint* has the
//! overrides folded up to some place of a log with the same lineage. A log that anyone else changed has another stamp
//! (`stat(2)`: inode, size, times), so both are ignored and made anew.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::overlay::Overlay;
use crate::attr_path::AttrPath;
use crate::fs::atomic::{self, Durability};
use crate::fs::{self, FileError};

/// The only version that is read; any other is as good as none.
const VERSION: u32 = 1;
/// More overrides than this are quicker folded than read from a checkpoint.
const MOST: usize = 10_000;

/// Which file was read, and what it ended with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    version: u32,
    identity: Identity,
    /// Changes when the log was changed by anyone but us.
    pub lineage: u64,
    /// The id of the last record.
    pub last_id: u64,
}

/// A file's identity as far as `stat(2)` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Of an open file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The overrides up to a place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    lineage: u64,
    /// The place; bytes.
    pub offset: u64,
    /// The id of the last record before it.
    pub last_id: u64,
    /// Records that hold and have an end: id and end (RFC 3339).
    pub ends: Vec<(u64, String)>,
    overrides: Vec<(AttrPath, Value, u64)>,
}

impl Checkpoint {
    /// The overrides.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        let mut overlay = Overlay::default();
        for (path, value, id) in &self.overrides {
            overlay.put(&path.0, value.clone(), *id);
        }
        overlay
    }
}

/// The directory of the notes.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: Utf8PathBuf,
}

impl Cache {
    /// Notes in `directory`.
    #[must_use]
    pub fn new(directory: &Utf8Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The stamp, if it is of this very file.
    #[must_use]
    pub fn stamp(&self, metadata: &Metadata) -> Option<Stamp> {
        let stamp: Stamp = self.read("log-stamp.json")?;
        (stamp.version == VERSION && stamp.identity == Identity::of(metadata)).then_some(stamp)
    }

    /// The checkpoint, if it is of the log that `stamp` is of.
    #[must_use]
    pub fn checkpoint(&self, stamp: &Stamp) -> Option<Checkpoint> {
        let checkpoint: Checkpoint = self.read("log-checkpoint.json")?;
        let fits = checkpoint.version == VERSION && checkpoint.lineage == stamp.lineage;
        (fits && checkpoint.offset <= stamp.identity.size && checkpoint.last_id <= stamp.last_id).then_some(checkpoint)
    }

    /// Notes that the file was read whole and is good. `lineage` is the one that it had before our own append to it.
    pub fn note(&self, metadata: &Metadata, lineage: Option<u64>, last_id: u64) -> Option<Stamp> {
        let lineage = lineage.unwrap_or_else(new_lineage);
        let stamp = Stamp { version: VERSION, identity: Identity::of(metadata), lineage, last_id };
        self.write("log-stamp.json", &stamp).ok().map(|()| stamp)
    }

    /// Notes what the log of `stamp` folds into, up to `offset`.
    pub fn keep(&self, stamp: &Stamp, offset: u64, last_id: u64, overlay: &Overlay, ends: &[(u64, String)]) {
        let leaves = overlay.leaves();
        if leaves.len() > MOST {
            return;
        }
        let overrides = leaves.into_iter().map(|(path, one)| (path, one.value.clone(), one.id)).collect();
        let (lineage, ends) = (stamp.lineage, ends.to_vec());
        let checkpoint = Checkpoint { version: VERSION, lineage, offset, last_id, ends, overrides };
        // Only speed is lost without it: a reader who is not root has no place to put it.
        let _ = self.write("log-checkpoint.json", &checkpoint);
    }

    /// Notes of others, or broken ones, are as good as none.
    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.directory.join(name);
        if !fs::is_trusted(&path).unwrap_or(false) {
            return None;
        }
        serde_json::from_slice(&fs::read(&path).ok()??).ok()
    }

    fn write(&self, name: &str, note: &impl Serialize) -> Result<(), FileError> {
        let text = serde_json::to_vec(note).unwrap_or_default();
        atomic::write(&self.directory.join(name), &text, 0o600, Durability::Volatile)
    }
}

/// A number that no other log had, nor this one before.
fn new_lineage() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // Seeded by the system for each process and instance.
    RandomState::new().build_hasher().finish()
}
