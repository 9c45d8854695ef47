//! Hosts: each a tree of its own with a real daemon and a real agent.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::{Engine, FLEET, PATIENCE};

pub const WORKERS: &str = "services.harmonia.settings.workers";
pub const JOBS: &str = "services.distccd.maxJobs";

/// The program `dynix` of the same build.
pub fn dynix() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = std::env::var_os("DYNIX_PROGRAM") {
        return path.into();
    }
    BUILT
        .get_or_init(|| {
            // It is another package, so cargo does not see to it that it is there, or new.
            let status =
                Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "dynix", "--bin", "dynix"]).status();
            assert!(status.unwrap().success());
            Path::new(env!("CARGO_BIN_EXE_dynix-agent")).with_file_name("dynix")
        })
        .clone()
}

/// What all hosts have: the bundled services, and a source.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<tempfile::TempDir> = OnceLock::new();
    TEMPLATE
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let descriptions = concat!(env!("CARGO_MANIFEST_DIR"), "/../descriptions");
            let mut services = serde_json::Map::new();
            for name in ["gotosocial", "harmonia", "distccd"] {
                let text = std::fs::read_to_string(format!("{descriptions}/{name}.json")).unwrap();
                let one: Value = serde_json::from_str(&text).unwrap();
                services.extend(one["services"].as_object().unwrap().clone());
            }
            let description =
                json!({"version": 1, "services": services, "sources": [{"name": "config"}, {"name": "fleet"}]});
            let file = directory.path().join("description.json");
            std::fs::write(&file, description.to_string()).unwrap();
            let status = Command::new(dynix())
                .args(["generate", "--static-root", descriptions, "--description"])
                .arg(&file)
                .arg("--out")
                .arg(directory.path().join("etc/dynix"))
                .stdout(Stdio::null())
                .status();
            assert!(status.unwrap().success());
            directory
        })
        .path()
}

/// A host.
pub struct Host {
    pub name: String,
    directory: tempfile::TempDir,
    daemon: Option<Child>,
    agent: Option<Child>,
}

impl Host {
    pub fn new(engine: &Engine, name: &str, groups: &[&str]) -> Self {
        Self::with(engine, name, groups, &json!({}))
    }

    /// With more sources than etcd.
    pub fn with(engine: &Engine, name: &str, groups: &[&str], more: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new("cp").arg("-aT").args([template(), directory.path()]).status();
        assert!(status.unwrap().success());
        let mut host = Self { name: name.to_owned(), directory, daemon: None, agent: None };
        let at = |below: &str| host.directory.path().join(below);
        let mut config = json!({
            "version": 1, "host": name, "groups": groups, "socket": at("run/dynix/dynix.sock"),
            "stateDirectory": at("agent/state"), "runtimeDirectory": at("agent/run"), "metrics": at("agent/metrics.prom"),
            "sources": {"fleet": {"kind": "etcd", "endpoints": engine.endpoints(), "fleet": FLEET, "lease": 6}},
        });
        config["sources"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(at("agent.json"), config.to_string()).unwrap();
        host.start_daemon();
        host.start_agent();
        host
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(dynix());
        for variable in ["DYNIX_PLAN", "DYNIX_OVERRIDES", "SUDO_USER", "NIXOS_ACTION", "JOURNAL_STREAM"] {
            command.env_remove(variable);
        }
        command.arg("--root").arg(self.directory.path()).args(arguments);
        command
    }

    pub fn start_daemon(&mut self) {
        let socket = self.path("run/dynix/dynix.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let mut command = self.command(&["--socket", socket.to_str().unwrap(), "daemon"]);
        let log = std::fs::File::options().create(true).append(true).open(self.path("daemon.log")).unwrap();
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn start_agent(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("agent.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynix-agent"));
        command.env_remove("JOURNAL_STREAM").arg("--config").arg(self.path("agent.json")).arg("run");
        self.agent = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn kill_daemon(&mut self) {
        kill(&mut self.daemon);
    }

    pub fn kill_agent(&mut self) {
        kill(&mut self.agent);
    }

    /// Cuts it off, without a word to anybody, or lets it go on.
    pub fn freeze_agent(&self, freeze: bool) {
        let signal = if freeze { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        let process = rustix::process::Pid::from_child(self.agent.as_ref().unwrap());
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// What is in effect for an option.
    pub fn in_effect(&self, path: &str) -> Value {
        let output = self.command(&["get", path, "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        value["inEffect"].clone()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("agent.log")).unwrap()
    }

    /// The records that the source made.
    pub fn records(&self) -> Vec<Value> {
        let output = self.command(&["log", "--json"]).output().unwrap();
        assert!(output.status.success());
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = log.as_array().unwrap().clone();
        all.into_iter().filter(|record| record["layer"]["source"] == "fleet").collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.name, self.log());
        }
        self.kill_agent();
        self.kill_daemon();
    }
}

fn kill(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Asks until it is so.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "it never is: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
