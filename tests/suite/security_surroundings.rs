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
        std::fs::copy(env!("CARGO_BIN_EXE_dynix"), &program).unwrap();
        chown(&program, Some(uid), Some(gid)).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = finish(Command::new(&program).args(["--root", system.root().as_str(), "status"])).ends(1);
        assert!(run.stderr.contains("set-user-ID"), "mode {mode:o}: {}", run.stderr);
        std::fs::remove_file(&program).unwrap();
    }
}
