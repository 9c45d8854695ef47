//! Files: the only modules that touch them, one effect each.
//!
//! Everything is given as whole paths (see [`crate::paths`]); nothing here knows what a service or an override is.

pub mod atomic;
pub mod generation;
pub mod lock;

use std::io;

use camino::Utf8Path;

/// A failed operation on a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}: {source}")]
pub struct FileError {
    /// What was tried, as a verb.
    pub operation: &'static str,
    /// On which path.
    pub path: String,
    /// What the system said.
    pub source: io::Error,
}

/// Adds the operation and the path to what the system said.
pub trait Context<T> {
    /// `cannot {operation} {path}: ...`
    fn at(self, operation: &'static str, path: &Utf8Path) -> Result<T, FileError>;
}

impl<T> Context<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Utf8Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { operation, path: path.to_string(), source })
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn at(self, operation: &'static str, path: &Utf8Path) -> Result<T, FileError> {
        self.map_err(io::Error::from).at(operation, path)
    }
}

/// Only "not found" is "nothing": every other failure to read is a failure.
fn none_if_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file's content, `None` if there is no such file.
pub fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, FileError> {
    none_if_absent(std::fs::read(path)).at("read", path)
}

/// A symbolic link's target, `None` if there is no such link.
pub fn read_link(path: &Utf8Path) -> Result<Option<String>, FileError> {
    let target = none_if_absent(std::fs::read_link(path)).at("read the link", path)?;
    Ok(target.map(|target| target.to_string_lossy().into_owned()))
}

/// Removes a file or link; no error where there is none. Gives whether there was one.
pub fn remove(path: &Utf8Path) -> Result<bool, FileError> {
    Ok(none_if_absent(std::fs::remove_file(path)).at("remove", path)?.is_some())
}

/// Creates a directory (0755) and those above it.
pub fn create_dir(path: &Utf8Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).at("create the directory", path)
}

/// Removes a directory if it is there and nothing is in it.
pub fn remove_empty_dir(path: &Utf8Path) -> Result<(), FileError> {
    match std::fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        result => none_if_absent(result).at("remove the directory", path).map(drop),
    }
}

/// Whether there is anything at `path`.
pub fn exists(path: &Utf8Path) -> Result<bool, FileError> {
    Ok(none_if_absent(std::fs::symlink_metadata(path)).at("look at", path)?.is_some())
}

/// Whether `path` is a file or directory that nobody but root and the running user can change. A path that is not
/// there is an error.
pub fn is_trusted(path: &Utf8Path) -> Result<bool, FileError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).at("look at", path)?;
    let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
    Ok(ours && metadata.mode() & 0o022 == 0)
}
