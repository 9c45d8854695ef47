//! The cache of the log, so that neither appending nor folding reads its history again.
//!
//! Two files in the cache directory: the *stamp* says which file, in which state, was found to be a good log; the
//! *checkpoint* is the folded state at some place of it. Both are only hints. A file that does not fit the present log,
//! or that can't be read, counts as absent. Losing them costs one full fold.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fold::{Ids, State};
use super::reader::Place;
use crate::host::fs::json_file;

/// Changes whenever the meaning of these files does.
const VERSION: u32 = 2;
/// How much of the log before a place is compared: with the times of the file, enough to notice any edit by hand.
const TAIL: u64 = 4096;

/// Which file it was, and as of when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileState {
    device: u64,
    inode: u64,
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    pub fn from_metadata(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether any later change gives it another time, read at `began` by the clock's tick, which is what changes are dated
    /// by (inode(7)). File systems without nanoseconds date them to one second, or two.
    pub fn is_older_than(&self, began: (i64, i64)) -> bool {
        match self.changed {
            (seconds, 0) => began.0 > seconds + 2,
            changed => began > changed,
        }
    }

    pub fn is_modified_at(&self, time: (i64, i64)) -> bool {
        self.modified == time
    }
}

/// A log that was found to be good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogStamp {
    version: u32,
    file: FileState,
    /// Digest of the log's last bytes.
    tail: String,
    /// It stays the same as long as only dynix appends to the log.
    pub lineage: String,
    pub place: Place,
    pub ids: Ids,
    /// The last line has no line feed.
    pub open_line: bool,
}

/// A folded state.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    version: u32,
    lineage: String,
    /// Digest of the log's last bytes before the state's place.
    tail: String,
    state: State,
}

/// The cache of one log.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    stamp: Utf8PathBuf,
    checkpoint: Utf8PathBuf,
}

impl Cache {
    pub fn new(directory: &Utf8Path, log: &Utf8Path) -> Self {
        let name = &hex(Sha256::digest(log.as_str()).as_slice())[..16];
        Self {
            stamp: directory.join(format!("overrides-{name}.stamp.json")),
            checkpoint: directory.join(format!("overrides-{name}.fold.json")),
        }
    }

    /// The stamp, if it is one of this very file in its present state.
    pub fn stamp(&self, file: &File, now: &FileState) -> Option<LogStamp> {
        let stamp: LogStamp = load(&self.stamp)?;
        let fits = stamp.version == VERSION && stamp.file == *now && stamp.tail == tail(file, now.size)?;
        fits.then_some(stamp)
    }

    /// The last id that a log at this place ever had, as far as is known.
    pub fn last_known_id(&self) -> u64 {
        load::<LogStamp>(&self.stamp).map_or(0, |stamp| stamp.ids.last())
    }

    /// Remembers that the log is good. The caller holds the log's lock, so there is only one writer.
    pub fn remember(&self, file: &File, now: FileState, good: Good) -> Option<LogStamp> {
        let lineage = good.lineage.unwrap_or_else(new_lineage);
        let tail = tail(file, now.size)?;
        let stamp = LogStamp {
            version: VERSION,
            file: now,
            tail,
            lineage,
            place: good.place,
            ids: good.ids,
            open_line: good.open_line,
        };
        store(&self.stamp, &stamp);
        Some(stamp)
    }

    /// The folded state at some place of the log that `stamp` is of.
    pub fn checkpoint(&self, file: &File, stamp: &LogStamp) -> Option<State> {
        let Checkpoint { version, lineage, tail: expected, state } = load(&self.checkpoint)?;
        let fits = version == VERSION
            && lineage == stamp.lineage
            && state.place.offset <= stamp.file.size
            && expected == tail(file, state.place.offset)?;
        fits.then_some(state)
    }

    /// Remembers a folded state. The caller holds the log's lock.
    pub fn remember_fold(&self, file: &File, stamp: &LogStamp, state: State) {
        if let Some(tail) = tail(file, state.place.offset) {
            store(&self.checkpoint, &Checkpoint { version: VERSION, lineage: stamp.lineage.clone(), tail, state });
        }
    }
}

/// The facts to remember about a good log.
pub(super) struct Good {
    /// `None` begins a new lineage: older checkpoints do not count.
    pub lineage: Option<String>,
    pub place: Place,
    pub ids: Ids,
    pub open_line: bool,
}

/// Best effort, like [`store`]: without the cache, all works as well.
fn load<T: DeserializeOwned>(path: &Utf8Path) -> Option<T> {
    json_file::load(path).ok()?
}

fn store(path: &Utf8Path, content: &impl Serialize) {
    let _ = json_file::save(path, content, 0o644);
}

/// Digest of the file's last bytes before `end`.
fn tail(file: &File, end: u64) -> Option<String> {
    let length = end.min(TAIL);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, end - length).ok()?;
    Some(hex(Sha256::digest(&bytes).as_slice()))
}

fn new_lineage() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
