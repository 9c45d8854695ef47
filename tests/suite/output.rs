//! What the verbs print for programs is what docs/output.schema.json says.

use dynix::types::compile;
use serde_json::{Value, json};

use crate::support::System;

const SCHEMA: &str = include_str!("../../docs/output.schema.json");
const WORKERS: &str = "services.harmonia.settings.workers";

/// Whether a document is what a definition of the schema says.
#[track_caller]
pub fn is_a(definition: &str, document: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let one = json!({ "$ref": format!("#/$defs/{definition}"), "$defs": schema["$defs"] });
    let faults = compile(&one).unwrap().mismatches(document, None);
    let faults: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.path, fault.fault)).collect();
    assert!(faults.is_empty(), "{definition}: {faults:?}\n{document:#}");
}

#[test]
fn every_verb_prints_what_the_schema_says() {
    let system = System::new();
    let nice = "services.distccd.nice=5";
    let expression =
        "{ id = 90; time = \"2026-11-21T10:00:00Z\"; by = \"x\"; set.services.distccd.maxJobs = (1 + 1); }\n";
    for words in [
        &["set", WORKERS, "20", nice, "--message", "why"][..],
        &["set", WORKERS, "20", "--apply"],
        &["set", WORKERS, "4", "--for", "1h"],
        &["set", WORKERS, "30", "--dry-run"],
        &["append", WORKERS, "21", "--apply"],
        &["append", WORKERS, "22"],
        &["unset", WORKERS],
        &["unset", nice.trim_end_matches("=5"), "--previous"],
        &["undo"],
        &["undo", "--apply"],
        &["redo"],
        &["reject", "1", "--message", "no"],
        &["rollback", "2"],
        &["prune"],
        &["apply"],
        &["apply", "--dry-run"],
        &["set", "services.gotosocial.settings.advanced={ a = 1; }", "--replace"],
    ] {
        let json = system.run(&[words, &["--output", "json"]].concat()).ends(0).json();
        is_a("change", &json);
        assert_eq!((&json["version"], &json["exit"]), (&json!(1), &json!(0)), "{words:?}");
    }
    for (definition, words) in [
        ("get", &["get", WORKERS][..]),
        ("getAt", &["get", WORKERS, "--at", "2"]),
        ("status", &["status"]),
        ("history", &["history"]),
        ("services", &["services"]),
        ("sources", &["sources"]),
    ] {
        let (short, long) =
            (system.run(&[words, &["--json"]].concat()), system.run(&[words, &["--output", "json"]].concat()));
        assert_eq!(short.stdout, long.stdout, "{words:?}");
        is_a(definition, &short.ends(0).json());
    }
    for (definition, name, words) in [
        ("log", "records", &["log"][..]),
        ("diff", "differences", &["diff"]),
        ("diff", "differences", &["diff", "--pending"]),
        ("diff", "differences", &["diff", "1..2"]),
        ("options", "settings", &["options", "gotosocial"]),
        ("formats", "formats", &["render", "--list"]),
    ] {
        let list = system.run(&[words, &["--json"]].concat()).ends(0).json();
        let whole = system.run(&[words, &["--output", "json"]].concat()).ends(0).json();
        is_a(&format!("{definition}List"), &list);
        is_a(definition, &whole);
        assert_eq!(whole, json!({ "version": 1, name: list }), "{words:?}");
    }
    // A record that does not hold is a part of the answers, too.
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &(log + expression));
    is_a("status", &system.run(&["status", "--json"]).ends(0).json());
    is_a("logList", &system.run(&["log", "--json"]).ends(0).json());
    is_a("change", &system.run(&["apply", "--json"]).json());
    is_a("change", &system.run(&["reset", "--json"]).ends(0).json());
}

#[test]
fn what_is_found_about_files_and_values_is_as_the_schema_says() {
    let system = System::new();
    system.write("harmonia.toml", "workers = 4\n");
    let file = system.path("harmonia.toml");
    for (value, code) in [(r#"{"workers": 4}"#, 0), (r#"{"workers": 5}"#, 1)] {
        for json in [&["--json"][..], &["--output", "json"]] {
            let words = ["recognise", file.as_str(), "--value", value];
            is_a("recognise", &system.run(&[&words, json].concat()).ends(code).json());
        }
    }
    system.run(&["set", WORKERS, "5"]).ends(0);
    system.run(&["set", WORKERS, "6"]).ends(0);
    system.run(&["set", "services.distccd.nice", "6", "--message", "why"]).ends(0);
    system.run(&["unset", "services.distccd.nice"]).ends(0);
    system.run(&["reject", "2", "--message", "no"]).ends(0);
    let history = system.run(&["history", "--json"]).ends(0).json();
    is_a("history", &history);
    let ends: Vec<&Value> = history["periods"].as_array().unwrap().iter().map(|one| &one["end"]).collect();
    let rejected = json!({ "rejected": { "record": 5, "reason": "no" } });
    assert_eq!(ends, [&json!({ "replaced": 2 }), &rejected, &json!({ "unset": 4 }), &json!("holds")]);
    // The configuration as data.
    let data = system.run(&["export", "--output", "json"]).ends(0);
    assert_eq!(data.stdout, system.run(&["export", "--format", "json"]).ends(0).stdout);
    assert_eq!(data.json(), json!({ "services": { "harmonia": { "settings": { "workers": 5 } } } }));
}

#[test]
fn a_list_that_can_t_be_read_prints_no_part_of_it() {
    let system = System::new();
    for output in [&["--json"][..], &["--output", "json"]] {
        let run = system.run(&[&["log", "nonsense"], output].concat()).ends(3);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn the_schema_refuses_what_it_does_not_say() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let kind = compile(&json!({ "$ref": "#/$defs/get", "$defs": schema["$defs"] })).unwrap();
    let good =
        json!({"version": 1, "path": "a", "value": 1, "inEffect": 1, "static": null, "records": [1], "applied": true});
    assert!(kind.mismatches(&good, None).is_empty());
    for (name, value) in [("path", json!(1)), ("records", json!(["1"])), ("more", json!(1)), ("applied", json!(null))] {
        let mut wrong = good.clone();
        wrong[name] = value;
        assert!(!kind.mismatches(&wrong, None).is_empty(), "{name}");
    }
}

#[test]
fn what_programs_ask_for_twice_is_done_once() {
    // As docs/howto/configuration-management.md shows it: nothing is recorded where the value is that one already.
    let system = System::new();
    let set = |words: &[&str]| {
        let json = system.run(&[&["set"], words, &["--if-different", "--output", "json"]].concat()).ends(0).json();
        is_a("change", &json);
        !json["records"].as_array().unwrap().is_empty()
    };
    let (workers, priority) = (format!("{WORKERS}=20"), "services.harmonia.settings.priority=10".to_owned());
    let (workers, priority) = (workers.as_str(), priority.as_str());
    // Recorded and not in effect is not enough for who wants it applied.
    assert!(set(&[workers]) && !set(&[workers]) && set(&[workers, "--apply"]) && !set(&[workers, "--apply"]));
    assert!(set(&[workers, priority, "--apply"]) && !set(&[priority, workers, "--apply"]) && !set(&[priority]));
    // Somebody takes it back, or changes the file: it is asked for again.
    system.run(&["undo", "--apply"]).ends(0);
    assert!(set(&[workers, priority, "--apply"]));
    let text = system.run(&["set", workers, "--if-different"]).ends(0);
    assert_eq!((text.stdout.as_str(), text.stderr.as_str()), ("", "nothing is recorded: it is so already\n"));
    system.write("settings.json", r#"{"workers": 20, "priority": 11}"#);
    let import = || {
        let file = system.path("settings.json");
        let words =
            ["import", file.as_str(), "--at", "services.harmonia.settings", "--apply", "--if-different", "--json"];
        !system.run(&words).ends(0).json()["records"].as_array().unwrap().is_empty()
    };
    assert_eq!([import(), import()], [true, false]);
    system.run(&["set", workers, "--if-different", "--for", "1h"]).ends(2);
    // A value that is refused is refused, whatever else is so already.
    system.run(&["set", workers, "services.distccd.logLevel=loud", "--if-different"]).ends(3);
}
