//! The Nix store: its contents, and Nix's own way to add to it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::derivation::Derivation;
use super::needs::Store;
use crate::host::evaluator::Evaluator;
use crate::host::fs;
use crate::host::interruption::Hold;
use crate::host::process;

/// Until a realisation of texts and links is given up.
const SMALL: Duration = Duration::from_secs(120);
/// The same if Nix may build.
const BUILD: Duration = Duration::from_secs(4 * 60 * 60);
/// Most bytes of a derivation.
const DERIVATION: u64 = 64 << 20;

/// The store, by `nix-store`.
#[derive(Debug)]
pub struct NixStore {
    program: String,
}

impl NixStore {
    /// The one of an evaluator.
    #[must_use]
    pub fn new(evaluator: &Evaluator) -> Self {
        let program = evaluator.command.iter().find(|word| word.ends_with("nix-instantiate"));
        let beside = program.and_then(|program| program.strip_suffix("nix-instantiate"));
        Self { program: format!("{}nix-store", beside.unwrap_or_default()) }
    }

    /// Has derivations made, and `paths` and what they give kept for as long as `roots` is there. Without `build`, nothing
    /// is downloaded.
    pub fn realise<'p>(
        &self,
        paths: impl Iterator<Item = &'p String>,
        roots: &Utf8Path,
        build: bool,
    ) -> anyhow::Result<()> {
        let paths: Vec<String> = paths.cloned().collect();
        if paths.is_empty() {
            return Ok(());
        }
        fs::create_dir(roots)?;
        let mut command = vec![self.program.clone(), "--realise".to_owned()];
        command.extend(paths);
        command.extend(["--add-root", roots.join("root").as_str(), "--indirect", "--quiet"].map(str::to_owned));
        if !build {
            command.extend(["--option", "substitute", "false"].map(str::to_owned));
        }
        self.run(&command, if build { BUILD } else { SMALL }).map(drop)
    }

    /// Adds a directory of links and texts; gives its path in the store.
    pub fn add(&self, directory: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
        let said = self.run(&[self.program.clone(), "--add".to_owned(), directory.to_string()], SMALL)?;
        let path = said.trim();
        if !path.starts_with('/') {
            bail!("{} --add said {path:?}", self.program)
        }
        Ok(path.into())
    }

    fn run(&self, command: &[String], deadline: Duration) -> anyhow::Result<String> {
        let hold = Hold::begin_also_in_apply();
        let output = process::run_unless(command, deadline, &|| hold.is_wanted())?;
        if !output.status.success() {
            bail!("{} {} failed: {}", self.program, command[1], output.words())
        }
        String::from_utf8(output.stdout).with_context(|| format!("{} said no text", self.program))
    }
}

impl Store for NixStore {
    fn has(&self, path: &str) -> bool {
        fs::exists(Utf8Path::new(path)).unwrap_or(false)
    }

    fn derivation(&self, path: &str) -> Result<Derivation, String> {
        let unread = |why: String| format!("cannot read the derivation {path}: {why}");
        let bytes = fs::read_limited(Utf8Path::new(path), DERIVATION).map_err(|error| unread(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| unread("it is not there".to_owned()))?;
        Derivation::read(&String::from_utf8_lossy(&bytes)).ok_or_else(|| unread("it is none".to_owned()))
    }
}
