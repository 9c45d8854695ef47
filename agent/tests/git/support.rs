//! A repository that people push to, and a host that follows it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use dynix_agent::config::{Branches, Git, Remote};
use dynix_agent::git;
use dynix_agent::sources::{Event, Identity, Layer};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

/// What never comes is waited for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Says loudly what is not tested here.
pub fn skipped(what: &str) {
    std::io::stderr().write_all(format!("\nSKIPPED: {what}\n\n").as_bytes()).unwrap();
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// A directory for one test.
pub struct Place {
    keep: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { keep: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.keep.path().canonicalize().unwrap()).unwrap()
    }

    pub fn repository(&self, name: &str) -> Repository {
        Repository::new(&self.path().join(name), "sha1")
    }

    /// One whose objects have names of SHA-256.
    pub fn repository_of_sha256(&self, name: &str) -> Repository {
        Repository::new(&self.path().join(name), "sha256")
    }
}

/// A work tree with a bare repository that it pushes to.
pub struct Repository {
    pub work: Utf8PathBuf,
    pub bare: Utf8PathBuf,
    pub settings: Vec<String>,
    pub environment: Vec<(String, String)>,
}

impl Repository {
    fn new(path: &Utf8Path, format: &str) -> Self {
        let (work, bare) = (path.join("work"), path.join("config.git"));
        std::fs::create_dir_all(&work).unwrap();
        std::fs::create_dir_all(&bare).unwrap();
        let repository = Self { work, bare, settings: Vec::new(), environment: Vec::new() };
        let format = format!("--object-format={format}");
        repository.git(&["init", "-q", &format, "-b", "main", "."]);
        repository.git(&["init", "-q", &format, "--bare", "-b", "none", repository.bare.as_str()]);
        repository.git(&["remote", "add", "origin", repository.bare.as_str()]);
        repository
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(&self.work).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.envs([("GIT_AUTHOR_NAME", "Alice"), ("GIT_AUTHOR_EMAIL", "alice@example.org")]);
        command.envs([("GIT_COMMITTER_NAME", "Alice"), ("GIT_COMMITTER_EMAIL", "alice@example.org")]);
        command.envs(self.environment.iter().cloned());
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits files; an empty text removes one. Gives the commit.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        for (path, text) in files {
            if text.is_empty() {
                std::fs::remove_file(self.work.join(path)).unwrap();
            } else {
                self.write(path, text);
            }
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn push(&self, branch: &str) {
        self.git(&["push", "-q", "--force", "origin", &format!("HEAD:refs/heads/{branch}")]);
    }

    /// Commits and pushes to main.
    pub fn publish(&self, files: &[(&str, &str)], message: &str) -> String {
        let commit = self.commit(files, message);
        self.push("main");
        commit
    }
}

/// What a host is configured with.
pub struct Host {
    pub state: Utf8PathBuf,
    pub name: String,
    pub groups: Vec<String>,
    pub config: Git,
    pub known: Option<String>,
}

pub fn remote(url: &str) -> Remote {
    Remote {
        url: url.to_owned(),
        // It is looked at when it is told to.
        period: 3600.0,
        timeout: 30.0,
        password_file: None,
        ssh_key: None,
        known_hosts: None,
        branches: Branches { main: "main".to_owned(), testing: Some("testing-web3".to_owned()) },
    }
}

impl Host {
    pub fn new(place: &Place, urls: &[(&str, &str)]) -> Self {
        let remotes: BTreeMap<String, Remote> =
            urls.iter().map(|(name, url)| ((*name).to_owned(), remote(url))).collect();
        Self {
            state: place.path().join("host"),
            name: "web3".to_owned(),
            groups: vec!["web".to_owned()],
            config: Git {
                remotes,
                directory: ".".to_owned(),
                allowed_signers: None,
                gpg_keyring: None,
                since_commit: None,
                webhook: None,
            },
            known: None,
        }
    }

    pub fn of(place: &Place, repository: &Repository) -> Self {
        Self::new(place, &[("origin", repository.bare.as_str())])
    }

    pub fn state_file(&self) -> Utf8PathBuf {
        self.state.join("state/config/state.json")
    }

    pub fn mirror(&self) -> Utf8PathBuf {
        self.state.join("state/config/repository")
    }

    pub fn identity(&self) -> Identity {
        Identity {
            source: "config".to_owned(),
            host: self.name.clone(),
            groups: self.groups.clone(),
            state: self.state.join("state/config"),
            runtime: self.state.join("run/config"),
        }
    }

    /// Starts the source.
    pub fn start(&self) -> Running {
        let (sender, events) = channel(64);
        let (nudge, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let identity = self.identity();
        let task = tokio::spawn(git::run(
            self.config.clone(),
            identity,
            self.known.clone(),
            sender,
            Arc::clone(&nudge),
            cancel.clone(),
        ));
        Running { events, nudge, cancel, task }
    }
}

/// A source that runs.
pub struct Running {
    pub events: Receiver<Event>,
    pub nudge: Arc<Notify>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("no event came").expect("the source ended")
    }

    /// The next layer; trouble before it is a failure.
    pub async fn layer(&mut self) -> Layer {
        loop {
            match self.event().await {
                Event::Layer(layer) => return layer,
                Event::Reached => {}
                Event::Trouble { reason, .. } => panic!("{reason}"),
            }
        }
    }

    /// The next layer, whatever trouble comes before it.
    pub async fn layer_after_all(&mut self) -> Layer {
        loop {
            if let Event::Layer(layer) = self.event().await {
                return layer;
            }
        }
    }

    /// The next trouble; a layer before it is a failure.
    pub async fn trouble(&mut self) -> String {
        loop {
            match self.event().await {
                Event::Trouble { reason, .. } => return reason,
                Event::Reached => {}
                Event::Layer(layer) => panic!("{layer:?}"),
            }
        }
    }

    /// The next trouble, whatever comes before it.
    pub async fn trouble_of_any(&mut self) -> String {
        loop {
            if let Event::Trouble { reason, .. } = self.event().await {
                return reason;
            }
        }
    }

    pub fn look(&self) {
        self.nudge.notify_one();
    }

    /// Looks, and gives the layer.
    pub async fn looked(&mut self) -> Layer {
        self.look();
        self.layer().await
    }

    /// Looks, and gives the trouble.
    pub async fn troubled(&mut self) -> String {
        self.look();
        self.trouble().await
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// The values of a layer as text.
pub fn values(layer: &Layer) -> String {
    Value::Object(layer.values.clone()).to_string()
}

/// Text without the names of commits and the directory of the test.
pub fn shown(text: &str, place: &Place, commits: &[(&str, &str)]) -> String {
    let mut text = text.replace(place.path().as_str(), "PLACE");
    for (commit, name) in commits {
        text = text.replace(commit, name).replace(&commit[..12], name);
    }
    text
}

/// A server that ends with the test.
pub struct Server(pub std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program, which has to succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A key of SSH.
pub fn ssh_key(directory: &Utf8Path, name: &str) -> Utf8PathBuf {
    let path = directory.join(name);
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.as_str()]);
    path
}

/// The bytes of a directory and all below it.
pub fn size_of(directory: &Path) -> u64 {
    let mut left: Vec<PathBuf> = vec![directory.to_owned()];
    let mut bytes = 0;
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            if data.is_dir() { left.push(entry.path()) } else { bytes += data.len() }
        }
    }
    bytes
}
