//! What is too large or too deep is refused, with what is allowed; what is just within it works, in bounded memory.
//! Claims of docs/security.md.

use std::fmt::Write as _;

use dynix::overrides::{Change, LogFile};
use serde_json::{Value, json};

use super::support::{System, dynix, finish};

/// A service whose one option takes anything.
fn description() -> Value {
    json!({"version": 1, "services": {"open": {
        "options": {"services.open.settings": {"static": {}, "schema": {}}},
        "files": {"open.json": {
            "format": {"name": "json"},
            "value": {"option": "services.open.settings"},
            "static": "/nix/store/open.json",
            "attach": {"bind": "/nix/store/open.json"},
        }},
        "units": {"open.service": {}},
    }}})
}

fn system() -> System {
    let statics = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(statics.path().join("nix/store")).unwrap();
    std::fs::write(statics.path().join("nix/store/open.json"), "{}\n").unwrap();
    System::with(&description(), statics.path().to_str().unwrap())
}

fn append(system: &System, value: &str) -> super::support::Run {
    system.run(&["append", "services.open.settings.a", "--json", value])
}

#[test]
fn a_record_has_a_greatest_size() {
    let system = system();
    let line = |length: usize| {
        format!(
            "{}{{ id = 1; set.services.open.settings.a = \"{}\"; }}\n",
            dynix::overrides::HEADER,
            "x".repeat(length)
        )
    };
    // What there is besides the string, without the line feed.
    let head = "{ id = 1; set.services.open.settings.a = \"\"; }".len();
    // By hand: one argument of a process can't be that long (execve(2)).
    let log = "etc/nixos/dynamic.nix";
    system.write(log, &line((16 << 20) - head));
    system.run(&["apply"]).ends(0);
    assert!(system.read("run/dynix/open/current/open.json").len() > 15 << 20);
    system.write(log, &line((16 << 20) - head + 1));
    let run = system.run(&["apply"]).ends(1);
    assert!(run.stderr.contains("line 3") && run.stderr.contains("16777216 bytes"), "{}", run.stderr);
    // As dynix writes it.
    let directory = tempfile::tempdir().unwrap();
    let directory = camino::Utf8Path::from_path(directory.path()).unwrap();
    let log = LogFile::new(&directory.join("dynamic.nix"), &directory.join("cache"), None);
    let path = dynix::attr_path::AttrPath(vec!["a".to_owned()]);
    let of = |length: usize| Change::Set(path.clone(), "x".repeat(length).into());
    log.append(&[of((1 << 20) - 100)], "root", None, |_| ()).unwrap();
    let refused = log.append(&[of(1 << 20)], "root", None, |_| ()).unwrap_err();
    assert!(refused.to_string().contains("at most 1048576 are possible"), "{refused}");
}

#[test]
fn a_value_has_a_greatest_depth() {
    let system = system();
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let run = append(&system, &nested(100));
    run.ends(0);
    for depth in [129, 1000, 50_000] {
        let run = append(&system, &nested(depth));
        assert!(run.code == 3 && run.stderr.len() < 1000 + 2 * depth, "{depth}: {run:?}");
    }
    system.run(&["apply"]).ends(0);
    // By hand, in a literal and in what only Nix can read.
    let good = system.read("etc/nixos/dynamic.nix");
    for record in [
        format!("{{ set.services.open.settings.a = {}; }}\n", nested(5000)),
        format!(
            "{{ set.services.open.settings.a = {}; }}\n",
            "{ a = ".repeat(5000) + "1;" + &" };".repeat(4999) + " }"
        ),
        format!("{{ set.services.open.settings.a = {}1{}; }}\n", "(".repeat(5000), ")".repeat(5000)),
    ] {
        system.write("etc/nixos/dynamic.nix", &format!("{good}{record}"));
        let run = system.run(&["apply"]).ends(1);
        assert!(run.stderr.contains("line "), "{}", run.stderr);
    }
}

#[test]
fn a_plan_has_a_greatest_size() {
    for (path, arguments) in [("etc/dynix/plan.json", &["status"][..]), ("run/dynix/state.json", &["status"])] {
        let system = system();
        append(&system, "1").ends(0);
        system.run(&["apply"]).ends(0);
        let text = system.read(path);
        std::fs::remove_file(system.path(path)).unwrap();
        system.write(path, &format!("{text}{}", " ".repeat((64 << 20) - text.len())));
        system.run(arguments).ends(0);
        system.write(path, &format!("{text}{}", " ".repeat((64 << 20) - text.len() + 1)));
        let run = system.run(arguments).ends(1);
        assert!(run.stderr.contains("at most 67108864 are read"), "{}", run.stderr);
    }
}

#[test]
fn a_description_has_a_greatest_size_and_depth() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("description.json");
    let out = directory.path().join("out");
    let generate = |text: &str| {
        std::fs::write(&path, text).unwrap();
        finish(dynix().args(["generate", "--description"]).arg(&path).arg("--out").arg(&out))
    };
    let empty = "{\"version\": 1, \"services\": {}}";
    generate(&format!("{empty}{}", " ".repeat((64 << 20) - empty.len()))).ends(0);
    let run = generate(&format!("{empty}{}", " ".repeat((64 << 20) - empty.len() + 1))).ends(1);
    assert!(run.stderr.contains("at most 67108864 are read"), "{}", run.stderr);
    for depth in [200, 100_000] {
        let run = generate(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).ends(1);
        assert!(run.stderr.contains("recursion limit exceeded"), "{}", run.stderr);
    }
}

#[test]
fn a_template_has_a_greatest_number_of_steps() {
    let template = |steps: usize| format!("A={{% for a in range({steps}) %}}x{{% endfor %}}");
    let values = std::collections::BTreeMap::new();
    let text = dynix::templates::drop_in(&template(9_000), &values).unwrap();
    assert_eq!(text.len(), 9_002);
    let nested = "A={% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
    let refused = dynix::templates::drop_in(nested, &values).unwrap_err();
    assert!(refused.to_string().contains("fuel"), "{refused}");
}

/// Resident memory at its peak, in KiB (`proc_pid_status(5)`): of a process that is still there, so the last thing that it
/// runs is a check that looks.
#[test]
fn memory_does_not_grow_with_the_log() {
    let mut description = description();
    description["services"]["open"]["check"] =
        json!({"command": ["/bin/sh", "-c", "grep VmHWM /proc/$PPID/status; exit 1"]});
    let statics = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(statics.path().join("nix/store")).unwrap();
    std::fs::write(statics.path().join("nix/store/open.json"), "{}\n").unwrap();
    let peak = |records: usize| -> u64 {
        let system = System::with(&description, statics.path().to_str().unwrap());
        let mut text = dynix::overrides::HEADER.to_owned();
        for id in 1..=records {
            writeln!(text, "{{ id = {id}; set.services.open.settings.a = \"{}\"; }}", "x".repeat(1000)).unwrap();
        }
        system.write("etc/nixos/dynamic.nix", &text);
        drop(text);
        let run = system.run(&["apply"]).ends(3);
        let line = run.stderr.lines().find(|line| line.contains("VmHWM")).unwrap_or_else(|| panic!("{run:?}"));
        line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    };
    let (few, many) = (peak(10), peak(20_000));
    // 20 MB of records, and no more than the blocks that they are read in.
    assert!(many < few + 16 * 1024, "{few} KiB for ten records, {many} KiB for twenty thousand");
}
