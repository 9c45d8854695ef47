//! The directories of one service below /run/dynix: `generation-N`, which never changes after it has its name, and the
//! `current` link.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, fchown};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, Directory, FileError, atomic, remove_tree};

/// One file to be staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// One path component.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// The owner; changed only if it is not the running user.
    pub uid: u32,
    /// Group; likewise.
    pub gid: u32,
}

/// The directory of generation `number` of the service whose directory this is.
#[must_use]
pub fn directory(service: &Utf8Path, number: u64) -> Utf8PathBuf {
    service.join(name(number))
}

fn name(number: u64) -> String {
    format!("generation-{number}")
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("generation-")?.parse().ok()
}

/// Writes generation `number` of a service: all files, then the name. Each file has its owner and mode before its
/// first byte.
pub fn stage(service: &Utf8Path, number: u64, files: &[StagedFile]) -> Result<Utf8PathBuf, FileError> {
    let directory = Directory::create(service)?;
    let (unfinished, finished) = (format!(".{}", name(number)), name(number));
    let staged = stage_at(&directory, &unfinished, &finished, files);
    if staged.is_err() {
        // The first failure is the one to report.
        let _ = remove_tree(&service.join(&unfinished));
    }
    staged?;
    Ok(service.join(finished))
}

fn stage_at(service: &Directory, unfinished: &str, finished: &str, files: &[StagedFile]) -> Result<(), FileError> {
    let path = service.path().join(unfinished);
    remove_tree(&path)?;
    let directory = Directory::create(&path)?;
    // The process's umask may have taken bits that the units' users need.
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).at("set the mode of", &path)?;
    for file in files {
        write(&directory, file)?;
    }
    remove_tree(&service.path().join(finished))?;
    service.rename(unfinished, finished)
}

fn write(directory: &Directory, file: &StagedFile) -> Result<(), FileError> {
    let path = directory.path().join(&file.name);
    let mut open = directory.create_file(&file.name)?;
    let (us, our_group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if (file.uid, file.gid) != (us, our_group) {
        fchown(&open, Some(file.uid), Some(file.gid)).at("set the owner of", &path)?;
    }
    open.set_permissions(Permissions::from_mode(file.mode)).at("set the mode of", &path)?;
    open.write_all(&file.bytes).at("write", &path)
}

/// The content of a file of generation `number`; `None` if there is no such file.
pub fn read(service: &Utf8Path, number: u64, file: &str) -> Result<Option<Vec<u8>>, FileError> {
    super::read_in_place(&directory(service, number).join(file), super::OWN)
}

/// The generation that `current` names; `None` if the service is on its static files.
pub fn current(service: &Utf8Path) -> Result<Option<u64>, FileError> {
    Ok(super::read_link(&service.join("current"))?.as_deref().and_then(number))
}

/// How long ago `current` got its present target; `None` if the service is on its static files.
pub fn age(service: &Utf8Path) -> Result<Option<std::time::Duration>, FileError> {
    let link = service.join("current");
    match std::fs::symlink_metadata(&link) {
        // The clock may have been set back since.
        Ok(found) => Ok(Some(found.modified().at("look at", &link)?.elapsed().unwrap_or_default())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("look at", &link),
    }
}

/// Points `current` at a generation, or removes it: the service reads its static files then.
pub fn swap(service: &Utf8Path, to: Option<u64>) -> Result<(), FileError> {
    let current = service.join("current");
    match to {
        Some(number) => atomic::link(&current, &name(number)),
        None => super::remove(&current).map(drop),
    }
}

/// The numbers of the generations that are there, ascending.
pub fn list(service: &Utf8Path) -> Result<Vec<u64>, FileError> {
    let mut numbers: Vec<u64> = super::names(service)?.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes all but the newest `keep` generations and those in `needed`.
pub fn prune(service: &Utf8Path, keep: usize, needed: &[u64]) -> Result<(), FileError> {
    let numbers = list(service)?;
    for number in &numbers[..numbers.len().saturating_sub(keep)] {
        if !needed.contains(number) {
            remove_tree(&directory(service, *number))?;
        }
    }
    Ok(())
}

/// Removes what a crash left unfinished.
pub fn clean(service: &Utf8Path) -> Result<(), FileError> {
    for directory in super::names(service)? {
        if directory.strip_prefix('.').is_some_and(|finished| number(finished).is_some()) {
            remove_tree(&service.join(directory))?;
        }
    }
    atomic::clean(&service.join("current"))
}

/// Whether a directory holds nothing but generations and the link to one.
pub fn is_all_there_is(service: &Utf8Path) -> Result<bool, FileError> {
    let ours = |name: &str| {
        let finished = name.strip_prefix('.').unwrap_or(name);
        number(finished).is_some() || matches!(name, "current" | ".current.new")
    };
    Ok(super::names(service)?.iter().all(|name| ours(name)))
}

/// Removes a generation that was staged and not used.
pub fn discard(service: &Utf8Path, number: u64) -> Result<(), FileError> {
    remove_tree(&directory(service, number))
}

/// Removes a service's directory with all generations.
pub fn forget(service: &Utf8Path) -> Result<(), FileError> {
    remove_tree(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("harmonia")).unwrap();
        (directory, path)
    }

    fn file(bytes: &[u8]) -> StagedFile {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        StagedFile { name: "harmonia.toml".to_owned(), bytes: bytes.to_vec(), mode: 0o444, uid, gid }
    }

    #[test]
    fn a_generation_is_staged_swapped_in_and_out() {
        let (_keep, service) = service();
        assert_eq!(current(&service).unwrap(), None);
        stage(&service, 1, &[file(b"workers = 20\n")]).unwrap();
        swap(&service, Some(1)).unwrap();
        assert_eq!(current(&service).unwrap(), Some(1));
        let path = service.join("current/harmonia.toml");
        assert_eq!(std::fs::read(&path).unwrap(), b"workers = 20\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
        swap(&service, None).unwrap();
        assert_eq!(current(&service).unwrap(), None);
    }

    #[test]
    fn staging_again_after_a_crash_replaces_what_was_left() {
        let (_keep, service) = service();
        std::fs::create_dir_all(service.join(".generation-1")).unwrap();
        std::fs::write(service.join(".generation-1/torn"), b"").unwrap();
        stage(&service, 1, &[file(b"a")]).unwrap();
        stage(&service, 1, &[file(b"b")]).unwrap();
        assert_eq!(std::fs::read(service.join("generation-1/harmonia.toml")).unwrap(), b"b");
        assert_eq!(std::fs::read_dir(&service).unwrap().count(), 1);
    }

    #[test]
    fn pruning_keeps_the_newest_and_the_needed() {
        let (_keep, service) = service();
        for number in 1..=12 {
            stage(&service, number, &[file(b"x")]).unwrap();
        }
        prune(&service, 3, &[2]).unwrap();
        assert_eq!(list(&service).unwrap(), vec![2, 10, 11, 12]);
    }
}
