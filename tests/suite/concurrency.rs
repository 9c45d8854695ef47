//! Many processes at one state: nothing is lost or doubled, nobody sees a half of anything, and who waits says for whom.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
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

/// switch-to-configuration, as far as dynix sees it: it fails at once where somebody holds its lock.
fn switch(system: &System, meanwhile: impl FnOnce()) -> Option<Run> {
    let path = system.path("run/nixos/switch-to-configuration.lock");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return None,
        Err(std::fs::TryLockError::Error(error)) => panic!("{error}"),
    }
    // It stops the units that changed, and has dynix apply what is built.
    meanwhile();
    Some(finish(system.command(&["activate"]).env("NIXOS_ACTION", "switch")))
}

/// Whoever waits for a switch has nothing that the switch waits for, and says what the switch did to its record.
#[test]
fn an_apply_that_meets_a_switch_is_not_in_its_way() {
    let system = System::new();
    system.run(&["append", JOBS, "4", "--apply"]).ends(0);
    let mut waiters = Vec::new();
    let start = Instant::now();
    let activated = switch(&system, || {
        for words in [&["append", WORKERS, "20", "--apply"][..], &["apply"], &["reset", "gotosocial"]] {
            waiters.push(waiting(&system, words));
        }
    });
    activated.unwrap().ends(0);
    assert!(start.elapsed() < Duration::from_secs(10), "the activation waited for {:?}", start.elapsed());
    let codes: Vec<Option<i32>> = waiters.iter_mut().map(|(child, _)| child.wait().unwrap().code()).collect();
    assert_eq!(codes, [Some(1), Some(0), Some(0)]);
    let mut said = waiters[0].1.clone();
    waiters[0].0.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    let taken_back = "record 2 is not in effect: nixos-rebuild took it back with record 3 before it was applied; \
                      to have it in effect, record it again";
    assert!(said.contains(taken_back), "{said}");
    assert!(!system.path("run/dynix/harmonia/current").exists());
}

/// Its plan is that of the system that is there when its turn comes.
#[test]
fn an_apply_that_waited_for_a_switch_applies_on_the_new_system() {
    let mut built = description();
    built["onSwitch"] = json!("reapply");
    let system = System::of(&built);
    std::fs::rename(system.path("etc/dynix"), system.path("old")).unwrap();
    let flags = built["services"]["distccd"]["files"]["flags"].take();
    built["services"]["distccd"]["files"] = json!({"other-flags": flags});
    std::fs::rename(System::of(&built).path("etc/dynix"), system.path("new")).unwrap();
    let lead_to = |place: &str| {
        let _ = std::fs::remove_file(system.path("etc/dynix"));
        std::os::unix::fs::symlink(format!("../{place}"), system.path("etc/dynix")).unwrap();
    };
    lead_to("old");
    system.run(&["append", JOBS, "5"]).ends(0);
    let mut apply = None;
    let activated = switch(&system, || {
        apply = Some(waiting(&system, &["apply"]).0);
        lead_to("new");
    });
    activated.unwrap().ends(0);
    assert_eq!(apply.unwrap().wait().unwrap().code(), Some(0));
    let current = system.path("run/dynix/distccd/current");
    assert_eq!((current.join("other-flags").exists(), current.join("flags").exists()), (true, false));
}

/// Many applies and many switches: nobody waits for somebody who waits for them, and what is in effect at the end is the
/// fold of the log.
#[test]
fn many_applies_and_many_switches() {
    let system = System::new();
    let is_over = AtomicBool::new(false);
    let (slowest, switches, applies) = (Mutex::new(Duration::ZERO), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (system, is_over, applies) = (&system, &is_over, &applies);
        for process in 0..6 {
            scope.spawn(move || {
                for number in 0.. {
                    let value = (1 + process * 100 + number % 100).to_string();
                    let words: &[&str] = match process {
                        0 | 1 => &["append", WORKERS, &value, "--apply"],
                        2 | 3 => &["append", JOBS, &value, "--apply"],
                        4 => &["apply"],
                        _ => &["apply", "--expired"],
                    };
                    let run = system.run(words);
                    let is_told = run.code == 1 && run.stderr.contains("is not in effect: nixos-rebuild took it back");
                    assert!(run.code == 0 || is_told, "{run:?}");
                    applies.fetch_add(1, Ordering::SeqCst);
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..operations() {
                    let (begin, mut done) = (Instant::now(), None);
                    while done.is_none() {
                        assert!(begin.elapsed() < Duration::from_secs(60), "there is no room for a switch");
                        done = switch(system, || std::thread::sleep(Duration::from_millis(20)));
                    }
                    let start = Instant::now();
                    done.unwrap().ends(0);
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = (*slowest).max(start.elapsed());
                    switches.fetch_add(1, Ordering::SeqCst);
                }
                is_over.store(true, Ordering::SeqCst);
            });
        }
    });
    let slowest = slowest.into_inner().unwrap();
    assert!(slowest < Duration::from_secs(5), "an activation waited for {slowest:?}");
    assert_eq!(switches.into_inner(), 2 * operations());
    assert!(applies.into_inner() >= 6);
    system.run(&["apply"]).ends(0);
    let other = System::new();
    other.write("etc/nixos/dynamic.nix", &system.read("etc/nixos/dynamic.nix"));
    other.run(&["apply"]).ends(0);
    for file in ["harmonia/current/harmonia.toml", "distccd/current/flags"] {
        let read = |system: &System| std::fs::read_to_string(system.path(&format!("run/dynix/{file}"))).ok();
        assert_eq!(read(&system), read(&other), "{file}");
    }
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
