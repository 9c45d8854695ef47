//! Looking at what was: `log` about something, `get --at`, `diff` between moments, and exit codes that say that there is
//! something.

use crate::support::System;

const WORKERS: &str = "services.harmonia.settings.workers";
const NICE: &str = "services.distccd.nice";

/// Records of several users at known times.
fn system() -> System {
    let system = System::new();
    let at = |id: u32, time: &str, by: &str, rest: &str| {
        format!("{{ id = {id}; time = \"2026-11-{time}Z\"; by = \"{by}\"; {rest}; }}\n")
    };
    let log = [
        at(1, "20T10:00:00", "root", &format!("message = \"the fair\"; set.{WORKERS} = 5")),
        at(2, "20T11:00:00", "ann", &format!("set.{NICE} = 5")),
        at(3, "20T12:00:00", "ann via daemon", &format!("set = {{ {WORKERS} = 6; {NICE} = 6; }}")),
        at(4, "21T10:00:00", "root", "reject = 2; reason = \"no\""),
        at(5, "21T11:00:00", "bob", &format!("set.{WORKERS} = (1 + 6)")),
        at(6, "21T12:00:00", "bob", "unset = [ \"services\" \"distccd\" \"nice\" ]"),
        at(7, "21T13:00:00", "root", "rollback = 4"),
    ];
    system.write("etc/nixos/dynamic.nix", &(dynix::overrides::HEADER.to_owned() + &log.concat()));
    system
}

fn ids(system: &System, arguments: &[&str]) -> Vec<u64> {
    let run = system.run(&[&["log", "--json"], arguments].concat()).ends(0);
    run.json().as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
}

#[test]
fn the_log_is_that_of_a_path_a_service_a_user_or_a_time() {
    let system = system();
    let found = |arguments: &[&str]| ids(&system, arguments);
    assert_eq!(found(&[]), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(found(&["harmonia"]), [1, 3, 5, 7]);
    // A rejection is about what it rejects; a rollback about all that it takes back.
    assert_eq!(found(&["distccd"]), [2, 3, 4, 6, 7]);
    assert_eq!(found(&[WORKERS]), [1, 3, 5, 7]);
    assert_eq!(found(&["services.harmonia"]), [1, 3, 5, 7]);
    assert_eq!(found(&["services.harmonia.settings.priority"]), [7]);
    assert_eq!(found(&["--by", "ann"]), [2, 3]);
    assert_eq!(found(&["--by", "nobody"]), [0; 0]);
    assert_eq!(found(&["--since", "2026-11-21 11:00"]), [5, 6, 7]);
    assert_eq!(found(&["-n", "2"]), [6, 7]);
    assert_eq!(found(&["distccd", "--by", "ann", "-n", "1"]), [3]);
    assert_eq!(found(&["-n", "0"]), [0; 0]);
    let text = system.run(&["log", "harmonia", "-n", "4"]).ends(0).stdout;
    insta::assert_snapshot!(text, @r#"
    1 2026-11-20T10:00:00Z root: services.harmonia.settings.workers = 5  # the fair
    3 2026-11-20T12:00:00Z ann via daemon: services.distccd.nice = 6, services.harmonia.settings.workers = 6
    5 2026-11-21T11:00:00Z bob: { id = 5; time = "2026-11-21T11:00:00Z"; by = "bob"; set.services.harmonia.settings.workers = (1 + 6); }  [rolled back]
    7 2026-11-21T13:00:00Z root: rollback to 4
    "#);
    for (words, code, problem) in [
        (&["log", "nope"][..], 3, "no service nope is dynamic-enabled"),
        (&["log", "a..b"], 3, "error: "),
        (&["log", "--since", "soon"], 2, "is no time"),
        (&["log", "-n", "x"], 2, "invalid"),
    ] {
        let run = system.run(words).ends(code);
        assert!(run.stderr.contains(problem), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn a_value_is_looked_up_at_an_earlier_moment() {
    let system = system();
    let value = |at: &str| system.run(&["get", NICE, "--at", at]).ends(0).stdout;
    assert_eq!([value("0"), value("2"), value("3"), value("4")], ["null\n", "5\n", "6\n", "6\n"]);
    assert_eq!(
        [value("2026-11-20"), value("2026-11-20 11:30"), value("now"), value("built")],
        ["null\n", "5\n", "6\n", "null\n"]
    );
    let json = system.run(&["get", NICE, "--at", "2026-11-20T12:00:00Z", "--json"]).ends(0).json();
    assert_eq!(
        json,
        serde_json::json!({"version": 1, "path": NICE, "at": 3, "value": 6, "static": null, "records": [3]})
    );
    let run = system.run(&["get", "services.harmonia.settings.nope", "--at", "3"]).ends(1);
    assert_eq!(run.stderr, "error: services.harmonia.settings.nope was not set after record 3\n");
    for (at, code, problem) in [
        ("99", 1, "has no record 99"),
        ("soon", 3, "or the id of a record, `built`, `effect` or `now`"),
        ("effect", 3, "`dynix get` without --at says what is in effect"),
    ] {
        let run = system.run(&["get", NICE, "--at", at]).ends(code);
        assert!(run.stderr.contains(problem), "{at}: {}", run.stderr);
    }
}

#[test]
fn two_moments_are_compared() {
    let system = system();
    let run = system.run(&["diff", "1..3", "harmonia"]).ends(0);
    insta::assert_snapshot!(run.stdout, @r"
    --- harmonia/harmonia.toml (after record 1)
    +++ harmonia/harmonia.toml (after record 3)
    @@ -1,2 +1,2 @@
     max_connection_rate = 256
    -workers = 5
    +workers = 6
    ");
    let run = system.run(&["diff", "2026-11-20 10:30..effect", "harmonia"]).ends(0);
    insta::assert_snapshot!(run.stdout, @r"
    --- harmonia/harmonia.toml (2026-11-20T10:30:00Z, after record 1)
    +++ harmonia/harmonia.toml (in effect)
    @@ -1,2 +1,2 @@
     max_connection_rate = 256
    -workers = 5
    +workers = 4
    ");
    assert_eq!(system.run(&["diff", "4..now"]).ends(0).stdout, "");
    assert_eq!(system.run(&["diff", "effect..built"]).ends(0).stdout, "");
    let pairs = system.run(&["diff", "..", "--json"]).ends(0).json();
    assert_eq!(pairs.as_array().unwrap().len(), 2);
    for (words, problem) in [
        (&["diff", "99.."][..], "has no record 99"),
        (&["diff", "1..2", "2..3"], "give one pair of moments"),
        (&["diff", "1..2", "--pending"], "give one pair of moments"),
        (&["diff", "x..y"], "is no time"),
    ] {
        let run = system.run(words);
        assert!(run.code != 0 && run.stderr.contains(problem), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn an_exit_code_says_that_there_is_something() {
    let system = System::new();
    let codes = || {
        let code = |words: &[&str]| system.run(words).code;
        [
            code(&["diff", "--exit-code"]),
            code(&["diff", "--pending", "--exit-code"]),
            code(&["status", "--exit-code"]),
            code(&["apply", "--dry-run", "--exit-code"]),
        ]
    };
    assert_eq!(codes(), [0, 0, 0, 0]);
    system.run(&["set", WORKERS, "5"]).ends(0);
    assert_eq!(codes(), [0, 8, 8, 8]);
    system.run(&["apply"]).ends(0);
    assert_eq!(codes(), [8, 0, 8, 0]);
    // Without it, they say whether something failed.
    for words in [&["diff"][..], &["diff", "--pending"], &["status"], &["apply", "--dry-run"]] {
        system.run(words).ends(0);
    }
    system.run(&["apply", "--exit-code"]).ends(2);
    system.run(&["reset"]).ends(0);
    assert_eq!(codes(), [0, 0, 0, 0]);
}

#[test]
fn what_is_exported_is_configuration() {
    let system = system();
    system.run(&["set", "services.gotosocial.settings.advanced={ a = [ 1 (-2) ]; }", "--replace"]).ends(0);
    assert!(
        system.command(&["set", WORKERS, "-3", "-m", "the fair"]).env("SUDO_USER", "ann").status().unwrap().success()
    );
    let module = system.run(&["export", "--format", "module"]).ends(0).stdout;
    let lines = system.run(&["export", "harmonia"]).ends(0).stdout;
    for text in [module.clone(), format!("{{ lib, ... }}: {{ {lines} }}")] {
        assert_eq!(rnix::Root::parse(&text).errors(), [], "{text}");
    }
    // The time of a record is now.
    let timeless = |text: &str| {
        let line =
            |line: &str| line.find(", 2026-").map_or(line.to_owned(), |at| line[..at].to_owned() + &line[at + 22..]);
        text.lines().map(|one| line(one) + "\n").collect::<String>()
    };
    insta::assert_snapshot!(timeless(&module), @r"
    # What dynix had recorded up to record 9 (`dynix export --format module`). Once it is built in,
    # `dynix prune` ends the overrides.
    { lib, ... }:
    {
      # record 3, ann via daemon
      services.distccd.nice = lib.mkForce 6;
      # record 8, root
      services.gotosocial.settings.advanced = lib.mkForce { a = [ 1 (-2) ]; };
      # record 9, ann: the fair
      services.harmonia.settings.workers = lib.mkForce (-3);
    }
    ");
    insta::assert_snapshot!(timeless(&lines), @r"
    # record 9, ann: the fair
    services.harmonia.settings.workers = -3;
    ");
    let json = system.run(&["export", "--format", "json"]).ends(0).json();
    assert_eq!(json["services"]["harmonia"]["settings"]["workers"], -3);
    let toml: toml::Table = system.run(&["export", "--format", "toml"]).ends(0).stdout.parse().unwrap();
    assert_eq!(toml["services"]["distccd"]["nice"], toml::Value::Integer(6));
    system.run(&["set", NICE, "null"]).ends(0);
    let run = system.run(&["export", "--format", "toml"]).ends(3);
    assert!(run.stderr.contains("TOML can't say it"), "{}", run.stderr);
    assert!(system.run(&["export", "distccd"]).ends(0).stdout.ends_with("services.distccd.nice = null;\n"));
    system.run(&["export", "nope"]).ends(3);
}

#[test]
fn where_there_is_nothing_that_is_said() {
    let system = System::new();
    for (words, said) in [
        (&["log"][..], "nothing is recorded\n"),
        (&["log", "--by", "ann"], "there is no such record\n"),
        (&["history"], "nothing was overridden\n"),
        (&["export"], "nothing is overridden\n"),
        (&["diff"], "nothing differs\n"),
        (&["diff", "--pending"], "nothing differs\n"),
        (&["prune"], "no override says what is built\n"),
        // Monitoring has the exit code.
        (&["diff", "--exit-code"], ""),
    ] {
        let run = system.run(words).ends(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", said), "{words:?}");
    }
    for (words, said) in [
        (
            &["get", "harmonia"][..],
            "no dynamic-enabled service has the option harmonia; harmonia is a service; `dynix options harmonia` lists what may change of it",
        ),
        (
            &["log", "nonsense"],
            "no service nonsense is dynamic-enabled; the services are distccd, gotosocial, harmonia",
        ),
        (
            &["history", "nonsense"],
            "no service nonsense is dynamic-enabled; the services are distccd, gotosocial, harmonia",
        ),
        (
            &["apply", "harmonai"],
            "no service harmonai is dynamic-enabled; did you mean harmonia? `dynix services` lists all",
        ),
        (
            &["set", "services.distccd.nice", "30"],
            "services.distccd.nice = 30: expected null or integer between -20 and 19",
        ),
        (
            &["set", "services.distccd.nice", "x y"],
            "services.distccd.nice = \"x y\": expected null or integer between -20 and 19",
        ),
    ] {
        let run = system.run(words).ends(3);
        assert!(run.stderr.starts_with(&format!("error: {said}\n")), "{words:?}: {}", run.stderr);
    }
}
