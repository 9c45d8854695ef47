//! `dynix append`: values are read and checked by the option's type before anything is written.

use crate::support::{System, description};

#[test]
fn a_value_is_recorded_as_its_type_says() {
    let system = System::new();
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    system.run(&["append", "services.gotosocial.settings.host", "--string", "20"]).ends(0);
    system.run(&["append", "services.distccd.allowedClients", r#"["10.0.0.0/8"]"#]).ends(0);
    system.run(&["append", "services.distccd.nice", "null"]).ends(0);
    let log = system.read("etc/nixos/dynamic.nix");
    let said: Vec<&str> = log.lines().skip(2).filter_map(|line| line.split("; ").nth(3)).collect();
    assert_eq!(
        said,
        [
            "set.services.harmonia.settings.workers = 20",
            r#"set.services.gotosocial.settings.host = "20""#,
            r#"set.services.distccd.allowedClients = [ "10.0.0.0/8" ]"#,
            "set.services.distccd.nice = null",
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_all_there_is_to_know() {
    let system = System::new();
    system.run(&["append", "services.distccd.maxJobs", "4"]).ends(0);
    let before = system.everything();
    let run = system.run(&["append", "services.distccd.maxJobs", "many"]).ends(3);
    insta::assert_snapshot!(run.stderr, @r#"
    error: services.distccd.maxJobs = "many": expected null or integer
      built value:   12
      present value: 4
      defined in:    configuration.nix
      see `dynix get services.distccd.maxJobs`
    "#);
    let run = system.run(&["append", "services.distccd.port", "70000"]).ends(3);
    insta::assert_snapshot!(run.stderr, @r#"
    error: services.distccd.port = 70000: expected integer between 0 and 65535
      built value:   3632
      present value: 3632
      see `dynix get services.distccd.port`
    "#);
    system.run(&["append", "services.distccd.logLevel", "loud"]).ends(3);
    system.run(&["append", "services.distccd.allowedClients", "[1]"]).ends(3);
    assert_eq!(system.everything(), before);
}

#[test]
fn elements_of_lists_are_added_removed_and_changed_and_the_whole_list_is_recorded() {
    let mut description = description();
    let settings = &mut description["services"]["gotosocial"]["options"]["services.gotosocial.settings"];
    settings["schema"] = serde_json::json!({"type": "object", "properties": {"jobs": {"type": "array", "items": {
        "type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "maximum": 9}},
        "additionalProperties": false}}}});
    let system = System::of(&description);
    let value = |path: &str| system.run(&["get", path, "--json"]).json()["value"].clone();
    let clients = "services.distccd.allowedClients";
    let run = system.run(&["append", clients, "10.0.0.0/8", "--add"]).ends(0);
    assert!(run.stdout.contains("\"10.0.0.0/8\"]"), "{}", run.stdout);
    system.run(&["set", "--remove", clients, "127.0.0.1"]).ends(0);
    assert_eq!(value(clients), serde_json::json!(["10.0.0.0/8"]));
    system.run(&["append", &format!("{clients}.[-1]"), "10.0.0.0/16"]).ends(0);
    assert_eq!(value(clients), serde_json::json!(["10.0.0.0/16"]));
    // A rebuild reads the whole list.
    let log = system.read("etc/nixos/dynamic.nix");
    assert!(log.contains(r#"set.services.distccd.allowedClients = [ "10.0.0.0/16" ]"#), "{log}");

    let jobs = "services.gotosocial.settings.jobs";
    system.run(&["append", jobs, "--add", r#"{"name": "a", "port": 1}"#]).ends(0);
    system.run(&["append", jobs, "--add", r#"{ name = "b"; port = 2; }"#]).ends(0);
    system.run(&["set", &format!("{jobs}.[name=b].port=7")]).ends(0);
    system.run(&["append", &format!("{jobs}.[0].name"), "c"]).ends(0);
    assert_eq!(value(jobs), serde_json::json!([{"name": "c", "port": 1}, {"name": "b", "port": 7}]));

    let before = system.everything();
    for (arguments, said) in [
        (vec![clients, "--add", "10.0.0.0/16"], "is in the list already"),
        (vec![clients, "--remove", "10.0.0.0/8"], "is not in the list"),
        (vec![jobs, "--add", "5"], "expected"),
        (vec!["services.distccd.maxJobs", "--add", "1"], "has no such element"),
        (vec!["services.gotosocial.settings.jobs.[name=b].port", "70"], "expected integer of at most 9"),
        (vec!["services.gotosocial.settings.jobs.[name=b].port", "x"], "expected"),
        (vec!["services.gotosocial.settings.jobs.[name=b].prot", "7"], "has no such element"),
        (
            vec!["services.gotosocial.settings.jobs.[name=x].port", "7"],
            "no element has name = x; there are: \"c\", \"b\"",
        ),
        (vec!["services.gotosocial.settings.jobs.[5].port", "7"], "there is no element 5: the list has 2"),
        (vec!["services.gotosocial.settings.jobs.[5", "7"], "a [ without its ]"),
        (vec!["services.gotosocial.settings.jobs.[0]", "--expr", "config.x"], "can't be an expression"),
    ] {
        let run = system.run(&[vec!["append"], arguments.clone()].concat()).ends(3);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
    system.run(&["append", clients, "--add", "--remove", "x"]).ends(2);
    assert_eq!(system.everything(), before);
}

#[test]
fn a_path_that_no_service_has_is_refused_with_the_nearest() {
    let system = System::new();
    let before = system.everything();
    let run = system.run(&["append", "services.distccd.maxJob", "4"]).ends(3);
    assert!(run.stderr.contains("the nearest that may change: services.distccd.maxJobs"), "{}", run.stderr);
    for path in [
        "",
        "services",
        "services..harmonia",
        "services.harmonia",
        "services.nginx.enable",
        "services.harmonia.settings.",
        "a b",
        "${x}",
    ] {
        let run = system.run(&["append", path, "4"]).ends(3);
        assert!(run.stderr.starts_with("error: "), "{path}: {}", run.stderr);
    }
    system.run(&["append", "services.distccd.maxJobs.deeper", "4"]).ends(3);
    assert_eq!(system.everything(), before);
}

#[test]
fn only_marked_paths_may_change_where_there_are_marks() {
    let mut description = description();
    description["services"]["harmonia"]["options"]["services.harmonia.settings"]["dynamic"] =
        serde_json::json!([["workers"]]);
    let system = System::of(&description);
    system.run(&["append", "services.harmonia.settings.workers", "20"]).ends(0);
    let run = system.run(&["append", "services.harmonia.settings.max_connection_rate", "20"]).ends(3);
    assert!(run.stderr.contains("marks only these: services.harmonia.settings.workers"), "{}", run.stderr);
    system.run(&["append", "services.harmonia.settings", "--replace", "{}"]).ends(3);
}

#[test]
fn what_the_format_can_not_say_is_refused() {
    // The type refuses null, as that of pkgs.formats.toml does; where it does not, the format has the last word.
    let run = System::new().run(&["append", "services.harmonia.settings.workers", "null"]).ends(3);
    let words =
        "services.harmonia.settings.workers = null: expected boolean or integer or floating point number or string";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    let mut description = description();
    description["services"]["harmonia"]["options"]["services.harmonia.settings"]["schema"] = serde_json::json!({});
    let system = System::of(&description);
    let before = system.everything();
    let run = system.run(&["append", "services.harmonia.settings.workers", "--json", "null"]).ends(3);
    assert!(run.stderr.contains("harmonia.toml: workers: "), "{}", run.stderr);
    system.run(&["append", "services.harmonia.settings", "{}"]).ends(3);
    system.run(&["append", "services.harmonia.settings.workers", "--json", "{"]).ends(3);
    system.run(&["append", "services.gotosocial.settings.application-name.deeper", "1"]).ends(3);
    assert_eq!(system.everything(), before);
    // What 64 bits don't hold never becomes another number.
    for number in ["99999999999999999999999", "1e400", "1e-400", "0.1234567890123456789", "18446744073709551616"] {
        for reading in [&[][..], &["--json"], &["--expr"]] {
            let mut words = vec!["append", "services.harmonia.settings.workers", number];
            words.extend(reading);
            let run = system.run(&words);
            assert!(run.code == 3 || number.contains("e-4") || number.contains("e4"), "{words:?}: {}", run.stderr);
            assert_ne!(run.code, 0, "{words:?}");
        }
    }
    assert_eq!(system.everything(), before);
}

#[test]
fn a_long_value_is_no_bad_value() {
    let system = System::new();
    // One argument can't be longer than 128 KiB (execve(2)); the log's own limit has a test beside it.
    system.run(&["append", "services.gotosocial.settings.host", &"x".repeat(100_000), "--apply"]).ends(0);
    let got = system.run(&["get", "services.gotosocial.settings.host"]).ends(0);
    assert_eq!(got.stdout.trim_end().len(), 100_000);
}

#[test]
fn a_string_full_of_syntax_arrives_as_that_string() {
    let system = System::new();
    for hostile in [
        "\"; services.x = 1; }",
        "${builtins.abort \"no\"}",
        "$(reboot) `reboot` '; reboot",
        "''${x}'' \\ \\\\ \\n",
        "%n %% $PATH ${PATH}",
        "a: b\n- c\n# d",
        "\u{7f}\u{1}\t\r\n",
    ] {
        system
            .run(&["append", "services.gotosocial.settings.application-name", "--string", hostile, "--apply"])
            .ends(0);
        let got = system.run(&["get", "services.gotosocial.settings.application-name", "--json"]).ends(0);
        assert_eq!(got.json()["value"], hostile);
        let file = system.read("run/dynix/gotosocial/current/config.yml");
        let read: serde_json::Value = serde_yaml::from_str(&file).unwrap();
        assert_eq!(read["application-name"], hostile, "{file}");
        assert_eq!(
            system.read("etc/nixos/dynamic.nix").lines().count(),
            system.run(&["log"]).stdout.lines().count() + 2
        );
    }
}

#[test]
fn an_expression_needs_an_evaluator() {
    let system = System::new();
    let before = system.everything();
    let run = system.run(&["append", "services.harmonia.settings.workers", "--expr", "2 * 8"]).ends(1);
    assert!(run.stderr.contains("no evaluator"), "{}", run.stderr);
    system.run(&["append", "services.harmonia.settings.workers", "--expr", "1; } {"]).ends(3);
    assert_eq!(system.everything(), before);
}

/// Freeform settings: a TOML value each.
fn open_system() -> System {
    let mut description = description();
    description["services"]["harmonia"]["options"]["services.harmonia.settings"]["schema"] = serde_json::json!({});
    System::of(&description)
}

#[test]
fn where_the_type_is_open_the_present_value_decides() {
    let system = open_system();
    let path = "services.harmonia.settings.version";
    system.run(&["append", path, "--json", "\"1.10\""]).ends(0);
    let run = system.run(&["append", path, "1.20"]).ends(0);
    assert!(run.stderr.contains("read as a string, as the present value is one; --json makes it"), "{}", run.stderr);
    assert!(system.read("etc/nixos/dynamic.nix").contains("settings.version = \"1.20\""));
    let before = system.everything();
    for (path, value, insist) in [
        ("services.harmonia.settings.workers", "4.5", "--json"),
        ("services.harmonia.settings.workers", "many", "--string"),
        (path, "[ 1 2 ]", "--json"),
    ] {
        let run = system.run(&["append", path, value]).ends(3);
        assert!(run.stderr.contains(insist), "{value}: {}", run.stderr);
    }
    assert_eq!(system.everything(), before);
    system.run(&["append", "services.harmonia.settings.workers", "--string", "many"]).ends(0);
}

#[test]
fn literals_of_nix_are_read_and_its_expressions_are_refused() {
    let system = open_system();
    let at = |name: &str| format!("services.harmonia.settings.{name}");
    system.run(&["append", &at("list"), "[ 1 2 ]"]).ends(0);
    system.run(&["append", &at("set"), "{ a = 1; }"]).ends(0);
    system.run(&["append", &at("text"), "''text''"]).ends(0);
    // A literal needs no evaluator, and this system has none.
    system.run(&["append", &at("evident"), "--expr", "[ { b = true; } ]"]).ends(0);
    let log = system.read("etc/nixos/dynamic.nix");
    for said in ["list = [ 1 2 ];", "set = { a = 1; };", "text = \"text\";", "evident = [ { b = true; } ];"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let before = system.everything();
    for code in ["pkgs.hello", "lib.mkForce 3", "a + b", "[ pkgs.hello ]"] {
        let run = system.run(&["append", &at("package"), code]).ends(3);
        assert!(run.stderr.contains("--expr evaluates it, --string takes it as text"), "{code}: {}", run.stderr);
    }
    assert_eq!(system.everything(), before);
    for word in ["debug", "/var/lib", "example.org", "hello world", "2026-11-21"] {
        system.run(&["append", &at("word"), word]).ends(0);
    }
}

#[test]
fn a_name_close_to_a_built_one_is_warned_of() {
    let system = open_system();
    let run = system.run(&["append", "services.harmonia.settings.worker", "20"]).ends(0);
    let warning = "warning: the built settings have no services.harmonia.settings.worker; did you mean \
                   services.harmonia.settings.workers?";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let run = system.run(&["append", "services.harmonia.settings.priority", "20"]).ends(0);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn an_integer_is_no_float() {
    let system = System::new();
    let before = system.everything();
    for value in ["8e3", "8080.0", "-0", "123456789012345678901234567890"] {
        system.run(&["append", "services.distccd.port", value]).ends(3);
        system.run(&["append", "services.distccd.port", "--json", value]).ends(3);
    }
    assert_eq!(system.everything(), before);
    // By hand, a number that Nix can't read or that it would change is an error with its line.
    system.run(&["append", "services.distccd.port", "4000"]).ends(0);
    for number in ["18446744073709551616", "-9223372036854775808", "1.0e-400", "0.1234567890123456789"] {
        let log = system.read("etc/nixos/dynamic.nix");
        system.write("etc/nixos/dynamic.nix", &format!("{log}{{ set.services.distccd.port = {number}; }}\n"));
        let run = system.run(&["apply"]);
        assert!(run.code == 1 && run.stderr.contains("a number that Nix does not"), "{number}: {}", run.stderr);
        system.write("etc/nixos/dynamic.nix", &log);
    }
}
