//! What the verbs print for programs is what docs/output.schema.json says.

use dynix::types::compile;
use serde_json::{Value, json};

use crate::support::System;

const SCHEMA: &str = include_str!("../../docs/output.schema.json");
const WORKERS: &str = "services.harmonia.settings.workers";

/// Whether a document is what a definition of the schema says.
#[track_caller]
fn is_a(definition: &str, document: &Value) {
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
        ("log", &["log"]),
        ("diff", &["diff"]),
        ("diff", &["diff", "--pending"]),
        ("diff", &["diff", "1..2"]),
        ("services", &["services"]),
        ("options", &["options", "gotosocial"]),
    ] {
        let (short, long) =
            (system.run(&[words, &["--json"]].concat()), system.run(&[words, &["--output", "json"]].concat()));
        assert_eq!(short.stdout, long.stdout, "{words:?}");
        is_a(definition, &short.ends(0).json());
    }
    // A record that does not hold is a part of the answers, too.
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &(log + expression));
    is_a("status", &system.run(&["status", "--json"]).ends(0).json());
    is_a("log", &system.run(&["log", "--json"]).ends(0).json());
    is_a("change", &system.run(&["apply", "--json"]).json());
    is_a("change", &system.run(&["reset", "--json"]).ends(0).json());
}

#[test]
fn the_schema_refuses_what_it_does_not_say() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let kind = compile(&json!({ "$ref": "#/$defs/get", "$defs": schema["$defs"] })).unwrap();
    let good = json!({"path": "a", "value": 1, "inEffect": 1, "static": null, "records": [1], "applied": true});
    assert!(kind.mismatches(&good, None).is_empty());
    for (name, value) in [("path", json!(1)), ("records", json!(["1"])), ("more", json!(1)), ("applied", json!(null))] {
        let mut wrong = good.clone();
        wrong[name] = value;
        assert!(!kind.mismatches(&wrong, None).is_empty(), "{name}");
    }
}

#[test]
fn what_programs_ask_for_twice_is_done_once() {
    // As docs/commands.md shows it: nothing is recorded where the value is that one already.
    let system = System::new();
    let ensure = |value: &str| {
        let now = system.run(&["get", WORKERS, "--json"]).ends(0).json();
        let wanted: Value = serde_json::from_str(value).unwrap();
        if now["inEffect"] == wanted && now["applied"] == true {
            return false;
        }
        system.run(&["set", WORKERS, value, "--apply", "--json"]).ends(0);
        true
    };
    assert_eq!([ensure("20"), ensure("20"), ensure("21")], [true, false, true]);
}
