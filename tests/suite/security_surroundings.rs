//! What the caller's process has makes no difference to what runs with root's rights. Claims of docs/security.md.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::support::{System, dynix, finish, skip};

#[test]
fn variables_of_the_user_behind_sudo_do_not_say_where_root_works() {
    if !rustix::process::geteuid().is_root() {
        return skip("variables under sudo: needs root");
    }
    let system = System::new();
    for caller in ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"] {
        for (variable, flag) in [("DYNIX_ROOT", "--root"), ("DYNIX_PLAN", "--plan"), ("DYNIX_OVERRIDES", "--overrides")]
        {
            let run = finish(dynix().env(caller, "1000").env(variable, system.root()).arg("status")).ends(1);
            assert!(run.stderr.contains(variable) && run.stderr.contains(flag), "{}", run.stderr);
        }
        finish(dynix().env(caller, "1000").args(["--root", system.root().as_str(), "status"])).ends(0);
        // Root itself may.
        finish(dynix().env(caller, "0").env("DYNIX_ROOT", system.root()).arg("status")).ends(0);
    }
    finish(dynix().env("DYNIX_ROOT", system.root()).arg("status")).ends(0);
}

#[test]
fn a_set_user_id_program_does_nothing() {
    if !rustix::process::geteuid().is_root() {
        return skip("a set-user-ID program: needs root");
    }
    let system = System::new();
    let program = system.path("dynix");
    for (uid, gid, mode) in [(65534, 0, 0o4755), (0, 65534, 0o2755), (65534, 65534, 0o6755)] {
        // Not by this process: what another thread starts meanwhile would have the file open to write, and a file that
        // is open to write is not run (ETXTBSY, execve(2)).
        let copied = Command::new("cp").args([env!("CARGO_BIN_EXE_dynix"), program.as_str()]).status();
        assert!(copied.unwrap().success());
        chown(&program, Some(uid), Some(gid)).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = finish(Command::new(&program).args(["--root", system.root().as_str(), "status"])).ends(1);
        assert!(run.stderr.contains("set-user-ID"), "mode {mode:o}: {}", run.stderr);
        std::fs::remove_file(&program).unwrap();
    }
}

/// A check that says what it sees, and refuses.
#[test]
fn a_check_sees_nothing_of_its_caller() {
    let mut description = super::support::description();
    description["services"]["harmonia"]["check"] = serde_json::json!({
        "command": ["/bin/sh", "-c", "env; pwd; umask; ls /proc/self/fd; exit 1"],
    });
    let system = System::of(&description);
    let mut command = system.command(&["append", "services.harmonia.settings.workers", "20", "--apply"]);
    for hostile in
        ["NIX_PATH", "NIX_CONFIG", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "PYTHONPATH", "IFS", "HOME", "TMPDIR"]
    {
        command.env(hostile, "/hostile");
    }
    if rustix::process::geteuid().is_root() {
        command.env("PATH", "/hostile");
    }
    // A shell starts it with another umask, and with a file open that is for nobody else.
    let mut shell = Command::new("/bin/bash");
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.args(["-c", "umask 0; exec 9</etc/hostname; exec \"$@\"", "bash"]);
    shell.arg(command.get_program()).args(command.get_args());
    let run = finish(&mut shell).ends(3);
    assert!(!run.stderr.contains("hostile"), "{}", run.stderr);
    assert!(run.stderr.contains("LANG=C.UTF-8"), "{}", run.stderr);
    let lines: Vec<&str> = run.stderr.lines().collect();
    let place = lines.iter().position(|line| *line == "/").unwrap_or_else(|| panic!("{}", run.stderr));
    assert_eq!(lines[place + 1], "0022");
    // Its streams, and the directory that it lists.
    assert_eq!(&lines[place + 2..], ["0", "1", "2", "3"]);
}
