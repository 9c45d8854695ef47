//! NixOS's tree of /etc, changed as a rebuild would change it (nixpkgs, nixos/modules/system/etc/etc.nix): pure.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::change_set::{Entry, Sides};
use crate::host::fs::tree::{Node, Tree};

/// The files that setup-etc.pl reads beside a file that it copies.
const BESIDE: [&str; 3] = ["mode", "uid", "gid"];

/// The tree with the changes. `names` lists a directory of the store. An error says what can't be computed.
pub fn changed(
    tree: &Tree,
    entries: &BTreeMap<String, Sides<Entry>>,
    names: &dyn Fn(&Utf8Path) -> Result<Vec<String>, String>,
) -> Result<Tree, String> {
    let mut tree = tree.clone();
    let there = |side: &Option<Entry>| side.clone().filter(|entry| entry.enable);
    for before in entries.values().filter_map(|sides| there(&sides.before)) {
        remove(&mut tree, &before);
    }
    for after in entries.values().filter_map(|sides| there(&sides.after)) {
        add(&mut tree, &after, names)?;
    }
    Ok(tree)
}

fn remove(tree: &mut Tree, entry: &Entry) {
    let target = Utf8PathBuf::from(&entry.target);
    if entry.source.contains('*') {
        tree.retain(|path, _| path.parent() != Some(&target));
        return;
    }
    tree.remove(&target);
    for kind in BESIDE {
        tree.remove(Utf8Path::new(&format!("{target}.{kind}")));
    }
}

fn add(tree: &mut Tree, entry: &Entry, names: &dyn Fn(&Utf8Path) -> Result<Vec<String>, String>) -> Result<(), String> {
    let target = Utf8PathBuf::from(&entry.target);
    if let Some((directory, pattern)) = entry.source.rsplit_once('/').filter(|_| entry.source.contains('*')) {
        if pattern != "*" || directory.contains('*') {
            return Err(format!("/etc/{target} is made of {}, which is not understood", entry.source));
        }
        for name in names(Utf8Path::new(directory))?.into_iter().filter(|name| !name.starts_with('.')) {
            let link = format!("{directory}/{name}");
            tree.insert(target.join(name), Node::Link(link));
        }
        return Ok(());
    }
    if tree.keys().any(|path| target.starts_with(path) || path.starts_with(&target)) {
        return Err(format!("/etc/{target} would stand beside another entry of this name"));
    }
    tree.insert(target.clone(), Node::Link(entry.source.clone()));
    if entry.mode != "symlink" {
        for (kind, said) in BESIDE.into_iter().zip([&entry.mode, &entry.user, &entry.group]) {
            tree.insert(format!("{target}.{kind}").into(), Node::text(&format!("{said}\n")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &str, source: &str, mode: &str) -> Entry {
        Entry {
            enable: true,
            target: target.to_owned(),
            source: source.to_owned(),
            mode: mode.to_owned(),
            user: "+0".to_owned(),
            group: "wheel".to_owned(),
            text: None,
        }
    }

    fn with(before: Option<Entry>, after: Option<Entry>) -> Result<Tree, String> {
        let base = Tree::from([
            ("kept".into(), Node::Link("/nix/store/k".to_owned())),
            ("a.conf".into(), Node::Link("/nix/store/a".to_owned())),
            ("a.conf.mode".into(), Node::text("0400\n")),
            ("a.conf.uid".into(), Node::text("+0\n")),
            ("a.conf.gid".into(), Node::text("+0\n")),
            ("all/x".into(), Node::Link("/nix/store/all/x".to_owned())),
        ]);
        let names = |directory: &Utf8Path| {
            assert_eq!(directory, "/nix/store/other");
            Ok(vec!["y".to_owned(), ".hidden".to_owned()])
        };
        changed(&base, &BTreeMap::from([("name".to_owned(), Sides { fails: false, before, after })]), &names)
    }

    fn shown(tree: &Tree) -> Vec<String> {
        let node = |node: &Node| match node {
            Node::Link(to) => to.clone(),
            Node::File { bytes, .. } => String::from_utf8_lossy(bytes).trim().to_owned(),
        };
        tree.iter().filter(|(path, _)| *path != "kept").map(|(path, one)| format!("{path} {}", node(one))).collect()
    }

    #[test]
    fn a_copy_has_its_mode_and_owners_beside_it() {
        let tree =
            with(Some(entry("a.conf", "/nix/store/a", "0400")), Some(entry("b", "/nix/store/b", "0440"))).unwrap();
        assert_eq!(
            shown(&tree),
            ["all/x /nix/store/all/x", "b /nix/store/b", "b.gid wheel", "b.mode 0440", "b.uid +0"]
        );
        let tree =
            with(Some(entry("a.conf", "/nix/store/a", "0400")), Some(entry("a.conf", "/nix/store/n", "symlink")));
        assert_eq!(shown(&tree.unwrap()), ["a.conf /nix/store/n", "all/x /nix/store/all/x"]);
    }

    #[test]
    fn all_of_a_directory_is_linked_one_by_one() {
        let tree = with(
            Some(entry("all", "/nix/store/all/*", "symlink")),
            Some(entry("all", "/nix/store/other/*", "symlink")),
        );
        assert!(shown(&tree.unwrap()).contains(&"all/y /nix/store/other/y".to_owned()));
        assert!(with(None, Some(entry("all", "/nix/*/other/*", "symlink"))).is_err());
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        assert!(with(None, Some(entry("kept", "/nix/store/o", "symlink"))).is_err());
        assert!(with(None, Some(entry("kept/below", "/nix/store/o", "symlink"))).is_err());
        assert!(with(None, Some(entry("all", "/nix/store/o", "symlink"))).is_err());
    }
}
