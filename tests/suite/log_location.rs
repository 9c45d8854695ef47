//! Where the log is if nobody names a file: /etc/nixos where that can keep it, else /var/lib/dynix.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::support::{System, skip};

const APPEND: &[&str] = &["append", "services.harmonia.settings.workers", "8"];
const USUAL: &str = "etc/nixos/dynamic.nix";
const STATE: &str = "var/lib/dynix/dynamic.nix";
const NOBODY: u32 = 65534;

/// The log that an append makes.
#[track_caller]
fn kept_in(system: &System, expected: &str) {
    let run = system.run(APPEND).ends(0);
    assert!(!run.stderr.contains("is not used"), "{}", run.stderr);
    let there: Vec<_> =
        [USUAL, STATE, "persist/nixos/dynamic.nix"].into_iter().filter(|log| system.path(log).exists()).collect();
    assert_eq!(there, [expected]);
    assert!(system.run(&["status"]).ends(0).stdout.contains("workers"));
    system.run(&["apply"]).ends(0);
    assert!(system.read("run/dynix/harmonia/current/harmonia.toml").contains("workers = 8"));
}

#[test]
fn it_is_in_etc_nixos_where_that_is_there_and_where_it_is_not() {
    kept_in(&System::new(), USUAL);
    let system = System::new();
    std::fs::create_dir_all(system.path("etc/nixos")).unwrap();
    kept_in(&system, USUAL);
    let system = System::new();
    std::fs::create_dir_all(system.path("persist/nixos")).unwrap();
    symlink("/persist/nixos", system.path("etc/nixos")).unwrap();
    kept_in(&system, "persist/nixos/dynamic.nix");
}

#[test]
fn it_is_in_var_lib_where_etc_nixos_is_not_only_roots() {
    if !rustix::process::geteuid().is_root() {
        return skip("directories of somebody else: only root can give them away");
    }
    // A link into somebody's home.
    let system = System::new();
    let home = system.path("home/alice/nixos");
    std::fs::create_dir_all(&home).unwrap();
    chown(system.path("home/alice"), Some(NOBODY), None).unwrap();
    symlink("/home/alice/nixos", system.path("etc/nixos")).unwrap();
    kept_in(&system, STATE);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    // A directory that somebody owns, and one that others may write to.
    let system = System::new();
    std::fs::create_dir_all(system.path("etc/nixos")).unwrap();
    chown(system.path("etc/nixos"), Some(NOBODY), None).unwrap();
    kept_in(&system, STATE);
    let system = System::new();
    std::fs::create_dir_all(system.path("etc/nixos")).unwrap();
    std::fs::set_permissions(system.path("etc/nixos"), std::fs::Permissions::from_mode(0o777)).unwrap();
    kept_in(&system, STATE);
}

#[test]
fn a_log_stays_where_it_is() {
    // It was begun in /var/lib when there was no place in /etc/nixos; now there is one.
    let system = System::new();
    system.write(STATE, "{ overrides, ... }: overrides\n");
    std::fs::create_dir_all(system.path("etc/nixos")).unwrap();
    kept_in(&system, STATE);
}

#[test]
fn a_second_log_is_named() {
    let system = System::new();
    system.run(APPEND).ends(0);
    system.write(STATE, &system.read(USUAL));
    let run = system.run(&["status"]).ends(0);
    let warning = format!("{} is not used, since {} is the log", system.path(USUAL), system.path(STATE));
    assert!(run.stderr.contains(&warning), "{}", run.stderr);
}

#[test]
fn overrides_in_a_place_of_somebody_else_are_not_left_out_in_silence() {
    if !rustix::process::geteuid().is_root() {
        return skip("directories of somebody else: only root can give them away");
    }
    let system = System::new();
    system.run(&[APPEND, &["--apply"]].concat()).ends(0);
    chown(system.path("etc/nixos"), Some(NOBODY), None).unwrap();
    let run = system.run(&["apply"]).ends(1);
    let (usual, state) = (system.path(USUAL), system.path(STATE));
    assert!(run.stderr.contains(&format!("`install -D -m 644 {usual} {state}`")), "{}", run.stderr);
    assert!(run.stderr.contains("user 65534 owns it"), "{}", run.stderr);
    assert!(system.read("run/dynix/harmonia/current/harmonia.toml").contains("workers = 8"));
    // What it advises is enough.
    system.write(STATE, &system.read(USUAL));
    std::fs::remove_file(&usual).unwrap();
    system.run(&["apply"]).ends(0);
    assert!(system.run(&["get", "services.harmonia.settings.workers"]).ends(0).stdout.contains('8'));
}
