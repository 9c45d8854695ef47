//! Bad input is refused with a clear error, and changes nothing.

use std::os::unix::fs::PermissionsExt;

use crate::support::System;

fn refused(system: &System, arguments: &[&str], says: &str) {
    let before = system.everything();
    let run = system.run(arguments);
    assert!(run.code != 0 && run.stderr.contains(says), "{arguments:?}: {} {}", run.code, run.stderr);
    assert_eq!(system.everything(), before, "{arguments:?}");
}

#[test]
fn a_log_that_is_none() {
    let system = System::new();
    let log = "etc/nixos/dynamic.nix";
    let head = "{ overrides, config, lib, pkgs, ... }: overrides\n";
    for (text, says) in [
        ("", "a log begins with `{ overrides"),
        ("{ services.x = 1; }\n", "a log begins with `{ overrides"),
        (&format!("{head}{{ id = 1; set.services.harmonia.settings.workers = ; }}\n"), "line 2: "),
        (&format!("{head}{{ id = 1; set.a.b = 1; }}\n{{ id = 1; set.a.b = 1; }}\n"), "ids have to increase"),
        (&format!("{head}{{ id = 1; rollback = 7; }}\n"), "record 1"),
        (&format!("{head}// {{ }}\n"), "line 2: "),
    ] {
        system.write(log, text);
        for arguments in
            [&["append", "services.harmonia.settings.workers", "1"][..], &["apply"], &["status"], &["reset"]]
        {
            refused(&system, arguments, says);
        }
    }
    std::fs::write(system.path(log), b"\xff\xfe").unwrap();
    refused(&system, &["apply"], "dynamic.nix, line 1: ");
    std::fs::remove_file(system.path(log)).unwrap();
    std::fs::create_dir(system.path(log)).unwrap();
    refused(&system, &["append", "services.harmonia.settings.workers", "1"], "dynamic.nix");
    refused(&system, &["apply"], "is a directory");
}

#[test]
fn a_torn_tail_is_reported_and_cut_at_the_next_append() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &format!("{log}{{ id = 2; time = \"2026-1"));
    let run = system.run(&["status"]).ends(0);
    assert!(run.stderr.contains("line 4: the last line is torn"), "{}", run.stderr);
    system.run(&["append", "services.harmonia.settings.workers", "30"]).ends(0);
    let now = system.read("etc/nixos/dynamic.nix");
    assert!(now.starts_with(&log) && now.lines().count() == 4 && now.contains("{ id = 2; "), "{now}");
}

#[test]
fn a_log_that_others_can_write() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    let log = system.path("etc/nixos/dynamic.nix");
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o666)).unwrap();
    refused(&system, &["apply"], "can be changed by others");
    refused(&system, &["append", "services.harmonia.settings.workers", "1"], "can be changed by others");
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o644)).unwrap();
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a log of another owner: only root can make one");
        return;
    }
    std::os::unix::fs::chown(&log, Some(12345), None).unwrap();
    refused(&system, &["apply"], "owner 12345");
}

#[test]
fn a_plan_that_is_none() {
    let system = System::new();
    for (text, says) in [
        (r#"{"version":2,"services":{},"new":1}"#, "it has version 2, this dynix reads version 1"),
        ("{", "it is not a plan"),
        (r#"{"version":1,"services":{},"extra":1}"#, "unknown field `extra`"),
    ] {
        system.write("etc/dynix/plan.json", text);
        refused(&system, &["apply"], says);
        refused(&system, &["append", "services.harmonia.settings.workers", "1"], says);
    }
    std::fs::remove_file(system.path("etc/dynix/plan.json")).unwrap();
    refused(&system, &["status"], "there is no plan at");
}

#[test]
fn a_state_that_is_none() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    system.write("run/dynix/state.json", "{");
    refused(&system, &["apply"], "is not a state file");
}

#[test]
fn a_full_or_read_only_run_directory_changes_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a full and a read-only /run: only root can mount them");
        return;
    }
    let script = r#"
        set -e
        mkdir -p "$1/run"
        mount -t tmpfs -o "$2" none "$1/run"
        mkdir -p "$1/run/dynix" "$1/run/nixos"
        touch "$1/run/dynix/lock" "$1/run/nixos/switch-to-configuration.lock"
        [ -z "$3" ] || { dd if=/dev/zero of="$1/run/fill" bs=4096 2>/dev/null || true; }
        [ -n "$3" ] || mount -o remount,ro "$1/run"
        set +e
        "$0" --root "$1" apply
        code=$?
        find "$1/run/dynix" -name 'generation-*' -o -name current -o -name '.generation-*' -o -name 'state.json' | grep . && exit 90
        exit $code
    "#;
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    for (options, fill, says) in [("size=32k", "fill", "No space left"), ("size=1m", "", "Read-only file system")] {
        let mut command = std::process::Command::new("unshare");
        command.args([
            "--mount",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_dynix"),
            system.root().as_str(),
            options,
            fill,
        ]);
        let run = crate::support::finish(&mut command);
        assert!(run.code == 1 && run.stderr.contains(says), "{options}: {} {} {}", run.code, run.stdout, run.stderr);
    }
    system.run(&["apply"]).ends(0);
}
