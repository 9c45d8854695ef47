//! Files: the only modules that touch them, one effect each.
//!
//! Callers give whole paths (see [`crate::host::paths`]). No module here knows what a service or an override is. Every
//! file that dynix writes or trusts is reached through a [`Directory`] that nobody else can change.

pub mod atomic;
pub mod directory;
pub mod directory_cache;
pub mod etc_link;
pub mod generation;
pub mod json_file;
pub mod lock;
pub mod mount;
pub mod notify;
pub mod tree;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::Utf8Path;
pub use directory::{Directory, Untrusted, resolve};
use rustix::fs::OFlags;

/// Most bytes of a file that dynix wrote itself, or that `generate` wrote for it.
pub const OWN: u64 = 64 << 20;

/// A failed operation on a path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}: {source}")]
pub struct FileError {
    /// The operation that failed, as a verb.
    pub operation: &'static str,
    /// On which path.
    pub path: String,
    /// The system's error.
    pub source: io::Error,
}

impl FileError {
    /// Why the file or directory is not used, if it is for what others could do with it.
    #[must_use]
    pub fn untrusted(&self) -> Option<Untrusted> {
        self.source.get_ref()?.downcast_ref().copied()
    }

    /// Whether it is not used for that very reason.
    #[must_use]
    pub fn is(&self, reason: Untrusted) -> bool {
        self.untrusted() == Some(reason)
    }
}

/// Adds the operation and the path to the system's error.
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

/// Only "not found" gives `None`: every other failure to read stays a failure.
fn none_if_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file's content, `None` if there is no such file. For a file that the caller names, wherever it leads: its place
/// makes nothing trusted.
pub fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, FileError> {
    none_if_absent(std::fs::read(path)).at("read", path)
}

/// The same for a file of at most `limit` bytes.
pub fn read_limited(path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let Some(file) = none_if_absent(File::open(path)).at("read", path)? else { return Ok(None) };
    read_at_most(&file, path, limit).map(Some)
}

/// The content of a file that only root and the running user can change, `None` if there is none. Any other file is
/// refused, and so is one of more than `limit` bytes.
pub fn read_trusted(path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    read_checked(path, limit, Directory::check_file)
}

/// Whether both paths lead to one file that is there.
#[must_use]
pub fn is_same_file(one: &Utf8Path, other: &Utf8Path) -> bool {
    let identity = |path: &Utf8Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// The content of a file in a place where only root and the running user could put it, whoever owns it; `None` if there
/// is none.
pub fn read_in_place(path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    read_checked(path, limit, |_, file, _| {
        let is_file = file.metadata().at("look at", path)?.is_file();
        if is_file { Ok(()) } else { Err(io::Error::from(Untrusted::NotAFile)).at("use", path) }
    })
}

/// The content of a file in a place where only root and the running user could put it, and that not everybody can read;
/// `None` if there is none.
pub fn read_private(path: &Utf8Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    read_checked(path, limit, |_, file, _| {
        let found = file.metadata().at("look at", path)?;
        let untrusted = if !found.is_file() {
            Some(Untrusted::NotAFile)
        } else if found.permissions().mode() & 0o007 != 0 {
            Some(Untrusted::Public { mode: found.permissions().mode() & 0o7777 })
        } else {
            None
        };
        untrusted.map_or(Ok(()), |reason| Err(io::Error::from(reason)).at("use", path))
    })
}

fn read_checked(
    path: &Utf8Path,
    limit: u64,
    check: impl FnOnce(&Directory, &File, &str) -> Result<(), FileError>,
) -> Result<Option<Vec<u8>>, FileError> {
    let Some((directory, name)) = Directory::above(path)? else { return Ok(None) };
    let Some(file) = directory.open_file(name, OFlags::RDONLY)? else { return Ok(None) };
    check(&directory, &file, name)?;
    read_at_most(&file, path, limit).map(Some)
}

fn read_at_most(file: &File, path: &Utf8Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let size = file.metadata().at("look at", path)?.len();
    // With one byte more, a second read is the end. It may grow meanwhile.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or_default() + 1);
    let read = if size > limit { size } else { file.take(limit + 1).read_to_end(&mut bytes).at("read", path)? as u64 };
    if read > limit {
        return Err(io::Error::from(Untrusted::TooLarge { size: read, limit })).at("read", path);
    }
    Ok(bytes)
}

/// A symbolic link's target, `None` if there is no such link.
pub fn read_link(path: &Utf8Path) -> Result<Option<String>, FileError> {
    let Some((directory, name)) = Directory::above(path)? else { return Ok(None) };
    directory.read_link(name)
}

/// Removes a file or link; no error if there is none. Gives whether there was one.
pub fn remove(path: &Utf8Path) -> Result<bool, FileError> {
    let Some((directory, name)) = Directory::above(path)? else { return Ok(false) };
    directory.remove(name)
}

/// Creates a directory (0755) and those above it.
pub fn create_dir(path: &Utf8Path) -> Result<(), FileError> {
    Directory::create(path).map(drop)
}

/// Removes a directory if it is there and nothing is in it.
pub fn remove_empty_dir(path: &Utf8Path) -> Result<(), FileError> {
    let Some((directory, name)) = Directory::above(path)? else { return Ok(()) };
    directory.remove_empty(name).map(drop)
}

/// The names in a directory; none if there is no such directory.
pub fn names(path: &Utf8Path) -> Result<Vec<String>, FileError> {
    Directory::open(path)?.map_or_else(|| Ok(Vec::new()), |directory| directory.list())
}

/// The names in a directory that the caller names, wherever it leads; none if there is no such directory.
pub fn list(path: &Utf8Path) -> Result<Vec<String>, FileError> {
    let Some(entries) = none_if_absent(std::fs::read_dir(path)).at("list", path)? else { return Ok(Vec::new()) };
    let names = entries.map(|entry| Ok(entry.at("list", path)?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Removes a directory with everything in it; no error if there is none. The standard library follows no link below
/// `path`, and nobody else can change what is above it.
pub fn remove_tree(path: &Utf8Path) -> Result<(), FileError> {
    if Directory::above(path)?.is_none() {
        return Ok(());
    }
    none_if_absent(std::fs::remove_dir_all(path)).at("remove", path).map(drop)
}

/// Whether there is anything at `path`.
pub fn exists(path: &Utf8Path) -> Result<bool, FileError> {
    Ok(none_if_absent(std::fs::symlink_metadata(path)).at("look at", path)?.is_some())
}
