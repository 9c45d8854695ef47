//! Who may sign: a file of SSH signers, a keyring of GPG, or both.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::AsyncWriteExt;

use super::mirror::{Commit, LOCAL, Mirror};
use super::oid::Oid;
use super::program::Program;
use super::remote::private_directory;
use super::words::plain;

/// Whom a key is of is what its owner said: whoever gave the keyring trusts its keys. It asks no server and starts no agent.
const GPG: &str = "trust-model direct\nno-autostart\nno-auto-key-retrieve\nno-auto-key-locate\nignore-time-conflict\n";

/// Who may sign.
#[derive(Debug)]
pub(super) struct Signers {
    files: Vec<Utf8PathBuf>,
    gpg: Option<Utf8PathBuf>,
    /// What the files were when they were read.
    seen: Vec<Option<(SystemTime, u64)>>,
    /// Commits whose signatures are good.
    good: BTreeSet<Oid>,
}

/// A commit that none of them signed.
#[derive(Debug)]
pub(super) struct Unsigned(pub String);

impl Signers {
    /// None if commits need no signature.
    pub fn new(allowed: Option<&Utf8Path>, gpg: Option<&Utf8Path>) -> Option<Self> {
        let files: Vec<Utf8PathBuf> = allowed.into_iter().chain(gpg).map(Utf8Path::to_owned).collect();
        let gpg = gpg.map(Utf8Path::to_owned);
        (!files.is_empty()).then(|| Self { files, gpg, seen: Vec::new(), good: BTreeSet::new() })
    }

    /// Reads them again if they have changed; says whether they have.
    pub async fn renew(&mut self, program: &Program) -> anyhow::Result<bool> {
        let now: Vec<Option<(SystemTime, u64)>> = self
            .files
            .iter()
            .map(|path| std::fs::metadata(path).ok().and_then(|data| Some((data.modified().ok()?, data.len()))))
            .collect();
        if let Some(lost) = now.iter().position(Option::is_none) {
            bail!("cannot read {}, which says who may sign", self.files[lost]);
        }
        if now == self.seen {
            return Ok(false);
        }
        if let Some(keys) = &self.gpg {
            import(program, keys).await?;
        }
        self.seen = now;
        self.good.clear();
        Ok(true)
    }

    /// Checks the signature of every one of the commits.
    pub async fn check(&mut self, mirror: &Mirror, commits: &BTreeSet<Oid>) -> anyhow::Result<Result<(), Unsigned>> {
        let new: Vec<Oid> = commits.difference(&self.good).cloned().collect();
        if new.is_empty() {
            return Ok(Ok(()));
        }
        for commit in mirror.commits(&new, true).await? {
            if let Some(problem) = problem(&commit) {
                return Ok(Err(Unsigned(problem)));
            }
            self.good.insert(commit.oid);
        }
        Ok(Ok(()))
    }
}

/// What `%G?` says (git-log(1), PRETTY FORMATS).
fn problem(commit: &Commit) -> Option<String> {
    let verdict = commit.signature.as_ref().map_or('N', |(verdict, _)| *verdict);
    let why = match verdict {
        'G' => return None,
        'N' => "is not signed",
        'B' => "has a bad signature",
        'U' | 'E' => "is signed with a key that may not sign",
        'X' => "has a signature that is no longer valid",
        'Y' => "is signed with a key that is no longer valid",
        'R' => "is signed with a key that is revoked",
        _ => "has a signature that git does not understand",
    };
    Some(format!("commit {} ({:?} by {}) {why}", commit.oid.short(), commit.subject, commit.author))
}

/// Makes the keyring anew.
async fn import(program: &Program, keys: &Utf8Path) -> anyhow::Result<()> {
    dynix::host::fs::remove_tree(&program.keyring)?;
    private_directory(&program.keyring)?;
    std::fs::write(program.keyring.join("gpg.conf"), GPG).context("cannot write GPG's configuration")?;
    gpg(program, &["--import", keys.as_str()], "").await.with_context(|| format!("the keys of {keys}"))?;
    let listed = gpg(program, &["--with-colons", "--list-keys"], "").await?;
    let trust = trust(&listed);
    if trust.is_empty() {
        bail!("{keys} has no keys");
    }
    gpg(program, &["--import-ownertrust"], &trust).await.map(drop)
}

/// The main keys of a list (gnupg's doc/DETAILS), as those that are trusted.
fn trust(listed: &str) -> String {
    let mut trust = String::new();
    let mut is_main = false;
    for line in listed.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            ["pub", ..] => is_main = true,
            ["fpr", rest @ ..] if is_main => {
                is_main = false;
                if let Some(fingerprint) = rest.get(8) {
                    trust.extend([fingerprint, ":6:\n"]);
                }
            }
            _ => {}
        }
    }
    trust
}

/// The output of gpg, which has to succeed.
async fn gpg(program: &Program, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new("gpg");
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("GNUPGHOME", &program.keyring).env("HOME", &program.home).env("LC_ALL", "C.UTF-8");
    command.args(["--batch", "--no-tty", "--quiet"]).args(arguments).current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run gpg")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Its status says what went wrong.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let ended = tokio::time::timeout(LOCAL, child.wait_with_output()).await;
    let output = ended.context("gpg takes too long")?.context("cannot run gpg")?;
    if !output.status.success() {
        bail!("gpg refuses: {}", plain(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
