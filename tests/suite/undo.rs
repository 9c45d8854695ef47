//! `dynix undo`, `redo`, `reject` and `unset --previous`: one record, and no other.

use crate::support::System;

const WORKERS: &str = "services.harmonia.settings.workers";
const NICE: &str = "services.distccd.nice";

#[test]
fn one_record_is_taken_back_and_later_ones_stay() {
    let system = System::new();
    system.run(&["set", WORKERS, "20", "--apply"]).ends(0);
    assert!(system.command(&["set", NICE, "5", "--apply"]).env("SUDO_USER", "ann").status().unwrap().success());
    let run = system.run(&["undo", "1", "--apply", "-m", "too many"]).ends(0);
    insta::assert_snapshot!(run.stdout + &run.stderr, @r"
    recorded 3: undo 1
      services.harmonia.settings.workers: 20 -> 4 (integer, as built)
    harmonia: switch to the static files, left to do: restart harmonia.service
    ");
    assert_eq!(system.run(&["get", NICE]).ends(0).stdout, "5\n");
    let log = system.run(&["log"]).ends(0).stdout;
    let said: Vec<&str> = log.lines().map(|line| line.split_once(' ').unwrap().1.split_once(' ').unwrap().1).collect();
    assert_eq!(
        said,
        [
            "root: services.harmonia.settings.workers = 20  [rejected: taken back]",
            "ann: services.distccd.nice = 5",
            "root: reject 1: taken back  # too many",
        ]
    );
    let before = system.everything();
    let run = system.run(&["undo", "1"]).ends(3);
    assert_eq!(run.stderr, "error: record 1 is taken back already; `dynix redo 1` brings it back\n");
    system.run(&["undo", "9"]).ends(1);
    assert_eq!(system.everything(), before);
}

#[test]
fn undo_goes_back_record_by_record_and_redo_comes_again() {
    let system = System::new();
    for workers in ["5", "6", "7"] {
        system.run(&["set", WORKERS, workers]).ends(0);
    }
    let value = || system.run(&["get", WORKERS, "--json"]).ends(0).json()["value"].clone();
    for expected in [6, 5, 4] {
        system.run(&["undo"]).ends(0);
        assert_eq!(value(), expected);
    }
    let run = system.run(&["undo"]).ends(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "there is nothing to undo; see `dynix log`\n"));
    for expected in [5, 6, 7] {
        system.run(&["redo"]).ends(0);
        assert_eq!(value(), expected);
    }
    assert_eq!(system.run(&["redo"]).ends(0).stderr, "there is nothing to redo; see `dynix log`\n");
    // A rollback is a record like any other.
    system.run(&["rollback", "1"]).ends(0);
    assert_eq!(value(), 5);
    let run = system.run(&["undo"]).ends(0);
    assert_eq!(value(), 7);
    assert!(run.stdout.starts_with("recorded 11: undo 10\n"), "{}", run.stdout);
}

#[test]
fn a_record_that_later_ones_cover_changes_nothing_now() {
    let system = System::new();
    system.run(&["set", WORKERS, "5"]).ends(0);
    system.run(&["set", WORKERS, "6"]).ends(0);
    let run = system.run(&["undo", "1"]).ends(0);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("recorded 3: undo 1\n", "no value changes: later records say the same\n")
    );
    system.run(&["undo"]).ends(0);
    assert_eq!(system.run(&["get", WORKERS]).ends(0).stdout, "4\n");
}

#[test]
fn a_reason_is_told_with_what_it_rejects() {
    let system = System::new();
    system.run(&["set", WORKERS, "5", "--apply"]).ends(0);
    system.run(&["reject", "1", "--message", "upstream allows 4", "--apply"]).ends(0);
    assert!(system.run(&["log"]).ends(0).stdout.contains("[rejected: upstream allows 4]\n"));
    // Whoever rejected it: it can be brought back by its number.
    let run = system.run(&["redo"]).ends(0);
    assert_eq!(run.stderr, "there is nothing to redo; see `dynix log`\n");
    let run = system.run(&["redo", "1", "--apply"]).ends(0);
    assert!(
        run.stdout.starts_with("recorded 3: redo 1\n  services.harmonia.settings.workers: 4 -> 5"),
        "{}",
        run.stdout
    );
    let run = system.run(&["redo", "1"]).ends(3);
    assert_eq!(run.stderr, "error: record 1 is not taken back, so there is nothing to bring back\n");
}

#[test]
fn a_record_whose_time_is_over_does_not_come_back() {
    let system = System::new();
    system.run(&["set", WORKERS, "5", "--for", "3s", "--apply"]).ends(0);
    std::thread::sleep(std::time::Duration::from_millis(4100));
    system.run(&["apply"]).ends(0);
    let run = system.run(&["redo", "1"]).ends(3);
    assert_eq!(run.stderr, "error: the time of record 1 is over; record its value again\n");
}

#[test]
fn the_previous_value_comes_back() {
    let system = System::new();
    system.run(&["set", WORKERS, "5"]).ends(0);
    system.run(&["set", WORKERS, "6", NICE, "7"]).ends(0);
    let run = system.run(&["unset", WORKERS, "--previous"]).ends(0);
    insta::assert_snapshot!(run.stdout, @r"
    recorded 3: the previous value of services.harmonia.settings.workers
      services.harmonia.settings.workers: 6 -> 5 (integer)
    ");
    // The other value of that record stays.
    assert_eq!(system.run(&["get", NICE, "--json"]).ends(0).json()["value"], 7);
    system.run(&["unset", NICE, "--previous"]).ends(0);
    assert_eq!(system.run(&["get", NICE, "--json"]).ends(0).json()["value"], serde_json::Value::Null);
    // Of several below a path, what the last record did is taken back.
    system.run(&["set", "services.gotosocial.settings.port", "81", "services.gotosocial.settings.host", "a"]).ends(0);
    system.run(&["set", "services.gotosocial.settings.port", "82", "services.gotosocial.settings.host", "b"]).ends(0);
    system.run(&["unset", "services.gotosocial.settings", "--previous"]).ends(0);
    let settings = system.run(&["get", "services.gotosocial.settings", "--json"]).ends(0).json();
    assert_eq!((&settings["value"]["port"], &settings["value"]["host"]), (&81.into(), &"a".into()));
    assert!(
        system.run(&["unset", "services.distccd.port", "--previous"]).ends(0).stderr.contains("nothing is overridden")
    );
}

#[test]
fn what_is_built_by_now_is_said_and_pruned() {
    let system = System::new();
    system.run(&["set", WORKERS, "4", NICE, "5", "--apply"]).ends(0);
    let status = system.run(&["status"]).ends(0).stdout;
    assert!(status.contains("built in by now; `dynix prune` ends it"), "{status}");
    let overrides = system.run(&["status", "--json"]).ends(0).json()["services"]["harmonia"]["overrides"].clone();
    assert_eq!(overrides[0]["builtIn"], true);
    let run = system.run(&["prune", "-m", "switched"]).ends(0);
    insta::assert_snapshot!(run.stdout + &run.stderr, @r"
    recorded 2: 1 override that the build has by now
      services.harmonia.settings.workers: 4 (integer, as built), as before
    nothing changes: the build says the same
    ");
    assert_eq!(system.run(&["prune"]).ends(0).stderr, "no override says what is built\n");
    assert_eq!(system.run(&["get", NICE]).ends(0).stdout, "5\n");
}
