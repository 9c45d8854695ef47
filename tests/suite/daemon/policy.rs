//! Who may change what, where others change settings at the same time.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::handler::{Handler, error};
use super::{JOBS, WORKERS};
use crate::support::{System, description};

/// May do anything with the workers, and nothing else.
const BALANCER: u32 = 3001;

fn system() -> System {
    let mut description = description();
    let methods = ["append", "unset", "rollback", "reset", "apply"];
    description["daemon"] = json!({"allow": {"balancing": {
        "users": [BALANCER.to_string()],
        "options": {WORKERS: {"methods": methods, "minimum": 1, "maximum": 64}},
    }}});
    System::of(&description)
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
