//! What an evaluation may have read outside of the store, and whether it is still the same.
//!
//! A file is taken for unchanged if it is the same file with the same size and times, as make(1) and git-status(1) do.
//! What is in the Nix store never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::{self, FileError};

/// More files than this are not looked at before each evaluation.
const MOST: usize = 20_000;
const STORE: &str = "/nix/store";
/// What Git has within a repository and a work tree is not made of: every change shows in other files as well.
const SKIPPED: [&str; 2] = [".git/objects", ".git/logs"];

/// The facts of every file. Two of them are equal if nothing has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<Utf8PathBuf, Seen>);

/// What is known of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// There is nothing, or no path.
    Nothing,
    /// A directory, whose files are here as well.
    Directory,
    /// A link, and its target.
    Link(String),
    /// A file: device, inode, size, and the times of its last changes in nanoseconds.
    File(u64, u64, u64, i128, i128),
}

/// Why it can't be known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// Too much to look at.
    #[error("more than {MOST} files outside of the store: {0}")]
    TooMany(Utf8PathBuf),
    /// It can't be looked at.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Sources {
    /// Looks at all places, except for `log`, the override log, and its lock, which no evaluation reads. A link is
    /// followed to where it leads, and all that is beside its target counts.
    pub fn look(places: &[String], log: &Utf8Path) -> Result<Self, Unknown> {
        let mut sources = Self::default();
        let mut looked = BTreeSet::new();
        let mut left: Vec<Utf8PathBuf> = places.iter().map(Utf8PathBuf::from).collect();
        while let Some(place) = left.pop() {
            if looked.insert(place.clone()) && !place.starts_with(STORE) {
                sources.visit(&place, log, &mut left)?;
            }
        }
        Ok(sources)
    }

    fn visit(&mut self, path: &Utf8Path, log: &Utf8Path, left: &mut Vec<Utf8PathBuf>) -> Result<(), Unknown> {
        if is_of_log(path, log) || SKIPPED.iter().any(|skipped| path.ends_with(skipped)) {
            return Ok(());
        }
        if self.0.len() >= MOST {
            return Err(Unknown::TooMany(path.to_owned()));
        }
        let seen = match std::fs::symlink_metadata(path) {
            Ok(about) if about.is_dir() => {
                left.extend(fs::list(path)?.iter().map(|name| path.join(name)));
                Seen::Directory
            }
            Ok(about) if about.is_symlink() => {
                let target = path.read_link_utf8().unwrap_or_default();
                let place = path.parent().unwrap_or(path).join(&target);
                // What is imported from a file elsewhere is mostly beside it.
                left.extend(place.parent().filter(|_| place.is_file()).map(Utf8Path::to_owned));
                left.push(place);
                Seen::Link(target.into())
            }
            Ok(about) => file(&about),
            Err(_) => Seen::Nothing,
        };
        self.0.insert(path.to_owned(), seen);
        Ok(())
    }
}

/// Whether a file is the log, its lock, or a new log that is about to take its place.
fn is_of_log(path: &Utf8Path, log: &Utf8Path) -> bool {
    let names = path.file_name().zip(log.file_name());
    path.parent() == log.parent() && names.is_some_and(|(name, log)| name.trim_start_matches('.').starts_with(log))
}

fn file(about: &Metadata) -> Seen {
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let (changed, touched) = (time(about.mtime(), about.mtime_nsec()), time(about.ctime(), about.ctime_nsec()));
    Seen::File(about.dev(), about.ino(), about.size(), changed, touched)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree {
        root: tempfile::TempDir,
    }

    impl Tree {
        fn new() -> Self {
            let tree = Self { root: tempfile::tempdir().unwrap() };
            for (file, text) in
                [("nixos/configuration.nix", "{ }"), ("nixos/more/a.nix", "1"), ("nixos/dynamic.nix", "")]
            {
                tree.write(file, text);
            }
            tree
        }

        fn path(&self, path: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.root.path()).unwrap().join(path)
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
            std::fs::write(self.path(file), text).unwrap();
        }

        fn look(&self) -> Sources {
            Sources::look(&[self.path("nixos").into(), "flake:nixpkgs".to_owned()], &self.path("nixos/dynamic.nix"))
                .unwrap()
        }
    }

    #[test]
    fn any_change_of_a_file_shows() {
        let tree = Tree::new();
        let before = tree.look();
        assert_eq!(before, tree.look());
        tree.write("nixos/more/a.nix", "2");
        let after = tree.look();
        assert_ne!(before, after);
        tree.write("nixos/more/b.nix", "");
        assert_ne!(after, tree.look());
        std::fs::remove_file(tree.path("nixos/more/b.nix")).unwrap();
        assert_eq!(after, tree.look());
        // The same text, put in the place of the old one.
        tree.write("other", "2");
        std::fs::rename(tree.path("other"), tree.path("nixos/more/a.nix")).unwrap();
        assert_ne!(after, tree.look());
    }

    #[test]
    fn the_log_is_not_read() {
        let tree = Tree::new();
        let before = tree.look();
        for (file, text) in [("dynamic.nix", "a record"), (".dynamic.nix.lock", ""), (".dynamic.nix.new", "a record")] {
            tree.write(&format!("nixos/{file}"), text);
            assert_eq!(before, tree.look(), "{file}");
        }
        tree.write("nixos/more/dynamic.nix", "");
        assert_ne!(before, tree.look());
    }

    #[test]
    fn links_are_followed() {
        let tree = Tree::new();
        tree.write("home/flake.nix", "{ }");
        tree.write("home/host.nix", "{ }");
        symlink("../home/flake.nix", tree.path("nixos/flake.nix")).unwrap();
        let before = tree.look();
        tree.write("home/host.nix", "{ a = 1; }");
        let after = tree.look();
        assert_ne!(before, after);
        std::fs::remove_file(tree.path("nixos/flake.nix")).unwrap();
        symlink("../home/host.nix", tree.path("nixos/flake.nix")).unwrap();
        assert_ne!(after, tree.look());
        // Round in a circle.
        symlink("../nixos", tree.path("nixos/self")).unwrap();
        tree.look();
    }

    #[test]
    fn the_store_is_not_looked_into_and_too_much_is_refused() {
        let tree = Tree::new();
        symlink("/nix/store/x-source", tree.path("nixos/nixpkgs")).unwrap();
        assert!(!tree.look().0.keys().any(|path| path.starts_with(STORE)));
        for n in 0..=MOST {
            tree.write(&format!("nixos/many/{n}"), "");
        }
        assert!(matches!(
            Sources::look(&[tree.path("nixos").into()], &tree.path("nixos/dynamic.nix")),
            Err(Unknown::TooMany(_))
        ));
    }
}
