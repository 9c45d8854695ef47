//! Directories that nobody else can change. Every file that dynix writes or trusts is reached through them.
//!
//! dynix walks a path from `/` one name at a time and follows no symbolic link (openat(2) with `O_NOFOLLOW`). Each
//! directory on the way has to belong to root or to the running user. Nobody else may write to it, except to a sticky
//! one (unlink(2): names of other users stay as they are). So a directory stays in its place whatever other users do,
//! and dynix works relative to the open directory. [`resolve`] is the only function that follows links: those that root
//! or the running user made, and never out of the root of a tree.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{Context, FileError, directory_cache};

/// Links that are followed for one path, as many as the kernel would (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// For the directories on the way: no right to list them is needed.
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why something is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Its owner may change it at any time.
    #[error("user {uid} owns it and could change it; give it to root (chown), or keep the file elsewhere")]
    Owner {
        /// The owner.
        uid: u32,
    },
    /// Others may.
    #[error("others may write to it (mode {mode:04o}); `chmod go-w` it, or keep the file elsewhere")]
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// Everybody may read or write it.
    #[error("it is for everybody (mode {mode:04o}); `chmod o-rwx` it")]
    Public {
        /// Its permissions.
        mode: u32,
    },
    /// Others may have put it there.
    #[error("it has another name, and others may make names in its directory; copy it, and move the copy there")]
    Linked,
    /// A link can be changed to lead elsewhere.
    #[error("it is a symbolic link, and none is followed here")]
    Link,
    /// A pipe or device would be waited for, or worse.
    #[error("it is no plain file")]
    NotAFile,
    /// More than that is never needed.
    #[error("it has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The allowed size in bytes.
        limit: u64,
    },
}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        let kind = match untrusted {
            Untrusted::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, untrusted)
    }
}

/// The trusted owners of directories. The owner of `/` can put anything anywhere; in a user namespace it may be an
/// unknown user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners {
    root: u32,
}

impl Owners {
    fn trusts(self, uid: u32) -> bool {
        uid == 0 || uid == self.root || uid == rustix::process::geteuid().as_raw()
    }

    fn check(self, found: &Stat) -> Result<(), Untrusted> {
        if !self.trusts(found.st_uid) {
            return Err(Untrusted::Owner { uid: found.st_uid });
        }
        let shared_names = is_directory(found) && found.st_mode & 0o1000 != 0;
        if found.st_mode & 0o022 != 0 && !shared_names && !is_link(found) {
            return Err(Untrusted::Writable { mode: found.st_mode & 0o7777 });
        }
        Ok(())
    }
}

fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

/// An open directory that nobody else can change.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: Utf8PathBuf,
    owners: Owners,
    /// Others may make names in it.
    is_shared: bool,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Directory {
    fn top() -> Result<Self, FileError> {
        let path = Utf8PathBuf::from("/");
        let fd = rustix::fs::open("/", ON_THE_WAY, Mode::empty()).at("open", &path)?;
        let found = rustix::fs::fstat(&fd).at("look at", &path)?;
        Self::checked(fd, path, Owners { root: found.st_uid }, &found)
    }

    fn checked(fd: OwnedFd, path: Utf8PathBuf, owners: Owners, found: &Stat) -> Result<Self, FileError> {
        owners.check(found).map_err(io::Error::from).at("use", &path)?;
        Ok(Self { fd, path, owners, is_shared: found.st_mode & 0o022 != 0 })
    }

    /// The directory at `path`; `None` if it, or one above it, is missing.
    pub fn open(path: &Utf8Path) -> Result<Option<Self>, FileError> {
        if let Some(found) = Self::known(path)? {
            return Ok(Some(found));
        }
        let mut here = Self::top()?;
        let mut is_private = !here.is_shared;
        for name in names(path)? {
            let Some(below) = here.below(&name)? else { return Ok(None) };
            if is_private {
                directory_cache::add(&here.path, here.owners);
            }
            is_private &= !below.is_shared;
            here = below;
        }
        Ok(Some(here))
    }

    /// The directory at `path`, by one call instead of three for each name, if all above it have been walked before.
    /// `None` also if only the walk can report the problem, or if the kernel lacks the call (openat2(2), Linux 5.6).
    fn known(path: &Utf8Path) -> Result<Option<Self>, FileError> {
        // Only a plain name is looked up below a known directory: `..` leads out of it.
        let parent = path.file_name().and(path.parent());
        let Some(owners) = parent.and_then(directory_cache::owners) else { return Ok(None) };
        let Ok(fd) = rustix::fs::openat2(CWD, path.as_std_path(), ON_THE_WAY, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        else {
            return Ok(None);
        };
        let found = rustix::fs::fstat(&fd).at("look at", path)?;
        Self::checked(fd, path.to_owned(), owners, &found).map(Some)
    }

    /// The directory at `path`; what is missing on the way is made, with mode 0755.
    pub fn create(path: &Utf8Path) -> Result<Self, FileError> {
        if let Some(found) = Self::known(path)? {
            return Ok(found);
        }
        let mut here = Self::top()?;
        for name in names(path)? {
            here = match here.below(&name)? {
                Some(below) => below,
                None => here.make(&name)?,
            };
        }
        Ok(here)
    }

    /// The directory above `path`, and the name there.
    pub fn above(path: &Utf8Path) -> Result<Option<(Self, &str)>, FileError> {
        let (parent, name) = split(path)?;
        Ok(Self::open(parent)?.map(|directory| (directory, name)))
    }

    /// The same, but it makes the directory if that is missing.
    pub fn create_above(path: &Utf8Path) -> Result<(Self, &str), FileError> {
        let (parent, name) = split(path)?;
        Ok((Self::create(parent)?, name))
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn below(&self, name: &str) -> Result<Option<Self>, FileError> {
        let path = self.path.join(name);
        let fd = match rustix::fs::openat(&self.fd, name, ON_THE_WAY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR) if self.look_at(name)?.as_ref().is_some_and(is_link) => {
                return Err(io::Error::from(Untrusted::Link)).at("use", &path);
            }
            Err(error) => return Err(error).at("open", &path),
        };
        let found = rustix::fs::fstat(&fd).at("look at", &path)?;
        Self::checked(fd, path, self.owners, &found).map(Some)
    }

    fn make(&self, name: &str) -> Result<Self, FileError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).at("create the directory", &path),
        }
        let missing = || FileError {
            operation: "create the directory",
            path: path.to_string(),
            source: io::ErrorKind::NotFound.into(),
        };
        self.below(name)?.ok_or_else(missing)
    }

    fn look_at(&self, name: &str) -> Result<Option<Stat>, FileError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).at("look at", &self.path.join(name)),
        }
    }

    /// Whether there is anything of that name.
    pub fn has(&self, name: &str) -> Result<bool, FileError> {
        Ok(self.look_at(name)?.is_some())
    }

    /// Makes a new file that only its owner can use; an error if anything of that name exists.
    pub fn create_file(&self, name: &str) -> Result<File, FileError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600));
        Ok(File::from(fd.at("create", &self.path.join(name))?))
    }

    /// Opens the file of that name with `access`, without waiting for pipes; `None` if there is none. A link is
    /// [`Untrusted::Link`]. The caller still has to check the owner: [`Directory::check_file`].
    pub fn open_file(&self, name: &str, access: OFlags) -> Result<Option<File>, FileError> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(io::Error::from(Untrusted::Link)).at("open", &self.path.join(name)),
            Err(error) => Err(error).at("open", &self.path.join(name)),
        }
    }

    /// Refuses a file of this directory that others may have put there, or could change.
    pub fn check_file(&self, file: &File, name: &str) -> Result<(), FileError> {
        let path = self.path.join(name);
        let found = rustix::fs::fstat(file).at("look at", &path)?;
        self.check(&found).map_err(io::Error::from).at("use", &path)
    }

    fn check(&self, found: &Stat) -> Result<(), Untrusted> {
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(Untrusted::NotAFile);
        }
        self.owners.check(found)?;
        // A user who may make names in the directory could have linked a file of ours to this one (link(2)), if
        // fs.protected_hardlinks is off (proc_sys_fs(5)).
        if self.is_shared && found.st_nlink > 1 { Err(Untrusted::Linked) } else { Ok(()) }
    }

    /// Renames `from` to `to`, replacing what is there.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).at("replace", &self.path.join(to))
    }

    /// Renames `from` to `to` if nothing has that name; gives whether it did.
    pub fn rename_new(&self, from: &str, to: &str) -> Result<bool, FileError> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // Not all file systems can do it (rename(2)).
            Err(Errno::INVAL | Errno::NOSYS) if !self.has(to)? => self.rename(from, to).map(|()| true),
            Err(error) => Err(error).at("create", &self.path.join(to)),
        }
    }

    /// A new symbolic link.
    pub fn link(&self, name: &str, target: &str) -> Result<(), FileError> {
        rustix::fs::symlinkat(target, &self.fd, name).at("create the link", &self.path.join(name))
    }

    /// The target of the link of that name; `None` if there is none.
    pub fn read_link(&self, name: &str) -> Result<Option<String>, FileError> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).at("read the link", &self.path.join(name)),
        }
    }

    /// Removes a file or link; gives whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, FileError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error).at("remove", &self.path.join(name)),
        }
    }

    /// Removes a directory in which nothing is; gives whether it is gone.
    pub fn remove_empty(&self, name: &str) -> Result<bool, FileError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY) => Ok(false),
            Err(error) => Err(error).at("remove the directory", &self.path.join(name)),
        }
    }

    /// The names in it.
    pub fn list(&self) -> Result<Vec<String>, FileError> {
        let listing = rustix::fs::Dir::new(self.readable()?).at("list", &self.path)?;
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry.at("list", &self.path)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Makes renames and creations in it survive a power cut.
    pub fn sync(&self) -> Result<(), FileError> {
        rustix::fs::fsync(self.readable()?).at("sync the directory", &self.path)
    }

    fn readable(&self) -> Result<OwnedFd, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).at("open", &self.path)
    }
}

fn split(path: &Utf8Path) -> Result<(&Utf8Path, &str), FileError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)).at("use", path),
    }
}

/// The names from `/` to `path`. `..` is an error, because no link is followed: see [`resolve`].
fn names(path: &Utf8Path) -> Result<Vec<String>, FileError> {
    let path = absolute(path)?;
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Utf8Component::Normal(name) => names.push(name.to_owned()),
            Utf8Component::RootDir | Utf8Component::CurDir => {}
            Utf8Component::ParentDir | Utf8Component::Prefix(_) => {
                return Err(io::Error::from(io::ErrorKind::InvalidInput)).at("use", &path);
            }
        }
    }
    Ok(names)
}

fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, FileError> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().at("find the directory of", path)?;
    let here = Utf8PathBuf::try_from(here).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput)).at("use", path)?;
    Ok(here.join(path))
}

/// `path` without symbolic links and `..`. Links on the way are followed as in a system whose root is `root`, if root
/// or the running user made them, in directories that nobody else can change. A missing part is left as it is. `path`
/// is below `root`.
pub fn resolve(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, FileError> {
    let mut links = 0;
    let mut stack = vec![Directory::top()?];
    if root != "/" {
        // The path of the root itself may have links.
        let real = resolve(Utf8Path::new("/"), root)?;
        let Some(directory) = Directory::open(&real)? else {
            return absolute(path);
        };
        stack = vec![directory];
    }
    let path = absolute(path)?;
    let below = path.strip_prefix(absolute(root)?).unwrap_or(&path);
    let mut left: VecDeque<String> = parts(below);
    while let Some(name) = left.pop_front() {
        if name == ".." {
            if stack.len() > 1 {
                stack.pop();
            }
            continue;
        }
        let Some(here) = stack.last() else { break };
        let place = here.path.join(&name);
        let rest = || left.iter().fold(place.clone(), |path, name| path.join(name));
        let Some(found) = here.look_at(&name)? else {
            return if left.iter().any(|name| name == "..") {
                Err(io::Error::from(io::ErrorKind::NotFound)).at("open", &place)
            } else {
                Ok(rest())
            };
        };
        if is_link(&found) {
            here.owners.check(&found).map_err(io::Error::from).at("follow the link", &place)?;
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP).at("follow the link", &place);
            }
            let Some(target) = here.read_link(&name)? else { return Ok(rest()) };
            let target = Utf8PathBuf::from(target);
            if target.is_absolute() {
                stack.truncate(1);
            }
            let mut further = parts(&target);
            further.append(&mut left);
            left = further;
        } else if is_directory(&found) {
            let Some(below) = here.below(&name)? else { return Ok(rest()) };
            stack.push(below);
        } else if left.is_empty() {
            return Ok(place);
        } else {
            return Err(Errno::NOTDIR).at("open", &place);
        }
    }
    Ok(stack.pop().map_or_else(|| Utf8PathBuf::from("/"), |directory| directory.path))
}

fn parts(path: &Utf8Path) -> VecDeque<String> {
    path.components()
        .filter_map(|component| match component {
            Utf8Component::Normal(name) => Some(name.to_owned()),
            Utf8Component::ParentDir => Some("..".to_owned()),
            Utf8Component::RootDir | Utf8Component::CurDir | Utf8Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A directory that counts as walked: those of tests are in /tmp, where everybody may make names.
    fn walked() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        directory_cache::forget();
        directory_cache::add(&path, Owners { root: 0 });
        (directory, path)
    }

    fn reason(path: &Utf8Path) -> Option<Untrusted> {
        Directory::open(path).err().and_then(|error| error.untrusted())
    }

    #[test]
    fn what_is_below_a_known_directory_is_looked_at_each_time() {
        let (_directory, path) = walked();
        let (inner, elsewhere) = (path.join("inner"), path.join("elsewhere"));
        assert!(Directory::open(&inner).unwrap().is_none());
        std::fs::create_dir(&inner).unwrap();
        assert_eq!(Directory::known(&inner).unwrap().unwrap().path(), inner);
        std::fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(reason(&inner), Some(Untrusted::Writable { mode: 0o777 }));
        std::fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&inner, &elsewhere).unwrap();
        assert!(Directory::open(&inner).unwrap().is_none());
        symlink(&elsewhere, &inner).unwrap();
        assert_eq!(reason(&inner), Some(Untrusted::Link));
        std::fs::remove_file(&inner).unwrap();
        std::fs::write(&inner, "").unwrap();
        assert_eq!(Directory::open(&inner).unwrap_err().source.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn nothing_leads_out_of_a_known_directory() {
        let (_directory, path) = walked();
        let out = path.join("..");
        assert_eq!(Directory::open(&out).unwrap_err().source.kind(), io::ErrorKind::InvalidInput);
        let inner = path.join("inner");
        std::fs::create_dir(&inner).unwrap();
        directory_cache::forget();
        assert!(Directory::known(&inner).unwrap().is_none());
    }

    #[test]
    fn what_others_may_make_names_in_is_never_known() {
        let (_directory, path) = walked();
        directory_cache::forget();
        let inner = path.join("inner/innermost");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
        assert!(Directory::open(&inner).unwrap().is_some());
        assert!(directory_cache::owners(&path).is_none() && directory_cache::owners(&path.join("inner")).is_none());
    }
}
