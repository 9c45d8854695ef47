//! What a source remembers: the commit that main may not go back behind, the testing commit of a boot, and the layer.

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dynix::host::fs::atomic::{self, Durability};
use dynix::host::fs::read_limited;
use serde::{Deserialize, Serialize};

use super::oid::Oid;

const VERSION: u32 = 1;
/// Most bytes of the file.
const MOST: u64 = 1 << 20;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct State {
    pub version: u32,
    /// The newest commit of main that was taken. A later one is on top of it.
    #[serde(default)]
    pub main: Option<Oid>,
    /// The `sinceCommit` that it is on top of.
    #[serde(default)]
    pub since: Option<Oid>,
    /// The testing commit that was taken last.
    #[serde(default)]
    pub testing: Option<Testing>,
    /// The layer that was given last.
    #[serde(default)]
    pub layer: Option<Given>,
}

/// A testing commit that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Testing {
    pub commit: Oid,
    /// The boot in which it was; none if that is not known. In another boot it does not count.
    pub boot: Option<String>,
}

/// A layer that was given. The same files are the same layer, whatever else a commit changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Given {
    pub revision: String,
    pub by: Option<String>,
    pub message: Option<String>,
    /// The files of it, later ones last.
    pub files: Vec<(String, Oid)>,
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, main: None, since: None, testing: None, layer: None }
    }
}

/// Where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept(Utf8PathBuf);

impl Kept {
    pub fn new(directory: &Utf8Path) -> Self {
        Self(directory.join("state.json"))
    }

    /// Nothing if there is no file. What can't be read or understood is an error: it could say that a commit is too old.
    pub fn read(&self) -> anyhow::Result<Option<State>> {
        let Some(bytes) = read_limited(&self.0, MOST)? else { return Ok(None) };
        let damaged = || {
            format!(
                "cannot understand {}; if you remove it, main is taken from the host's log or as it is then",
                self.0
            )
        };
        let state: State = serde_json::from_slice(&bytes).with_context(damaged)?;
        if state.version != VERSION {
            anyhow::bail!("{} is of version {}, and this agent reads version {VERSION}", self.0, state.version);
        }
        Ok(Some(state))
    }

    /// It survives a power cut from here on.
    pub fn write(&self, state: &State) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(state)?;
        bytes.push(b'\n');
        Ok(atomic::write(&self.0, &bytes, 0o600, Durability::Durable)?)
    }
}

/// The name of a layer's state: the commit, and for a testing commit also the commit of main that it is on top of.
pub(super) fn revision(commit: &Oid, main: Option<&Oid>) -> String {
    match main {
        Some(main) if main != commit => format!("{commit} on {main}"),
        _ => commit.to_string(),
    }
}

/// The commit of a revision and that of main.
pub(super) fn understood(revision: &str) -> Option<(Oid, Oid)> {
    let (commit, main) = revision.split_once(" on ").unwrap_or((revision, revision));
    Some((Oid::parse(commit).ok()?, Oid::parse(main).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_says_its_commit_and_main() {
        let (one, two) = (Oid::parse(&"a".repeat(40)).unwrap(), Oid::parse(&"b".repeat(40)).unwrap());
        for (commit, main) in [(&one, &one), (&one, &two)] {
            let text = revision(commit, Some(main));
            assert_eq!(understood(&text), Some((commit.clone(), main.clone())), "{text}");
        }
        assert_eq!(understood("12"), None);
    }

    #[test]
    fn a_damaged_file_is_not_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        let kept = Kept::new(path);
        assert_eq!(kept.read().unwrap(), None);
        let state = State { main: Some(Oid::parse(&"a".repeat(40)).unwrap()), ..State::default() };
        kept.write(&state).unwrap();
        assert_eq!(kept.read().unwrap(), Some(state));
        for text in ["", "{", "{\"version\":2}", "{\"version\":1,\"main\":\"HEAD\"}", "{\"version\":1,\"more\":1}"] {
            std::fs::write(path.join("state.json"), text).unwrap();
            assert!(kept.read().is_err(), "{text}");
        }
    }
}
