//! What people expect of a command line: help, completions, man pages, exit codes, colours.

use crate::support::{System, dynix, finish};

#[test]
fn help_has_examples_and_exit_codes() {
    let help = finish(dynix().arg("--help")).ends(0).stdout;
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    for verb in [
        "append",
        "unset",
        "rollback",
        "reset",
        "apply",
        "get",
        "status",
        "log",
        "diff",
        "generate",
        "render",
        "recognise",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
        finish(dynix().args([verb, "--help"])).ends(0);
    }
    finish(dynix().arg("--no-such-option")).ends(2);
    finish(dynix().arg("append")).ends(2);
}

#[test]
fn completions_and_man_pages_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        let script = finish(dynix().args(["completions", shell])).ends(0).stdout;
        assert!(script.contains("rollback"), "{shell}");
    }
    let directory = tempfile::tempdir().unwrap();
    finish(dynix().arg("man").arg(directory.path())).ends(0);
    let page = std::fs::read_to_string(directory.path().join("dynix.1")).unwrap();
    assert!(page.contains(".SH \"EXIT STATUS\"") || page.contains(".SH EXIT STATUS"), "{page}");
    assert!(directory.path().join("dynix-append.1").exists());
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    assert!(!system.run(&["diff"]).ends(0).stdout.contains('\x1b'));
    assert!(system.run(&["diff", "--color", "always"]).ends(0).stdout.contains("\x1b[32m+workers = 20"));
}

#[test]
fn reading_speaks_json() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    let get = system.run(&["get", "services.harmonia.settings.workers", "--json"]).ends(0).json();
    assert_eq!((&get["value"], &get["static"], &get["applied"]), (&20.into(), &4.into(), &true.into()));
    assert_eq!(system.run(&["get", "services.harmonia.settings.workers"]).ends(0).stdout, "20\n");
    let log = system.run(&["log", "--json"]).ends(0).json();
    assert_eq!((&log[0]["id"], &log[0]["holds"]), (&1.into(), &true.into()));
    let diff = system.run(&["diff", "--json"]).ends(0).json();
    assert_eq!(diff[0]["new"], "max_connection_rate = 256\nworkers = 20\n");
    let status = system.run(&["status", "--json"]).ends(0).json();
    assert_eq!(status["services"]["harmonia"]["generation"], 1);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let system = System::new();
    let command = format!("'{}' --root '{}' --help | head -1", env!("CARGO_BIN_EXE_dynix"), system.root());
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn render_writes_a_format() {
    let system = System::new();
    system.write("value.json", r#"{"workers": 4}"#);
    let file = system.path("value.json");
    assert_eq!(finish(dynix().args(["render", "--format", "toml", file.as_str()])).ends(0).stdout, "workers = 4\n");
    finish(dynix().args(["render", "--format", "tomml", file.as_str()])).ends(1);
    system.write("value.json", "{\n  \"a\": [1, {\"workers\": null}]\n}");
    let refused = finish(dynix().args(["render", "--format", "toml", file.as_str()])).ends(3).stderr;
    assert!(refused.contains("a.\"1\".workers") && refused.contains("value.json:2:24"), "{refused}");
    system.write("value.json", "{\n  \"é\": x\n}");
    let wrong = finish(dynix().args(["render", "--format", "toml", file.as_str()])).ends(1).stderr;
    assert!(wrong.contains("value.json:2:8"), "{wrong}");
}

#[test]
fn the_formats_are_listed_from_the_registry() {
    let list = finish(dynix().args(["render", "--list"])).ends(0).stdout;
    for format in dynix::format::all() {
        assert!(list.contains(&format!("{}: {}", format.name, format.summary)), "{list}");
    }
    let one = finish(dynix().args(["render", "--list", "--json", "--format", "toml"])).ends(0).json();
    assert_eq!(one[0]["dialects"][0], "toml-rs");
    finish(dynix().args(["render", "--list", "--format", "tomml"])).ends(1);
}

#[test]
fn the_demo_shows_the_main_job() {
    let run = finish(dynix().arg("demo")).ends(0);
    assert!(run.stdout.contains("would restart harmonia.service"), "{}", run.stdout);
    assert_eq!(run.stdout.matches("byte for byte").count(), 3, "{}", run.stdout);
}
