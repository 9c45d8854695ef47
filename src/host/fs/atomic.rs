//! Files and links that appear whole or not at all: written beside their place, then renamed over it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use super::{Context, Directory, FileError};

/// Whether the write has to survive a power cut. Files below /run do not: they are gone with the power anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No fsync.
    Volatile,
    /// fsync of the file and of its directory.
    Durable,
}

/// Writes `bytes` to `path` with `mode`, replacing what is there. One writer at a time: the caller holds the lock, so a
/// file with the temporary name is left over from a crash.
pub fn write(path: &Utf8Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<(), FileError> {
    let (directory, name) = Directory::create_above(path)?;
    let temporary = temporary(name);
    directory.remove(&temporary)?;
    let written = write_through(&directory, &temporary, name, bytes, mode, durability);
    if written.is_err() {
        // The first failure is the one to report.
        let _ = directory.remove(&temporary);
    }
    written?;
    if durability == Durability::Durable {
        directory.sync()?;
    }
    Ok(())
}

/// Writes a new file, as [`write`] does; an existing file at `path` stays. Gives whether there was none.
pub fn create(path: &Utf8Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<bool, FileError> {
    let (directory, name) = Directory::create_above(path)?;
    let temporary = temporary(name);
    directory.remove(&temporary)?;
    let created = write_beside(&directory, &temporary, bytes, mode, durability)
        .and_then(|()| directory.rename_new(&temporary, name));
    if !matches!(created, Ok(true)) {
        // The first failure is the one to report.
        let _ = directory.remove(&temporary);
    }
    let created = created?;
    if durability == Durability::Durable {
        directory.sync()?;
    }
    Ok(created)
}

fn write_through(
    directory: &Directory,
    temporary: &str,
    name: &str,
    bytes: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<(), FileError> {
    write_beside(directory, temporary, bytes, mode, durability)?;
    directory.rename(temporary, name)
}

fn write_beside(
    directory: &Directory,
    temporary: &str,
    bytes: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<(), FileError> {
    let mut file = directory.create_file(temporary)?;
    let path = directory.path().join(temporary);
    file.set_permissions(Permissions::from_mode(mode)).at("set the mode of", &path)?;
    file.write_all(bytes).at("write", &path)?;
    if durability == Durability::Durable {
        file.sync_all().at("sync", &path)?;
    }
    Ok(())
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

/// Makes `link` a symbolic link to `target`, replacing the link that is there. One writer at a time, as for [`write`].
pub fn link(link: &Utf8Path, target: &str) -> Result<(), FileError> {
    let (directory, name) = Directory::create_above(link)?;
    let temporary = temporary(name);
    directory.remove(&temporary)?;
    directory.link(&temporary, target)?;
    directory.rename(&temporary, name)
}

/// Removes what a killed write or link of `path` left behind.
pub fn clean(path: &Utf8Path) -> Result<(), FileError> {
    let Some((directory, name)) = Directory::above(path)? else { return Ok(()) };
    directory.remove(&temporary(name)).map(drop)
}

/// Creates a directory (0755) and those above it, all of which survive a power cut.
pub fn create_dir(path: &Utf8Path) -> Result<(), FileError> {
    let mut missing = Vec::new();
    for directory in path.ancestors().filter(|directory| !directory.as_str().is_empty()) {
        if super::exists(directory)? {
            break;
        }
        missing.push(directory);
    }
    super::create_dir(path)?;
    let parents = missing.iter().rev().filter_map(|directory| directory.parent());
    parents.filter(|parent| !parent.as_str().is_empty()).try_for_each(sync_directory)
}

/// Makes renames and creations in `directory` survive a power cut.
pub fn sync_directory(directory: &Utf8Path) -> Result<(), FileError> {
    match Directory::open(directory)? {
        Some(directory) => directory.sync(),
        None => Err(std::io::Error::from(std::io::ErrorKind::NotFound)).at("sync the directory", directory),
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    #[test]
    fn a_write_replaces_content_and_mode_and_leaves_nothing_else() {
        let (_keep, directory) = directory();
        let path = directory.join("below/state.json");
        write(&path, b"old", 0o600, Durability::Durable).unwrap();
        write(&path, b"new", 0o644, Durability::Volatile).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_swapped_also_over_the_left_over_of_a_crash() {
        let (_keep, directory) = directory();
        let path = directory.join("current");
        std::os::unix::fs::symlink("nowhere", directory.join(".current.new")).unwrap();
        link(&path, "generation-1").unwrap();
        link(&path, "generation-2").unwrap();
        assert_eq!(crate::host::fs::read_link(&path).unwrap().as_deref(), Some("generation-2"));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }
}
