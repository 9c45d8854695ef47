//! What `generate` writes for systemd and for the shell, given to them: systemd's own parser (`systemd-analyze verify`,
//! where there is one) has nothing to say to any stub, and the scripts run the dynix that they name.

use std::os::unix::fs::symlink;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use dynix::build::{self, Input};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bundled;

fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
    (directory, path)
}

/// Whether there is a systemd to ask; says so in one line where there is none.
fn has_systemd() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("SKIPPED: no systemd-analyze to read the stubs with");
    }
    there
}

/// What systemd says of a unit whose drop-ins are in `units`.
fn complaints(units: &Utf8Path, unit: &str) -> String {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no", units.join(unit).as_str()])
        .env("SYSTEMD_UNIT_PATH", format!("{units}:"))
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn systemd_reads_the_stubs_of_the_bundled_services() {
    if !has_systemd() {
        return;
    }
    let (_keep, out) = directory();
    bundled::generate(&bundled::description()).unwrap().write(&out.join("out")).unwrap();
    let units = out.join("out/lib/systemd/system");
    for service in ["distccd", "gotosocial", "harmonia"] {
        let unit = format!("{service}.service");
        std::fs::write(units.join(&unit), "[Service]\nExecStart=/bin/true\n").unwrap();
        let complaints = complaints(&units, &unit);
        // The only thing that is missing here is the program of another machine.
        let other: Vec<&str> = complaints.lines().filter(|line| !line.contains("is not executable")).collect();
        assert_eq!(other, [""; 0], "{unit}");
    }
    // It does read them.
    let stub = units.join("harmonia.service.d/20.conf");
    std::fs::write(&stub, "[Service]\nBindReadOnlyPaths=relative:/x\n").unwrap();
    assert!(complaints(&units, "harmonia.service").contains("20.conf:2"));
}

fn described(file: &str, target: &str, words: &[String]) -> Value {
    let command = [["/bin/echo".to_owned()].as_slice(), words].concat();
    let more = words.concat();
    json!({ "version": 1, "services": { "x y": {
        "options": { "services.x.words": { "static": words, "schema": {} } },
        "files": {
            file: {
                "format": { "name": "json" }, "value": { "option": "services.x.words" }, "static": "/static.json",
                "attach": { "bind": target } },
            "flags": {
                "format": { "name": "flags" }, "value": { "option": "services.x.words" }, "static": "/start",
                "attach": { "environment": {
                    "variable": "WORDS", "command": command,
                    "environment": { "MORE": more } } } } },
        "units": { "x.service": {} } } } })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn systemd_reads_any_stub(
        file in "[^./\\\\\"'\\pC][^/\\\\\"'\\pC]{0,12}[^/\\\\\"'\\pC\\pZ]",
        target in "/([^./\"'\\pC][^/\"'\\pC]{0,8}/){0,2}[^./\"'\\pC][^/\"'\\pC]{0,8}",
        words in proptest::collection::vec("[ -~\n\té%$\"'\\\\;]{0,6}", 0..4),
    ) {
        if !has_systemd() {
            return Ok(());
        }
        // Refused: systemd cuts it off.
        prop_assume!(!target.ends_with(' '));
        let (_keep, root) = directory();
        let quote = |word: &String| format!(" '{}'", word.replace('\'', r"'\''"));
        let quoted: String = words.iter().map(quote).collect();
        let more = quote(&words.concat());
        std::fs::write(root.join("start"), format!("#!/bin/sh\nexport MORE={}\n/bin/echo{quoted}{quoted}\n", more.trim_start())).unwrap();
        let static_json = dynix::format::render(
            &serde_json::from_value(json!({ "name": "json" })).unwrap(), &json!(words)).unwrap();
        std::fs::write(root.join("static.json"), static_json).unwrap();
        let description = described(&file, &target, &words).to_string();
        let input = Input { description: &description, static_root: &root, dynix: "/bin/dynix".into(), plan: "/plan".into() };
        let tree = build::generate(&input);
        prop_assert!(tree.is_ok(), "{:?}", tree);
        tree.unwrap().write(&root.join("out")).unwrap();
        let units = root.join("out/lib/systemd/system");
        std::fs::write(units.join("x.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
        let complaints = complaints(&units, "x.service");
        let stub = std::fs::read_to_string(units.join("x.service.d/10-dynix.conf")).unwrap();
        prop_assert_eq!(complaints, "", "{}", stub);
    }
}

/// A dynix at a path that is hard to write, and the output of generate that names it.
fn scripts(root: &Utf8Path) -> Utf8PathBuf {
    scripts_of(root, &bundled::description())
}

fn scripts_of(root: &Utf8Path, description: &serde_json::Value) -> Utf8PathBuf {
    let program = root.join("it's a $(exit 9) \"dynix\"");
    symlink(assert_cmd::cargo::cargo_bin("dynix"), &program).unwrap();
    let input = Input {
        description: &description.to_string(),
        static_root: &bundled::root(),
        dynix: &program,
        plan: &root.join("out/plan.json"),
    };
    build::generate(&input).unwrap().write(&root.join("out")).unwrap();
    root.join("out")
}

/// Runs a script of the output on the tree below `root`.
fn run(script: &Utf8Path, root: &Utf8Path, arguments: &[&str]) -> std::process::Output {
    Command::new(script).args(arguments).env("DYNIX_ROOT", root).env_remove("NIXOS_ACTION").output().unwrap()
}

#[test]
fn the_scripts_run_the_dynix_that_they_name() {
    let (_keep, root) = directory();
    let out = scripts(&root);
    std::fs::create_dir_all(root.join("etc/nixos")).unwrap();
    let record =
        "{ id = 1; time = \"2026-11-21T10:00:00Z\"; by = \"x\"; set.services.harmonia.settings.workers = 20; }\n";
    std::fs::write(root.join("etc/nixos/dynamic.nix"), format!("{}{record}", dynix::overrides::HEADER)).unwrap();
    let current = root.join("run/dynix/harmonia/current/harmonia.toml");

    let dry = run(&out.join("bin/apply-dynamic-configuration"), &root, &["--dry-run"]);
    assert!(dry.status.success(), "{}", String::from_utf8_lossy(&dry.stderr));
    assert!(!current.exists());
    let applied = run(&out.join("activate"), &root, &[]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(std::fs::read_to_string(current).unwrap(), "max_connection_rate = 256\nworkers = 20\n");
}

#[test]
fn an_activation_starts_nothing_where_nothing_was_ever_done() {
    let (_keep, root) = directory();
    let out = scripts(&root);
    // It would say that it is gone.
    std::fs::remove_file(root.join("it's a $(exit 9) \"dynix\"")).unwrap();
    let says = || String::from_utf8(run(&out.join("activate"), &root, &[]).stderr).unwrap();
    assert_eq!(says(), "");
    for place in ["etc/nixos/dynamic.nix", "run/dynix"] {
        std::fs::create_dir_all(root.join(place)).unwrap();
        assert!(says().contains("(exit code 127)"), "{place}");
        std::fs::remove_dir(root.join(place)).unwrap();
    }
}

#[test]
fn an_activation_writes_what_is_measured_in_any_case() {
    let (_keep, root) = directory();
    let mut description = bundled::description();
    description["metrics"] = serde_json::json!({ "textfile": "/var/lib/textfile" });
    let out = scripts_of(&root, &description);
    std::fs::create_dir_all(root.join("var/lib/textfile")).unwrap();
    assert!(run(&out.join("activate"), &root, &[]).status.success());
    assert!(root.join("var/lib/textfile/dynix.prom").exists());
}

#[test]
fn an_activation_never_fails_for_dynix() {
    let (_keep, root) = directory();
    let out = scripts(&root);
    // The log is a directory.
    std::fs::create_dir_all(root.join("etc/nixos/dynamic.nix")).unwrap();
    let output = run(&out.join("activate"), &root, &[]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("dynix: not every override is in effect (exit code 1); see 'dynix status'"), "{errors}");
    assert!(!run(&out.join("bin/apply-dynamic-configuration"), &root, &[]).status.success());
    // dynix is gone.
    std::fs::remove_file(root.join("it's a $(exit 9) \"dynix\"")).unwrap();
    let output = run(&out.join("activate"), &root, &[]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("(exit code 127)"));
}
