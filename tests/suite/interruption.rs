//! A signal that ends dynix while Nix evaluates ends Nix as well, with all that it started, and changes nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::real_nix::nix;
use crate::support::{System, description};

const WORKERS: &str = "services.harmonia.settings.workers";
/// An evaluator that does not end until it is told to, and has a process of its own.
const SLOW: &str = "sleep 1000 & until test -e go; do sleep 0.02; done; kill $!; echo done >> ended; cat answers";
const PATIENCE: Duration = Duration::from_secs(60);

fn system(command: &Value) -> System {
    let mut description = description();
    description["services"].as_object_mut().unwrap().retain(|name, _| name == "harmonia");
    description["evaluator"] = json!({"command": command, "arguments": "{ }"});
    let system = System::of(&description);
    let record = json!({"set": {"services": {"harmonia": {"settings": {"workers": 8}}}}});
    system.write("etc/nixos/answers", &json!([{"answer": record}]).to_string());
    system
}

fn slow() -> System {
    system(&json!(["/bin/sh", "-c", SLOW]))
}

#[track_caller]
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes of a group that still run (`proc_pid_stat(5)`).
fn group(leader: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let after = stat.rsplit_once(") ")?.1;
        let fields: Vec<&str> = after.split(' ').collect();
        (fields[2] == leader.to_string() && fields[0] != "Z").then_some(stat)
    });
    processes.collect()
}

/// dynix while Nix evaluates for it, and the evaluator's process.
struct Evaluating {
    dynix: Child,
    evaluator: u32,
}

impl Evaluating {
    /// `begun`: whether the evaluator is far enough, by its process group.
    fn begin(system: &System, arguments: &[&str], begun: impl Fn(&[String]) -> bool) -> Self {
        let mut command = system.command(arguments);
        std::fs::create_dir_all(system.path("tmp")).unwrap();
        command.env("TMPDIR", system.path("tmp")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut dynix = command.spawn().unwrap();
        let evaluator = until("an evaluator", || {
            assert!(dynix.try_wait().unwrap().is_none(), "it ended by itself");
            let children = format!("/proc/{0}/task/{0}/children", dynix.id());
            let child = std::fs::read_to_string(children).ok()?.split(' ').next()?.parse().ok()?;
            begun(&group(child)).then_some(child)
        });
        Self { dynix, evaluator }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.dynix), signal).unwrap();
    }

    /// It ends by the signal, and nothing of the evaluator is left.
    fn ends_by(mut self, signal: Signal) {
        let status = until("its end", || self.dynix.try_wait().unwrap());
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        until("the evaluator's end", || group(self.evaluator).is_empty().then_some(()));
    }
}

/// The shell, and what it started.
fn two(processes: &[String]) -> bool {
    processes.len() >= 2
}

#[test]
fn a_signal_ends_the_evaluator_with_all_that_it_started() {
    for (signal, arguments) in [
        (Signal::INT, vec!["append", WORKERS, "--expr", "4 + 4", "--apply"]),
        (Signal::TERM, vec!["append", WORKERS, "--expr", "4 + 4"]),
        (Signal::HUP, vec!["append", WORKERS, "--expr", "4 + 4"]),
        (Signal::INT, vec!["verify"]),
        (Signal::TERM, vec!["prove"]),
    ] {
        let system = slow();
        system.run(&["append", WORKERS, "6", "--apply"]).ends(0);
        let before = system.read("etc/nixos/dynamic.nix");
        let state = system.read("run/dynix/state.json");
        let evaluating = Evaluating::begin(&system, &arguments, two);
        evaluating.signal(signal);
        evaluating.ends_by(signal);
        assert_eq!(system.read("etc/nixos/dynamic.nix"), before, "{arguments:?}");
        assert_eq!(system.read("run/dynix/state.json"), state, "{arguments:?}");
        // What Nix reads the values from is gone, too.
        assert_eq!(std::fs::read_dir(system.path("tmp")).unwrap().count(), 0, "{arguments:?}");
        system.run(&["append", WORKERS, "7", "--apply"]).ends(0);
    }
}

#[test]
fn an_apply_waits_for_the_values_that_it_needs() {
    let system = slow();
    system.write("etc/nixos/go", "");
    system.run(&["append", WORKERS, "--expr", "4 + 4"]).ends(0);
    std::fs::remove_file(system.path("etc/nixos/go")).unwrap();
    std::fs::remove_file(system.path("etc/nixos/ended")).unwrap();
    // Nothing is remembered of it.
    std::fs::remove_dir_all(system.path("var/cache/dynix")).unwrap();
    let evaluating = Evaluating::begin(&system, &["apply"], two);
    evaluating.signal(Signal::HUP);
    system.write("etc/nixos/go", "");
    let mut dynix = evaluating.dynix;
    assert!(until("its end", || dynix.try_wait().unwrap()).success());
    assert_eq!(system.read("etc/nixos/ended"), "done\n");
    assert!(system.read("run/dynix/harmonia/current/harmonia.toml").contains("workers = 8"));
}

#[test]
fn a_signal_ends_the_real_evaluator() {
    let Some(program) = nix() else { return };
    let system = system(&json!([program, "--eval", "--strict", "--json"]));
    let expression = "builtins.foldl' (sum: one: sum + one) 0 (builtins.genList (one: one) 2000000000)";
    let is_nix = |processes: &[String]| processes.iter().any(|one| one.contains("nix-instantiate"));
    let evaluating = Evaluating::begin(&system, &["append", WORKERS, "--expr", expression], is_nix);
    evaluating.signal(Signal::TERM);
    evaluating.ends_by(Signal::TERM);
    assert!(!system.path("etc/nixos/dynamic.nix").exists());
}
