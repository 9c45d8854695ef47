//! What dynix says to somebody who took a wrong turn: the answer names what to type next.

use std::os::unix::process::CommandExt as _;

use serde_json::json;

use crate::support::{System, description, dynix, finish, skip};

const WORKERS: &str = "services.harmonia.settings.workers";

/// A system with a service that could be dynamic, and one that could not.
fn with_candidates() -> System {
    let mut description = description();
    description["candidates"] = json!({
        "blocky": { "options": ["services.blocky.settings"] },
        "nginx": { "options": ["services.nginx.settings"], "problem": "its file is made by a builder" },
    });
    System::of(&description)
}

#[test]
fn an_option_of_a_service_that_is_not_dynamic_is_answered_with_how_to_make_it_so() {
    let system = with_candidates();
    let refused = |path: &str| system.run(&["append", path, "true"]).ends(3).stderr;
    insta::assert_snapshot!(refused("services.blocky.settings.port"), @"error: no dynamic-enabled service has the option services.blocky.settings.port; blocky is not dynamic-enabled: dynamicism.for.blocky.enable = true makes services.blocky.settings dynamic at the next nixos-rebuild");
    insta::assert_snapshot!(refused("services.nginx.enable"), @"error: no dynamic-enabled service has the option services.nginx.enable; nginx cannot be dynamic: its file is made by a builder");
    insta::assert_snapshot!(refused("services.grafana.settings.port"), @"error: no dynamic-enabled service has the option services.grafana.settings.port; grafana is not dynamic-enabled: if it has settings, dynamicism.for.grafana.enable = true makes them dynamic; `dynix services` lists what is");
    insta::assert_snapshot!(refused("boot.kernelParams"), @"error: no dynamic-enabled service has the option boot.kernelParams; `dynix services` lists the options that may change");
    insta::assert_snapshot!(refused("services.harmonia"), @"error: no dynamic-enabled service has the option services.harmonia; name one of: services.harmonia.settings");
    insta::assert_snapshot!(refused("services.distccd.maxJob"), @"error: no dynamic-enabled service has the option services.distccd.maxJob; the nearest that may change: services.distccd.maxJobs, services.distccd.nice, services.distccd.port");
    insta::assert_snapshot!(refused("services.harmonai.settings.workers"), @"error: no dynamic-enabled service has the option services.harmonai.settings.workers; the nearest that may change: services.harmonia.settings");
}

#[test]
fn a_service_that_is_not_dynamic_is_answered_with_how_to_make_it_so() {
    let system = with_candidates();
    for verb in ["options", "apply", "reset"] {
        let refused = system.run(&[verb, "blocky"]).ends(3).stderr;
        assert!(
            refused.contains("dynamicism.for.blocky.enable = true makes services.blocky.settings dynamic"),
            "{refused}"
        );
    }
    insta::assert_snapshot!(system.run(&["options", "harmonai"]).ends(3).stderr, @"error: no service harmonai is dynamic-enabled; did you mean harmonia? `dynix services` lists all");
}

#[test]
fn a_record_that_was_never_written_is_not_spoken_of() {
    let system = System::new();
    system.run(&["append", WORKERS, "20"]).ends(0);
    let before = system.everything();
    let refused = system.run(&["rollback", "99"]).ends(1).stderr;
    let log = system.path("etc/nixos/dynamic.nix");
    assert_eq!(refused, format!("error: {log} has no record 99; `dynix log` lists them\n"));
    assert_eq!(system.everything(), before);
}

#[test]
fn a_set_over_null_names_replace() {
    let mut description = description();
    let option = &mut description["services"]["gotosocial"]["options"]["services.gotosocial.settings"];
    option["schema"] = json!({});
    let system = System::of(&description);
    let path = "services.gotosocial.settings.application-name";
    let refused = system.run(&["append", path, r#"{"deeper": 1}"#]).ends(3).stderr;
    assert!(refused.contains("with --replace"), "{refused}");
    system.run(&["append", path, r#"{"deeper": 1}"#, "--replace"]).ends(0);
}

#[test]
fn a_list_or_a_boolean_is_answered_with_what_to_type() {
    let system = System::new();
    for (path, text, instead) in [
        ("services.distccd.allowedClients", "10.0.0.1", r#"; write '[ "10.0.0.1" ]'"#),
        ("services.distccd.zeroconf", "yes", "; write true or false"),
    ] {
        let refused = system.run(&["append", path, text]).ends(3).stderr;
        assert!(refused.lines().next().is_some_and(|line| line.ends_with(instead)), "{refused}");
    }
    system.run(&["append", "services.distccd.allowedClients", r#"[ "10.0.0.1" ]"#]).ends(0);
}

#[test]
fn verbs_of_other_tools_lead_to_ours() {
    for (verb, here) in
        [("modify", "dynix edit SERVICE"), ("remove", "dynix unset PATH"), ("revert", "dynix confirm --revert")]
    {
        let said = finish(dynix().arg(verb)).ends(2).stderr;
        assert!(said.contains(&format!("unrecognized subcommand '{verb}'")) && said.contains(here), "{said}");
    }
    // A slip is still answered with what it may have been.
    let said = finish(dynix().arg("aply")).ends(2).stderr;
    assert!(said.contains("a similar subcommand exists: 'apply'"), "{said}");
}

#[test]
fn a_value_that_is_not_set_ends_alike_for_people_and_programs() {
    let system = System::new();
    let path = "services.harmonia.settings.nope";
    let run = system.run(&["get", path]).ends(1);
    assert_eq!((run.stdout.as_str(), run.stderr.contains("is not set")), ("", true), "{}", run.stderr);
    assert_eq!(system.run(&["get", path, "--json"]).ends(1).json()["value"], json!(null));
    for arguments in [&["get", "nope"][..], &["get", "nope", "--json"]] {
        system.run(arguments).ends(3);
    }
}

#[test]
fn what_is_recorded_is_told_with_its_id_and_what_to_run_next() {
    let system = System::new();
    let run = system.run(&["append", WORKERS, "20"]).ends(0);
    assert_eq!(run.stdout, format!("recorded 1: {WORKERS}: 4 -> 20 (integer)\n"));
    assert_eq!(run.stderr, "not in effect yet; run `dynix apply harmonia`\n");
    let run = system.run(&["unset", WORKERS]).ends(0);
    assert_eq!(run.stdout, format!("recorded 2: unset {WORKERS}\n  {WORKERS}: 20 -> 4 (integer, as built)\n"));
    assert_eq!(run.stderr, "not in effect yet; run `dynix apply harmonia`\n");
    let run = system.run(&["rollback", "1"]).ends(0);
    assert_eq!(
        (run.stdout, run.stderr),
        (
            format!("recorded 3: rollback to 1\n  {WORKERS}: 4 -> 20 (integer)\n"),
            "takes back record 2 (root)\nnot in effect yet; run `dynix apply`\n".to_owned()
        )
    );
    let run = system.run(&["append", WORKERS, "21", "--apply"]).ends(0);
    assert!(
        run.stdout.starts_with(&format!("recorded 4: {WORKERS}: 20 -> 21 (integer)\nharmonia: "))
            && run.stderr.is_empty(),
        "{}",
        run.stdout
    );
    assert_eq!(system.run(&["reset", "--json"]).ends(0).json()["records"], json!([5]));
}

#[test]
fn get_gives_what_is_in_effect_and_tells_what_is_only_recorded() {
    let system = System::new();
    system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    system.run(&["append", WORKERS, "30"]).ends(0);
    let run = system.run(&["get", WORKERS]).ends(0);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("20\n", "recorded, and not in effect yet: 30; run `dynix apply harmonia`\n")
    );
    let json = system.run(&["get", WORKERS, "--json"]).ends(0).json();
    assert_eq!((&json["value"], &json["inEffect"], &json["applied"]), (&json!(30), &json!(20), &json!(false)));
    // What is only taken back is in effect, too.
    system.run(&["apply"]).ends(0);
    system.run(&["unset", WORKERS]).ends(0);
    let run = system.run(&["get", WORKERS]).ends(0);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("30\n", "recorded, and not in effect yet: 4; run `dynix apply harmonia`\n")
    );
    system.run(&["apply"]).ends(0);
    let run = system.run(&["get", WORKERS]).ends(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("4\n", ""));
}

#[test]
fn a_misspelled_directory_of_the_log_is_not_made() {
    let system = System::new();
    let before = system.everything();
    let log = system.path("etc/nixso/dynamic.nix");
    let run = system.run(&["--overrides", log.as_str(), "append", WORKERS, "20"]).ends(1);
    assert!(run.stderr.contains("there is no directory"), "{}", run.stderr);
    assert_eq!(system.everything(), before);
}

#[test]
fn activation_says_nothing_of_a_place_where_nothing_was_ever_recorded() {
    let system = System::new();
    let nixos = system.path("etc/nixos");
    std::fs::create_dir_all(&nixos).unwrap();
    std::fs::set_permissions(&nixos, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let run = finish(system.command(&["activate"]).env("NIXOS_ACTION", "switch")).ends(0);
    assert_eq!(run.stderr, "");
    // Who names it as the place to record something is told.
    let log = nixos.join("dynamic.nix");
    let run = system.run(&["--overrides", log.as_str(), "append", WORKERS, "20"]).ends(1);
    assert!(run.stderr.contains("others may write to it"), "{}", run.stderr);
}

#[test]
fn who_lacks_the_rights_is_told_of_root_and_of_the_daemon() {
    if !rustix::process::geteuid().is_root() {
        return skip("messages to other users than root: needs root");
    }
    let system = System::new();
    system.run(&["append", WORKERS, "20"]).ends(0);
    // The program itself is where others can't go.
    let program = system.path("dynix");
    std::fs::copy(env!("CARGO_BIN_EXE_dynix"), &program).unwrap();
    std::fs::set_permissions(system.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(program);
    command.args(["--root", system.root().as_str(), "append", WORKERS, "21"]).uid(65534).gid(65534).env_clear();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run it as root") && said.contains("dynamicism.daemon.enable"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
