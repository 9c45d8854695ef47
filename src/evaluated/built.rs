//! The system without overrides as an evaluation gave it, kept for the evaluations that follow on the same system: then
//! they evaluate only what differs from it (`lib/evaluated`).
//!
//! It is one file for one system and evaluator, below /var/lib/dynix. It can be removed at any time.

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::host::digest;
use crate::host::evaluator::Evaluator;
use crate::host::fs;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::json_file;
use crate::host::paths::Paths;

/// Where the kept side of a system is, or would be.
#[must_use]
pub fn place(paths: &Paths, system: &Utf8Path, evaluator: &Evaluator) -> Utf8PathBuf {
    let about = format!("{system}\n{}\n{}", evaluator.command.join("\n"), evaluator.arguments);
    let name = digest::sha256(about.as_bytes());
    paths.evaluated_for_boot().join("built").join(format!("{}.json", &name[..32]))
}

/// The kept side, if there is one that can be used: Nix needs the derivations that it names.
#[must_use]
pub fn find(place: &Utf8Path) -> Option<&Utf8Path> {
    let side: Value = json_file::load(place).ok()??;
    let derivations = ["generated", "path"].map(|name| side["hold"][name]["drv"].as_str().map(Utf8Path::new));
    derivations.into_iter().all(|path| path.is_some_and(Utf8Path::exists)).then_some(place)
}

/// Keeps it, in the place of those of other systems.
pub fn keep(place: &Utf8Path, side: &Value) -> anyhow::Result<()> {
    let directory = place.parent().context("a file has a directory")?;
    fs::create_dir(directory)?;
    for name in fs::names(directory)? {
        fs::remove(&directory.join(name))?;
    }
    Ok(atomic::write(place, &serde_json::to_vec(side)?, 0o600, Durability::Volatile)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_kept_for_each_system_and_only_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::new(Utf8Path::from_path(directory.path()).unwrap(), None, None);
        let evaluator = |arguments: &str| Evaluator {
            command: vec!["nix-instantiate".to_owned()],
            arguments: arguments.to_owned(),
            deadline: 60.0,
            warm: None,
        };
        let [one, other, same] = [("/s/1", "a"), ("/s/1", "b"), ("/s/1", "a")]
            .map(|(system, arguments)| place(&paths, Utf8Path::new(system), &evaluator(arguments)));
        assert_ne!(one, other);
        assert_eq!(one, same);
        keep(&one, &serde_json::json!({"version": 1})).unwrap();
        keep(&other, &serde_json::json!({"version": 1})).unwrap();
        assert!(!fs::exists(&one).unwrap() && fs::exists(&other).unwrap());
        assert_eq!(find(&other), None);
        let of = |drv: &Utf8Path| serde_json::json!({"hold": {"generated": {"drv": drv}, "path": {"drv": drv}}});
        keep(&one, &of(&other)).unwrap();
        assert_eq!(find(&one), None);
        keep(&one, &of(paths.root())).unwrap();
        assert_eq!(find(&one), Some(one.as_path()));
    }
}
