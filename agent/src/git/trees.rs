//! Which files a host has in a commit, by the bytes of Git's trees. Pure.

use super::oid::Oid;

/// What an entry of a tree is (gitformat-core: the modes of trees).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Submodule,
}

impl Kind {
    pub fn words(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link, which is not followed",
            Self::Submodule => "a submodule, which is not read",
        }
    }
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: Vec<u8>,
    pub kind: Kind,
    pub oid: Oid,
}

/// The entries of a tree: mode, space, name, NUL and the bytes of the object's name, again and again.
pub(super) fn entries(mut bytes: &[u8], oid_bytes: usize) -> Option<Vec<Entry>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let kind = match &bytes[..space] {
            b"40000" => Kind::Directory,
            b"120000" => Kind::Link,
            b"160000" => Kind::Submodule,
            mode if mode.starts_with(b"100") => Kind::File,
            _ => return None,
        };
        let name = bytes.get(space + 1..end)?.to_vec();
        let oid = Oid::of_bytes(bytes.get(end + 1..end + 1 + oid_bytes)?);
        bytes = &bytes[end + 1 + oid_bytes..];
        found.push(Entry { name, kind, oid });
    }
    Some(found)
}

/// The entry of this name, which has to be of this kind.
pub(super) fn find(entries: &[Entry], name: &str, kind: Kind, shown: &str) -> Result<Option<Oid>, String> {
    match entries.iter().find(|entry| entry.name == name.as_bytes()) {
        None => Ok(None),
        Some(entry) if entry.kind == kind => Ok(Some(entry.oid.clone())),
        Some(entry) => Err(format!("{shown} is {}; it has to be {}", entry.kind.words(), kind.words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_and_a_broken_one_is_not() {
        let mut bytes = Vec::new();
        for (mode, name) in [("100644", "all.nix"), ("40000", "hosts"), ("120000", "link"), ("160000", "module")] {
            bytes.extend(mode.bytes().chain(*b" ").chain(name.bytes()).chain([0]).chain([0xab; 20]));
        }
        let found = entries(&bytes, 20).unwrap();
        let kinds: Vec<Kind> = found.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::File, Kind::Directory, Kind::Link, Kind::Submodule]);
        assert_eq!(found[0].oid.as_str(), "ab".repeat(20));
        assert_eq!(find(&found, "hosts", Kind::Directory, "hosts").unwrap(), Some(found[1].oid.clone()));
        assert_eq!(find(&found, "none", Kind::File, "none").unwrap(), None);
        assert_eq!(
            find(&found, "link", Kind::File, "hosts/link").unwrap_err(),
            "hosts/link is a symbolic link, which is not followed; it has to be a file"
        );
        for end in 1..bytes.len() {
            let part = entries(&bytes[..end], 20);
            assert!(part.is_none_or(|part| part.len() < 4), "{end}");
        }
    }
}
