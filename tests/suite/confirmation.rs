//! A change that awaits its confirmation, beside other requests. A real one needs systemd's timers
//! (tests/machine/scripts/confirm.py); here the state says that there is one.

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::support::System;

const LEVEL: &str = "services.distccd.logLevel";
const WORKERS: &str = "services.harmonia.settings.workers";

/// A system whose change of distccd's log level ends in so many seconds.
fn system(left: f64) -> System {
    let system = System::new();
    system.run(&["append", LEVEL, "debug", "--apply"]).ends(0);
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &format!("{log}{{ id = 2; reject = 1; reason = \"not confirmed\"; }}\n"));
    let mut state = state(&system);
    let now = clock_gettime(ClockId::Monotonic);
    let end = f64::from(i32::try_from(now.tv_sec).unwrap()) + left;
    state["trial"] = json!({
        "timer": "dynix-confirm-1", "by": "root", "end": end, "marks": [{"record": 1, "mark": 2}],
        "back": {"distccd": {}},
    });
    system.write("run/dynix/state.json", &state.to_string());
    assert_eq!(in_effect(&system), "debug");
    system
}

fn state(system: &System) -> Value {
    serde_json::from_str(&system.read("run/dynix/state.json")).unwrap()
}

/// The level that distccd's unit reads.
fn in_effect(system: &System) -> String {
    let path = "run/dynix/distccd/current";
    let Ok(mut files) = std::fs::read_dir(system.path(path)) else { return "static".to_owned() };
    let text = std::fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap();
    if text.contains("debug") { "debug".to_owned() } else { text }
}

#[test]
fn a_reset_of_another_service_leaves_it_on_trial() {
    let system = system(600.0);
    system.run(&["append", WORKERS, "9", "--apply"]).ends(0);
    let before = state(&system)["trial"].clone();
    system.run(&["reset", "harmonia"]).ends(0);
    assert_eq!(state(&system)["trial"], before);
    assert_eq!(in_effect(&system), "debug");
    assert_eq!(system.run(&["get", WORKERS]).ends(0).stdout, "4\n");
}

#[test]
fn a_reset_ends_it_for_the_services_that_it_names() {
    let system = system(600.0);
    system.run(&["append", WORKERS, "9", "--apply"]).ends(0);
    let mut both = state(&system);
    both["trial"]["back"]["harmonia"] = json!({});
    system.write("run/dynix/state.json", &both.to_string());
    system.run(&["reset", "harmonia"]).ends(0);
    assert_eq!(state(&system)["trial"]["back"], json!({"distccd": {}}));
    assert_eq!(in_effect(&system), "debug");

    system.run(&["reset", "distccd"]).ends(0);
    assert_eq!(state(&system).get("trial"), None);
    assert_eq!(in_effect(&system), "static");
}

#[test]
fn a_reset_takes_the_value_on_trial_too_so_that_a_confirmation_does_not_bring_it_back() {
    let system = system(600.0);
    system.run(&["reset", "distccd"]).ends(0);
    assert_eq!(in_effect(&system), "static");
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &format!("{log}{{ reject = 2; }}\n"));
    system.run(&["apply"]).ends(0);
    assert_eq!(in_effect(&system), "static");
}

#[test]
fn one_whose_timer_did_not_come_goes_back_before_whatever_is_applied_next() {
    for command in
        [&["append", WORKERS, "9", "--apply"][..], &["apply", "harmonia"], &["reset", "harmonia"], &["apply"]]
    {
        let system = system(-100.0);
        let run = system.run(command).ends(0);
        assert_eq!(in_effect(&system), "static", "{command:?}");
        assert_eq!(state(&system).get("trial"), None, "{command:?}");
        assert!(run.stderr.contains("a change of distccd (by root) was not confirmed in time"), "{run:?}");
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n", "{command:?}");
    }
}
