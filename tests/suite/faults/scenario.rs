//! What is interrupted: commands, each on a tree that others have prepared.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::invariants::timeless;
use crate::support::{Run, description, dynix, finish};

/// A command on a prepared tree.
pub struct Scenario {
    pub name: &'static str,
    pub description: fn() -> Value,
    /// Commands that come before.
    pub prepare: &'static [&'static [&'static str]],
    /// What else comes before.
    pub edit: fn(&Utf8Path),
    pub command: &'static [&'static str],
}

pub fn none(_: &Utf8Path) {}

/// The service is checked by a command that never agrees.
fn refusing() -> Value {
    let mut description = description();
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/false"]});
    description
}

/// Few generations are kept.
fn forgetful() -> Value {
    let mut description = description();
    description["keep"] = 2.into();
    description
}

fn log(root: &Utf8Path) -> Utf8PathBuf {
    root.join("etc/nixos/dynamic.nix")
}

fn edit_log(root: &Utf8Path, edit: impl Fn(String) -> String) {
    std::fs::write(log(root), edit(std::fs::read_to_string(log(root)).unwrap())).unwrap();
}

/// All of it is over.
fn expire(root: &Utf8Path) {
    edit_log(root, |text| {
        let until = text.split("until = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        text.replace(&until, "2026-01-01T00:00:00Z")
    });
}

/// Longer than what is read at once, so that its fold is remembered up to some place.
pub fn long_log(root: &Utf8Path) {
    let line = |id, path, value| {
        format!("{{ id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"root\"; set.{path} = {value}; }}\n")
    };
    let records = (2..=3500).map(|id| line(id, JOBS, id % 100 + 1));
    std::fs::create_dir_all(root.join("etc/nixos")).unwrap();
    std::fs::write(
        log(root),
        dynix::overrides::HEADER.to_owned() + &line(1, WORKERS, 20) + &records.collect::<String>(),
    )
    .unwrap();
}

fn tear(root: &Utf8Path) {
    edit_log(root, |text| text + "{ id = 2; time = \"2026-11-21T10:0");
}

/// The next system does not have the service any more.
fn drop_gotosocial(root: &Utf8Path) {
    let mut description = description();
    description["services"].as_object_mut().unwrap().remove("gotosocial");
    generate(root, &description);
}

pub const WORKERS: &str = "services.harmonia.settings.workers";
pub const PORT: &str = "services.gotosocial.settings.port";
pub const JOBS: &str = "services.distccd.maxJobs";

// Where somebody else is at work, too (second_actor.rs).
pub const APPEND: Scenario = Scenario {
    name: "append",
    description,
    prepare: &[&["append", WORKERS, "20"], &["append", JOBS, "4"]],
    edit: none,
    command: &["append", WORKERS, "21"],
};
pub const TORN: Scenario = Scenario {
    name: "append on a torn line",
    description,
    prepare: &[&["append", WORKERS, "20"]],
    edit: tear,
    command: &["append", WORKERS, "21"],
};
pub const APPEND_AND_APPLY: Scenario = Scenario {
    name: "append and apply",
    description,
    prepare: &[&["append", WORKERS, "20", "--apply"]],
    edit: none,
    command: &["append", WORKERS, "21", "--apply"],
};

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the first append of all",
        description,
        prepare: &[],
        edit: none,
        command: &["append", WORKERS, "20"],
    },
    Scenario {
        name: "the first append of all, applied",
        description,
        prepare: &[],
        edit: none,
        command: &["append", PORT, "80", "--apply"],
    },
    APPEND,
    TORN,
    APPEND_AND_APPLY,
    Scenario {
        name: "apply to three services, with a drop-in",
        description,
        prepare: &[
            &["append", WORKERS, "20", "--apply"],
            &["append", WORKERS, "21"],
            &["append", JOBS, "4"],
            &["append", PORT, "80"],
        ],
        edit: none,
        command: &["apply"],
    },
    Scenario {
        name: "apply with generations to be removed",
        description: forgetful,
        prepare: &[
            &["append", WORKERS, "20", "--apply"],
            &["append", WORKERS, "21", "--apply"],
            &["append", WORKERS, "22", "--apply"],
            &["append", WORKERS, "23"],
        ],
        edit: none,
        command: &["apply"],
    },
    Scenario {
        name: "apply of values that the service's check refuses",
        description: refusing,
        prepare: &[&["append", JOBS, "4", "--apply"], &["append", WORKERS, "21"], &["append", JOBS, "5"]],
        edit: none,
        command: &["apply"],
    },
    Scenario {
        name: "apply when an override's time is over",
        description,
        prepare: &[&["append", JOBS, "4", "--for", "1h", "--apply"]],
        edit: expire,
        command: &["apply"],
    },
    Scenario {
        name: "apply when a service is gone",
        description,
        prepare: &[&["append", PORT, "80", "--apply"], &["append", JOBS, "4", "--apply"], &["unset", PORT]],
        edit: drop_gotosocial,
        command: &["apply"],
    },
    Scenario {
        name: "rollback",
        description,
        prepare: &[
            &["append", PORT, "80", "--apply"],
            &["append", PORT, "8081", "--apply"],
            &["append", WORKERS, "20", "--apply"],
        ],
        edit: none,
        command: &["rollback", "1", "--apply"],
    },
    Scenario {
        name: "unset",
        description,
        prepare: &[&["append", PORT, "80", "--apply"]],
        edit: none,
        command: &["unset", PORT, "--apply"],
    },
    Scenario {
        name: "reset",
        description,
        prepare: &[
            &["append", PORT, "80", "--apply"],
            &["append", WORKERS, "20", "--apply"],
            &["append", JOBS, "4", "--apply"],
        ],
        edit: none,
        command: &["reset"],
    },
    Scenario {
        name: "reset of one service",
        description,
        prepare: &[&["append", JOBS, "4", "--apply"], &["append", "services.distccd.logLevel", "debug", "--apply"]],
        edit: none,
        command: &["reset", "distccd"],
    },
];

/// Builds the system of a description.
pub fn generate(root: &Utf8Path, description: &Value) {
    std::fs::create_dir_all(root).unwrap();
    std::fs::write(root.join("description.json"), description.to_string()).unwrap();
    finish(&mut generation(root, "description.json", &root.join("etc/dynix"))).ends(0);
}

/// The command that does.
pub fn generation(root: &Utf8Path, description: &str, out: &Utf8Path) -> Command {
    let mut command = dynix();
    command.args(["generate", "--description", root.join(description).as_str(), "--out", out.as_str()]);
    command.args(["--static-root", concat!(env!("CARGO_MANIFEST_DIR"), "/descriptions")]);
    command
}

/// A command on a tree.
pub fn on(root: &Utf8Path, arguments: &[&str]) -> Command {
    let mut command = dynix();
    command.args(["--root", root.as_str()]).args(arguments);
    command
}

pub fn run(root: &Utf8Path, arguments: &[&str]) -> Run {
    finish(&mut on(root, arguments))
}

/// A tree that can be put back as often as it takes. It always has the same path.
pub struct Stage {
    directory: tempfile::TempDir,
    references: RefCell<HashMap<String, Snapshot>>,
}

impl Stage {
    /// As a scenario begins.
    pub fn of(scenario: &Scenario) -> Self {
        let stage = Self { directory: tempfile::tempdir().unwrap(), references: RefCell::default() };
        generate(&stage.root(), &(scenario.description)());
        for command in scenario.prepare {
            run(&stage.root(), command).ends(0);
        }
        (scenario.edit)(&stage.root());
        stage.keep();
        stage
    }

    /// Empty.
    pub fn new() -> Self {
        let stage = Self { directory: tempfile::tempdir().unwrap(), references: RefCell::default() };
        std::fs::create_dir(stage.root()).unwrap();
        stage
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join(name)
    }

    /// The tree that commands work on.
    pub fn root(&self) -> Utf8PathBuf {
        self.path("root")
    }

    /// Where [`Stage::put_back`] takes it from.
    pub fn kept(&self) -> Utf8PathBuf {
        self.path("kept")
    }

    /// What is there now is what it is put back to.
    pub fn keep(&self) {
        copy(&self.root(), &self.kept());
    }

    pub fn put_back(&self) {
        copy(&self.kept(), &self.root());
    }

    /// What the log of the tree comes to on a system that never was interrupted.
    pub fn reference(&self) -> Snapshot {
        let text = std::fs::read(log(&self.root())).map(|bytes| timeless(&String::from_utf8_lossy(&bytes)));
        let key = text.unwrap_or_default();
        let known = self.references.borrow().get(&key).cloned();
        known.unwrap_or_else(|| {
            let snapshot = self.never_interrupted();
            self.references.borrow_mut().insert(key, snapshot.clone());
            snapshot
        })
    }

    fn never_interrupted(&self) -> Snapshot {
        let other = self.path("reference");
        remove(&other);
        std::fs::create_dir_all(other.join("etc/nixos")).unwrap();
        copy(&self.root().join("etc/dynix"), &other.join("etc/dynix"));
        if log(&self.root()).exists() {
            std::fs::copy(log(&self.root()), log(&other)).unwrap();
        }
        let applied = run(&other, &["apply"]);
        assert!(matches!(applied.code, 0 | 3), "{applied:?}");
        Snapshot::of(&other)
    }
}

fn remove(path: &Utf8Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{path}: {error}"),
        _ => {}
    }
}

/// With modes and links. In this process: a tree is put back thousands of times.
fn copy(from: &Utf8Path, to: &Utf8Path) {
    remove(to);
    std::fs::create_dir(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        let metadata = std::fs::symlink_metadata(&from).unwrap();
        if metadata.is_dir() {
            copy(&from, &to);
        } else if metadata.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from).unwrap(), &to).unwrap();
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// What units read: each service's files, and the drop-ins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub services: BTreeMap<String, BTreeMap<String, String>>,
    pub drop_ins: BTreeMap<String, String>,
}

impl Snapshot {
    pub fn of(root: &Utf8Path) -> Self {
        let mut snapshot = Self::default();
        for service in names(&root.join("run/dynix")) {
            let current = root.join("run/dynix").join(&service).join("current");
            if current.is_symlink() {
                snapshot.services.insert(service, files(&current));
            }
        }
        for directory in names(&root.join("run/systemd/system")) {
            let found = files(&root.join("run/systemd/system").join(&directory));
            // What was being written has a name that systemd does not read (systemd.unit(5): `*.conf`).
            let read = found.into_iter().filter(|(name, _)| !name.starts_with('.'));
            snapshot.drop_ins.extend(read.map(|(name, text)| (format!("{directory}/{name}"), text)));
        }
        snapshot
    }
}

fn files(directory: &Utf8Path) -> BTreeMap<String, String> {
    let read = |name: String| {
        let path = directory.join(&name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        (name, text)
    };
    names(directory).into_iter().map(read).collect()
}

/// What is in a directory; nothing if there is none.
pub fn names(directory: &Utf8Path) -> Vec<String> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("{directory}: {error}"),
    };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
