//! The output as a tree in memory, and the one step that writes it.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;

use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::lock::{self, LockError};
use crate::host::fs::{self, Context, FileError};

/// The names at the top of the output; a directory with any other name is not one of dynix.
const TOP: [&str; 7] = ["activate", "bin", "lib", "options.json", "plan.json", "plan.json.index", "proof.json"];

/// How long another one that writes to the same directory is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the output can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output directory holds something else.
    #[error("{out} is there and is no output of dynix generate ({why}); give another --out")]
    Occupied {
        /// The directory.
        out: Utf8PathBuf,
        /// The foreign or missing file.
        why: String,
    },
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process writes there.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Files by their path in the output; the same input gives the same tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<Utf8PathBuf, (String, u32)>,
    /// The files for programs alone.
    data: BTreeMap<Utf8PathBuf, Vec<u8>>,
}

impl Tree {
    /// Adds a text.
    pub fn text(&mut self, path: &str, text: String, mode: u32) {
        self.files.insert(path.into(), (text, mode));
    }

    /// Adds what is no text. It is written after the texts.
    pub fn data(&mut self, path: &Utf8Path, bytes: Vec<u8>) {
        self.data.insert(path.to_owned(), bytes);
    }

    /// Adds a value as JSON, without white space: the plan is read at every command.
    pub fn json(&mut self, path: &str, value: &impl Serialize) {
        self.text(path, json(value), 0o444);
    }

    /// Paths, texts and modes.
    pub fn files(&self) -> impl Iterator<Item = (&Utf8Path, &str, u32)> {
        self.files.iter().map(|(path, (text, mode))| (path.as_path(), text.as_str(), *mode))
    }

    /// Writes the tree to `out`: beside it first, so that it is there whole or not at all. Replaces an output of before.
    pub fn write(&self, out: &Utf8Path) -> Result<(), WriteError> {
        let parent = out.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
        fs::create_dir(parent)?;
        // Always the same name: what a crash leaves there is taken away by the next one. One at a time, therefore.
        let _held = lock::hold(File::open(parent).at("open", parent)?, parent, PATIENCE, |_| ())?;
        let there = is_there(out)?;
        let root = parent.join(format!(".{}.dynix-new", out.file_name().unwrap_or("dynix-generate")));
        fs::remove_tree(&root)?;
        let written = self.write_at(&root, out, there);
        // Removes the earlier output, or one that could not be finished. The first failure is the one to report.
        let removed = fs::remove_tree(&root);
        written?;
        Ok(removed?)
    }

    fn write_at(&self, root: &Utf8Path, out: &Utf8Path, there: bool) -> Result<(), FileError> {
        fs::create_dir(root)?;
        for (path, text, mode) in self.files() {
            atomic::write(&root.join(path), text.as_bytes(), mode, Durability::Volatile)?;
        }
        for (path, bytes) in &self.data {
            atomic::write(&root.join(path), bytes, 0o444, Durability::Volatile)?;
        }
        for directory in self.directories() {
            let directory = root.join(directory);
            std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).at("set the mode of", &directory)?;
        }
        if there { exchange(root, out) } else { std::fs::rename(root, out).at("move into place", out) }
    }

    /// Every directory of the tree, the root included.
    fn directories(&self) -> std::collections::BTreeSet<&Utf8Path> {
        self.files.keys().chain(self.data.keys()).flat_map(|path| path.ancestors().skip(1)).collect()
    }
}

/// A value as JSON without white space, and a line break.
pub fn json(value: &impl Serialize) -> String {
    // Our own types have nothing that JSON can't say.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Whether there is something to replace at `out`, which then is an output of ours, or empty.
fn is_there(out: &Utf8Path) -> Result<bool, WriteError> {
    if !fs::exists(out)? {
        return Ok(false);
    }
    let occupied = |why: String| WriteError::Occupied { out: out.to_owned(), why };
    if !std::fs::symlink_metadata(out).at("look at", out)?.is_dir() {
        return Err(occupied("it is no directory".to_owned()));
    }
    let mut names = Vec::new();
    for entry in out.read_dir_utf8().at("list", out)? {
        names.push(entry.at("list", out)?.file_name().to_owned());
    }
    if let Some(other) = names.iter().find(|name| !TOP.contains(&name.as_str())) {
        return Err(occupied(format!("it has {other}")));
    }
    if !names.is_empty() && !names.iter().any(|name| name == "proof.json") {
        return Err(occupied("it has no proof.json".to_owned()));
    }
    Ok(true)
}

/// Replaces the directory `out` by `new`, and puts the old one in the place of `new`, in one step if the file system
/// can (renameat2(2), `RENAME_EXCHANGE`).
fn exchange(new: &Utf8Path, out: &Utf8Path) -> Result<(), FileError> {
    match renameat_with(CWD, new.as_std_path(), CWD, out.as_std_path(), RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            let old = new.with_extension("old");
            std::fs::rename(out, &old).at("move away", out)?;
            std::fs::rename(new, out).at("move into place", out)?;
            std::fs::rename(&old, new).at("move away", &old)
        }
        result => result.at("replace", out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    fn tree(text: &str) -> Tree {
        let mut tree = Tree::default();
        tree.text("proof.json", text.to_owned(), 0o444);
        tree.text("bin/x", "#!/bin/sh\n".to_owned(), 0o555);
        tree
    }

    fn names(directory: &Utf8Path) -> Vec<String> {
        let mut names: Vec<String> =
            directory.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_output_is_written_whole_and_replaced_whole() {
        let (_keep, directory) = directory();
        let out = directory.join("below/out");
        tree("1").write(&out).unwrap();
        let mut second = tree("2");
        second.text("lib/y", String::new(), 0o444);
        second.write(&out).unwrap();
        assert_eq!(names(&out), ["bin", "lib", "proof.json"]);
        assert_eq!(std::fs::read_to_string(out.join("proof.json")).unwrap(), "2");
        let mode = |path: &str| std::fs::metadata(out.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!([mode(""), mode("bin"), mode("bin/x"), mode("proof.json")], [0o755, 0o755, 0o555, 0o444]);
        assert_eq!(names(&directory.join("below")), ["out"]);
        tree("3").write(&out).unwrap();
        assert_eq!(names(&out), ["bin", "proof.json"]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let (_keep, directory) = directory();
        let out = directory.join("out");
        std::fs::create_dir(&out).unwrap();
        tree("1").write(&out).unwrap();
        std::fs::write(out.join("thesis.txt"), "x").unwrap();
        let error = tree("2").write(&out).unwrap_err().to_string();
        assert!(error.contains("it has thesis.txt"), "{error}");
        assert_eq!(std::fs::read_to_string(out.join("proof.json")).unwrap(), "1");

        let home = directory.join("home");
        std::fs::create_dir_all(home.join("bin")).unwrap();
        assert!(tree("1").write(&home).unwrap_err().to_string().contains("it has no proof.json"));
        let file = directory.join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(tree("1").write(&file).unwrap_err().to_string().contains("it is no directory"));
        let link = directory.join("link");
        std::os::unix::fs::symlink(&out, &link).unwrap();
        assert!(tree("1").write(&link).is_err());
        assert_eq!(names(&directory), ["file", "home", "link", "out"]);
    }
}
