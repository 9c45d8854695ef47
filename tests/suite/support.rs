//! A system in a temporary directory: the bundled services generated, and the real binary run on it.

use std::io::Write as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The run has to have ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Says that something is not tested here, also where the harness keeps what a passing test prints.
pub fn skip(what: &str) {
    std::io::stderr().write_all(format!("\nSKIPPED: {what}\n\n").as_bytes()).unwrap();
}

/// A text with each time (RFC 3339, to the second) as `TIME`.
pub fn without_times(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match rest.get(..20).map(humantime::parse_rfc3339) {
            Some(Ok(_)) => 20,
            _ => first.len_utf8(),
        };
        shown.push_str(if length == 20 { "TIME" } else { &rest[..length] });
        rest = &rest[length..];
    }
    shown
}

/// The program with its arguments, away from whatever the environment of the test says.
pub fn dynix() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynix"));
    for variable in
        ["DYNIX_ROOT", "DYNIX_PLAN", "DYNIX_OVERRIDES", "SUDO_USER", "NIXOS_ACTION", "JOURNAL_STREAM", "NO_COLOR"]
    {
        command.env_remove(variable);
    }
    command
}

/// A command by way of a shell, whose script ends with `exec "$0" "$@"`.
pub fn through(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

pub fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().expect("it was killed"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The descriptions of the services that come with dynix, as one.
pub fn description() -> Value {
    let mut services = serde_json::Map::new();
    for name in ["gotosocial", "harmonia", "distccd"] {
        let path = format!("{}/descriptions/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let one: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        services.extend(one["services"].as_object().unwrap().clone());
    }
    json!({"version": 1, "services": services})
}

/// A root with a plan.
pub struct System {
    directory: tempfile::TempDir,
}

impl System {
    /// With the bundled services.
    pub fn new() -> Self {
        Self::of(&description())
    }

    /// With options of no service; an evaluation gives `answer`, and is counted.
    pub fn evaluating(mut description: Value, answer: &Value) -> Self {
        description["options"] = json!(["networking", "environment.etc"]);
        let command = "echo >> evaluations; cat answer.json";
        description["evaluator"] = json!({"command": ["/bin/sh", "-c", command], "arguments": "{ }"});
        let system = Self::of(&description);
        let script = "#!/bin/sh\n#### Activation script snippet etc:\nset up /nix/store/0-etc/etc\n\
                      # Make this configuration the current configuration.\n";
        system.write("built/activate", script);
        system.write("run/lock/x", "");
        std::os::unix::fs::symlink(system.path("built"), system.path("run/current-system")).unwrap();
        system.evaluates_to(answer);
        system
    }

    /// From now on an evaluation gives this.
    pub fn evaluates_to(&self, answer: &Value) {
        let script = self.read("built/activate");
        let mut whole = json!({"version": 1, "problems": [], "system": self.path("built"), "activation": script});
        whole.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        self.write("etc/nixos/answer.json", &whole.to_string());
    }

    /// How often something was evaluated.
    pub fn evaluations(&self) -> usize {
        std::fs::read(self.path("etc/nixos/evaluations")).map_or(0, |lines| lines.len())
    }

    /// With the services of a description, whose static files are the bundled ones.
    pub fn of(description: &Value) -> Self {
        Self::with(description, concat!(env!("CARGO_MANIFEST_DIR"), "/descriptions"))
    }

    /// With the services of a description, whose static files are below `statics`.
    pub fn with(description: &Value, statics: &str) -> Self {
        let system = Self { directory: tempfile::tempdir().unwrap() };
        let path = system.root().join("description.json");
        std::fs::write(&path, description.to_string()).unwrap();
        let out = system.root().join("etc/dynix");
        finish(dynix().args([
            "generate",
            "--description",
            path.as_str(),
            "--static-root",
            statics,
            "--out",
            out.as_str(),
        ]))
        .ends(0);
        system
    }

    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).unwrap()
    }

    pub fn path(&self, below: &str) -> Utf8PathBuf {
        self.root().join(below)
    }

    /// A command on this root.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dynix();
        command.args(["--root", self.root().as_str()]).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(&mut self.command(arguments))
    }

    pub fn read(&self, below: &str) -> String {
        let path = self.path(below);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Every path below the root with its content or target, to see that nothing changed.
    pub fn everything(&self) -> Vec<(String, Vec<u8>)> {
        fn walk(directory: &std::path::Path, found: &mut Vec<(String, Vec<u8>)>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_string_lossy().into_owned();
                let kind = path.symlink_metadata().unwrap();
                if kind.is_dir() {
                    walk(&path, found);
                } else if kind.is_symlink() {
                    found.push((name, std::fs::read_link(&path).unwrap().to_string_lossy().into_owned().into_bytes()));
                } else {
                    found.push((name, std::fs::read(&path).unwrap_or_default()));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.directory.path(), &mut found);
        // Notes and locks of commands that change nothing else.
        found.retain(|(name, _)| !name.contains("/var/cache/dynix/") && !name.ends_with("lock"));
        found.sort();
        found
    }
}
