//! What is known of the values in effect, where people and programs look for it. What the evaluator says is given here;
//! tests/machine/scripts/sound.py has the real one.

use serde_json::{Value, json};

use crate::output::is_a;
use crate::support::{System, description};

const WORKERS: &str = "services.harmonia.settings.workers";
const NOTHING: &str = r#"{"version": 2, "generated": "", "parts": 0, "services": {}}"#;

/// A system with a configuration in which a file follows harmonia's workers.
fn system(policy: &str) -> System {
    let mut description = description();
    description["services"].as_object_mut().unwrap().retain(|name, _| name == "harmonia");
    description["verify"] = json!(policy);
    description["metrics"] = json!({"textfile": "/var/lib/node-exporter"});
    let script = "case \"$*\" in *functions.prove*) cat proof.json ;; *) cat comparison.json ;; esac";
    description["evaluator"] = json!({"command": ["/bin/sh", "-c", script], "arguments": "{ }"});
    let system = System::of(&description);
    system.write("etc/nixos/proof.json", NOTHING);
    system.write("var/lib/node-exporter/other.prom", "");
    system.run(&["append", WORKERS, "6", "--apply"]).ends(0);
    system
}

/// The next evaluation ends as `how` says, and those behind it as they should.
fn next_evaluation(system: &System, how: &str) {
    let script = format!(
        "case \"$*\" in *functions.prove*) exec cat proof.json ;; esac\n\
         if test -e next; then rm next; {how}; fi; exec cat comparison.json"
    );
    let plan = system.read("etc/dynix/plan.json");
    let mut plan: Value = serde_json::from_str(&plan).unwrap();
    plan["evaluator"]["command"] = json!(["/bin/sh", "-c", script]);
    system.write("etc/dynix/plan.json", &plan.to_string());
    system.write("etc/nixos/next", "");
}

/// What a rebuild would do, from here on.
fn rebuild_gives(system: &System, workers: u64, changed: &Value) {
    let settings = |workers| json!({"options": {"services.harmonia.settings": {"workers": workers, "max_connection_rate": 256}}, "files": {}});
    let comparison = json!({
        "version": 1, "changed": changed, "compared": 1, "failedAssertions": [], "newWarnings": [],
        "services": {"harmonia": {"before": settings(4), "after": settings(workers)}},
    });
    system.write("etc/nixos/comparison.json", &comparison.to_string());
}

fn follows(system: &System, workers: u64) {
    rebuild_gives(system, workers, &json!({"etc": {"workers.conf": {"before": "4", "after": workers.to_string()}}}));
}

/// What is measured, and that the collector gets the same.
#[track_caller]
fn measured(system: &System, lines: &[&str]) {
    let text = system.run(&["metrics"]).ends(0).stdout;
    for line in lines {
        assert!(text.lines().any(|one| one == *line), "no {line} in\n{text}");
    }
    assert_eq!(system.read("var/lib/node-exporter/dynix.prom"), text);
}

#[test]
fn a_look_writes_no_measurements_and_a_record_does() {
    let system = system("warn");
    let file = system.path("var/lib/node-exporter/dynix.prom");
    std::fs::remove_file(&file).unwrap();
    system.run(&["unset", WORKERS, "--dry-run"]).ends(0);
    assert!(!file.exists());
    system.run(&["append", WORKERS, "7"]).ends(0);
    measured(&system, &["dynix_overrides_pending{service=\"harmonia\"} 1"]);
}

#[test]
fn a_verdict_is_in_the_status_and_among_the_measurements() {
    let system = system("warn");
    let [sound, unsound, unverified] =
        ["sound", "unsound", "unverified"].map(|one| format!("dynix_verified{{verdict=\"{one}\"}}"));
    measured(
        &system,
        &[&format!("{sound} 0"), &format!("{unsound} 0"), &format!("{unverified} 0"), "dynix_verified_record 0"],
    );
    rebuild_gives(&system, 6, &json!({}));
    system.run(&["verify", "--background"]).ends(0);
    measured(&system, &[&format!("{sound} 1"), &format!("{unsound} 0"), "dynix_verified_record 1"]);
    system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    measured(&system, &[&format!("{sound} 1"), "dynix_verified_record 1", "dynix_last_record 2"]);
    follows(&system, 20);
    system.run(&["verify", "--background"]).ends(0);
    measured(
        &system,
        &[&format!("{sound} 0"), &format!("{unsound} 1"), "dynix_verified_record 2", "dynix_unsound_rejected_total 0"],
    );
    assert_eq!(system.run(&["status", "--json"]).ends(0).json()["verified"]["verdict"], "unsound");
    system.write("etc/nixos/comparison.json", "no JSON");
    system.run(&["verify", "--background"]).ends(0);
    measured(&system, &[&format!("{unsound} 0"), &format!("{unverified} 1")]);
}

#[test]
fn programs_get_what_the_schema_says() {
    let system = system("warn");
    follows(&system, 6);
    let unsound = system.run(&["verify", "--json"]).ends(6).json();
    is_a("verify", &unsound);
    assert_eq!((&unsound["verdict"], unsound["findings"].as_array().unwrap().len()), (&json!("unsound"), 1));
    assert_eq!(system.run(&["verify", "--output", "json"]).ends(6).json(), unsound);
    system.run(&["verify", "--background"]).ends(0);
    let status = system.run(&["status", "--json"]).ends(0).json();
    is_a("status", &status);
    assert_eq!(status["verified"]["findings"], unsound["findings"]);
    let service = json!({"flows": {"etc": ["workers.conf"]}, "paths": [
        {"path": ["services", "harmonia", "settings", "workers"], "flows": {"etc": ["workers.conf"]}},
        {"path": ["services", "harmonia", "settings", "max_connection_rate"], "flows": null},
    ]});
    let proof = json!({"version": 2, "generated": "", "parts": 7, "services": {"harmonia": service}});
    system.write("etc/nixos/proof.json", &proof.to_string());
    let proven = system.run(&["prove", "--json"]).ends(0).json();
    is_a("prove", &proven);
    assert_eq!(proven, proof);
    assert_eq!(system.run(&["prove", "--output", "json"]).ends(0).json(), proof);
    // Where the evaluator fails, there is an answer as well.
    system.write("etc/nixos/comparison.json", "no JSON");
    let unverified = system.run(&["verify", "--json"]);
    if unverified.code == 0 {
        is_a("verify", &unverified.json());
    }
}

#[test]
fn what_was_found_of_another_system_is_not_told_of_this_one() {
    let system = system("warn");
    std::os::unix::fs::symlink("/nix/store/one", system.path("run/current-system")).unwrap();
    follows(&system, 6);
    system.run(&["verify", "--background"]).ends(0);
    assert_eq!(system.run(&["status", "--json"]).ends(0).json()["verified"]["verdict"], "unsound");
    std::fs::remove_file(system.path("run/current-system")).unwrap();
    std::os::unix::fs::symlink("/nix/store/two", system.path("run/current-system")).unwrap();
    assert_eq!(system.run(&["status", "--json"]).ends(0).json().get("verified"), None);
    assert!(system.run(&["metrics"]).ends(0).stdout.contains("dynix_verified{verdict=\"unsound\"} 0\n"));
}

#[test]
fn an_evaluation_that_fails_for_reasons_of_its_own_rejects_nothing() {
    for (how, verdict) in [("kill -KILL $$", "unverified"), ("exit 137", "unverified"), ("exit 1", "sound")] {
        let system = system("rollback");
        rebuild_gives(&system, 6, &json!({}));
        next_evaluation(&system, how);
        system.run(&["verify", "--background"]).ends(0);
        assert_eq!(system.run(&["status", "--json"]).ends(0).json()["verified"]["verdict"], verdict, "{how}");
        assert!(!system.read("etc/nixos/dynamic.nix").contains("reject"), "{how}");
    }
}

#[test]
fn what_is_taken_back_is_counted() {
    let system = system("rollback");
    follows(&system, 6);
    system.run(&["verify", "--background"]).ends(0);
    measured(&system, &["dynix_unsound_rejected_total 1", "dynix_overrides{service=\"harmonia\"} 0"]);
}

#[test]
fn a_system_that_is_being_activated_is_looked_at_when_it_runs() {
    let system = system("warn");
    rebuild_gives(&system, 6, &json!({}));
    let link = system.path("run/current-system");
    std::os::unix::fs::symlink("/nix/store/one", &link).unwrap();
    let mut waiting = system.command(&["verify", "--background", "--system", "/nix/store/two"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none());
    assert!(!system.path("run/dynix/verdict.json").exists());
    // As `ln -sfn` does it.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nix/store/two", &link).unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(system.run(&["status", "--json"]).ends(0).json()["verified"]["verdict"], "sound");
}

#[test]
fn what_was_sound_on_another_system_is_taken_back_all_the_same() {
    let system = system("rollback");
    let link = system.path("run/current-system");
    std::os::unix::fs::symlink("/nix/store/one", &link).unwrap();
    rebuild_gives(&system, 6, &json!({}));
    system.run(&["verify", "--background"]).ends(0);
    assert_eq!(system.run(&["status", "--json"]).ends(0).json()["verified"]["verdict"], "sound");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nix/store/two", &link).unwrap();
    follows(&system, 6);
    system.run(&["verify", "--background"]).ends(0);
    assert_eq!(system.run(&["get", WORKERS]).ends(0).stdout, "4\n");
    measured(&system, &["dynix_unsound_rejected_total 1", "dynix_overrides{service=\"harmonia\"} 0"]);
}
