//! `dynix set`: several values in one record, where values come from, and what is said about them.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Run, System};

const WORKERS: &str = "services.harmonia.settings.workers";
const NICE: &str = "services.distccd.nice";

fn records(system: &System) -> Vec<String> {
    let log = system.read("etc/nixos/dynamic.nix");
    log.lines().skip(2).filter_map(|line| Some(line.split_once("by = \"root\"; ")?.1.to_owned())).collect()
}

/// A run whose standard input is this.
fn run_with(system: &System, arguments: &[&str], input: &str) -> Run {
    let mut command = system.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn several_values_are_one_record_and_are_told_with_what_was() {
    let system = System::new();
    let run = system.run(&["set", WORKERS, "20", "services.distccd.nice=5", "--apply"]).ends(0);
    insta::assert_snapshot!(run.stdout, @r"
    recorded 1: 2 values
      services.distccd.nice: null -> 5 (integer)
      services.harmonia.settings.workers: 4 -> 20 (integer)
    distccd: switch to generation 1, left to do: restart distccd.service
    harmonia: switch to generation 1, left to do: restart harmonia.service
    ");
    assert_eq!(run.stderr, "");
    assert_eq!(records(&system), ["set = { services.harmonia.settings.workers = 20; services.distccd.nice = 5; }; }"]);
    let run = system.run(&["set", WORKERS, "20", NICE, "6"]).ends(0);
    insta::assert_snapshot!(run.stdout + &run.stderr, @r"
    recorded 2: 2 values
      services.distccd.nice: 5 -> 6 (integer)
      services.harmonia.settings.workers: 20 (integer), as before
    not in effect yet; run `dynix apply distccd harmonia`
    ");
    assert_eq!(system.run(&["get", NICE]).ends(0).stdout, "5\n");
    let log = system.run(&["log", "--json"]).ends(0).json();
    let set = json!([[["services", "distccd", "nice"], 6], [["services", "harmonia", "settings", "workers"], 20]]);
    assert_eq!(log[1]["set"], set);
}

#[test]
fn one_value_that_is_refused_leaves_all_unrecorded() {
    let system = System::new();
    system.run(&["set", WORKERS, "20"]).ends(0);
    let before = system.everything();
    for (words, problem) in [
        (vec!["set", WORKERS, "21", "services.distccd.port", "70000"], "expected integer between 0 and 65535"),
        (vec!["set", WORKERS, "21", WORKERS, "22"], "error: services.harmonia.settings.workers is given twice\n"),
        (
            vec!["set", "services.gotosocial.settings.a={ b = 1; }", "services.gotosocial.settings.a.c=1"],
            "error: services.gotosocial.settings.a.c is below services.gotosocial.settings.a, which",
        ),
        (vec!["set", WORKERS, "21", NICE], "services.distccd.nice has no value; write PATH VALUE or PATH=VALUE"),
        (vec!["set", WORKERS, "21", "services.nope.x", "1"], "no dynamic-enabled service has the option"),
        (vec!["set", WORKERS, "@/nonexistent"], "there is no file /nonexistent; --string takes @/nonexistent as text"),
        (vec!["set", WORKERS, "-", NICE, "-"], "standard input (`-`) is one value"),
        (
            vec!["set", "services.gotosocial.settings={ a = 1; }", "services.harmonia.settings={ }", "--replace"],
            "each a record of their own",
        ),
    ] {
        let run = system.run(&words).ends(3);
        assert!(run.stderr.contains(problem), "{words:?}: {}", run.stderr);
    }
    system.run(&["set"]).ends(2);
    assert_eq!(system.everything(), before);
}

#[test]
fn a_value_comes_from_standard_input_or_a_file() {
    let system = System::new();
    run_with(&system, &["set", WORKERS, "-"], "20\n").ends(0);
    system.write("clients.json", "[\"10.0.0.0/8\"]\n");
    let file = format!("@{}", system.path("clients.json"));
    system.run(&["set", "services.distccd.allowedClients", &file]).ends(0);
    system.run(&["set", &format!("services.distccd.allowedClients={file}"), "--from-json"]).ends(0);
    system.run(&["set", "services.gotosocial.settings.host", "--string", "@home"]).ends(0);
    system.run(&["set", "services.gotosocial.settings.host=-", "--string"]).ends(0);
    system.run(&["set", WORKERS, "-1"]).ends(0);
    assert_eq!(
        records(&system),
        [
            "set.services.harmonia.settings.workers = 20; }",
            "set.services.distccd.allowedClients = [ \"10.0.0.0/8\" ]; }",
            "set.services.distccd.allowedClients = [ \"10.0.0.0/8\" ]; }",
            "set.services.gotosocial.settings.host = \"@home\"; }",
            "set.services.gotosocial.settings.host = \"-\"; }",
            "set.services.harmonia.settings.workers = -1; }",
        ]
    );
    // The value of `append` is always what is written.
    system.run(&["append", "services.gotosocial.settings.host", "@home"]).ends(0);
    assert!(records(&system)[6].contains("\"@home\""));
}

#[test]
fn what_is_said_about_a_record_is_kept_with_it() {
    let system = System::new();
    system.run(&["set", WORKERS, "20", "--message", "more \"load\" ${today}"]).ends(0);
    system.run(&["unset", WORKERS, "-m", "less"]).ends(0);
    system.run(&["rollback", "1", "-m", "more again"]).ends(0);
    system.run(&["append", NICE, "5", "-m", "nicer"]).ends(0);
    let log = system.run(&["log"]).ends(0).stdout;
    let said: Vec<&str> = log.lines().map(|line| line.split_once("  # ").unwrap().1).collect();
    assert_eq!(said, ["more \"load\" ${today}", "less  [rolled back]", "more again", "nicer"]);
    let json = system.run(&["log", "--json"]).ends(0).json();
    assert_eq!(json[0]["message"], "more \"load\" ${today}");
    let status = system.run(&["status"]).ends(0).stdout;
    assert!(status.contains(", recorded, not applied: more \"load\" ${today}\n"), "{status}");
    assert_eq!(
        system.run(&["status", "--json"]).ends(0).json()["services"]["distccd"]["overrides"][0]["message"],
        "nicer"
    );
    system.run(&["reset", "-m", "enough"]).ends(0);
    assert!(system.run(&["log"]).ends(0).stdout.lines().last().unwrap().ends_with("# enough"));
    let before = system.everything();
    for (message, problem) in [
        ("", "the message is empty"),
        ("a\nb", "it is one line of text"),
        (&"x".repeat(1001), "the message has 1001 characters; at most 1000 are possible"),
    ] {
        let run = system.run(&["set", WORKERS, "20", "-m", message]).ends(3);
        assert!(run.stderr.contains(problem), "{}", run.stderr);
    }
    assert_eq!(system.everything(), before);
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let system = System::new();
    system.run(&["set", WORKERS, "10", "--apply"]).ends(0);
    let before = system.everything();
    let run = system.run(&["set", WORKERS, "20", NICE, "5", "--dry-run"]).ends(0);
    insta::assert_snapshot!(run.stdout + &run.stderr, @r#"
    services.distccd.nice: null -> 5 (integer)
    services.harmonia.settings.workers: 10 -> 20 (integer)
    --- distccd/flags (in effect)
    +++ distccd/flags (after an apply)
    @@ -1 +1 @@
    -DISTCCD_FLAGS="--no-detach --daemon --enable-tcp-insecure --port 3632 --job-lifetime 900 --log-level warning --jobs 12 --allow 127.0.0.1"
    +DISTCCD_FLAGS="--no-detach --daemon --enable-tcp-insecure --port 3632 --job-lifetime 900 --log-level warning --jobs 12 --nice 5 --allow 127.0.0.1"
    --- harmonia/harmonia.toml (in effect)
    +++ harmonia/harmonia.toml (after an apply)
    @@ -1,2 +1,2 @@
     max_connection_rate = 256
    -workers = 10
    +workers = 20
    distccd: would write generation 1 (flags)
    harmonia: would write generation 2 (harmonia.toml)
    distccd: would switch to generation 1
    harmonia: would switch to generation 2
    distccd: would restart distccd.service
    harmonia: would restart harmonia.service
    "#);
    for words in [&["unset", WORKERS][..], &["undo"], &["undo", "1"], &["rollback"], &["reject", "1"], &["reset"]] {
        let run = system.run(&[words, &["--dry-run"]].concat()).ends(0);
        assert!(run.stdout.contains("workers: 10 -> 4 (integer, as built)\n"), "{words:?}: {}", run.stdout);
        assert!(run.stdout.contains("-workers = 10\n+workers = 4\n"), "{words:?}: {}", run.stdout);
        assert!(run.stdout.contains("would restart harmonia.service"), "{words:?}: {}", run.stdout);
    }
    let json = system.run(&["unset", WORKERS, "--dry-run", "--json"]).ends(0).json();
    assert_eq!((&json["records"], &json["changed"][0]["before"]), (&json!([]), &json!(10)));
    system.run(&["set", "services.distccd.port", "70000", "--dry-run"]).ends(3);
    assert_eq!(system.everything(), before);
}

/// What a run on a terminal prints, if this is typed.
fn on_terminal(system: &System, arguments: &[&str], typed: &str) -> Run {
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("'{}' --root '{}' {}", env!("CARGO_BIN_EXE_dynix"), system.root(), words.join(" "));
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.env("NO_COLOR", "1").spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    Run { code: output.status.code().unwrap(), stdout: text, stderr: String::from_utf8(output.stderr).unwrap() }
}

#[test]
fn who_asks_to_be_asked_is_shown_the_difference_first() {
    let system = System::new();
    let before = system.everything();
    let no = on_terminal(&system, &["set", WORKERS, "20", "--apply", "--ask"], "n\n").ends(1);
    assert!(no.stdout.contains("+workers = 20\n") && no.stdout.ends_with("nothing was done\n"), "{}", no.stdout);
    assert_eq!(system.everything(), before);
    let yes = on_terminal(&system, &["set", WORKERS, "20", "--apply", "--ask"], "y\n").ends(0);
    assert!(yes.stdout.contains("would restart harmonia.service"), "{}", yes.stdout);
    assert!(
        yes.stdout.contains("recorded 1: services.harmonia.settings.workers: 4 -> 20 (integer)\n"),
        "{}",
        yes.stdout
    );
    for words in [&["reset", "--ask"][..], &["undo", "--ask"], &["apply", "--ask"]] {
        on_terminal(&system, words, "\n").ends(1);
    }
    // There is nobody to ask.
    let run = system.run(&["set", WORKERS, "21", "--ask"]).ends(1);
    assert!(run.stderr.contains("--ask needs a terminal"), "{}", run.stderr);
    assert_eq!(records(&system).len(), 1);
}

#[test]
fn a_rollback_asks_on_a_terminal_before_it_takes_back_what_others_recorded() {
    let system = System::new();
    system.run(&["set", WORKERS, "20"]).ends(0);
    assert!(system.command(&["set", NICE, "5"]).env("SUDO_USER", "ann").status().unwrap().success());
    let before = system.everything();
    let no = on_terminal(&system, &["rollback", "1"], "n\n").ends(1);
    assert!(no.stdout.contains("takes back record 2 (ann)\n"), "{}", no.stdout);
    assert_eq!(system.everything(), before);
    on_terminal(&system, &["rollback", "1"], "yes\n").ends(0);
    on_terminal(&system, &["rollback", "2", "--yes"], "").ends(0);
    // A script is not asked, and neither is who takes back their own.
    system.run(&["rollback", "1"]).ends(0);
    system.run(&["set", WORKERS, "21"]).ends(0);
    on_terminal(&system, &["rollback"], "").ends(0);
}
