//! The paths that a text mentions.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

/// The paths below `store` in the order in which they are mentioned, each once. A path ends where a character comes that
/// no store path has (store names: letters, digits and `+-._?=`); what comes after the name of a store object may be
/// anything, and is taken to be of the same characters and `@`.
#[must_use]
pub fn store_paths(text: &str, store: &str) -> Vec<Utf8PathBuf> {
    let mut found: Vec<Utf8PathBuf> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(store) {
        let after = &rest[at + store.len()..];
        let is_path = |ch: char| ch.is_ascii_alphanumeric() || "+-._?=/@".contains(ch);
        let end = after.find(|ch| !is_path(ch)).unwrap_or(after.len());
        // A dot or slash at the end belongs to the sentence, or says nothing.
        let path = after[..end].trim_end_matches(['.', '/', '?', '=']);
        let hash = path.strip_prefix('/').and_then(|path| path.split_once('-')).map(|(hash, _)| hash);
        if hash.is_some_and(|hash| hash.len() == 32 && !hash.contains('/')) {
            let path = Utf8PathBuf::from(format!("{store}{path}"));
            if !found.contains(&path) {
                found.push(path);
            }
        }
        rest = &after[end..];
    }
    found
}

/// The files below /etc, of those in `files` by their path there, that a text mentions, or that lie in a directory that it
/// mentions.
#[must_use]
pub fn etc_files<'f, T>(text: &str, files: &'f BTreeMap<Utf8PathBuf, T>) -> Vec<&'f Utf8Path> {
    let mut found = Vec::new();
    for path in files.keys() {
        // The directories below /etc, down to the file; /etc itself says nothing.
        let mut places = path.ancestors().take_while(|above| above.parent().is_some_and(|parent| parent != "/"));
        if places.any(|place| mentions(text, place.as_str())) {
            found.push(path.as_path());
        }
    }
    found
}

/// Whether the path stands in the text, and not as the beginning of another one.
fn mentions(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let is_part = |ch: char| ch.is_ascii_alphanumeric() || "+-._/@".contains(ch);
        let rest = &text[at + path.len()..];
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        !rest.starts_with(is_part) && !text[..at].ends_with(|ch: char| ch.is_ascii_alphanumeric() || "-._".contains(ch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00000000000000000000000000000000";

    #[test]
    fn a_store_path_ends_where_a_shell_or_systemd_ends_it() {
        for (text, path) in [
            ("ExecStart=/nix/store/H-a/bin/a --config=/nix/store/H-a.toml", vec!["H-a/bin/a", "H-a.toml"]),
            ("PATH=/nix/store/H-a/bin:/nix/store/H-b/bin\"", vec!["H-a/bin", "H-b/bin"]),
            ("'/nix/store/H-a.yml'.", vec!["H-a.yml"]),
            ("see /nix/store/H-a.yml.", vec!["H-a.yml"]),
            ("/nix/store/short-a /nix/store/ /nix/storeroom", vec![]),
        ] {
            let text = text.replace('H', HASH);
            let expected: Vec<String> =
                path.iter().map(|path| format!("/nix/store/{}", path.replace('H', HASH))).collect();
            assert_eq!(store_paths(&text, "/nix/store"), expected, "{text}");
        }
    }

    #[test]
    fn a_file_under_etc_is_mentioned_by_its_path_or_its_directory() {
        let files: BTreeMap<Utf8PathBuf, u8> = ["/etc/a/b.conf", "/etc/a.conf"].map(|path| (path.into(), 0)).into();
        for (text, expected) in [
            ("-c /etc/a/b.conf", vec!["/etc/a/b.conf"]),
            ("--directory=/etc/a/", vec!["/etc/a/b.conf"]),
            ("/etc/a.conf", vec!["/etc/a.conf"]),
            ("/etc/ab /etc/a.conf.d /nix/etc/a", vec![]),
            ("/etc", vec![]),
        ] {
            assert_eq!(etc_files(text, &files), expected, "{text}");
        }
    }
}
