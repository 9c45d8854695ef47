//! What one process keeps for the next, below /run: JSON that can be made anew.

use camino::Utf8Path;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{self, Durability};
use super::{FileError, OWN, read_trusted};

/// What was kept, if anything was. What can't be understood was not written by this dynix, and counts for nothing.
pub fn load<T: DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, FileError> {
    Ok(read_trusted(path, OWN)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Keeps plain data with string keys, in the place of what was kept before; `mode` is the file's.
pub fn save(path: &Utf8Path, content: &impl Serialize, mode: u32) -> Result<(), FileError> {
    // Such data can't fail to be JSON; if it did, an empty file would be kept, which is nothing.
    let bytes = serde_json::to_vec(content).unwrap_or_default();
    atomic::write(path, &bytes, mode, Durability::Volatile)
}
