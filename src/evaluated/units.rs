//! NixOS's directory of units, changed as a rebuild would change it (`generateUnits`, nixpkgs,
//! nixos/lib/systemd-lib.nix): pure.
//!
//! Takes the running system's directory and the units that differ; gives the directory, or says that it can't be
//! computed from these. A unit of NixOS may replace one of systemd or of a package; the replaced one is not in the
//! directory any more. Then Nix has to make the directory.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::change_set::{Sides, Unit};
use crate::host::fs::tree::{Node, Tree};

/// The drop-in in which a unit of NixOS adds to one of systemd or of a package.
const OVERRIDES: &str = "overrides.conf";

/// The directory with the changes; `None` if only Nix can make it.
#[must_use]
pub fn changed(directory: &Tree, units: &BTreeMap<String, Sides<Unit>>) -> Option<Tree> {
    let mut tree = directory.clone();
    for (name, sides) in units {
        let (before, after) = (sides.before.as_ref(), sides.after.as_ref());
        unit(&mut tree, name, before, after)?;
        aliases(&mut tree, name, before, after)?;
        for (kind, list) in LISTS {
            let of = |unit: Option<&Unit>| unit.map(list).unwrap_or_default();
            links(&mut tree, name, kind, &of(before), &of(after))?;
        }
    }
    Some(tree)
}

/// Which units a unit has a link at.
type At = fn(&Unit) -> Vec<String>;

/// The directories of links.
const LISTS: [(&str, At); 3] = [
    ("wants", |unit| unit.wanted_by.clone()),
    ("requires", |unit| unit.required_by.clone()),
    ("upholds", |unit| unit.upheld_by.clone()),
];

fn overrides(name: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{name}.d/{OVERRIDES}"))
}

/// Whether a node is what NixOS's units become: a link to a unit's derivation.
fn is_nixos(node: &Node, name: &str) -> bool {
    matches!(node, Node::Link(target) if target.contains("-unit-") && target.ends_with(&format!("/{name}")))
}

fn masked() -> Node {
    Node::Link("/dev/null".to_owned())
}

fn unit(tree: &mut Tree, name: &str, before: Option<&Unit>, after: Option<&Unit>) -> Option<()> {
    let (own, added) = (Utf8PathBuf::from(name), overrides(name));
    let is_added = match before {
        // The directory does not show the unit that a disabled one replaced.
        Some(unit) if !unit.enable => {
            return after.is_some_and(|after| !after.enable).then_some(());
        }
        Some(_) => {
            let is_added = tree.get(&added).is_some_and(|node| is_nixos(node, name));
            let is_own = tree.get(&own).is_some_and(|node| is_nixos(node, name));
            if !is_added && !is_own {
                return None;
            }
            is_added
        }
        // A unit of a package: this one adds to it.
        None => tree.contains_key(&own),
    };
    if let (Some(before), Some(after)) = (before, after)
        && after.enable
        && before.override_strategy != after.override_strategy
    {
        return None;
    }
    match after {
        None => {
            tree.remove(if is_added { &added } else { &own });
        }
        Some(after) if !after.enable => {
            tree.remove(&added);
            tree.insert(own, masked());
        }
        Some(after) => {
            let is_added = is_added || after.override_strategy == "asDropin";
            tree.insert(if is_added { added } else { own }, Node::text(&after.text));
        }
    }
    Some(())
}

fn aliases(tree: &mut Tree, name: &str, before: Option<&Unit>, after: Option<&Unit>) -> Option<()> {
    let of = |unit: Option<&Unit>| unit.map(|unit| unit.aliases.clone()).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    if old.iter().any(|alias| !new.contains(alias)) {
        return None;
    }
    for alias in new.into_iter().filter(|alias| !old.contains(alias)) {
        tree.insert(alias.into(), Node::Link(name.to_owned()));
    }
    Some(())
}

/// Links of a unit in `OTHER.wants` and similar. A link that goes may also be one of systemd's own, for systemd's own
/// units.
fn links(tree: &mut Tree, name: &str, kind: &str, before: &[String], after: &[String]) -> Option<()> {
    let at = |other: &String| Utf8Path::new(&format!("{other}.{kind}")).join(name);
    for other in before.iter().filter(|other| !after.contains(other)) {
        let is_of_systemd = tree.contains_key(&overrides(name))
            || tree
                .get(Utf8Path::new(name))
                .is_some_and(|node| matches!(node, Node::Link(to) if to.contains("-systemd-")));
        if is_of_systemd {
            return None;
        }
        tree.remove(&at(other));
    }
    for other in after.iter().filter(|other| !before.contains(other)) {
        tree.insert(at(other), Node::Link(format!("../{name}")));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str, wanted_by: &[&str]) -> Unit {
        Unit {
            enable: true,
            text: text.to_owned(),
            override_strategy: "asDropinIfExists".to_owned(),
            wanted_by: wanted_by.iter().map(|&one| one.to_owned()).collect(),
            ..Unit::default()
        }
    }

    fn off() -> Unit {
        Unit::default()
    }

    fn link(to: &str) -> Node {
        Node::Link(to.to_owned())
    }

    fn base() -> Tree {
        Tree::from([
            ("a.service".into(), link("/nix/store/h-unit-a.service/a.service")),
            ("multi-user.target.wants/a.service".into(), link("../a.service")),
            ("b.service".into(), link("/nix/store/h-systemd-257/example/systemd/system/b.service")),
            ("b.service.d/overrides.conf".into(), link("/nix/store/h-unit-b.service/b.service")),
            ("sysinit.target.wants/b.service".into(), link("../b.service")),
            ("c.service".into(), link("/nix/store/h-package/lib/systemd/system/c.service")),
            ("off.service".into(), link("/dev/null")),
        ])
    }

    fn change(name: &str, before: Option<Unit>, after: Option<Unit>) -> Option<Vec<(String, Option<Node>)>> {
        let units = BTreeMap::from([(name.to_owned(), Sides { fails: false, before, after })]);
        let (old, new) = (base(), changed(&base(), &units)?);
        let mut paths: Vec<&Utf8PathBuf> = old.keys().chain(new.keys()).collect();
        paths.sort();
        paths.dedup();
        let differ = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
        Some(differ.map(|path| (path.to_string(), new.get(path).cloned())).collect())
    }

    #[test]
    fn a_changed_unit_stands_where_it_stood() {
        let own = change("a.service", Some(unit("1", &["multi-user.target"])), Some(unit("2", &["multi-user.target"])));
        assert_eq!(own.unwrap(), [("a.service".to_owned(), Some(Node::text("2")))]);
        let added = change("b.service", Some(unit("1", &[])), Some(unit("2", &[])));
        assert_eq!(added.unwrap(), [("b.service.d/overrides.conf".to_owned(), Some(Node::text("2")))]);
    }

    #[test]
    fn a_new_unit_comes_on_top_of_one_that_is_there() {
        let new = change("n.service", None, Some(unit("1", &["x.target"])));
        assert_eq!(
            new.unwrap(),
            [
                ("n.service".to_owned(), Some(Node::text("1"))),
                ("x.target.wants/n.service".to_owned(), Some(link("../n.service"))),
            ]
        );
        let on_top = change("c.service", None, Some(unit("1", &[])));
        assert_eq!(on_top.unwrap(), [("c.service.d/overrides.conf".to_owned(), Some(Node::text("1")))]);
    }

    #[test]
    fn a_unit_that_goes_takes_its_links_along() {
        let gone = change("a.service", Some(unit("1", &["multi-user.target"])), None);
        assert_eq!(
            gone.unwrap(),
            [("a.service".to_owned(), None), ("multi-user.target.wants/a.service".to_owned(), None)]
        );
        let unwanted = change("a.service", Some(unit("1", &["multi-user.target"])), Some(unit("1", &[])));
        assert_eq!(unwanted.unwrap()[1], ("multi-user.target.wants/a.service".to_owned(), None));
    }

    #[test]
    fn a_disabled_unit_is_masked() {
        let masked = change("b.service", Some(unit("1", &[])), Some(off()));
        assert_eq!(
            masked.unwrap(),
            [("b.service".to_owned(), Some(link("/dev/null"))), ("b.service.d/overrides.conf".to_owned(), None)]
        );
    }

    #[test]
    fn what_does_not_follow_from_the_directory_is_left_to_nix() {
        assert_eq!(change("off.service", Some(off()), Some(unit("1", &[]))), None);
        assert_eq!(change("off.service", Some(off()), None), None);
        assert_eq!(change("b.service", Some(unit("1", &["sysinit.target"])), Some(unit("1", &[]))), None);
        let drop_in = Unit { override_strategy: "asDropin".to_owned(), ..unit("1", &[]) };
        assert_eq!(change("a.service", Some(unit("1", &[])), Some(drop_in)), None);
        let alias = Unit { aliases: vec!["x.service".to_owned()], ..unit("1", &[]) };
        assert_eq!(change("a.service", Some(alias.clone()), Some(unit("1", &[]))), None);
        let named = change("a.service", Some(unit("1", &["multi-user.target"])), Some(alias)).unwrap();
        assert!(named.contains(&("x.service".to_owned(), Some(link("a.service")))));
    }
}
