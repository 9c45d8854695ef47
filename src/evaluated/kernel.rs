//! The kernel's own values of settings that only a stand-in sets: noted before it takes effect, and given back after it.
//!
//! systemd-sysctl writes what its files say and restores nothing. A setting that the built files have as well needs none of
//! this: the unit writes the built value again.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::host::sysctl;

/// The file with the noted values. A boot forgets both.
const NOTED: &str = "kernel-values";

/// Notes the values of what the files below `etc` set, and those of `built` do not.
pub fn note(paths: &Paths, built: &Utf8Path, etc: &Utf8Path) -> Result<(), FileError> {
    let (built, next) = (settings(built)?, settings(etc)?);
    let before = sysctl::load(&place(paths))?;
    let mut noted = before.clone();
    sysctl::note(paths.root(), &mut noted, &next, &built);
    if noted == before { Ok(()) } else { sysctl::save(&place(paths), &noted) }
}

/// Gives back the noted values that the files below `etc` do not set. Gives what could not be.
pub fn give_back(paths: &Paths, etc: &Utf8Path) -> Result<Vec<String>, FileError> {
    let noted = sysctl::load(&place(paths))?;
    if noted.is_empty() {
        return Ok(Vec::new());
    }
    let next = settings(etc)?;
    let (stay, go): (BTreeMap<_, _>, BTreeMap<_, _>) =
        noted.into_iter().partition(|(path, _)| next.iter().any(|one| sysctl::is_set_by(path, one)));
    let mut failed = Vec::new();
    for (path, value) in &go {
        // One that is gone with its device is given back already.
        let file = paths.root().join("proc/sys").join(path);
        if let Err(error) = std::fs::write(&file, value)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            failed.push(format!("the kernel keeps {path}: {error}"));
        }
    }
    if !go.is_empty() {
        sysctl::save(&place(paths), &stay)?;
    }
    Ok(failed)
}

fn place(paths: &Paths) -> Utf8PathBuf {
    paths.evaluated().join(NOTED)
}

/// The keys that the files of sysctl.d(5) below `etc` set.
fn settings(etc: &Utf8Path) -> Result<Vec<String>, FileError> {
    let directory = etc.join("sysctl.d");
    let mut settings = Vec::new();
    if !fs::exists(&directory)? {
        return Ok(settings);
    }
    for name in fs::list(&directory)?.iter().filter(|name| Utf8Path::new(name).extension() == Some("conf")) {
        let bytes = fs::read_limited(&directory.join(name), fs::OWN)?.unwrap_or_default();
        settings.extend(sysctl::settings(&String::from_utf8_lossy(&bytes)));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_built_files_do_not_set_is_noted_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let paths = Paths::new(root, None, None);
        let file = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let kernel = |name: &str| std::fs::read_to_string(root.join("proc/sys/vm").join(name)).unwrap();
        for name in ["built", "new"] {
            file(&format!("proc/sys/vm/{name}"), "1\n");
        }
        file("built/sysctl.d/60-nixos.conf", "vm.built=1\n");
        file("next/sysctl.d/60-nixos.conf", "vm.built=2\nvm.new=2\nvm.none=2\n");
        let (built, next) = (root.join("built"), root.join("next"));
        note(&paths, &built, &next).unwrap();
        // systemd-sysctl has run.
        file("proc/sys/vm/new", "2\n");
        file("proc/sys/vm/built", "2\n");
        // What is noted is what stood there before all of it.
        note(&paths, &built, &next).unwrap();
        assert_eq!(give_back(&paths, &next).unwrap(), [""; 0]);
        assert_eq!((kernel("new").trim(), kernel("built").trim()), ("2", "2"));
        give_back(&paths, &built).unwrap();
        assert_eq!((kernel("new").trim(), kernel("built").trim()), ("1", "2"));
        file("proc/sys/vm/new", "3\n");
        give_back(&paths, &built).unwrap();
        assert_eq!(kernel("new").trim(), "3", "it is given back once");
    }
}
