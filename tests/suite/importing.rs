//! `dynix import` and `dynix edit`: settings from a file or an editor become one record.

use std::process::Stdio;

use crate::support::{Run, System, finish};

const WORKERS: &str = "services.harmonia.settings.workers";

fn records(system: &System) -> Vec<String> {
    let log = system.read("etc/nixos/dynamic.nix");
    log.lines().skip(2).filter_map(|line| Some(line.split_once("by = \"root\"; ")?.1.to_owned())).collect()
}

#[test]
fn settings_of_a_file_become_one_record() {
    let system = System::new();
    for (name, text, more) in [
        ("a.nix", "{ services.harmonia.settings.workers = 20; services.distccd.nice = 5; }", &[][..]),
        ("b.nix", "services.harmonia.settings.workers = 20; # why\nservices.distccd.nice = 5;\n", &[]),
        (
            "c.json",
            "{\"services\": {\"harmonia\": {\"settings\": {\"workers\": 20}}, \"distccd\": {\"nice\": 5}}}",
            &[],
        ),
        ("d.toml", "[services]\ndistccd.nice = 5\nharmonia.settings.workers = 20\n", &[]),
        ("e.yml", "services:\n  distccd: {nice: 5}\n  harmonia: {settings: {workers: 20}}\n", &[]),
        ("f", "harmonia.settings.workers: 20\ndistccd: {nice: 5}\n", &["--format", "json"]),
    ] {
        system.write(name, text);
        let file = system.path(name);
        let run = system.run(&[&["import", file.as_str()], more].concat());
        if name == "f" {
            assert!(
                run.code == 3 && run.stderr.starts_with("error: it is not JSON that can be read"),
                "{}",
                run.stderr
            );
            continue;
        }
        let run = run.ends(0);
        assert!(run.stdout.contains(": 2 values\n  services.distccd.nice: "), "{name}: {}", run.stdout);
        assert!(records(&system).last().unwrap().starts_with("set = { services."), "{name}");
    }
    system.write("g.toml", "workers = 7\n");
    system.run(&["import", system.path("g.toml").as_str(), "--at", "services.harmonia.settings", "--apply"]).ends(0);
    assert_eq!(system.run(&["get", WORKERS]).ends(0).stdout, "7\n");
}

#[test]
fn what_is_exported_is_imported_again() {
    let (one, other) = (System::new(), System::new());
    one.run(&["set", WORKERS, "20", "services.distccd.allowedClients", "[ \"10.0.0.0/8\" ]", "-m", "why"]).ends(0);
    for format in ["nix", "module", "json", "toml"] {
        let text = one.run(&["export", "--format", format]).ends(0).stdout;
        other.write("exported", &text);
        let file = std::fs::File::open(other.path("exported")).unwrap();
        let reading = if format == "module" { "nix" } else { format };
        let run = finish(other.command(&["import", "--format", reading]).stdin(file)).ends(0);
        assert!(run.stdout.contains("services.harmonia.settings.workers: "), "{format}: {}", run.stdout);
        let values = |system: &System| system.run(&["export", "--format", "json"]).ends(0).stdout;
        assert_eq!(values(&one), values(&other), "{format}");
        other.run(&["reset"]).ends(0);
    }
}

#[test]
fn one_setting_that_is_refused_leaves_all_unrecorded() {
    let system = System::new();
    let before = system.everything();
    for (text, problem) in [
        ("{ services.harmonia.settings.workers = 20; services.distccd.port = 70000; }", "expected integer between 0"),
        ("{ services.harmonia.settings.workers = 20; services.nope.x = 1; }", "no dynamic-enabled service"),
        ("{ services.harmonia.settings.workers = 4 * 5; }", "it has more than plain values"),
        ("{ services.harmonia.settings.workers = ", "it is not Nix that can be read"),
        ("[ 1 ]", "settings are a set"),
        ("{ }", "there are no settings in it"),
        ("", "there are no settings in it"),
    ] {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), text).unwrap();
        let run = system.run(&["import", path.path().to_str().unwrap()]).ends(3);
        assert!(run.stderr.contains(problem), "{text}: {}", run.stderr);
    }
    system.run(&["import", "/nonexistent"]).ends(1);
    assert_eq!(system.everything(), before);
}

/// `dynix edit` with an editor that does this.
fn edit(system: &System, editor: &str, arguments: &[&str]) -> Run {
    let mut command = system.command(&[&["edit"], arguments].concat());
    finish(command.env("EDITOR", editor).env_remove("VISUAL").stdin(Stdio::null()))
}

#[test]
fn what_is_changed_in_an_editor_becomes_one_record() {
    let system = System::new();
    system.run(&["set", "services.harmonia.settings.priority", "10"]).ends(0);
    let run = edit(
        &system,
        "sed -i -e 's/workers = 4;/workers = 9;/' -e '/settings.priority = /d'",
        &["harmonia", "--apply"],
    );
    let run = run.ends(0);
    insta::assert_snapshot!(run.stdout, @r"
    recorded 2, 3: 2 values
      services.harmonia.settings.priority: 10 -> not set (as built)
      services.harmonia.settings.workers: 4 -> 9 (integer)
    harmonia: switch to generation 1, left to do: restart harmonia.service
    ");
    // One line, below a path, for a while.
    let run =
        edit(&system, "sed -i s/8080/81/", &["services.gotosocial.settings.port", "--for", "1h", "-m", "why"]).ends(0);
    assert!(
        run.stdout.starts_with("recorded 4: services.gotosocial.settings.port: 8080 -> 81 (integer)"),
        "{}",
        run.stdout
    );
    let before = system.everything();
    let run = edit(&system, "true", &["harmonia"]).ends(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "nothing was changed, and nothing is recorded\n"));
    for (editor, arguments, code, problem) in [
        ("sed -i 's/workers = 9/workers = many/'", &["harmonia"][..], 3, "it has more than plain values"),
        ("sed -i 's/workers = 9/workers = \"many\"/'", &["harmonia", "--dry-run"], 0, "\"many\" (string)"),
        (
            "sed -i '/max_connection_rate = /d'",
            &["harmonia"],
            3,
            "max_connection_rate is built, and a line that is taken out",
        ),
        ("sed -i 's/port = 3632/port = 70000/'", &["distccd"], 3, "expected integer between 0 and 65535"),
        ("false", &["harmonia"], 1, "nothing is recorded"),
        ("/nonexistent/editor", &["harmonia"], 1, "nothing is recorded"),
        ("true", &["nope"], 3, "no service nope is dynamic-enabled"),
    ] {
        let run = edit(&system, editor, arguments).ends(code);
        assert!((run.stderr.clone() + &run.stdout).contains(problem), "{editor}: {run:?}");
        for line in run.stderr.lines() {
            if let Some((_, file)) = line.split_once("what you wrote is kept in ") {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    let mut command = system.command(&["edit", "harmonia"]);
    let run = finish(command.env_remove("EDITOR").env_remove("VISUAL")).ends(1);
    assert!(run.stderr.contains("set EDITOR"), "{}", run.stderr);
    assert_eq!(system.everything(), before);
}

#[test]
fn an_editor_shows_values_with_their_types() {
    let system = System::new();
    system.run(&["set", WORKERS, "20"]).ends(0);
    let shown = system.path("shown");
    let text = {
        let script = system.path("editor");
        std::fs::write(&script, format!("cat \"$1\" > {shown}\n")).unwrap();
        edit(&system, &format!("sh {script}"), &["services.harmonia.settings"]).ends(0);
        std::fs::read_to_string(&shown).unwrap()
    };
    assert!(text.starts_with("# The settings of services.harmonia.settings, as they are recorded."), "{text}");
    assert!(text.contains("; built: 4\nservices.harmonia.settings.workers = 20;\n"), "{text}");
    assert_eq!(rnix::Root::parse(&format!("{{ {text} }}")).errors(), []);
}
