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
    error: services.distccd.port = "70000": expected integer between 0 and 65535
      built value:   3632
      present value: 3632
      see `dynix get services.distccd.port`
    "#);
    system.run(&["append", "services.distccd.logLevel", "loud"]).ends(3);
    system.run(&["append", "services.distccd.allowedClients", "[1]"]).ends(3);
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
        "services.harmonia.settings.workers = \"null\": expected boolean or integer or floating point number or string";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    let mut description = description();
    description["services"]["harmonia"]["options"]["services.harmonia.settings"]["schema"] = serde_json::json!({});
    let system = System::of(&description);
    let before = system.everything();
    let run = system.run(&["append", "services.harmonia.settings.workers", "null"]).ends(3);
    assert!(run.stderr.contains("harmonia.toml: workers: "), "{}", run.stderr);
    system.run(&["append", "services.harmonia.settings", "{}"]).ends(3);
    system.run(&["append", "services.harmonia.settings.workers", "--json", "{"]).ends(3);
    system.run(&["append", "services.gotosocial.settings.application-name.deeper", "1"]).ends(3);
    assert_eq!(system.everything(), before);
    // An open type takes it: as a float, as JSON has it.
    system.run(&["append", "services.harmonia.settings.workers", "99999999999999999999999"]).ends(0);
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
