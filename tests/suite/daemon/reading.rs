//! What can be looked at: the service itself, values, status, records, and a stream of what changes.

use std::fmt::Write as _;

use serde_json::json;

use super::{Client, Daemon, JOBS, WORKERS};
use crate::support::System;

#[test]
fn a_service_says_what_it_is() {
    let daemon = Daemon::new();
    let mut client = daemon.connect();
    client.say(&json!({"method": "org.varlink.service.GetInfo"}));
    let info = client.hear()["parameters"].clone();
    assert_eq!(info["interfaces"], json!(["io.dynix.Settings", "org.varlink.service"]));
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["url"], "man:dynix-daemon(1)");
    client.say(&json!({
        "method": "org.varlink.service.GetInterfaceDescription",
        "parameters": {"interface": "io.dynix.Settings"},
    }));
    let described = client.hear()["parameters"]["description"].as_str().unwrap().to_owned();
    assert_eq!(described, include_str!("../../../src/varlink/io.dynix.Settings.varlink"));
}

#[test]
fn what_is_read_is_what_the_command_line_reads() {
    let system = System::new();
    system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    system.run(&["append", JOBS, "3"]).ends(0);
    system.run(&["rollback"]).ends(0);
    let daemon = Daemon::on(system, &[]);
    let mut client = daemon.connect();
    // The version of the shape is a part of the interface here.
    let said = |words: &[&str]| {
        let mut json = daemon.system.run(words).ends(0).json();
        assert_eq!(json.as_object_mut().unwrap().remove("version"), Some(json!(1)));
        json
    };
    assert_eq!(client.get(WORKERS), said(&["get", WORKERS, "--json"]));
    assert_eq!(client.call("Status", &json!({}))["parameters"], said(&["status", "--json"]));
    let page = client.call("Log", &json!({"limit": 2}))["parameters"].clone();
    assert_eq!((page["complete"].clone(), page["records"].as_array().unwrap().len()), (json!(false), 2));
    assert_eq!(page["records"][0]["set"], json!([{"path": WORKERS, "value": 20}]));
    assert_eq!((&page["records"][0]["holds"], &page["records"][1]["holds"]), (&json!(true), &json!(false)));
    let rest = client.call("Log", &json!({"after": 2}))["parameters"].clone();
    assert_eq!((&rest["complete"], &rest["records"][0]["rollback"]), (&json!(true), &json!(1)));
    let unknown = client.call("Get", &json!({"path": "services.harmonia.setings"}));
    assert_eq!(unknown["error"], "io.dynix.Settings.Refused");
    assert!(unknown["parameters"]["reason"].as_str().unwrap().contains("services.harmonia.settings"));
}

#[test]
fn the_log_is_looked_through_page_by_page_from_either_end() {
    let system = System::new();
    for value in ["20", "21", "22"] {
        system.run(&["append", WORKERS, value]).ends(0);
        system.run(&["append", JOBS, value, "--message", "why"]).ends(0);
    }
    system.run(&["rollback", "5"]).ends(0);
    system.run(&["reject", "3", "--message", "no"]).ends(0);
    let daemon = Daemon::on(system, &[]);
    let mut client = daemon.connect();
    let mut page = |parameters: serde_json::Value| {
        let page = client.call("Log", &parameters)["parameters"].clone();
        let ids: Vec<u64> = page["records"].as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
        (ids, page["complete"].as_bool().unwrap(), page["records"].clone())
    };
    for (parameters, ids, complete) in [
        (json!({"about": WORKERS}), &[1, 3, 5, 7, 8][..], true),
        (json!({"about": "services.harmonia"}), &[1, 3, 5, 7, 8], true),
        (json!({"about": "distccd", "limit": 2}), &[2, 4], false),
        (json!({"about": "distccd", "limit": 2, "after": 4}), &[6, 7], true),
        (json!({"about": "distccd", "limit": 2, "before": 7}), &[4, 6], false),
        (json!({"before": 4, "limit": 2}), &[2, 3], false),
        (json!({"before": 3, "limit": 2}), &[1, 2], true),
        (json!({"before": 1}), &[], true),
        (json!({"after": 1, "before": 4}), &[2, 3], true),
        (json!({"by": "root"}), &[1, 2, 3, 4, 5, 6, 7, 8], true),
        (json!({"by": "nobody"}), &[], true),
        (json!({"by": null, "about": null, "before": null, "after": 6}), &[7, 8], true),
    ] {
        // Who runs the tests made the records.
        if parameters["by"] == "root" && !rustix::process::geteuid().is_root() {
            continue;
        }
        let (found, all, _) = page(parameters.clone());
        assert_eq!((found.as_slice(), all), (ids, complete), "{parameters}");
    }
    // However they are chosen, they are the same records.
    let (_, _, all) = page(json!({}));
    assert_eq!(page(json!({"before": 1000})).2, all);
    assert_eq!(all[2]["rejected"], "no");
    let unknown = client.call("Log", &json!({"about": "nonsense"}));
    assert_eq!(unknown["error"], "io.dynix.Settings.Refused");
    assert!(unknown["parameters"]["reason"].as_str().unwrap().contains("nonsense"), "{unknown}");
    let wrong = client.call("Log", &json!({"about": 7}));
    assert_eq!(
        (&wrong["error"], &wrong["parameters"]),
        (&json!("org.varlink.service.InvalidParameter"), &json!({"parameter": "about"}))
    );
    let nothing = client.call("Set", &json!({"changes": []}));
    assert_eq!(nothing["error"], "io.dynix.Settings.Refused");
}

#[test]
fn calls_that_come_together_are_answered_in_order() {
    let daemon = Daemon::new();
    let mut client = daemon.connect();
    let get = |path: &str| json!({"method": "io.dynix.Settings.Get", "parameters": {"path": path}}).to_string() + "\0";
    let oneway = json!({"method": "io.dynix.Settings.Get", "parameters": {"path": WORKERS}, "oneway": true});
    client.send((get(WORKERS) + &oneway.to_string() + "\0" + &get(JOBS) + &get(WORKERS)).as_bytes());
    let paths: Vec<_> = (0..3).map(|_| client.hear()["parameters"]["path"].clone()).collect();
    assert_eq!(paths, [WORKERS, JOBS, WORKERS]);
}

fn monitor(daemon: &Daemon) -> Client {
    let mut client = daemon.connect();
    client.say(&json!({"method": "io.dynix.Settings.Monitor", "more": true}));
    let begin = client.hear();
    assert_eq!((&begin["parameters"]["event"]["event"], &begin["continues"]), (&json!("begin"), &json!(true)));
    client
}

#[test]
fn a_stream_tells_what_changes_whoever_changes_it() {
    let daemon = Daemon::new();
    let mut streams = [monitor(&daemon), monitor(&daemon)];
    // By the command line, without the daemon.
    daemon.system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    for stream in &mut streams {
        let recorded = stream.hear()["parameters"]["event"].clone();
        assert_eq!((&recorded["event"], &recorded["record"]["id"]), (&json!("recorded"), &json!(1)));
        // Between the record and the apply there may have been a look.
        let changed = loop {
            let event = stream.hear()["parameters"]["event"].clone();
            if event["service"] == "harmonia" && event["applied"] == 1 {
                break event;
            }
        };
        assert_eq!((&changed["event"], &changed["generation"]), (&json!("changed"), &json!(1)));
    }
    // And by the daemon.
    assert_eq!(daemon.connect().call("Reset", &json!({}))["error"], json!(null));
    for stream in &mut streams {
        loop {
            let event = stream.hear()["parameters"]["event"].clone();
            if event["service"] == "harmonia" && event["applied"] == 2 {
                assert_eq!(event["generation"], json!(null));
                break;
            }
        }
    }
}

/// Bytes that a process read, whether from a disk or not (`proc_pid_io(5)`).
fn bytes_read(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn a_change_does_not_cost_a_stream_the_whole_log() {
    let system = System::new();
    let mut text = dynix::overrides::HEADER.to_owned();
    for id in 1..=40_000 {
        let stamp = format!("id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"root\";");
        writeln!(text, "{{ {stamp} set.{WORKERS} = {}; }}", id % 64 + 1).unwrap();
    }
    system.write("etc/nixos/dynamic.nix", &text);
    system.run(&["apply"]).ends(0);
    let daemon = Daemon::on(system, &[]);
    let mut stream = monitor(&daemon);
    let before = bytes_read(daemon.id());
    daemon.system.run(&["append", WORKERS, "20"]).ends(0);
    let event = stream.hear()["parameters"]["event"].clone();
    assert_eq!((&event["event"], &event["record"]["id"]), (&json!("recorded"), &json!(40_001)));
    let read = bytes_read(daemon.id()) - before;
    println!("{read} bytes read of a log of {}", text.len());
    assert!(read < text.len() as u64 / 4, "{read} bytes read of a log of {}", text.len());
}
