//! `dynix apply` on a tree: generations, the state, minimal actions, going back.

use crate::support::System;

const TOML: &str = "run/dynix/harmonia/current/harmonia.toml";

#[test]
fn what_is_recorded_comes_into_effect_and_goes_again() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    assert!(!system.path(TOML).exists());
    system.run(&["apply"]).ends(0);
    assert_eq!(system.read(TOML), "max_connection_rate = 256\nworkers = 20\n");
    system.run(&["append", "services.harmonia.settings.max_connection_rate", "100", "--apply"]).ends(0);
    assert_eq!(system.read(TOML), "max_connection_rate = 100\nworkers = 20\n");
    assert_eq!(
        system.read("run/dynix/harmonia/generation-1/harmonia.toml"),
        "max_connection_rate = 256\nworkers = 20\n"
    );
    system.run(&["rollback", "--apply"]).ends(0);
    assert_eq!(system.read(TOML), "max_connection_rate = 256\nworkers = 20\n");
    system.run(&["unset", "services.harmonia.settings", "--apply"]).ends(0);
    assert!(!system.path("run/dynix/harmonia/current").exists());
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
}

#[test]
fn only_what_changed_is_touched() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
    let run = system.run(&["apply"]).ends(0);
    assert_eq!(run.stdout, "distccd: switch to generation 1, left to do: restart distccd.service\n");
    // Another record of the same value changes nothing at all.
    system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    // The built value leads back to the built file.
    system.run(&["append", "services.distccd.maxJobs", "12", "--apply"]).ends(0);
    assert!(!system.path("run/dynix/distccd/current").exists());
}

#[test]
fn a_dry_run_says_what_an_apply_does_and_does_nothing() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    system.run(&["append", "services.gotosocial.settings.port", "80"]).ends(0);
    let before = system.everything();
    let dry = system.run(&["apply", "--dry-run", "--json"]).ends(0).json();
    let text = system.run(&["apply", "--dry-run"]).ends(0).stdout;
    assert_eq!(system.everything(), before);
    let real = system.run(&["apply", "--json"]).ends(0).json();
    assert_eq!(dry["actions"], real["actions"]);
    assert_eq!(dry["leftToDo"], real["leftToDo"]);
    insta::assert_snapshot!(text.replace(system.root().as_str(), ""), @r"
    gotosocial: would write generation 1 (config.yml)
    harmonia: would write generation 1 (harmonia.toml)
    gotosocial: would switch to generation 1
    harmonia: would switch to generation 1
    gotosocial: would write /run/systemd/system/gotosocial.service.d/50-dynix.conf
    gotosocial: would restart gotosocial.service
    harmonia: would restart harmonia.service
    ");
}

#[test]
fn a_drop_in_follows_its_value_and_goes_with_it() {
    let system = System::new();
    let drop_in = "run/systemd/system/gotosocial.service.d/50-dynix.conf";
    system.run(&["append", "services.gotosocial.settings.port", "80", "--apply"]).ends(0);
    assert!(system.read(drop_in).contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"), "{}", system.read(drop_in));
    system.run(&["append", "services.gotosocial.settings.port", "8081", "--apply"]).ends(0);
    assert!(!system.path("run/systemd/system/gotosocial.service.d").exists());
    system.run(&["append", "services.gotosocial.settings.port", "443", "--apply"]).ends(0);
    system.run(&["reset"]).ends(0);
    assert!(!system.path(drop_in).exists());
}

#[test]
fn one_service_can_be_applied_or_reset_alone() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
    system.run(&["apply", "distccd"]).ends(0);
    assert!(!system.path(TOML).exists());
    let status = system.run(&["status", "--json"]).ends(0).json();
    assert_eq!(status["services"]["harmonia"]["pending"], true);
    assert_eq!(status["services"]["harmonia"]["overrides"][0]["applied"], false);
    assert_eq!(status["services"]["distccd"]["overrides"][0]["applied"], true);
    system.run(&["apply"]).ends(0);
    system.run(&["reset", "distccd"]).ends(0);
    assert!(system.path(TOML).exists());
    assert!(!system.path("run/dynix/distccd/current").exists());
    system.run(&["apply", "nginx"]).ends(3);
}

#[test]
fn generations_are_kept_for_going_back_but_not_forever() {
    let system = System::new();
    for workers in 1..=15 {
        system.run(&["append", "services.harmonia.settings.workers", &(workers + 100).to_string(), "--apply"]).ends(0);
    }
    let kept = std::fs::read_dir(system.path("run/dynix/harmonia")).unwrap().count();
    assert_eq!(kept, 10 + 1);
    assert_eq!(system.read(TOML), "max_connection_rate = 256\nworkers = 115\n");
}

#[test]
fn overrides_survive_a_reboot_and_what_was_taken_back_does_not() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    std::fs::remove_dir_all(system.path("run")).unwrap();
    system.run(&["activate"]).ends(0);
    assert_eq!(system.read(TOML), "max_connection_rate = 256\nworkers = 20\n");
    system.command(&["activate"]).env("NIXOS_ACTION", "switch").status().unwrap();
    assert!(!system.path("run/dynix/harmonia/current").exists());
    std::fs::remove_dir_all(system.path("run")).unwrap();
    system.run(&["activate"]).ends(0);
    assert!(!system.path(TOML).exists());
}

#[test]
fn an_activation_does_what_its_action_says() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    let before = system.everything();
    for action in ["boot", "dry-activate"] {
        let status = system.command(&["activate"]).env("NIXOS_ACTION", action).status().unwrap();
        assert!(status.success(), "{action}");
        assert_eq!(system.everything(), before, "{action}");
    }
    let mut description = crate::support::description();
    description["onSwitch"] = "reapply".into();
    let system = System::of(&description);
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    system.command(&["activate"]).env("NIXOS_ACTION", "switch").status().unwrap();
    assert!(system.path(TOML).exists());
}

#[test]
fn an_override_that_an_older_system_refuses_is_left_out_and_the_rest_applied() {
    let system = System::new();
    system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
    system.run(&["append", "services.distccd.logLevel", "error"]).ends(0);
    let mut description = crate::support::description();
    let options = &mut description["services"]["distccd"]["options"];
    options["services.distccd.maxJobs"]["schema"] = serde_json::json!({"type": "integer", "minimum": 10});
    let older = System::of(&description);
    older.write("etc/nixos/dynamic.nix", &system.read("etc/nixos/dynamic.nix"));
    let run = older.run(&["apply"]).ends(3);
    assert!(run.stderr.contains("record 1 does not hold: services.distccd.maxJobs: "), "{}", run.stderr);
    assert!(
        older.read("run/dynix/distccd/current/flags").contains("--log-level error"),
        "{}",
        older.read("run/dynix/distccd/current/flags")
    );
    let status = older.run(&["status", "--json"]).ends(0).json();
    assert_eq!(status["leftOut"][0]["id"], 1);
    // A service that is gone from the plan leaves nothing behind.
    older.write("etc/dynix/plan.json", r#"{"version":1,"services":{}}"#);
    older.run(&["apply"]).ends(3);
    assert!(!older.path("run/dynix/distccd").exists());
}

#[test]
fn a_record_that_does_not_hold_uncovers_the_one_before_it() {
    let system = System::new();
    system.run(&["append", "services.distccd.maxJobs", "5", "--apply"]).ends(0);
    let by_hand = [
        r#"{ set.services.distccd.maxJobs = "many"; }"#,
        r#"{ set.services.distccd = { maxJobs = [ ]; logLevel = "error"; }; }"#,
    ];
    for (number, record) in by_hand.iter().enumerate() {
        let log = system.read("etc/nixos/dynamic.nix");
        system.write("etc/nixos/dynamic.nix", &format!("{log}{record}\n"));
        let run = system.run(&["apply"]).ends(3);
        assert!(run.stderr.contains(&format!("record {} does not hold: services.distccd.maxJobs", number + 2)));
        assert_eq!(run.stdout, "nothing to do\n");
        assert_eq!(system.run(&["get", "services.distccd.maxJobs"]).ends(0).stdout, "5\n");
        assert_eq!(system.run(&["get", "services.distccd.logLevel"]).ends(0).stdout, "warning\n");
        assert_eq!(system.run(&["diff", "--pending"]).ends(0).stdout, "");
        let status = system.run(&["status", "--json"]).ends(0).json();
        assert_eq!(status["leftOut"].as_array().unwrap().len(), number + 1);
        assert_eq!(status["services"]["distccd"]["overrides"][0]["record"], 1);
    }
    assert!(system.read("run/dynix/distccd/current/flags").contains("--jobs 5"));
    // Nothing was written about them, and a value that holds takes the place of theirs.
    assert!(!system.read("etc/nixos/dynamic.nix").contains("reject"));
    system.run(&["append", "services.distccd.maxJobs", "6", "--apply"]).ends(0);
    let flags = system.read("run/dynix/distccd/current/flags");
    assert!(flags.contains("--jobs 6") && flags.contains("--log-level error"), "{flags}");
}

#[test]
fn an_override_ends_when_its_time_is_over() {
    let system = System::new();
    system.run(&["append", "services.distccd.logLevel", "debug", "--for", "1h", "--apply"]).ends(0);
    let status = system.run(&["status"]).ends(0).stdout;
    assert!(status.contains("ends in 59m"), "{status}");
    let log = system.read("etc/nixos/dynamic.nix");
    let until = log.split("until = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    system.write("etc/nixos/dynamic.nix", &log.replace(&until, "2026-01-01T00:00:00Z"));
    system.run(&["apply"]).ends(0);
    assert!(!system.path("run/dynix/distccd/current").exists());
    assert!(system.run(&["log"]).stdout.contains("[rejected: expired]"));
}

#[test]
fn an_apply_that_was_cut_short_is_finished_by_the_next() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    let state = system.read("run/dynix/state.json");
    // Killed between the swap and the units: the intent is noted, the link is new, the unit may be old.
    let pending = state.replace(r#""harmonia":{"#, r#""harmonia":{"pending":["harmonia.service"],"#);
    assert_ne!(pending, state);
    system.write("run/dynix/state.json", &pending);
    let run = system.run(&["apply"]).ends(0);
    assert_eq!(run.stdout, "harmonia: left to do: restart harmonia.service\n");
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    // Killed before the state was written: the link alone says what is there.
    std::fs::remove_file(system.path("run/dynix/state.json")).unwrap();
    system.run(&["reset"]).ends(0);
    assert!(!system.path("run/dynix/harmonia/current").exists());
}

#[test]
fn a_generation_that_lost_what_was_written_to_it_is_noticed_and_replaced() {
    use std::os::unix::fs::symlink;
    type Spoil = fn(&camino::Utf8Path);
    let spoils: [Spoil; 4] = [
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::write(path, "workers = 3\n").unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            std::fs::remove_file(path).unwrap();
            symlink("/etc/passwd", path).unwrap();
        },
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let system = System::new();
        system.run(&["append", "services.harmonia.settings.workers", "9", "--apply"]).ends(0);
        let (written, path) =
            (system.read("run/dynix/harmonia/current/harmonia.toml"), "run/dynix/harmonia/generation-1");
        let get = ["get", "services.harmonia.settings.workers", "--json"];
        assert_eq!(system.run(&get).ends(0).json()["applied"], true);
        spoil(&system.path(path).join("harmonia.toml"));
        assert_eq!(system.run(&get).ends(0).json()["applied"], false, "{number}");
        let status = system.run(&["status", "--json"]).ends(0).json();
        assert_eq!(status["services"]["harmonia"]["pending"], true, "{number}");
        assert_eq!(status["services"]["harmonia"]["overrides"][0]["applied"], false, "{number}");
        let done = system.run(&["apply"]).ends(0).stdout;
        assert_eq!(done, "harmonia: switch to generation 2, left to do: restart harmonia.service\n", "{number}");
        assert_eq!(system.read("run/dynix/harmonia/current/harmonia.toml"), written, "{number}");
        assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n", "{number}");
        assert_eq!(system.run(&get).ends(0).json()["applied"], true, "{number}");
    }
}
