//! Three machines under systemd with real daemons and an etcd of three members (tests/machine, docs/machine-tests.md).

use std::path::Path;
use std::process::{Command, Output};

use crate::engine::{is_here, skip};
use crate::hosts::dynix;

/// Exit status of the driver where it can't run machines.
const CANNOT: i32 = 77;

#[test]
fn one_command_reaches_real_daemons_on_three_machines_whatever_fails_meanwhile() {
    if !is_here() {
        return;
    }
    let run = |words: &[&str]| -> Output {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/machine/run"));
        command.arg("--dynix").arg(dynix()).args(words).output().unwrap()
    };
    // Both programs of the agent are beside it.
    assert!(Path::new(env!("CARGO_BIN_EXE_dynix-fleet")).with_file_name("dynix-agent").exists());
    let required = std::env::var_os("DYNIX_REQUIRE_MACHINE").is_some_and(|value| !value.is_empty() && value != "0");
    for words in [&["--can"][..], &["fleet"]] {
        let output = run(words);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.code() == Some(CANNOT) && !required {
            return skip(&format!("a fleet of machines: {}", said.trim()));
        }
        assert!(output.status.success(), "{}\n{said}", output.status);
    }
}
