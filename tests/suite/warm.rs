//! The warm evaluator (`dynix evaluator`) on the real `nix repl`: it answers as a new evaluation would, or not at all.
//!
//! The system is a small one of its own; tests/nixos/warm.nix has a whole NixOS.

use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dynix::host::evaluator::Evaluator;
use dynix::host::warm::{self, Call, Question, Warm};
use serde_json::{Value, json};

use crate::real_nix::nix;
use crate::support::{System, through};

/// A system whose evaluation counts the files that it reads: each is read once, as long as it is warm.
const SYSTEM: &str = r#"{
  config.lib.dynamicism = {
    change = { overrides, ... }: {
      version = 1;
      problems = [ ];
      system = "BUILT";
      warnings = [ (import ./word.nix) ];
      options = builtins.listToAttrs (map (one: {
        name = builtins.concatStringsSep "." one.path;
        value = { before = null; after = one.value; };
      }) overrides);
    };
    grows = _: builtins.deepSeq (builtins.genList (n: n) 10000000) 1;
    collected = _: { context."ROOT/a.drv" = [ "out" ]; };
    fails = _: throw "it fails";
    loops = _:
      let many = next: sum: builtins.foldl' next sum (builtins.genList (n: n) 30000);
      in many (sum: _: many (sum: _: sum + 1) sum) 0;
  };
}"#;

struct Machine {
    system: System,
    warm: Warm,
    evaluator: Evaluator,
    process: Option<Child>,
}

impl Machine {
    /// `None`, said aloud, where there is no Nix.
    fn new(memory: u64, idle: f64, deadline: f64) -> Option<Self> {
        let program = nix()?;
        let nix = program.strip_suffix("nix-instantiate").map(|place| format!("{place}nix"))?;
        let system = System::new();
        let text = SYSTEM.replace("BUILT", system.path("built").as_str()).replace("ROOT", system.root().as_str());
        system.write("etc/nixos/configuration.nix", &text);
        system.write("etc/nixos/word.nix", "\"first\"");
        system.write("built/x", "");
        system.write("run/x", "");
        symlink(system.path("built"), system.path("run/current-system")).unwrap();
        let state = format!("DYNIX_NIX_STATE={}", system.path("nix"));
        let words =
            ["env", &state, &nix, "repl", "--log-format", "raw", "--extra-experimental-features", "nix-command"];
        let warm = Warm {
            command: words.map(str::to_owned).to_vec(),
            sources: vec![system.path("etc/nixos").into()],
            memory,
            idle,
            socket: system.path("evaluator.sock"),
        };
        let evaluator = Evaluator {
            command: vec![program],
            arguments: "import ./configuration.nix".to_owned(),
            deadline,
            warm: Some(warm.clone()),
        };
        let plan = system.path("etc/dynix/plan.json");
        let mut with: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
        with["evaluator"] = serde_json::to_value(&evaluator).unwrap();
        std::fs::remove_file(&plan).unwrap();
        std::fs::write(&plan, with.to_string()).unwrap();
        let mut machine = Self { system, warm, evaluator, process: None };
        machine.start();
        Some(machine)
    }

    fn start(&mut self) {
        let listener = UnixListener::bind(&self.warm.socket).unwrap();
        // As systemd gives it (sd_listen_fds(3)).
        let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;
        let mut command: Command = through(script, &self.system.command(&["evaluator"]));
        self.process = Some(command.stdin(OwnedFd::from(listener)).stderr(Stdio::null()).spawn().unwrap());
    }

    fn ask(&self, call: Option<Call>) -> Result<Value, String> {
        let question =
            Question { evaluator: warm::name(&self.evaluator), directory: self.system.path("etc/nixos"), call };
        warm::ask(&self.warm, &question, Duration::from_secs(120), &|| false)
    }

    /// Has it read the configuration.
    fn warm_up(&self) -> Result<Value, String> {
        self.ask(None)
    }

    fn call(&self, function: &str) -> Result<Value, String> {
        let argument = json!({ "overrides": [{ "path": ["a", "b"], "value": "c\n\u{1b}ä$\"" }] });
        self.ask(Some(Call { function: function.to_owned(), argument }))
    }

    /// What the configuration says now, as the evaluator has it.
    fn word(&self) -> Result<Value, String> {
        self.call("change").map(|value| value["warnings"][0].clone())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let process = self.process.as_mut().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}

#[test]
fn it_answers_with_what_an_evaluation_gives() {
    let Some(machine) = Machine::new(4000, 60.0, 60.0) else { return };
    let cold = machine.call("change").unwrap_err();
    assert!(cold.contains("has not evaluated the system yet"), "{cold}");
    assert_eq!(machine.warm_up(), Ok(Value::Null));
    let value = machine.call("change").unwrap();
    assert_eq!(value["system"], machine.system.path("built").as_str());
    assert_eq!(value["options"]["a.b"]["after"], "c\n\u{1b}ä$\"");
    assert_eq!(machine.word(), Ok("first".into()));
}

#[test]
fn after_one_that_fails_it_begins_anew() {
    let Some(machine) = Machine::new(4000, 60.0, 60.0) else { return };
    for function in ["fails", "absent"] {
        machine.warm_up().unwrap();
        assert_eq!(machine.call(function), Err("the evaluation failed".to_owned()));
        assert!(machine.word().unwrap_err().contains("has not evaluated the system yet"));
    }
    machine.warm_up().unwrap();
    assert_eq!(machine.word(), Ok("first".into()));
}

#[test]
fn what_was_collected_meanwhile_is_evaluated_anew() {
    let Some(machine) = Machine::new(4000, 60.0, 60.0) else { return };
    machine.warm_up().unwrap();
    machine.system.write("a.drv", "");
    assert!(machine.call("collected").is_ok());
    std::fs::remove_file(machine.system.path("a.drv")).unwrap();
    let why = machine.call("collected").unwrap_err();
    assert!(why.contains("not in the store any more"), "{why}");
    assert!(machine.word().unwrap_err().contains("has not evaluated the system yet"));
}

#[test]
fn it_does_not_answer_of_what_has_changed() {
    let Some(machine) = Machine::new(4000, 60.0, 60.0) else { return };
    machine.warm_up().unwrap();
    machine.system.write("etc/nixos/dynamic.nix", "{ ... }: { }");
    assert_eq!(machine.word(), Ok("first".into()));
    machine.system.write("etc/nixos/word.nix", "\"second\"");
    assert!(machine.word().unwrap_err().contains("has not evaluated the system yet"));
    machine.warm_up().unwrap();
    assert_eq!(machine.word(), Ok("second".into()));
    // Another system runs: it is not the one of this configuration.
    machine.system.write("other/x", "");
    std::fs::remove_file(machine.system.path("run/current-system")).unwrap();
    symlink(machine.system.path("other"), machine.system.path("run/current-system")).unwrap();
    assert!(machine.word().is_err());
    let why = machine.warm_up().unwrap_err();
    assert!(why.contains("another one than was switched to"), "{why}");
    // It does not try again for as long as nothing changes.
    assert_eq!(machine.word(), Err(why));
    std::fs::remove_file(machine.system.path("run/current-system")).unwrap();
    symlink(machine.system.path("built"), machine.system.path("run/current-system")).unwrap();
    machine.warm_up().unwrap();
    assert_eq!(machine.word(), Ok("second".into()));
}

#[test]
fn another_evaluators_question_has_no_answer() {
    let Some(mut machine) = Machine::new(4000, 60.0, 60.0) else { return };
    machine.warm_up().unwrap();
    machine.evaluator.arguments = "import ./other.nix".to_owned();
    assert_eq!(machine.word(), Err("it is another one's".to_owned()));
}

#[test]
fn an_evaluation_that_does_not_end_is_given_up() {
    // Ten times as long for a whole system.
    let Some(machine) = Machine::new(4000, 60.0, 0.4) else { return };
    machine.warm_up().unwrap();
    let why = machine.call("loops").unwrap_err();
    assert!(why.contains("was not done in time"), "{why}");
    machine.warm_up().unwrap();
    assert_eq!(machine.word(), Ok("first".into()));
}

#[test]
fn above_its_limit_of_memory_it_begins_anew() {
    let Some(machine) = Machine::new(150, 60.0, 60.0) else { return };
    machine.warm_up().unwrap();
    assert_eq!(machine.word(), Ok("first".into()));
    machine.call("grows").unwrap();
    assert!(machine.word().unwrap_err().contains("has not evaluated the system yet"));
}

#[test]
fn one_that_is_too_large_from_the_start_stays_cold() {
    let Some(machine) = Machine::new(1, 60.0, 60.0) else { return };
    let why = machine.warm_up().unwrap_err();
    assert!(why.contains("MiB, and may take 1 (dynamicism.warmEvaluator.memory)"), "{why}");
    assert_eq!(machine.word(), Err(why));
}

#[test]
fn it_ends_when_nobody_asks() {
    let Some(mut machine) = Machine::new(4000, 3.0, 60.0) else { return };
    machine.warm_up().unwrap();
    let began = Instant::now();
    let status = machine.process.as_mut().unwrap().wait().unwrap();
    assert!(status.success());
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn what_is_no_question_gets_no_answer() {
    let Some(machine) = Machine::new(4000, 60.0, 60.0) else { return };
    machine.warm_up().unwrap();
    for text in ["", "{", "[]", "{\"evaluator\": 7}"] {
        use std::io::{Read as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(&machine.warm.socket).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "{text}");
    }
    assert_eq!(machine.word(), Ok("first".into()));
}
