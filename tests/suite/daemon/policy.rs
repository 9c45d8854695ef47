//! Who may change what, where others change settings at the same time.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynix::attr_path::AttrPath;
use dynix::host::systemd::memory::{Memory, Start};
use dynix::overrides::{Draft, LogFile, Overlay};
use serde_json::{Value, json};

use super::handler::{Handler, error};
use super::{JOBS, WORKERS};
use crate::support::{self, System};

/// May do anything with the workers, and nothing else.
const BALANCER: u32 = 3001;

fn system() -> System {
    System::of(&description())
}

fn description() -> Value {
    let mut description = support::description();
    let methods = ["append", "unset", "rollback", "reset", "apply"];
    description["daemon"] = json!({"allow": {"balancing": {
        "users": [BALANCER.to_string()],
        "options": {WORKERS: {"methods": methods, "minimum": 1, "maximum": 64}},
    }}});
    description
}

fn by_root(id: u64, path: &str, value: u32) -> String {
    format!("{{ id = {id}; time = \"2026-11-29T10:00:00Z\"; by = \"root\"; set.{path} = {value}; }}\n")
}

fn recorded(system: &System, path: &str) -> Value {
    system.run(&["get", path, "--json"]).json()["value"].clone()
}

/// What a request is answered that waits for the log while root records something.
fn answered_beside_root(method: &str, parameters: &Value) -> (Option<String>, System) {
    let system = system();
    let handler = Handler::on(&system);
    for value in [5, 6] {
        let reply = handler.ask(BALANCER, "Append", json!({"path": WORKERS, "value": value}));
        assert_eq!(reply.error, None, "{reply:?}");
    }
    let lock = File::options().write(true).open(system.path("etc/nixos/.dynamic.nix.lock")).unwrap();
    lock.lock().unwrap();
    handler.say(BALANCER, method, parameters.clone());
    // A request that is judged too early is judged by now.
    std::thread::sleep(Duration::from_millis(200));
    let mut log = File::options().append(true).open(system.path("etc/nixos/dynamic.nix")).unwrap();
    log.write_all(by_root(3, JOBS, 3).as_bytes()).unwrap();
    lock.unlock().unwrap();
    let reply = handler.hear().1;
    drop(handler);
    (error(&reply).map(str::to_owned), system)
}

#[test]
fn what_root_records_meanwhile_is_not_taken_back() {
    for (method, parameters) in
        [("Rollback", json!({})), ("Rollback", json!({"id": 1})), ("Rollback", json!({"id": 0})), ("Reset", json!({}))]
    {
        let (error, system) = answered_beside_root(method, &parameters);
        assert_eq!(error.as_deref(), Some("NotAllowed"), "{method} {parameters}");
        assert_eq!(recorded(&system, JOBS), 3, "{method} {parameters}");
    }
}

#[test]
fn what_root_records_meanwhile_keeps_nobody_from_what_is_allowed() {
    for (method, parameters) in [
        ("Append", json!({"path": WORKERS, "value": 7})),
        ("Unset", json!({"path": WORKERS})),
        ("Reset", json!({"services": ["harmonia"]})),
    ] {
        let (error, system) = answered_beside_root(method, &parameters);
        assert_eq!(error, None, "{method} {parameters}");
        assert_eq!(recorded(&system, JOBS), 3, "{method} {parameters}");
    }
}

/// Root's change waits for its confirmation: what stands in the log before a return to an earlier record would never count.
#[test]
fn what_root_has_on_trial_is_not_taken_back() {
    let system = system();
    let handler = Handler::on(&system);
    assert_eq!(handler.ask(BALANCER, "Append", json!({"path": WORKERS, "value": 5})).error, None);
    let mut log = system.read("etc/nixos/dynamic.nix") + &by_root(2, JOBS, 3);
    log += "{ id = 3; reject = 2; reason = \"not confirmed\"; }\n";
    system.write("etc/nixos/dynamic.nix", &log);
    let marks = json!([{"record": 2, "mark": 3}]);
    let trial = json!({"timer": "dynix-confirm-3", "by": "root", "end": 1e9, "marks": marks, "back": {"distccd": {}}});
    let state = json!({"version": 2, "logId": 0, "services": {}, "trial": trial});
    system.write("run/dynix/state.json", &state.to_string());
    for (method, parameters) in [("Rollback", json!({"id": 0})), ("Reset", json!({}))] {
        let reply = handler.ask(BALANCER, method, parameters);
        assert_eq!(error(&reply), Some("NotAllowed"), "{reply:?}");
    }
    assert_eq!(system.read("etc/nixos/dynamic.nix"), log);
    // What concerns nothing of it goes on.
    let reply = handler.ask(BALANCER, "Reset", json!({"services": ["harmonia"]}));
    assert_eq!(reply.error, None, "{reply:?}");
}

/// A state in which somebody's change of distccd awaits its confirmation.
fn on_trial(by: &str, mark: u64) -> String {
    let marks = json!([{"record": mark - 1, "mark": mark}]);
    let timer = format!("dynix-confirm-{mark}");
    let trial = json!({"timer": timer, "by": by, "end": 1e9, "marks": marks, "back": {"distccd": {}}});
    json!({"version": 2, "logId": 0, "services": {}, "trial": trial}).to_string()
}

/// Whoever ends a change on trial means the one that was there when they asked.
#[test]
fn what_root_puts_on_trial_meanwhile_is_not_ended() {
    for (before, user) in [(Some("3001 via daemon"), BALANCER), (None, BALANCER), (Some("root"), 0)] {
        for parameters in [json!({}), json!({"revert": true})] {
            let system = system();
            let handler = Handler::on(&system);
            let mut log = by_root(1, JOBS, 3) + "{ id = 2; reject = 1; reason = \"not confirmed\"; }\n";
            log += &(by_root(3, JOBS, 4) + "{ id = 4; reject = 3; reason = \"not confirmed\"; }\n");
            system.write("etc/nixos/dynamic.nix", &log);
            system.write("run/dynix/lock", "");
            let lock = File::options().write(true).open(system.path("run/dynix/lock")).unwrap();
            lock.lock().unwrap();
            if let Some(by) = before {
                system.write("run/dynix/state.json", &on_trial(by, 2));
            }
            handler.say(user, "Confirm", parameters.clone());
            std::thread::sleep(Duration::from_millis(200));
            system.write("run/dynix/state.json", &on_trial("root", 4));
            lock.unlock().unwrap();
            let reply = handler.hear().1;
            assert_eq!(error(&reply), Some("Failed"), "{before:?} {user} {parameters}: {reply:?}");
            assert!(format!("{reply:?}").contains("nothing awaits a confirmation"), "{reply:?}");
            assert_eq!(system.read("etc/nixos/dynamic.nix"), log);
            assert!(system.read("run/dynix/state.json").contains("dynix-confirm-4"));
        }
    }
}

/// A limited user's value that does not work takes nobody else's record with it; one that does not work by itself goes, too.
#[test]
fn what_root_recorded_before_is_judged_by_itself() {
    const RATE: &str = "services.harmonia.settings.max_connection_rate";
    for (rate, toml) in [(99, Some("max_connection_rate = 99\nworkers = 4\n")), (13, None)] {
        let mut description = description();
        let check = "! grep -q ' = 13' '{{ files[\"harmonia.toml\"] }}'";
        description["services"]["harmonia"]["check"] = json!({"command": ["/bin/sh", "-c", check]});
        let system = System::of(&description);
        let handler = Handler::on(&system);
        system.run(&["append", RATE, &rate.to_string()]).ends(0);
        let reply = handler.ask(BALANCER, "Append", json!({"path": WORKERS, "value": 13, "apply": true}));
        assert_eq!(error(&reply), Some("Refused"), "{reply:?}");
        let log = system.run(&["log", "--json"]).ends(0).json();
        let holds: Vec<bool> = log.as_array().unwrap()[..2].iter().map(|one| one["holds"] == json!(true)).collect();
        assert_eq!(holds, [toml.is_some(), false], "{log}");
        match toml {
            Some(toml) => assert_eq!(system.read("run/dynix/harmonia/current/harmonia.toml"), toml),
            None => assert!(!system.path("run/dynix/harmonia/current").exists()),
        }
        drop(handler);
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    }
}

#[test]
fn what_is_read_with_roots_rights_is_for_root_alone() {
    let system = system();
    let handler = Handler::on(&system);
    for given in [json!({"expression": "1 + 1"}), json!({"secretFile": "/etc/shadow"})] {
        let mut parameters = given;
        parameters["path"] = json!(WORKERS);
        let reply = handler.ask(BALANCER, "Append", parameters);
        assert_eq!(error(&reply), Some("NotAllowed"), "{reply:?}");
        assert!(
            reply.parameters["reason"].as_str().is_some_and(|reason| reason.ends_with("only root may")),
            "{reply:?}"
        );
    }
    assert!(!system.path("etc/nixos/dynamic.nix").exists());
}

/// Who puts records on trial takes them back, unless somebody confirms: those of root are not on a limited user's trial.
#[test]
fn nobody_puts_what_is_not_theirs_on_trial() {
    let system = system();
    let memory = Memory::new(|_| Start::Good);
    memory.add("harmonia.service", &[]);
    memory.start("harmonia.service");
    let handler = Handler::with(&system, Some(Arc::new(memory)));
    let window = 3_600_000_000_u64;
    system.run(&["append", RATE, "300"]).ends(0);
    let log = || LogFile::new(&system.path("etc/nixos/dynamic.nix"), &system.path("var/cache/dynix"), None);
    let on_trial = json!({"path": WORKERS, "value": 5, "apply": true, "confirmUSec": window});
    let reply = handler.ask(BALANCER, "Append", on_trial.clone());
    assert_eq!(error(&reply), Some("Failed"), "{reply:?}");
    let reason = reply.parameters["reason"].as_str().unwrap();
    assert!(reason.contains("record 1 (by root) was not applied yet"), "{reason}");
    let values =
        |log: &LogFile| leaves(&log.fold().unwrap().overlay).into_iter().map(|leaf| leaf.0).collect::<Vec<_>>();
    assert_eq!(values(&log()), [RATE]);
    // What root applied is none of its trial.
    assert_eq!(handler.ask(0, "Apply", json!({"services": ["harmonia"]})).error, None);
    let reply = handler.ask(BALANCER, "Append", on_trial);
    assert_eq!(reply.error, None, "{reply:?}");
    assert_eq!(handler.ask(BALANCER, "Confirm", json!({"revert": true})).error, None);
    assert_eq!(values(&log()), [RATE]);
}

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

const RATE: &str = "services.harmonia.settings.max_connection_rate";

fn path(text: &str) -> AttrPath {
    AttrPath::parse(text).unwrap()
}

/// Root's own records, which no daemon knows of.
fn records_of_root(log: &LogFile, seed: u64, done: &AtomicBool) {
    let mut dice = Dice(seed);
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        let value = json!(100 + dice.below(100));
        let change = match dice.below(8) {
            0..3 => Draft::Set(path(JOBS), value),
            3 | 4 => Draft::Set(path(RATE), value),
            5 => Draft::Set(path(WORKERS), value),
            6 => Draft::Unset(path(JOBS)),
            _ => Draft::Rollback(dice.below(last + 1)),
        };
        last = log.append(&[change], "root", None, |_| ()).unwrap()[0];
        std::thread::sleep(Duration::from_millis(dice.below(6)));
    }
}

fn leaves(overlay: &Overlay) -> Vec<(String, Value, u64)> {
    overlay.leaves().into_iter().map(|(path, one)| (path.to_string(), one.value.clone(), one.id)).collect()
}

/// Any requests of a limited user while root records: each of its records changes the workers alone, within their bounds,
/// and what it may do whatever there is, it is never kept from.
#[test]
fn beside_root_a_limited_user_changes_only_what_it_may() {
    let given = std::env::var("DYNIX_POLICY").ok().filter(|text| !text.is_empty());
    let requests: u64 = given.map_or(120, |text| text.parse().expect("DYNIX_POLICY is a number"));
    let system = system();
    let handler = Handler::on(&system);
    let log = LogFile::new(&system.path("etc/nixos/dynamic.nix"), &system.path("var/cache/dynix"), None);
    let (done, mut dice, mut accepted) = (AtomicBool::new(false), Dice(7), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| records_of_root(&log, 11, &done));
        for _ in 0..requests {
            let last = log.fold().unwrap().last_id;
            let (method, parameters, always) = match dice.below(10) {
                0..3 => ("Append", json!({"path": WORKERS, "value": 1 + dice.below(64)}), true),
                3 => ("Append", json!({"path": WORKERS, "value": 65 + dice.below(64)}), false),
                4 => ("Append", json!({"path": JOBS, "value": 1}), false),
                5 => ("Unset", json!({"path": WORKERS}), true),
                6 => ("Unset", json!({"path": "services.harmonia.settings"}), false),
                7 => ("Rollback", json!({}), false),
                8 => ("Rollback", json!({"id": last.saturating_sub(dice.below(3))}), false),
                _ => ("Reset", json!({"services": ["harmonia"]}), false),
            };
            let reply = handler.ask(BALANCER, method, parameters.clone());
            assert!(!always || reply.error.is_none(), "{method} {parameters}: {reply:?}");
            accepted += u32::from(reply.error.is_none());
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(handler);
    assert!(accepted > 0);
    let by = format!("{BALANCER} via daemon");
    let records = log.records().unwrap();
    let own: Vec<u64> = records.iter().filter(|one| one.by.as_ref() == Some(&by)).map(|one| one.id).collect();
    assert!(!own.is_empty() && own.len() < records.len());
    for id in own {
        let (before, after) = (log.fold_at(id - 1).unwrap().overlay, log.fold_at(id).unwrap().overlay);
        let (before, after) = (leaves(&before), leaves(&after));
        for (path, value, _) in after.iter().filter(|leaf| !before.contains(leaf)) {
            let allowed = path == WORKERS && value.as_u64().is_some_and(|value| (1..=64).contains(&value));
            assert!(allowed, "record {id} brings {path} = {value}");
        }
        for (path, ..) in before.iter().filter(|leaf| !after.iter().any(|other| other.0 == leaf.0)) {
            assert_eq!(path, WORKERS, "record {id} takes it away");
        }
    }
}

#[test]
fn one_value_of_several_that_is_not_theirs_refuses_all() {
    let system = system();
    let handler = Handler::on(&system);
    let ask = |method: &str, parameters: Value| {
        let reply = handler.ask(BALANCER, method, parameters);
        error(&reply).map(str::to_owned)
    };
    let both = json!([{"path": WORKERS, "value": 5}, {"path": JOBS, "value": 1}]);
    assert_eq!(ask("Set", json!({"changes": both})).as_deref(), Some("NotAllowed"));
    let large = json!([{"path": WORKERS, "value": 65}]);
    assert_eq!(ask("Set", json!({"changes": large})).as_deref(), Some("Refused"));
    for change in [json!({"path": WORKERS, "expression": "1"}), json!({"path": WORKERS, "secretFile": "/etc/shadow"})] {
        assert_eq!(ask("Set", json!({"changes": [change]})).as_deref(), Some("NotAllowed"));
    }
    assert_eq!(ask("Set", json!({"changes": [{"path": JOBS, "unset": true}]})).as_deref(), Some("NotAllowed"));
    assert_eq!(ask("Set", json!({"changes": []})).as_deref(), Some("Refused"));
    assert_eq!(ask("Set", json!({"changes": [{"path": WORKERS, "value": 5}]})), None);
    // What root recorded is taken back, or brought back, by nobody else.
    system.run(&["set", JOBS, "3"]).ends(0);
    for (method, parameters) in [
        ("Undo", json!({})),
        ("Undo", json!({"id": 2})),
        ("Reject", json!({"id": 2, "message": "no"})),
        ("Prune", json!({})),
    ] {
        let refused = ask(method, parameters.clone());
        assert!(refused.as_deref() == Some("NotAllowed") || method == "Prune", "{method} {parameters}: {refused:?}");
    }
    system.run(&["undo", "2"]).ends(0);
    assert_eq!(ask("Redo", json!({})).as_deref(), Some("NotAllowed"));
    assert_eq!(recorded(&system, JOBS), 12);
    assert_eq!(ask("Undo", json!({"id": 1})), None);
    assert_eq!(recorded(&system, WORKERS), 4);
    assert_eq!(ask("Redo", json!({"id": 1})), None);
    assert_eq!(recorded(&system, WORKERS), 5);
}

/// A system in which options of no service can be overridden, and a limited user may override one of them. `answer`: what an
/// evaluation gives.
fn evaluated(answer: &Value) -> System {
    let mut description = description();
    description["daemon"]["allow"]["naming"] = json!({
        "users": [BALANCER.to_string()],
        "options": {"networking.domain": {"methods": ["append", "unset", "reset"]}},
    });
    System::evaluating(description, answer)
}

#[test]
fn of_options_of_no_service_a_limited_user_sets_what_it_may_and_nothing_else() {
    // What is said of the values comes later than what is said of the user.
    let system = evaluated(&json!({"failedAssertions": ["never"]}));
    let handler = Handler::on(&system);
    let ask = |path: &str| handler.ask(BALANCER, "Append", json!({"path": path, "value": "example.org"}));
    for other in ["networking.hostName", "environment.etc.x.text", "networking"] {
        let reply = ask(other);
        assert_eq!(error(&reply), Some("NotAllowed"), "{other}: {reply:?}");
    }
    let reply = ask("networking.domain");
    assert_eq!(error(&reply), Some("Refused"), "{reply:?}");
    assert_eq!(reply.parameters["reason"], "a rebuild would fail: never");
    // It may apply other things, and none of these.
    let reply = handler.ask(BALANCER, "Apply", json!({"services": ["system"]}));
    assert_eq!(error(&reply), Some("NotAllowed"), "{reply:?}");
    // Neither the policy nor the evaluation makes an option dynamic that the configuration does not name.
    let reply = handler.ask(0, "Append", json!({"path": "services.nginx.enable", "value": true}));
    assert_eq!(error(&reply), Some("Refused"), "{reply:?}");
    assert!(!system.path("etc/nixos/dynamic.nix").exists());
}

#[test]
fn what_an_evaluation_refuses_is_told_in_the_same_words_on_the_bus_and_on_the_command_line() {
    let missing = json!({"problems": [{
        "kind": "missing", "path": ["networking", "domain"], "below": ["networking"], "name": "domain", "names": ["domains"],
    }]});
    for answer in [
        missing,
        json!({"problems": [{"kind": "readOnly", "path": ["networking", "domain"], "option": ["networking", "domain"]}]}),
        json!({"problems": [{"kind": "internal", "path": ["networking", "domain"], "option": ["networking", "domain"]}]}),
        json!({"failedAssertions": ["a domain needs two parts"]}),
        json!({"overlay": true}),
        json!({"whole": {"kernelParams": {}}, "restParts": {"boot.kernelParams": {}}}),
        json!({"system": "/nix/store/another"}),
    ] {
        let system = evaluated(&answer);
        let run = system.run(&["append", "networking.domain", "example.org"]);
        let reply =
            Handler::on(&system).ask(BALANCER, "Append", json!({"path": "networking.domain", "value": "example.org"}));
        let reason = reply.parameters["reason"].as_str().unwrap().to_owned();
        assert!(run.stderr.contains(&reason), "{answer}: {reason}\n{}", run.stderr);
        let (name, code) = if answer.get("system").is_some() { ("Failed", 1) } else { ("Refused", 3) };
        assert_eq!((error(&reply), run.code), (Some(name), code), "{answer}: {reason}");
        assert!(!system.path("etc/nixos/dynamic.nix").exists(), "{answer}");
    }
}

#[test]
fn of_options_of_no_service_what_may_be_set_is_set() {
    let system = evaluated(&json!({}));
    let reply =
        Handler::on(&system).ask(BALANCER, "Append", json!({"path": "networking.domain", "value": "example.org"}));
    assert_eq!(reply.error, None, "{reply:?}");
    let log = LogFile::new(&system.path("etc/nixos/dynamic.nix"), &system.path("var/cache/dynix"), None);
    assert_eq!(leaves(&log.fold().unwrap().overlay), [("networking.domain".to_owned(), json!("example.org"), 1)]);
}
