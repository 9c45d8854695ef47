//! Directory trees of links and small files, as a whole: read into memory, written out of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, FileError};

/// A node at a path of a tree. A directory exists only through its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A symbolic link.
    Link(String),
    /// A file.
    File {
        /// Its content.
        bytes: Vec<u8>,
        /// Its permissions.
        mode: u32,
    },
}

impl Node {
    /// A file that everybody may read.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::File { bytes: text.as_bytes().to_vec(), mode: 0o444 }
    }
}

/// Nodes by their paths below the tree's root.
pub type Tree = BTreeMap<Utf8PathBuf, Node>;

/// Reads a tree, following no link below `root`.
pub fn read(root: &Utf8Path) -> Result<Tree, FileError> {
    let mut tree = Tree::new();
    let mut directories = vec![Utf8PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let place = root.join(&directory);
        for name in super::list(&place)? {
            let (below, path) = (directory.join(&name), place.join(&name));
            let kind = std::fs::symlink_metadata(&path).at("look at", &path)?;
            if kind.is_dir() {
                directories.push(below);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).at("read", &path)?;
                tree.insert(below, Node::Link(target.to_string_lossy().into_owned()));
            } else {
                let bytes = std::fs::read(&path).at("read", &path)?;
                tree.insert(below, Node::File { bytes, mode: kind.permissions().mode() & 0o7777 });
            }
        }
    }
    Ok(tree)
}

/// Writes a tree to a new directory.
pub fn write(root: &Utf8Path, tree: &Tree) -> Result<(), FileError> {
    super::create_dir(root)?;
    let mut made: Option<&Utf8Path> = None;
    for (below, node) in tree {
        let path = root.join(below);
        if let Some(parent) = below.parent().filter(|parent| made != Some(*parent)) {
            std::fs::create_dir_all(root.join(parent)).at("create", &path)?;
            made = Some(parent);
        }
        match node {
            Node::Link(target) => std::os::unix::fs::symlink(target, &path).at("create", &path)?,
            Node::File { bytes, mode } => {
                std::fs::write(&path, bytes).at("write", &path)?;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).at("set the mode of", &path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(directory.path().join("tree")).unwrap();
        let tree = Tree::from([
            ("a.wants/b".into(), Node::Link("../b".to_owned())),
            ("b".into(), Node::text("[Unit]\n")),
            ("c/d/e".into(), Node::File { bytes: b"x".to_vec(), mode: 0o555 }),
        ]);
        write(&root, &tree).unwrap();
        assert_eq!(read(&root).unwrap(), tree);
        assert!(read(&root.join("none")).unwrap().is_empty());
    }
}
