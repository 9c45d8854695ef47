//! `dynix-fleet`, as people type it.

use std::process::Command;

use serde_json::{Value, json};

use crate::engine::{Engine, FLEET, is_here};

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

pub fn command(engine: &Engine) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynix-fleet"));
    for variable in ["SUDO_USER", "JOURNAL_STREAM", "DYNIX_FLEET_CA", "DYNIX_FLEET_CERT", "DYNIX_FLEET_KEY"] {
        command.env_remove(variable);
    }
    command.env("USER", "alice").env("DYNIX_FLEET", FLEET).env("DYNIX_FLEET_ENDPOINTS", engine.endpoints().join(","));
    command
}

pub fn run(engine: &Engine, arguments: &[&str]) -> Run {
    let output = command(engine).args(arguments).output().unwrap();
    Run {
        code: output.status.code().expect("it was killed"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Names, times and revisions differ each time.
pub fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let is_part = |ch: char| ch.is_ascii_alphanumeric() || "-:.".contains(ch);
    for ch in text.chars().chain(['\0']) {
        if is_part(ch) {
            word.push(ch);
            continue;
        }
        let digits = word.chars().filter(char::is_ascii_digit).count();
        out.push_str(match word.as_str() {
            name if name.len() >= 23 && name.as_bytes()[14] == b'-' && digits > 14 => "ID",
            time if time.len() >= 19 && time.contains('T') && digits >= 14 => "TIME",
            other => other,
        });
        word.clear();
        if ch != '\0' {
            out.push(ch);
        }
    }
    out
}

#[test]
fn what_is_set_is_shown_logged_and_undone() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let mut told = String::new();
    let mut say = |arguments: &[&str], code: i32| {
        let run = run(&engine, arguments).ends(code);
        told += &masked(&format!("$ dynix-fleet {}\n{}{}", arguments.join(" "), run.stdout, run.stderr));
        run
    };
    say(
        &[
            "set",
            "services.nginx.virtualHosts.\"example.org\".root",
            "/srv",
            "a.b",
            "[1, {\"c\": null}]",
            "--group",
            "web",
            "-m",
            "why",
        ],
        0,
    );
    say(&["set", "a.b", "1", "--host", "web1", "--for", "1h"], 0);
    say(&["set", "a.b", "1", "--string", "--all"], 0);
    say(&["get"], 0);
    say(&["get", "a"], 0);
    say(&["get", "b"], 1);
    say(&["unset", "a.b", "--group", "web"], 0);
    say(&["unset", "a.b", "--group", "web"], 1);
    say(&["set", "a.b", "2", "--all"], 0);
    say(&["undo"], 0);
    say(&["undo"], 0);
    say(&["get", "a"], 0);
    say(&["log", "-n", "3"], 0);
    // What is not as it was left is not undone.
    let first = run(&engine, &["log", "--output", "json"]).ends(0);
    let log: Value = serde_json::from_str(&first.stdout).unwrap();
    let first = log["log"].as_array().unwrap().last().unwrap()["done"]["id"].as_str().unwrap().to_owned();
    say(&["undo", &first], 1);
    // What the command line says of what can't be.
    say(&["set", "a..b", "1", "--all"], 1);
    say(&["set", "a", "--all"], 2);
    say(&["set", "a", "123456789012345678901234567890", "--all"], 1);
    say(&["set", "a", "1"], 2);
    say(&["set", "a", "1", "--group", "web", "--waves", "1,10%"], 1);
    say(&["set", "a", "1", "--group", "web", "--waves", "0"], 2);
    say(&["set", "a", "1", "--group", "a/b"], 2);
    say(&["pause"], 1);
    say(&["diff", "web1", "web2"], 1);
    say(&["status"], 0);
    insta::assert_snapshot!(told);
    let large = "x".repeat(100_000);
    let mut arguments = vec!["set".to_owned(), "--all".to_owned()];
    for at in 0..16 {
        arguments.extend([format!("large.a{at}"), large.clone()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = run(&engine, &arguments).ends(1);
    assert!(run.stderr.starts_with("error: etcd takes no request of this size: "), "{}", run.stderr);
}

#[test]
fn an_engine_that_is_not_there_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynix-fleet"));
    command.env_remove("JOURNAL_STREAM").args(["--endpoint", "http://127.0.0.1:1", "--fleet", "f", "status"]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("error: etcd can't be reached: ") && stderr.contains("refused"), "{stderr}");
}

#[test]
fn help_is_there_for_every_command() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dynix-fleet")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    insta::assert_snapshot!([help(&["--help"]), help(&["set", "--help"])].join("\n"));
    let output = Command::new(env!("CARGO_BIN_EXE_dynix-agent")).arg("--help").output().unwrap();
    insta::assert_snapshot!("agent", String::from_utf8(output.stdout).unwrap());
}

#[test]
fn completions_and_man_pages_are_made() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dynix-fleet")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "fish", "zsh"] {
        assert!(fleet(&["completions", shell]).contains("--waves") || shell == "fish", "{shell}");
    }
    fleet(&["man", directory.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(directory.path().join("dynix-fleet-set.1")).unwrap();
    assert!(page.contains("waves"));
}

/// Names begin with the time of the one who began it, to the second; etcd knows which came first.
#[test]
fn rollouts_are_in_the_order_in_which_they_began() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let begun = ["20261130220638-b", "20261130220638-a", "20261130220637-c"];
    for id in begun {
        let rollout = json!({
            "id": id, "target": "all", "steps": {}, "before": {}, "by": "alice", "message": null, "time": "", "waves": ["100%"],
            "hold": 0, "budget": 0, "deadline": 600, "state": "done", "reason": null, "wave": 0, "until": 0, "hosts": [],
            "failed": {},
        });
        engine.etcdctl(&["put", &format!("/dynix/{FLEET}/rollouts/{id}"), &rollout.to_string()]);
    }
    let status: Value = serde_json::from_str(&run(&engine, &["status", "--output", "json"]).ends(0).stdout).unwrap();
    let shown: Vec<&str> =
        status["rollouts"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(shown, begun);
}
