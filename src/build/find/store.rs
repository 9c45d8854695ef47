//! The files that the build may look at: the store, below a root. Each is read once, and within bounds.
//!
//! A link in the store names its target as it is on the running system, so links are resolved below the root as well.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::{self, Context, FileError};

/// Most bytes of a file that are read: a larger one is no configuration and no script.
const FILE: u64 = 4 << 20;

/// Most entries of a directory that is looked through: one of a package has more.
const ENTRIES: usize = 64;

/// Most links that lead from a path to a file (`path_resolution(7)`).
const LINKS: usize = 40;

/// The entry at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file of text, at this path once all links are followed.
    Text(Utf8PathBuf, Rc<str>),
    /// The entries of a directory.
    Directory(Vec<Utf8PathBuf>),
    /// Something that is neither a configuration nor a script: a program, a package, a large file.
    Other,
    /// The path does not exist.
    Absent,
}

/// The store, as far as it was read.
#[derive(Debug)]
pub struct Store<'r> {
    root: &'r Utf8Path,
    /// The path on the running system (`/nix/store`).
    pub place: String,
    read: RefCell<BTreeMap<Utf8PathBuf, Entry>>,
}

impl<'r> Store<'r> {
    /// The store at `place` on the running system, found below `root`.
    #[must_use]
    pub fn new(root: &'r Utf8Path, place: &str) -> Self {
        Self { root, place: place.trim_end_matches('/').to_owned(), read: RefCell::default() }
    }

    /// The entry at `path`.
    pub fn at(&self, path: &Utf8Path) -> Result<Entry, FileError> {
        if let Some(entry) = self.read.borrow().get(path) {
            return Ok(entry.clone());
        }
        let entry = self.look(path)?;
        self.read.borrow_mut().insert(path.to_owned(), entry.clone());
        Ok(entry)
    }

    fn look(&self, path: &Utf8Path) -> Result<Entry, FileError> {
        let Some(real) = self.resolve(path)? else { return Ok(Entry::Absent) };
        let here = self.here(&real);
        if here.is_dir() {
            let mut entries = Vec::new();
            for entry in here.read_dir_utf8().at("list", &here)?.take(ENTRIES + 1) {
                entries.push(path.join(entry.at("list", &here)?.file_name()));
            }
            entries.sort();
            return Ok(if entries.len() > ENTRIES { Entry::Other } else { Entry::Directory(entries) });
        }
        if !here.is_file() || std::fs::metadata(&here).is_ok_and(|about| about.len() > FILE) {
            return Ok(Entry::Other);
        }
        let Some(bytes) = fs::read(&here)? else { return Ok(Entry::Absent) };
        Ok(match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Entry::Text(real, text.into()),
            _ => Entry::Other,
        })
    }

    /// The target of `path`, link by link; `None` if it is missing, or a link leads out of the store.
    fn resolve(&self, path: &Utf8Path) -> Result<Option<Utf8PathBuf>, FileError> {
        let mut left: Vec<String> = components(path);
        let mut real = Utf8PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&name);
            let here = self.here(&next);
            match here.read_link_utf8() {
                Ok(target) => {
                    links += 1;
                    if links > LINKS {
                        return Ok(None);
                    }
                    if target.is_absolute() {
                        real = Utf8PathBuf::from("/");
                    }
                    left.extend(components(&target));
                }
                // It is no link (readlink(2)).
                Err(error) if error.kind() == ErrorKind::InvalidInput => real = next,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                Err(error) => return Err(error).at("read the link", &here),
            }
        }
        Ok(Some(real))
    }

    fn here(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The names of a path, the last one first.
fn components(path: &Utf8Path) -> Vec<String> {
    path.as_str().split('/').filter(|name| !matches!(*name, "" | ".")).rev().map(str::to_owned).collect()
}
