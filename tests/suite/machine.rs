//! Runs the machine tests: NixOS test scripts on a real systemd with real daemons (docs/machine-tests.md).
//!
//! They need root, Linux, systemd-nspawn and mmdebstrap. Where one of these is missing, each test says so in a line that
//! the test harness does not hide, and passes; with `DYNIX_REQUIRE_MACHINE=1` it fails.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::{LazyLock, Once};

/// Exit status of the driver where it can't run machines.
const CANNOT: i32 = 77;

fn driver() -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/run"));
    command.arg("--dynix").arg(env!("CARGO_BIN_EXE_dynix"));
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Why machines can't be run here, asked once.
static OBSTACLE: LazyLock<Option<String>> = LazyLock::new(|| match driver().arg("--can").output() {
    Ok(output) if output.status.success() => None,
    Ok(output) if output.status.code() == Some(CANNOT) => Some(said(&output)),
    // `env` found no Python.
    Ok(output) => Some(format!("needs python3 (Debian: apt-get install python3): {}", said(&output))),
    Err(error) => Some(format!("cannot start the driver: {error}")),
});

/// Says once that nothing is tested here, or fails.
fn skip(obstacle: &str) {
    static SAY: Once = Once::new();
    let obstacle = obstacle.trim().trim_start_matches("cannot run machine tests: ");
    assert!(
        std::env::var_os("DYNIX_REQUIRE_MACHINE").is_none_or(|value| value.is_empty() || value == "0"),
        "DYNIX_REQUIRE_MACHINE is set, and machine tests cannot run: {obstacle}"
    );
    // Not eprintln, whose output the harness keeps to itself when a test passes.
    let line = format!("\nSKIPPED: machine tests: {obstacle}\n\n");
    SAY.call_once(|| std::io::stderr().write_all(line.as_bytes()).unwrap());
}

fn run(test: &str) {
    if let Some(obstacle) = &*OBSTACLE {
        return skip(obstacle);
    }
    let output = driver().arg(test).output().unwrap();
    if output.status.code() == Some(CANNOT) {
        return skip(&said(&output));
    }
    assert!(output.status.success(), "{}\n{}", output.status, said(&output));
}

macro_rules! tests {
    ($($function:ident = $name:literal,)*) => {
        $(#[test]
        fn $function() {
            run($name);
        })*

        const TESTS: &[&str] = &[$($name),*];
    };
}

tests! {
    casualties = "casualties",
    distccd = "distccd",
    harmonia = "harmonia",
    home = "home",
    gotosocial = "gotosocial",
    gotosocial_port_80 = "gotosocial-port-80",
    prometheus = "prometheus",
    dnscrypt_proxy = "dnscrypt-proxy",
    radicale = "radicale",
    adversity = "adversity",
    after_switch = "after-switch",
    after_switch_off = "after-switch-off",
    autoscale = "autoscale",
    boot = "boot",
    boot_good = "boot-good",
    boot_retry = "boot-retry",
    bus = "bus",
    confirm = "confirm",
    credential = "credential",
    daemon = "daemon",
    daemon_distccd = "daemon-distccd",
    daemon_gotosocial = "daemon-gotosocial",
    daemon_harmonia = "daemon-harmonia",
    daemons = "daemons",
    etc = "etc",
    servers = "servers",
    etc_reapply = "etc-reapply",
    expiry = "expiry",
    many_at_once = "many",
    expressions = "expressions",
    fail_safe = "fail-safe",
    failures = "failures",
    flags = "flags",
    intruder = "intruder",
    minimal = "minimal",
    monitoring = "monitoring",
    network = "network",
    nix = "nix",
    order = "order",
    ownership = "ownership",
    reapply = "reapply",
    secret = "secret",
    seen = "seen",
    sound = "sound",
    sound_rollback = "sound-rollback",
    strings = "strings",
    switches = "switches",
    sysctl = "sysctl",
    user_units = "user-units",
    validators = "validators",
    watch = "watch",
}

#[test]
fn every_test_of_the_driver_is_run() {
    let listed = include_str!("../machine/tests.toml");
    let listed: toml::Table = listed.parse().unwrap();
    // agent/tests/fleet/machine.rs has the programs for `fleet`.
    let run: BTreeSet<&str> = TESTS.iter().copied().chain(["fleet"]).collect();
    assert_eq!(listed.keys().map(String::as_str).collect::<BTreeSet<_>>(), run);
}
