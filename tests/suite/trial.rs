//! Checks on trial: those that accept the static values are the service's, the others are left out, and that is said.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::dynix;

const STATIC: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.json";

/// Generates a service whose check is `command`; its plan, and what was said.
fn generate(command: &Value, on_trial: bool) -> (Value, String) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("static/nix/store")).unwrap();
    fs::write(at("static").join(&STATIC[1..]), "{\n  \"port\": 80\n}\n").unwrap();
    let description = json!({ "version": 1, "services": { "x": {
        "options": { "services.x.settings": { "static": { "port": 80 }, "schema": {} } },
        "files": {},
        "units": {},
        "check": { "command": command, "deadline": 2, "onTrial": on_trial },
        "find": {
            "store": "/nix/store",
            "type": "JSON value",
            "units": { "x.service": format!("[Service]\nPrivateTmp=yes\nExecStart=/bin/x {STATIC}\n") },
        },
    } } });
    fs::write(at("description.json"), description.to_string()).unwrap();
    let output = dynix()
        .arg("generate")
        .args(["--description".as_ref(), at("description.json").as_os_str()])
        .args(["--static-root".as_ref(), at("static").as_os_str()])
        .args(["--out".as_ref(), at("out").as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let plan: Value = serde_json::from_slice(&fs::read(at("out/plan.json")).unwrap()).unwrap();
    (plan["services"]["x"]["check"].clone(), said)
}

/// A validator that takes port 80 alone, and the file by the name that it is to have.
fn validator(directory: &tempfile::TempDir, port: u16) -> String {
    let path = directory.path().join("validate");
    let text =
        format!("#!/bin/sh\ncase $2 in */x.json) ;; *) exit 3 ;; esac\ngrep --quiet '\"port\": {port}' \"$2\"\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_check_that_accepts_the_static_values_is_the_services() {
    let directory = tempfile::tempdir().unwrap();
    let command = json!([validator(&directory, 80), "--check", "{{ file }}"]);
    let (check, said) = generate(&command, true);
    assert_eq!(check, json!({ "command": command, "onTrial": false, "deadline": 2.0 }));
    assert_eq!(said, "");
}

#[test]
fn a_check_that_does_not_is_left_out_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let refuses = json!([validator(&directory, 81), "--check", "{{ file }}"]);
    for (command, why) in [
        (refuses.clone(), "refused it (exit status: 1)"),
        (json!(["/nonexistent/validate", "{{ files['x.json'] }}"]), "cannot run /nonexistent/validate"),
        (json!(["/bin/sleep", "30"]), "was not done within 2 s"),
    ] {
        let (check, said) = generate(&command, true);
        assert_eq!(check, Value::Null);
        assert!(said.contains("x goes without a check of new values: ") && said.contains(why), "{said}");
    }
    // One that somebody vouches for is not tried.
    let (check, said) = generate(&refuses, false);
    assert_eq!((&check["command"], said.as_str()), (&refuses, ""));
}
