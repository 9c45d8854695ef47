//! The output as a tree in memory, and the one step that writes it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::BuildError;
use crate::fs::atomic::{self, Durability};
use crate::fs::{self, Context};

/// Files by their path in the output; the same input gives the same tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<Utf8PathBuf, (String, u32)>,
}

impl Tree {
    /// Adds a text.
    pub fn text(&mut self, path: &str, text: String, mode: u32) {
        self.files.insert(path.into(), (text, mode));
    }

    /// Adds a value as JSON.
    pub fn json(&mut self, path: &str, value: &impl Serialize) {
        // Our own types have nothing that JSON can't say.
        let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
        text.push('\n');
        self.text(path, text, 0o444);
    }

    /// Paths, texts and modes.
    pub fn files(&self) -> impl Iterator<Item = (&Utf8Path, &str, u32)> {
        self.files.iter().map(|(path, (text, mode))| (path.as_path(), text.as_str(), *mode))
    }

    /// Writes the tree to `out`: beside it first, so that it is there whole or not at all. Replaces an output of before.
    pub fn write(&self, out: &Utf8Path) -> Result<(), BuildError> {
        let parent = out.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
        let is_empty = || std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
        let there = fs::exists(out)?;
        if there && !fs::exists(&out.join("proof.json"))? && !is_empty() {
            return Err(BuildError::Occupied(out.to_owned()));
        }
        fs::create_dir(parent)?;
        let staged = tempfile::Builder::new()
            .prefix(".dynix-generate.")
            .tempdir_in(parent)
            .at("create a directory in", parent)?;
        let root = Utf8PathBuf::try_from(staged.path().to_owned()).map_err(|_| BuildError::Occupied(out.to_owned()))?;
        for (path, text, mode) in self.files() {
            atomic::write(&root.join(path), text.as_bytes(), mode, Durability::Volatile)?;
        }
        std::fs::set_permissions(&root, Permissions::from_mode(0o755)).at("set the mode of", &root)?;
        if there {
            std::fs::remove_dir_all(out).at("replace", out)?;
        }
        std::fs::rename(&root, out).at("move into place", out)?;
        // Its directory has another name now.
        let _ = staged.keep();
        Ok(())
    }
}
