//! Many processes at one state: nothing is lost or doubled, nobody sees a half of anything, and who waits says for whom.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde_json::{Value, json};

use crate::support::{Run, System, description, finish};

const PROCESSES: usize = 32;
const WORKERS: &str = "services.harmonia.settings.workers";
const JOBS: &str = "services.distccd.maxJobs";
const NAME: &str = "services.gotosocial.settings.application-name";

/// As many operations for each as there is time for: all of them with `DYNIX_FAULTS=whole`.
fn operations() -> usize {
    if std::env::var_os("DYNIX_FAULTS").is_some_and(|value| value == "whole") { 120 } else { 6 }
}

/// What one process was told that is recorded.
#[derive(Default)]
struct Told {
    appended: BTreeMap<u64, String>,
    slowest_read: Duration,
}

fn recorded(run: &Run) -> Option<u64> {
    run.stdout.lines().find_map(|line| line.strip_prefix("recorded ")?.split(':').next()?.parse().ok())
}

/// The operations of one of them: each writes values that no other writes.
fn work(system: &System, process: usize, told: &Mutex<Told>) {
    for number in 0..operations() {
        let unique = 1000 + process * 1000 + number;
        let append = |words: &[&str], value: String| {
            let id = recorded(&system.run(words).ends(0)).unwrap();
            let before = told.lock().unwrap().appended.insert(id, value);
            assert_eq!(before, None, "record {id} was given twice");
        };
        let value = unique.to_string();
        match (process + number) % 8 {
            0 => append(&["append", WORKERS, &value], value.clone()),
            1 => append(&["append", JOBS, &value, "--apply"], value.clone()),
            2 => append(&["append", NAME, &format!("name {value}"), "--apply"], format!("name {value}")),
            3 => drop(system.run(&["apply"]).ends(0)),
            4 => drop(system.run(&["reset", "distccd"]).ends(0)),
            5 => drop(system.run(&["unset", WORKERS, "--apply"]).ends(0)),
            _ => {
                for words in [&["status", "--json"][..], &["get", JOBS, "--json"], &["log", "--json"]] {
                    let start = Instant::now();
                    system.run(words).ends(0).json();
                    let mut told = told.lock().unwrap();
                    told.slowest_read = told.slowest_read.max(start.elapsed());
                }
            }
        }
    }
}

/// Looks at the files themselves, as units do, for as long as the others work.
fn watch(system: &System, done: &AtomicBool) -> usize {
    let mut looks = 0;
    let read = |path: &str| match std::fs::read_to_string(system.path(path)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{path}: {error}"),
    };
    while !done.load(Ordering::Relaxed) {
        if let Some(state) = read("run/dynix/state.json") {
            serde_json::from_str::<Value>(&state).unwrap();
        }
        if let Some(toml) = read("run/dynix/harmonia/current/harmonia.toml") {
            let workers =
                toml.strip_prefix("max_connection_rate = 256\nworkers = ").and_then(|end| end.strip_suffix('\n'));
            assert!(workers.is_some_and(|workers| workers.parse::<u32>().is_ok()), "{toml:?}");
        }
        if let Some(yaml) = read("run/dynix/gotosocial/current/config.yml") {
            let read: Value = serde_yaml::from_str(&yaml).unwrap();
            assert!(read["application-name"].is_string() && read["web-template-base-dir"].is_string(), "{yaml}");
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    looks
}

#[test]
fn thirty_two_processes_at_one_state_lose_nothing() {
    let system = System::new();
    let (told, done, looks) = (Mutex::new(Told::default()), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| looks.store(watch(&system, &done), Ordering::Relaxed));
        let (system, told) = (&system, &told);
        let working: Vec<_> = (0..PROCESSES).map(|process| scope.spawn(move || work(system, process, told))).collect();
        let ended: Vec<_> = working.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        watching.join().unwrap();
        for ended in ended {
            ended.unwrap();
        }
    });
    let told = told.into_inner().unwrap();
    let log = system.run(&["log", "--json"]).ends(0).json();
    let records = log.as_array().unwrap();
    for (record, id) in records.iter().zip(1..) {
        assert_eq!(record["id"], id, "ids have no gaps");
    }
    let mut values = BTreeMap::new();
    for record in records {
        if let Some(set) = record["set"].as_array() {
            let value = &set[0][1];
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            values.insert(record["id"].as_u64().unwrap(), value);
        }
    }
    assert_eq!(values, told.appended, "each record that was acknowledged is there once, with its value");
    // What is in effect is the fold of the log: the same as on a system that has only the log.
    system.run(&["apply"]).ends(0);
    let other = System::new();
    other.write("etc/nixos/dynamic.nix", &system.read("etc/nixos/dynamic.nix"));
    other.run(&["apply"]).ends(0);
    for file in ["harmonia/current/harmonia.toml", "distccd/current/flags", "gotosocial/current/config.yml"] {
        let path = format!("run/dynix/{file}");
        let read = |system: &System| std::fs::read_to_string(system.path(&path)).ok();
        assert_eq!(read(&system), read(&other), "{file}");
    }
    let slowest = told.slowest_read;
    assert!(slowest < Duration::from_secs(20), "a reader waited for {slowest:?}");
    let line = format!(
        "concurrency: {PROCESSES} at once, {} operations, {} records, {} looks, slowest read {slowest:?}\n",
        PROCESSES * operations(),
        records.len(),
        looks.into_inner()
    );
    if operations() > 6 {
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    }
}

/// A process that says it waits, with what it says.
fn waiting(system: &System, words: &[&str]) -> (std::process::Child, String) {
    let mut child = system.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    (child, said)
}

#[test]
fn who_waits_says_for_whom() {
    let system = System::new();
    system.run(&["append", JOBS, "4", "--apply"]).ends(0);
    let command = std::fs::read_to_string("/proc/self/comm").unwrap();
    let us = format!("waiting for {} (process {})\n", command.trim_end(), std::process::id());
    for (lock, words) in [
        ("run/dynix/lock", &["apply"][..]),
        // switch-to-configuration holds it for as long as it switches.
        ("run/nixos/switch-to-configuration.lock", &["reset"]),
        ("etc/nixos/.dynamic.nix.lock", &["append", JOBS, "5"]),
    ] {
        let held = std::fs::OpenOptions::new().write(true).open(system.path(lock)).unwrap();
        held.lock().unwrap();
        let (mut child, said) = waiting(&system, words);
        assert_eq!(said, us, "{lock}");
        assert_eq!(child.try_wait().unwrap(), None);
        // Readers wait for nobody.
        for words in [&["status"][..], &["log"], &["get", JOBS], &["diff"]] {
            system.run(words).ends(0);
        }
        drop(held);
        assert!(child.wait().unwrap().success());
    }
}

/// A description whose check of harmonia goes on only once there is a file, and then runs a command.
fn held_up(flag: &Utf8Path, then: &str) -> Value {
    let mut description = description();
    let wait = format!("until test -e '{flag}'; do sleep 0.01; done; {then}");
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/sh", "-c", wait]});
    description
}

/// An apply that waits in its check.
fn begin_apply(system: &System) -> std::process::Child {
    let mut apply = system.command(&["append", WORKERS, "20", "--apply"]);
    let apply = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !system.path("run/dynix/harmonia/generation-1").exists() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    apply
}

/// The other way round: while dynix applies, switch-to-configuration finds its lock taken.
#[test]
fn while_it_applies_nobody_switches() {
    let directory = tempfile::tempdir().unwrap();
    let flag = Utf8Path::from_path(directory.path()).unwrap().join("go-on");
    let system = System::of(&held_up(&flag, "true"));
    let mut apply = begin_apply(&system);
    for lock in ["run/nixos/switch-to-configuration.lock", "run/dynix/lock"] {
        let lock = std::fs::OpenOptions::new().write(true).open(system.path(lock)).unwrap();
        assert!(matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    }
    std::fs::write(&flag, "").unwrap();
    assert!(apply.wait().unwrap().success());
    // An activation inside a switch takes only our own lock: the other is held by what runs it.
    let held = system.path("run/nixos/switch-to-configuration.lock");
    let held = std::fs::OpenOptions::new().write(true).open(held).unwrap();
    held.lock().unwrap();
    finish(system.command(&["activate"]).env("NIXOS_ACTION", "switch")).ends(0);
}

/// An apply that waits for the switch does not hold up the switch's own activation, which would wait for the apply.
#[test]
fn an_apply_that_waits_for_a_switch_is_in_nobodys_way() {
    let system = System::new();
    system.run(&["append", JOBS, "4", "--apply"]).ends(0);
    let switching = system.path("run/nixos/switch-to-configuration.lock");
    let switching = std::fs::OpenOptions::new().write(true).open(switching).unwrap();
    switching.lock().unwrap();
    let (mut apply, _) = waiting(&system, &["append", JOBS, "5", "--apply"]);
    let start = Instant::now();
    let mut activate = system.command(&["activate"]);
    let mut activate = activate.env("NIXOS_ACTION", "switch").stderr(Stdio::null()).spawn().unwrap();
    let ended = loop {
        match activate.try_wait().unwrap() {
            None if start.elapsed() < Duration::from_secs(30) => std::thread::sleep(Duration::from_millis(10)),
            ended => break ended,
        }
    };
    drop(switching);
    assert!(apply.wait().unwrap().success());
    assert!(ended.is_some_and(|status| status.success()), "the activation waited for {:?}", start.elapsed());
    activate.wait().unwrap();
}

/// What was rejected and is not any more can be rejected again: else a value that is refused would be tried for ever.
#[test]
fn a_record_whose_rejection_was_lifted_is_rejected_again() {
    let mut description = description();
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/false"]});
    let system = System::of(&description);
    system.run(&["append", WORKERS, "20", "--apply"]).ends(3);
    let lifted = "{ id = 3; reject = 2; reason = \"tried again\"; }\n";
    system.write("etc/nixos/dynamic.nix", &(system.read("etc/nixos/dynamic.nix") + lifted));
    system.run(&["apply"]).ends(3);
    let log = system.run(&["log", "--json"]).ends(0).json();
    assert_eq!(log[3]["reject"]["id"], 1, "{log}");
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
}

#[test]
fn what_is_recorded_while_values_are_refused_is_not_rejected_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let flag = Utf8Path::from_path(directory.path()).unwrap().join("go-on");
    let system = System::of(&held_up(&flag, "grep -q 'workers = 21' '{{ files[\"harmonia.toml\"] }}'"));
    let mut apply = begin_apply(&system);
    system.run(&["append", WORKERS, "21"]).ends(0);
    std::fs::write(&flag, "").unwrap();
    assert_eq!(apply.wait().unwrap().code(), Some(3));
    let log = system.run(&["log", "--json"]).ends(0).json();
    let rejected: Vec<&Value> = log.as_array().unwrap().iter().filter(|record| !record["rejected"].is_null()).collect();
    assert_eq!(rejected.len(), 1, "{log}");
    assert_eq!(rejected[0]["id"], 1);
    system.run(&["apply"]).ends(0);
    assert_eq!(system.read("run/dynix/harmonia/current/harmonia.toml"), "max_connection_rate = 256\nworkers = 21\n");
}

/// `rollback` without a number takes back the last record that holds, and no other, whatever is recorded meanwhile.
#[test]
fn a_rollback_takes_back_one_record_whatever_others_do() {
    let system = System::new();
    system.run(&["append", JOBS, "1"]).ends(0);
    std::thread::scope(|scope| {
        let system = &system;
        for process in 0..8 {
            scope.spawn(move || {
                for number in 0..4 {
                    let value = (100 + process * 10 + number).to_string();
                    let words: &[&str] = if process % 2 == 0 { &["append", JOBS, &value] } else { &["rollback"] };
                    system.run(words).ends(0);
                }
            });
        }
    });
    let log = system.run(&["log", "--json"]).ends(0).json();
    // What holds after each record.
    let mut holding: Vec<Vec<u64>> = vec![vec![]];
    for record in log.as_array().unwrap() {
        let before = holding.last().unwrap().clone();
        let now = match record["rollback"].as_u64() {
            None => before.iter().copied().chain(record["id"].as_u64()).collect(),
            Some(to) => {
                let now = holding[usize::try_from(to).unwrap()].clone();
                assert_eq!(now, before[..before.len() - 1], "record {}: {log}", record["id"]);
                now
            }
        };
        holding.push(now);
    }
}
