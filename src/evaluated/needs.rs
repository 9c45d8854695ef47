//! What a change set needs of the store, and whether Nix can make it with trivial builds only (texts and links). Pure,
//! except for the derivations that it reads.

use std::collections::{BTreeMap, BTreeSet};

use super::derivation::{Derivation, name_of};

/// The facts about the store.
pub trait Store {
    /// Whether a path is there.
    fn has(&self, path: &str) -> bool;
    /// Reads a derivation of the store.
    fn derivation(&self, path: &str) -> Result<Derivation, String>;
}

/// The store paths that have to exist before anything is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Paths that are there already, and are to stay.
    pub present: BTreeSet<String>,
    /// Derivations to realise, and what they write: texts and links.
    pub small: BTreeMap<String, Vec<String>>,
    /// The names of derivations that need a build or a download.
    pub builds: BTreeMap<String, String>,
}

/// Finds what the paths that `is_named` says of `context` need: derivations with the outputs of them, or paths without.
pub fn find(
    context: &BTreeMap<String, Vec<String>>,
    is_named: &dyn Fn(&str) -> bool,
    store: &dyn Store,
) -> Result<Needs, String> {
    let mut needs = Needs::default();
    let mut seen = BTreeSet::new();
    for (path, outputs) in context {
        if outputs.is_empty() {
            if is_named(path) {
                needs.present.insert(path.clone());
            }
            continue;
        }
        let derivation = store.derivation(path)?;
        let named: Vec<String> = outputs
            .iter()
            .filter_map(|output| derivation.outputs.get(output))
            .filter(|one| is_named(one))
            .cloned()
            .collect();
        if named.is_empty() {
            continue;
        }
        if named.iter().all(|one| store.has(one)) {
            needs.present.extend(named);
            continue;
        }
        visit(path, &derivation, store, &mut seen, &mut needs.builds)?;
        needs.small.insert(path.clone(), named);
    }
    // A derivation that needs a build is not a small one.
    needs.small.retain(|path, _| !needs.builds.contains_key(path));
    Ok(needs)
}

/// Collects what making a derivation needs.
fn visit(
    path: &str,
    derivation: &Derivation,
    store: &dyn Store,
    seen: &mut BTreeSet<String>,
    builds: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    if !seen.insert(path.to_owned()) {
        return Ok(());
    }
    if !derivation.is_small() {
        builds.insert(path.to_owned(), name_of(path).to_owned());
        return Ok(());
    }
    for (input, outputs) in &derivation.inputs {
        if seen.contains(input) {
            continue;
        }
        let needed = store.derivation(input)?;
        if outputs.iter().filter_map(|output| needed.outputs.get(output)).all(|one| store.has(one)) {
            continue;
        }
        visit(input, &needed, store, seen, builds)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(BTreeMap<&'static str, Derivation>, Vec<&'static str>);

    impl Store for Fake {
        fn has(&self, path: &str) -> bool {
            self.1.contains(&path)
        }

        fn derivation(&self, path: &str) -> Result<Derivation, String> {
            self.0.get(path).cloned().ok_or_else(|| format!("no {path}"))
        }
    }

    fn derivation(out: &str, variable: &str, inputs: &[&str]) -> Derivation {
        Derivation {
            outputs: BTreeMap::from([("out".to_owned(), out.to_owned())]),
            inputs: inputs.iter().map(|one| ((*one).to_owned(), vec!["out".to_owned()])).collect(),
            environment: BTreeMap::from([(variable.to_owned(), "x".to_owned())]),
            ..Derivation::default()
        }
    }

    fn store() -> Fake {
        Fake(
            BTreeMap::from([
                ("/text.drv", derivation("/text", "buildCommand", &["/tool.drv", "/other.drv"])),
                ("/other.drv", derivation("/other", "buildCommand", &["/tool.drv"])),
                (
                    "/wrapped.drv",
                    derivation("/wrapped", "buildCommand", &["/0123456789abcdfghijklmnpqrsvwxyz-hello.drv"]),
                ),
                ("/0123456789abcdfghijklmnpqrsvwxyz-hello.drv", derivation("/hello", "src", &["/fetched.drv"])),
                ("/tool.drv", derivation("/tool", "src", &[])),
            ]),
            vec!["/tool"],
        )
    }

    fn context(paths: &[&str]) -> BTreeMap<String, Vec<String>> {
        paths.iter().map(|one| ((*one).to_owned(), vec!["out".to_owned()])).collect()
    }

    #[test]
    fn texts_are_made_and_packages_are_not() {
        let needs = find(&context(&["/text.drv", "/tool.drv"]), &|_| true, &store()).unwrap();
        assert_eq!(needs.small.keys().collect::<Vec<_>>(), ["/text.drv"]);
        assert_eq!(needs.present.iter().collect::<Vec<_>>(), ["/tool"]);
        assert!(needs.builds.is_empty());
        let needs = find(&context(&["/wrapped.drv"]), &|_| true, &store()).unwrap();
        assert_eq!(needs.builds.values().collect::<Vec<_>>(), ["hello"]);
    }

    #[test]
    fn what_nothing_names_is_not_made() {
        let needs = find(&context(&["/text.drv", "/wrapped.drv"]), &|path| path == "/text", &store()).unwrap();
        assert_eq!((needs.small.len(), needs.builds.len()), (1, 0));
        let sources = BTreeMap::from([("/nix/store/file".to_owned(), Vec::new())]);
        assert_eq!(find(&sources, &|_| true, &store()).unwrap().present.len(), 1);
        assert!(find(&context(&["/none.drv"]), &|_| true, &store()).is_err());
    }
}
