//! The clients of examples/, on the real daemon.

use std::process::Command;

use serde_json::json;

use super::{Daemon, WORKERS};
use crate::support::{Run, finish, skip};

#[expect(dead_code, reason = "the test calls what its `main` calls")]
#[path = "../../../examples/client.rs"]
mod client;

/// How many records there are, and the value in effect.
fn log(daemon: &Daemon) -> (usize, serde_json::Value) {
    let records = daemon.system.run(&["log", "--json"]).ends(0).json();
    let value = daemon.system.run(&["get", WORKERS, "--json"]).ends(0).json()["inEffect"].clone();
    (records.as_array().unwrap().len(), value)
}

#[test]
fn the_client_in_python_sets_a_value_once() {
    if Command::new("python3").arg("--version").output().is_err() {
        return skip("examples/client.py: there is no python3");
    }
    let daemon = Daemon::new();
    let set = |path: &str, value: &str| -> Run {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/client.py");
        finish(Command::new("python3").args([program, path, value, daemon.socket().as_str()]))
    };
    assert_eq!(set(WORKERS, "20").ends(0).stdout, format!("{WORKERS}: 4 -> 20\n"));
    assert_eq!(set(WORKERS, "20").ends(0).stdout, format!("{WORKERS} is 20 already\n"));
    assert_eq!(log(&daemon), (1, json!(20)));
    let refused = set("services.distccd.logLevel", "\"loud\"").ends(1);
    assert!(
        refused.stderr.starts_with("io.dynix.Settings.Refused: ") && refused.stderr.contains("loud"),
        "{refused:?}"
    );
    assert_eq!(log(&daemon), (1, json!(20)));
    let shown = daemon.system.run(&["log"]).ends(0).stdout;
    assert!(shown.contains("# examples/client.py"), "{shown}");
}

#[test]
fn the_client_in_rust_sets_a_value_once() {
    let daemon = Daemon::new();
    let socket = daemon.socket();
    let set = |path: &str, value| client::set(socket.as_str(), path, &value).map_err(|error| error.to_string());
    assert_eq!(set(WORKERS, json!(20)), Ok(format!("{WORKERS}: 4 -> 20")));
    assert_eq!(set(WORKERS, json!(20)), Ok(format!("{WORKERS} is 20 already")));
    assert_eq!(log(&daemon), (1, json!(20)));
    let refused = set("services.distccd.logLevel", json!("loud")).unwrap_err();
    assert!(refused.starts_with("\"io.dynix.Settings.Refused\": ") && refused.contains("loud"), "{refused}");
    assert_eq!(log(&daemon), (1, json!(20)));
}
