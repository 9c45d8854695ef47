//! JSON files below /run that one process keeps for the next, and that can be made anew.

use std::io::{ErrorKind, Write};

use camino::Utf8Path;
use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{self, Durability};
use super::{Context, Directory, FileError, OWN, read_trusted};

/// The stored value, if there is one. A file that can't be parsed is from another version of dynix, and counts as
/// absent.
pub fn load<T: DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, FileError> {
    Ok(read_trusted(path, OWN)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Keeps plain data with string keys, in the place of what was kept before; `mode` is the file's.
pub fn save(path: &Utf8Path, content: &impl Serialize, mode: u32) -> Result<(), FileError> {
    // Such data can't fail to be JSON; if it did, an empty file would be kept, which is nothing.
    let bytes = serde_json::to_vec(content).unwrap_or_default();
    atomic::write(path, &bytes, mode, Durability::Volatile)
}

/// The stored values, one per line; none if there is no file. A line that can't be parsed counts as absent.
pub fn lines<T: DeserializeOwned>(path: &Utf8Path) -> Result<Vec<T>, FileError> {
    let bytes = read_trusted(path, OWN)?.unwrap_or_default();
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

/// Adds a line to a file that only root or the running user can read. After this returns, the line survives the end of
/// this process.
pub fn add_line(path: &Utf8Path, content: &impl Serialize) -> Result<(), FileError> {
    let (directory, name) = Directory::create_above(path)?;
    let file = directory.open_file(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)?;
    let missing = || FileError { operation: "open", path: path.to_string(), source: ErrorKind::NotFound.into() };
    let mut file = file.ok_or_else(missing)?;
    directory.check_file(&file, name)?;
    // Before it, so that the end of one that was cut off is a line of its own.
    let mut line = b"\n".to_vec();
    line.extend(serde_json::to_vec(content).unwrap_or_default());
    file.write_all(&line).at("add to", path)
}
