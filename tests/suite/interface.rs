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
        assert!(script.contains("DYNIX_COMPLETE"), "{shell}");
    }
    let directory = tempfile::tempdir().unwrap();
    finish(dynix().arg("man").arg(directory.path())).ends(0);
    let page = std::fs::read_to_string(directory.path().join("dynix.1")).unwrap();
    assert!(page.contains(".SH \"EXIT STATUS\"") || page.contains(".SH EXIT STATUS"), "{page}");
    assert!(!directory.path().join("dynix-watch.1").exists(), "a page of a verb that is hidden");
    let mut pages = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        // man-pages(7) has them in this order.
        let expected = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
            "\"SEE ALSO\"",
        ];
        let found: Vec<&&str> = sections.iter().filter(|one| expected.contains(one)).collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{}: {sections:?}", path.display());
        pages += 1;
    }
    let verbs = finish(dynix().arg("--help"))
        .stdout
        .lines()
        .filter(|line| line.starts_with("  ") && line.as_bytes()[2].is_ascii_lowercase())
        .count();
    // `help` and `fleet` have none, which another program has; dynix itself has one.
    assert_eq!(pages, verbs - 1);
    assert!(!directory.path().join("dynix-fleet.1").exists());
    for (name, extra) in [("dynix-set", "dynix(1), dynix\\-append(1)"), ("dynix-rollback", "asks before")] {
        let page = std::fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
        assert!(page.contains(extra), "{name}: {page}");
    }
}

#[test]
fn the_examples_of_the_help_fit_into_a_line_each() {
    let verbs = finish(dynix().arg("--help")).stdout;
    let verbs = verbs.lines().filter(|line| line.starts_with("  ") && line.as_bytes()[2].is_ascii_lowercase());
    for verb in verbs.map(|line| line.split_whitespace().next().unwrap()) {
        let help = finish(dynix().args(["help", verb])).ends(0).stdout;
        let examples =
            help.split_once("Examples:\n").or_else(|| help.split_once("Example:\n")).map_or("", |(_, rest)| rest);
        for line in examples.lines() {
            // What was too long for one line goes on in another, without a command.
            let is_whole = line.contains("dynix") || line.starts_with("    '{");
            assert!(line.is_empty() || is_whole || !line.starts_with("  "), "{verb}: {line:?}");
        }
    }
}

/// What a shell offers for the last of the words.
fn offered(shell: &str, words: &[&str]) -> Vec<String> {
    let system = System::new();
    let mut command = dynix();
    command.env("DYNIX_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
    command.env("DYNIX_ROOT", system.root().as_str());
    let answer = finish(command.arg("--").args(words)).ends(0).stdout;
    answer.lines().map(|line| line.split(['\t', ':']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn option_paths_values_and_services_are_completed_from_the_plan() {
    for shell in ["bash", "zsh", "fish"] {
        let paths = offered(shell, &["dynix", "append", "services.harmonia.settings.w"]);
        assert_eq!(paths, ["services.harmonia.settings.workers"], "{shell}");
        let levels = offered(shell, &["dynix", "append", "services.distccd.logLevel", "no"]);
        assert_eq!(levels, ["notice"], "{shell}");
        assert_eq!(offered(shell, &["dynix", "append", "services.distccd.zeroconf", "f"]), ["false"], "{shell}");
        assert_eq!(offered(shell, &["dynix", "reset", "goto"]), ["gotosocial"], "{shell}");
        assert!(offered(shell, &["dynix", "stat"]).contains(&"status".to_owned()), "{shell}");
    }
    // Without a plan there is nothing to offer.
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = dynix();
    command.env("DYNIX_COMPLETE", "fish").env("DYNIX_PLAN", nowhere.path().join("plan.json"));
    assert_eq!(finish(command.args(["--", "dynix", "reset", "go"])).ends(0).stdout, "");
}

#[test]
fn services_and_their_settings_are_listed() {
    let system = System::new();
    let services = system.run(&["services"]).ends(0).stdout;
    assert!(services.contains("  harmonia: services.harmonia.settings\n"), "{services}");
    assert!(services.contains("harmonia.toml: toml, byte for byte what Nix wrote"), "{services}");
    let json = system.run(&["services", "--json"]).ends(0).json();
    assert_eq!(json["dynamic"]["harmonia"]["units"]["harmonia.service"], "restart");

    system.run(&["append", "services.distccd.logLevel", "error"]).ends(0);
    let options = system.run(&["options", "distccd", "loglevel"]).ends(0).stdout;
    assert!(options.starts_with("services.distccd.logLevel: "), "{options}");
    assert!(options.contains("\n  built ") && options.contains("\n  recorded \"error\"\n"), "{options}");
    let all = system.run(&["options", "gotosocial", "--json"]).ends(0).json();
    let port = all.as_array().unwrap().iter().find(|one| one["path"] == "services.gotosocial.settings.port").unwrap();
    assert_eq!((&port["type"], &port["static"]), (&"integer between 0 and 65535".into(), &8080.into()));
    let unknown = system.run(&["options", "gotosocia"]).ends(3).stderr;
    assert!(unknown.contains("gotosocial"), "{unknown}");
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20", "--apply"]).ends(0);
    assert!(!system.run(&["diff"]).ends(0).stdout.contains('\x1b'));
    assert!(system.run(&["diff", "--color", "always"]).ends(0).stdout.contains("\x1b[32m+workers = 20"));
    system.run(&["set", "services.distccd.nice", "5", "-m", "why"]).ends(0);
    system.run(&["reject", "1", "-m", "no"]).ends(0);
    for (verb, painted) in [
        ("log", &["\x1b[31m[rejected: no]\x1b[0m", "\x1b[33m# why\x1b[0m", "\x1b[1m2\x1b[0m "][..]),
        ("history", &["\x1b[31mrejected by record 3: no\x1b[0m", "\x1b[33mrecorded, not in effect\x1b[0m"]),
        ("status", &["\x1b[1mdistccd\x1b[0m: ", "\x1b[33mrecorded, not applied\x1b[0m"]),
    ] {
        let plain = system.run(&[verb]).ends(0).stdout;
        let coloured = system.run(&[verb, "--color", "always"]).ends(0).stdout;
        for one in painted {
            assert!(coloured.contains(one), "{verb}: {coloured:?}");
        }
        let mut without = coloured;
        for code in ["0", "1", "2", "31", "33"] {
            without = without.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(without, plain, "{verb}");
    }
}

#[test]
fn priorities_are_for_the_journal_alone() {
    use std::os::unix::fs::MetadataExt;
    let system = System::new();
    let path = system.path("messages");
    for (is_ours, begin) in [(true, "<3>error: "), (false, "error: ")] {
        let file = std::fs::File::create(&path).unwrap();
        let found = file.metadata().unwrap();
        // A child of a unit has the unit's variable and a stream of its own.
        let inode = found.ino() + u64::from(!is_ours);
        let mut command = system.command(&["apply", "nope"]);
        command.env("JOURNAL_STREAM", format!("{}:{inode}", found.dev())).stderr(file);
        assert!(!command.status().unwrap().success());
        let said = std::fs::read_to_string(&path).unwrap();
        assert!(said.starts_with(begin), "{said}");
    }
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
    let wrong = finish(dynix().args(["render", "--format", "toml", file.as_str()])).ends(3).stderr;
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
    // Each value is applied, so nothing is left to be told of it.
    assert_eq!(run.stderr, "");
}
