//! What fails for the machine's sake rejects nothing: it is tried again, and comes into effect when it can.

use serde_json::{Value, json};

use crate::support::{System, description, skip};

const WORKERS: &str = "services.harmonia.settings.workers";
const TOML: &str = "run/dynix/harmonia/current/harmonia.toml";

/// A system whose harmonia has these keys besides.
fn system(keys: &Value) -> System {
    System::of(&with(keys))
}

fn with(keys: &Value) -> Value {
    let mut description = description();
    let harmonia = description["services"]["harmonia"].as_object_mut().unwrap();
    harmonia.extend(keys.as_object().unwrap().clone());
    description
}

/// Changes the plan as if the system had been built with it.
fn edit(system: &System, edit: impl FnOnce(&mut Value)) {
    let mut plan: Value = serde_json::from_str(&system.read("etc/dynix/plan.json")).unwrap();
    edit(&mut plan["services"]["harmonia"]);
    system.write("etc/dynix/plan.json", &plan.to_string());
}

#[track_caller]
fn nothing_is_rejected(system: &System) {
    assert!(!system.read("etc/nixos/dynamic.nix").contains("reject"));
}

#[test]
fn an_owner_that_does_not_exist_yet() {
    if !rustix::process::geteuid().is_root() {
        return skip("owners of files: only root can give files away");
    }
    for key in ["owner", "group"] {
        let system = system(&json!({}));
        let absent = |service: &mut Value| service["files"]["harmonia.toml"][key] = "not-there-yet".into();
        edit(&system, absent);
        let run = system.run(&["append", WORKERS, "20", "--apply"]).ends(1);
        assert!(run.stderr.contains("\"not-there-yet\""), "{}", run.stderr);
        nothing_is_rejected(&system);
        assert!(!system.path(TOML).exists());
        // Others are not held up.
        system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
        system.run(&["apply"]).ends(1);
        assert!(system.path("run/dynix/distccd/current").exists());
        edit(&system, |service| service["files"]["harmonia.toml"][key] = "root".into());
        system.run(&["apply"]).ends(0);
        assert!(system.read(TOML).contains("workers = 20"));
        nothing_is_rejected(&system);
    }
}

#[test]
fn an_owner_that_is_gone_again() {
    // As that of a unit with DynamicUser= that does not run: the file is there, and nothing is to be done.
    let system = system(&json!({}));
    system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    let owner = if rustix::process::geteuid().is_root() { "gone" } else { "root" };
    let state = system.read("run/dynix/state.json");
    system.write("run/dynix/state.json", &state.replace(" 0444 root ", &format!(" 0444 {owner} ")));
    edit(&system, |service| service["files"]["harmonia.toml"]["owner"] = owner.into());
    let run = system.run(&["apply"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "nothing to do\n"), "{}", run.stderr);
}

#[test]
fn a_check_that_cannot_say_anything() {
    for (command, said) in [
        (json!(["/no/such/check"]), "cannot run /no/such/check"),
        (json!(["/bin/sh", "-c", "kill -KILL $$"]), "signal: 9"),
        (json!(["/bin/sh", "-c", "/bin/sh -c 'kill -TERM $$'; exit $?"]), "exit status: 143"),
        (json!(["/bin/sh", "-c", "/no/such/validator"]), "exit status: 127"),
        (json!(["/bin/sleep", "60"]), "was not done within 0.3 s"),
    ] {
        let system = system(&json!({"check": {"command": command, "deadline": 0.3}}));
        let run = system.run(&["append", WORKERS, "20", "--apply"]).ends(1);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        nothing_is_rejected(&system);
        edit(&system, |service| service["check"]["command"] = json!(["/bin/true"]));
        system.run(&["apply"]).ends(0);
        assert!(system.read(TOML).contains("workers = 20"));
    }
}

#[test]
fn a_check_that_refuses_what_is_in_use_as_well() {
    // It needs a file of its own, say, or a name server.
    let flag = tempfile::NamedTempFile::new().unwrap();
    let path = flag.path().to_str().unwrap();
    let command = format!("test -e {path} && ! grep -q 'workers = 13' '{{{{ files[\"harmonia.toml\"] }}}}'");
    let system = system(&json!({"check": {"command": ["/bin/sh", "-c", command]}}));
    system.run(&["append", WORKERS, "20", "--apply"]).ends(0);
    system.run(&["append", WORKERS, "13", "--apply"]).ends(3);
    assert!(system.run(&["log"]).stdout.contains("[rejected: "));
    let rejections = system.read("etc/nixos/dynamic.nix").matches("reject = ").count();
    std::fs::remove_file(path).unwrap();
    let run = system.run(&["append", WORKERS, "21", "--apply"]).ends(1);
    assert!(run.stderr.contains("its check refuses what is in use as well"), "{}", run.stderr);
    assert!(system.read(TOML).contains("workers = 20"));
    std::fs::write(path, "").unwrap();
    system.run(&["apply"]).ends(0);
    assert!(system.read(TOML).contains("workers = 21"));
    assert_eq!(system.read("etc/nixos/dynamic.nix").matches("reject = ").count(), rejections);
}
