//! What dynix adds to units gives them no right that they did not have, and units of its own may do little, as
//! `systemd-analyze security` counts. Claims of docs/security.md.

use std::process::Command;
use std::time::Duration;

use camino::Utf8Path;
use dynix::host::systemd::{Timer, When};
use serde_json::Value;

use super::bundled;
use super::support::skip;

/// The exposure of a unit, from 0 to 100, drop-ins beside it included.
fn exposure(units: &Utf8Path, unit: &str) -> u32 {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", unit])
        .env("SYSTEMD_UNIT_PATH", format!("{units}:"))
        .current_dir(units)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap_or_default();
    let level = last.split_once(": ").and_then(|(_, level)| level.split_whitespace().next());
    let level = level.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    level.replace('.', "").parse().unwrap()
}

#[test]
fn no_stub_gives_a_unit_more_rights() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("exposure of units: needs systemd-analyze (Debian: apt-get install systemd)");
    }
    let directory = tempfile::tempdir().unwrap();
    let out = Utf8Path::from_path(directory.path()).unwrap().join("out");
    bundled::generate(&bundled::description()).unwrap().write(&out).unwrap();
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/services/static.json")).unwrap();
    let units = out.join("lib/systemd/system");
    for service in ["distccd", "gotosocial", "harmonia"] {
        let unit = format!("{service}.service");
        let stub = units.join(format!("{unit}.d/10-dynix.conf"));
        let text = fixture["services"][service]["unit"].as_str().unwrap();
        std::fs::write(units.join(&unit), text).unwrap();
        let with = exposure(&units, &unit);
        let aside = units.join("aside.conf");
        std::fs::rename(&stub, &aside).unwrap();
        let without = exposure(&units, &unit);
        assert!(with <= without, "{unit}: {with} with the stub, {without} without");
        // Drop-ins beside a unit do count here.
        std::fs::write(&stub, "[Service]\nUser=root\nDynamicUser=no\nNoNewPrivileges=no\nPrivateDevices=no\n").unwrap();
        assert!(exposure(&units, &unit) > without, "{unit}");
        std::fs::remove_file(&stub).unwrap();
    }
}

#[test]
fn units_of_the_modules_may_do_no_more_than_those_of_dynix() {
    let text = include_str!("../../modules/dynamicism/hardening.nix");
    let is_directive = |line: &&str| line.starts_with("  ");
    let said = text.lines().filter(is_directive).map(|line| line.trim().replace(" = \"", "=").replace("\";", ""));
    assert_eq!(said.collect::<Vec<_>>(), dynix::host::systemd::hardening::lines());
}

/// Below this, `systemd-analyze security` says OK.
const OK: u32 = 50;

#[test]
fn units_of_its_own_may_do_little() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("exposure of units: needs systemd-analyze (Debian: apt-get install systemd)");
    }
    let directory = tempfile::tempdir().unwrap();
    let units = Utf8Path::from_path(directory.path()).unwrap();
    let timer = Timer {
        name: "dynix-expiry".to_owned(),
        description: "ends overrides".to_owned(),
        when: vec![When::In(Duration::from_secs(1))],
        command: vec!["/bin/dynix".to_owned(), "apply".to_owned()],
    };
    let (_, service) = timer.files().unwrap();
    let file = units.join("dynix-expiry.service");
    std::fs::write(&file, &service).unwrap();
    let found = exposure(units, "dynix-expiry.service");
    assert!(found < OK, "{found}\n{service}");
    let bare = service.replace("SystemCallFilter=", "# ");
    assert_ne!(bare, service);
    std::fs::write(&file, bare).unwrap();
    assert!(exposure(units, "dynix-expiry.service") > found);
}
