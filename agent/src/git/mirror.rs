//! The repository of a source in its state directory: bare, shallow and partial. It can be thrown away at any time:
//! what has to survive is in [`super::state`].

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dynix::host::fs::atomic::{self, Durability};
use dynix::host::fs::{self, read_limited};

use super::graph::Graph;
use super::hardening::quoted;
use super::oid::Oid;
use super::program::{Failure, Program, Run};
use super::remote::{Remote, private_directory};
use super::words::plain;

/// How many commits below a branch are fetched: first, and if the commit that it has to be on top of is not among them.
pub(super) const DEPTHS: [u32; 3] = [32, 512, 16_384];
/// Blobs up to this size come with the commits, later ones by name when they are needed.
const SMALL: &str = "blob:limit=32k";
/// Most bytes that git says about references, and about history.
const REFERENCES: usize = 64 << 10;
const HISTORY: usize = 64 << 20;
/// Most commits of history that are looked at.
const COMMITS: &str = "--max-count=200000";
/// Most bytes of trees or of files that are read at once.
const OBJECTS: usize = 64 << 20;
/// How long git may take without a network.
pub(super) const LOCAL: Duration = Duration::from_secs(60);
/// After so many fetches the repository is made anew: each leaves a pack.
const PACKS: usize = 200;

/// What the branches of a remote are at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tips {
    pub main: Option<Oid>,
    pub testing: Option<Oid>,
}

/// What git says of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub oid: Oid,
    pub tree: Oid,
    pub author: String,
    pub subject: String,
    /// If signatures were asked for: what git's `%G?` says, and who signed.
    pub signature: Option<(char, String)>,
}

/// An object, or why it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Here(Vec<u8>),
    TooLarge(u64),
    Missing,
}

/// The repository.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    pub program: Program,
    directory: Utf8PathBuf,
    remotes: Vec<Remote>,
}

impl Mirror {
    pub fn new(program: Program, remotes: &[Remote]) -> Self {
        Self { directory: program.repository.clone(), program, remotes: remotes.to_vec() }
    }

    pub fn exists(&self) -> bool {
        self.directory.join("HEAD").exists()
    }

    /// Writes its configuration, and creates it if there is none. What an interrupted git left locked is freed: nobody
    /// else uses it.
    pub async fn prepare(&self, oid_length: usize) -> anyhow::Result<()> {
        let format = if oid_length == 64 { "sha256" } else { "sha1" };
        if self.exists() {
            let known = read_limited(&self.directory.join("config"), 1 << 20)?.unwrap_or_default();
            if String::from_utf8_lossy(&known).contains(&format!("objectFormat = {format}\n")) {
                self.unlock()?;
                return self.configure(format);
            }
        }
        self.make_anew(format).await
    }

    async fn make_anew(&self, format: &str) -> anyhow::Result<()> {
        fs::remove_tree(&self.directory)?;
        private_directory(&self.directory)?;
        let arguments = ["init", "--bare", "--quiet", "--template=", &format!("--object-format={format}")];
        self.local(&arguments, Vec::new(), REFERENCES).await?;
        self.configure(format)
    }

    /// Throws away what is here.
    pub fn discard(&self) -> anyhow::Result<()> {
        Ok(fs::remove_tree(&self.directory)?)
    }

    /// Whether so much has gathered that it is made anew.
    pub fn is_full(&self) -> bool {
        let names = fs::names(&self.directory.join("objects/pack")).unwrap_or_default();
        names.iter().filter(|name| ends(name, "pack")).count() > PACKS
    }

    fn configure(&self, format: &str) -> anyhow::Result<()> {
        let mut text = format!(
            "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n\tfileMode = true\n\tlogAllRefUpdates = false\n\
             [extensions]\n\tobjectFormat = {format}\n"
        );
        for remote in &self.remotes {
            let url = quoted(&remote.url);
            text.extend(["[remote \"", &remote.name, "\"]\n\turl = ", &url, "\n\ttagOpt = --no-tags\n"]);
        }
        Ok(atomic::write(&self.directory.join("config"), text.as_bytes(), 0o600, Durability::Volatile)?)
    }

    fn unlock(&self) -> anyhow::Result<()> {
        let packs = self.directory.join("objects/pack");
        for name in fs::names(&packs).unwrap_or_default().iter().filter(|name| name.starts_with("tmp_")) {
            fs::remove(&packs.join(name))?;
        }
        for name in fs::names(&self.directory)?.iter().filter(|name| ends(name, "lock")) {
            fs::remove(&self.directory.join(name))?;
        }
        for remote in &self.remotes {
            let references = self.directory.join("refs/dynix").join(&remote.name);
            if !references.exists() {
                continue;
            }
            for name in fs::names(&references)?.iter().filter(|name| ends(name, "lock")) {
                fs::remove(&references.join(name))?;
            }
        }
        Ok(())
    }

    /// Asks a remote what its branches are at.
    pub async fn look(&self, remote: &Remote) -> anyhow::Result<Tips> {
        let main = format!("refs/heads/{}", remote.main);
        let testing = remote.testing.as_ref().map(|branch| format!("refs/heads/{branch}"));
        let mut arguments = vec!["ls-remote", "--quiet", "--", remote.url.as_str(), &main];
        arguments.extend(testing.as_deref());
        let settings = remote.settings()?;
        let run = Run {
            arguments: &arguments,
            settings: &settings,
            input: Vec::new(),
            may_fetch: true,
            patience: remote.patience,
            most: REFERENCES,
        };
        let text = text(self.program.run(run).await?)?;
        let mut tips = Tips::default();
        for line in text.lines() {
            let (oid, name) = line.split_once('\t').context("git's list of references is not understood")?;
            if name == main {
                tips.main = Some(Oid::parse(oid)?);
            } else if Some(name) == testing.as_deref() {
                tips.testing = Some(Oid::parse(oid)?);
            }
        }
        Ok(tips)
    }

    /// Fetches the branches that exist, `depth` commits deep. They may have moved since they were looked at: gives what
    /// they are at.
    pub async fn fetch(&self, remote: &Remote, tips: &Tips, step: usize) -> anyhow::Result<Tips> {
        let depth = format!("--depth={}", DEPTHS[step]);
        // Without a branch of before, all blobs of a commit would come.
        let before = self.tips(remote).await?;
        let is_first = before.main.is_none();
        let filter = match (step, is_first) {
            (0, false) => format!("--filter={SMALL}"),
            (0, true) => "--filter=blob:none".to_owned(),
            // Only history is of interest.
            _ => "--filter=tree:0".to_owned(),
        };
        self.fetch_branches(remote, tips, &before, &[&depth, &filter]).await
    }

    /// Fetches the branches with all that is in them, for servers that do not give single objects.
    async fn fetch_whole(&self, remote: &Remote, tips: &Tips) -> anyhow::Result<()> {
        let depth = format!("--depth={}", DEPTHS[0]);
        let before = self.tips(remote).await?;
        self.fetch_branches(remote, tips, &before, &["--refetch", "--no-filter", &depth]).await.map(drop)
    }

    async fn fetch_branches(
        &self,
        remote: &Remote,
        tips: &Tips,
        before: &Tips,
        options: &[&str],
    ) -> anyhow::Result<Tips> {
        let mut wanted = Vec::new();
        for (kind, branch, tip) in
            [("main", Some(&remote.main), &tips.main), ("testing", remote.testing.as_ref(), &tips.testing)]
        {
            let place = format!("refs/dynix/{}/{kind}", remote.name);
            match (branch, tip) {
                (Some(branch), Some(_)) => wanted.push(format!("+refs/heads/{branch}:{place}")),
                _ if kind == "testing" && before.testing.is_none() => {}
                _ => drop(self.local(&["update-ref", "-d", &place], Vec::new(), REFERENCES).await?),
            }
        }
        if wanted.is_empty() {
            return Ok(Tips::default());
        }
        let mut arguments = vec!["fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance"];
        arguments.extend(options);
        arguments.extend(["--", &remote.name]);
        arguments.extend(wanted.iter().map(String::as_str));
        self.remotely(remote, &arguments, &[]).await?;
        self.tips(remote).await
    }

    /// Runs git for a remote, with what is missing here promised by it.
    async fn remotely(&self, remote: &Remote, arguments: &[&str], more: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut settings = remote.settings()?;
        settings.push((format!("remote.{}.promisor", remote.name), "true".to_owned()));
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let run = Run {
            arguments,
            settings: &settings,
            input: Vec::new(),
            may_fetch: true,
            patience: remote.patience,
            most: REFERENCES,
        };
        let result = self.program.run(run).await;
        if result.is_err() {
            self.unlock()?;
        }
        // git writes down that the remote promises; without the note, git never fetches by itself.
        self.configure_again()?;
        Ok(result.map(drop)?)
    }

    fn configure_again(&self) -> anyhow::Result<()> {
        let known = read_limited(&self.directory.join("config"), 1 << 20)?.unwrap_or_default();
        let is_sha256 = String::from_utf8_lossy(&known).contains("objectFormat = sha256\n");
        self.configure(if is_sha256 { "sha256" } else { "sha1" })
    }

    /// What the branches of a remote were at when they were fetched last.
    pub async fn tips(&self, remote: &Remote) -> anyhow::Result<Tips> {
        let prefix = format!("refs/dynix/{}/", remote.name);
        let arguments = ["for-each-ref", "--format=%(refname) %(objectname)", &prefix];
        let text = text(self.local(&arguments, Vec::new(), REFERENCES).await?)?;
        let mut found: BTreeMap<&str, Oid> = BTreeMap::new();
        for line in text.lines() {
            let (name, oid) = line.split_once(' ').context("git's list of references is not understood")?;
            found.insert(name.strip_prefix(&prefix).unwrap_or(name), Oid::parse(oid)?);
        }
        Ok(Tips { main: found.remove("main"), testing: found.remove("testing") })
    }

    /// The history of those commits that are here.
    pub async fn graph(&self, commits: &[Oid]) -> anyhow::Result<Graph> {
        let here = self.are_here(commits).await?;
        let input = lines(commits.iter().zip(here).filter(|(_, here)| *here).map(|(oid, _)| oid));
        let history = if input.is_empty() {
            String::new()
        } else {
            text(self.local(&["rev-list", "--parents", COMMITS, "--stdin"], input, HISTORY).await?)?
        };
        let cut = read_limited(&self.directory.join("shallow"), HISTORY as u64)?.unwrap_or_default();
        Graph::parse(&history, &String::from_utf8_lossy(&cut)).context("git's history is not understood")
    }

    pub async fn is_here(&self, oid: &Oid) -> anyhow::Result<bool> {
        Ok(self.are_here(std::slice::from_ref(oid)).await? == [true])
    }

    async fn are_here(&self, oids: &[Oid]) -> anyhow::Result<Vec<bool>> {
        Ok(self.sizes(oids).await?.into_iter().map(|size| size.is_some()).collect())
    }

    /// The sizes of objects; none of those that are not here.
    async fn sizes(&self, oids: &[Oid]) -> anyhow::Result<Vec<Option<u64>>> {
        let input = lines(oids);
        let output = self.local(&["cat-file", "--batch-check=%(objectsize)"], input, HISTORY).await?;
        Ok(text(output)?.lines().map(|line| line.parse().ok()).collect())
    }

    /// What git says of commits that are here.
    pub async fn commits(&self, oids: &[Oid], with_signatures: bool) -> anyhow::Result<Vec<Commit>> {
        let input = lines(oids);
        let signatures = if with_signatures { "%x00%G?%x00%GS" } else { "%x00%x00" };
        let format = format!("--format=tformat:%H%x00%T%x00%an <%ae>%x00%s{signatures}");
        let arguments = ["log", "-z", "--no-walk=unsorted", "--no-show-signature", &format, "--stdin"];
        // Each signature runs a program or two.
        let patience = LOCAL + Duration::from_millis(100).saturating_mul(u32::try_from(oids.len()).unwrap_or(u32::MAX));
        let run = Run { arguments: &arguments, settings: &[], input, may_fetch: false, patience, most: HISTORY };
        let output = self.program.run(run).await?;
        let output = String::from_utf8_lossy(&output);
        let fields: Vec<&str> = output.split('\0').collect();
        let mut found = Vec::new();
        for fields in fields.chunks_exact(6) {
            let [oid, tree, author, subject, verdict, signer] = fields else { continue };
            found.push(Commit {
                oid: Oid::parse(oid)?,
                tree: Oid::parse(tree)?,
                author: plain(author),
                subject: plain(subject),
                signature: verdict.chars().next().map(|verdict| (verdict, plain(signer))),
            });
        }
        if found.len() != oids.len() {
            anyhow::bail!("git knows {} of {} commits", found.len(), oids.len());
        }
        Ok(found)
    }

    /// Objects, of at most so many bytes each. What is not here comes from the remote.
    pub async fn objects(
        &self,
        remote: Option<(&Remote, &Tips)>,
        oids: &[Oid],
        most: u64,
    ) -> anyhow::Result<Vec<Object>> {
        let mut sizes = self.sizes(oids).await?;
        let missing: Vec<&str> =
            oids.iter().zip(&sizes).filter(|(_, size)| size.is_none()).map(|(oid, _)| oid.as_str()).collect();
        if let (false, Some((remote, tips))) = (missing.is_empty(), remote) {
            let mut arguments = vec![
                "fetch",
                "--quiet",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--filter=tree:0",
                "--",
                &remote.name,
            ];
            arguments.extend(&missing);
            // What is wanted is exactly this, whatever is reachable from what is here.
            if self.remotely(remote, &arguments, &[("fetch.negotiationAlgorithm", "noop")]).await.is_err() {
                self.fetch_whole(remote, tips).await?;
            }
            sizes = self.sizes(oids).await?;
        }
        let fits = |size: &Option<u64>| size.is_some_and(|size| size <= most);
        let input = lines(oids.iter().zip(&sizes).filter(|(_, size)| fits(size)).map(|(oid, _)| oid));
        let output = self.local(&["cat-file", "--batch"], input, OBJECTS).await?;
        let mut rest = output.as_slice();
        sizes
            .iter()
            .map(|size| match size {
                None => Ok(Object::Missing),
                Some(size) if *size > most => Ok(Object::TooLarge(*size)),
                Some(size) => taken(&mut rest, *size).context("git's objects are not understood").map(Object::Here),
            })
            .collect()
    }

    /// Runs git without a network.
    async fn local(&self, arguments: &[&str], input: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
        self.program.run(Run { arguments, settings: &[], input, may_fetch: false, patience: LOCAL, most }).await
    }
}

/// The next object of `cat-file --batch`: a line about it, its bytes, and a line feed.
fn taken(rest: &mut &[u8], size: u64) -> Option<Vec<u8>> {
    let start = rest.iter().position(|byte| *byte == b'\n')? + 1;
    let end = start + usize::try_from(size).ok()?;
    let bytes = rest.get(start..end)?.to_vec();
    *rest = rest.get(end + 1..)?;
    Some(bytes)
}

/// Whether a file's name ends like this.
fn ends(name: &str, end: &str) -> bool {
    Utf8Path::new(name).extension() == Some(end)
}

/// Names of objects, as git reads them.
fn lines<'a>(oids: impl IntoIterator<Item = &'a Oid>) -> Vec<u8> {
    oids.into_iter().flat_map(|oid| oid.as_str().bytes().chain([b'\n'])).collect()
}

fn text(bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).context("git says what is no text")
}

/// Where the repository of a source is.
pub(super) fn place(state: &Utf8Path) -> Utf8PathBuf {
    state.join("repository")
}
