//! What is too large or too deep is refused, with what is allowed; what is just within it works, in bounded memory.
//! Claims of docs/security.md.

use std::fmt::Write as _;

use dynix::overrides::{Draft, LogFile};
use serde_json::{Value, json};

use super::support::{System, dynix, finish, through};

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
    let of = |length: usize| Draft::Set(path.clone(), "x".repeat(length).into());
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
    let text = dynix::host::templates::drop_in(&template(9_000), &values).unwrap();
    assert_eq!(text.len(), 9_002);
    let nested = "A={% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
    let refused = dynix::host::templates::drop_in(nested, &values).unwrap_err();
    assert!(refused.to_string().contains("fuel"), "{refused}");
}

/// What goes through all records has one at a time in memory, and what takes one back reads none of the old ones.
#[test]
fn a_long_log_needs_no_more_memory_than_a_short_one() {
    let system = system();
    let line = |id: usize| {
        let text = "x".repeat(200);
        match id % 100 {
            7 => format!("{{ id = {id}; reject = {}; reason = \"{text}\"; }}\n", id - 1),
            _ => format!("{{ id = {id}; set.services.open.settings.a = \"{id}{text}\"; }}\n"),
        }
    };
    let text: String = (1..=60_000).map(line).collect();
    system.write("etc/nixos/dynamic.nix", &(dynix::overrides::HEADER.to_owned() + &text));
    // 64 MiB of addresses, half of which are the program itself: the records were 50 MB.
    let within = |arguments: &[&str]| {
        let program = system.command(arguments);
        let mut limited = std::process::Command::new("/bin/sh");
        limited.args(["-c", "ulimit -v 65536; exec \"$@\"", "sh"]).arg(program.get_program()).args(program.get_args());
        finish(&mut limited).ends(0).stdout
    };
    let shown = within(&["log"]);
    assert_eq!(shown.lines().count(), 60_000);
    assert!(shown.lines().nth(5).unwrap().ends_with(&format!("[rejected: {}]", "x".repeat(200))), "{shown:.3000}");
    let listed: Value = serde_json::from_str(&within(&["log", "--json"])).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 60_000);
    assert_eq!((&listed[5]["holds"], &listed[5]["rejected"]), (&json!(false), &json!("x".repeat(200))));
    within(&["append", "services.open.settings.a", "1"]);
    within(&["rollback"]);
    assert!(system.read("etc/nixos/dynamic.nix").ends_with("rollback = 60000; }\n"));
}

/// What takes the parser of Nix's syntax long is refused before it comes to it, and what is long by itself is read once.
#[test]
fn a_record_is_read_in_a_time_that_grows_with_its_length() {
    let system = system();
    let log = "etc/nixos/dynamic.nix";
    // Seconds of processor time, whatever else the machine does.
    let read = || finish(&mut through("ulimit -t 15; exec \"$0\" \"$@\"", &system.command(&["log"])));
    let start = "{ set.services.open.settings.x = ";
    for (record, problem) in [
        (format!("{{ set.services.open.settings{} = 1; }}", ".a".repeat(100_000)), "256 names or arguments in a row"),
        (format!("{{ set.services.open.settings{} = 1; }}", " .a".repeat(100_000)), "256 names or arguments in a row"),
        (format!("{start}a{}; }}", ".a".repeat(100_000)), "256 names or arguments in a row"),
        (format!("{start}[\n{} ]; }}", "1.1".repeat(100_000)), "4096 letters, digits and dots in a row"),
        (format!("{start}f{}; }}", " a".repeat(100_000)), "256 names or arguments in a row"),
        (format!("{start}a{}; }}", " or a".repeat(100_000)), "256 names or arguments in a row"),
        (format!("{start}\n[{} ]; }}", " 1".repeat(600_000)), "a record of more than 1048576 bytes"),
    ] {
        system.write(log, &format!("{}{record}\n", dynix::overrides::HEADER));
        let run = read().ends(1);
        assert!(run.stderr.contains("line 3") && run.stderr.contains(problem), "{:.300}", run.stderr);
    }
    // As many records on one line, comments among them.
    let many = "{ set.services.open.settings.x = [ 1 2 ]; } /* { */ ".repeat(4_000);
    system.write(log, &format!("{}{many}# done\n", dynix::overrides::HEADER));
    assert_eq!(read().ends(0).stdout.lines().count(), 4_000);
    // A list may be long, a string in it as well, and a name.
    let name = "n".repeat(4000);
    let values = format!("[ {} {:?} ]", "\"a\" ".repeat(1000), "b.c".repeat(10_000));
    system.write(log, &format!("{}{{ set.services.open.settings.{name} =\n{values}; }}\n", dynix::overrides::HEADER));
    read().ends(0);
}

#[test]
fn an_id_has_a_greatest_value() {
    let system = system();
    let log = "etc/nixos/dynamic.nix";
    let with_id = |id: &str| {
        let line = format!("{{ id = {id}; set.services.open.settings.a = 1; }}\n");
        system.write(log, &format!("{}{line}", dynix::overrides::HEADER));
    };
    for id in ["9007199254740992", "9223372036854775807"] {
        with_id(id);
        for arguments in [&["get", "services.open.settings.a"][..], &["append", "services.open.settings.a", "2"]] {
            let run = system.run(arguments).ends(1);
            assert!(run.stderr.contains(&format!("has id {id}; ids go up to 9007199254740991")), "{}", run.stderr);
        }
    }
    // One more is not recorded, and what is there can be read on.
    with_id("9007199254740991");
    let before = system.read(log);
    for arguments in
        [&["append", "services.open.settings.a", "2"][..], &["rollback"], &["unset", "services.open.settings.a"]]
    {
        let run = system.run(arguments).ends(1);
        assert!(run.stderr.contains("no record can have a greater id; give that one a smaller id"), "{}", run.stderr);
    }
    assert_eq!(system.read(log), before);
    system.run(&["apply"]).ends(0);
    // Those that somebody asks for.
    with_id("7");
    for id in ["8", "9223372036854775807", "18446744073709551615"] {
        system.run(&["rollback", id]).ends(1);
    }
    system.run(&["rollback", "18446744073709551616"]).ends(2);
}

#[test]
fn a_duration_has_bounds() {
    let system = system();
    let append = |option: &str, duration: &str| {
        system.run(&["append", "services.open.settings.a", "1", "--apply", option, duration])
    };
    for (option, allowed) in [("--for", "1s to 3650days"), ("--confirm", "1s to 30days")] {
        for duration in ["0s", "999ms", "9000years", "292277years", "1"] {
            let run = append(option, duration).ends(2);
            let words = format!("it can be {allowed}, as in 30min");
            assert!(run.stderr.contains(option) && run.stderr.contains(&words), "{}", run.stderr);
        }
    }
    assert!(!system.path("etc/nixos/dynamic.nix").exists());
    append("--for", "3650days").ends(0);
    // By hand, an end may be as far off as a year has four digits.
    let text = system.read("etc/nixos/dynamic.nix");
    let (before, after) = text.split_once("until = \"").unwrap();
    let after = after.split_once('"').unwrap().1;
    system.write("etc/nixos/dynamic.nix", &format!("{before}until = \"9999-12-31T23:59:59Z\"{after}"));
    system.run(&["apply"]).ends(0);
    assert!(system.run(&["status"]).ends(0).stdout.contains("ends in "));
    for wrong in ["10000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
        system.write("etc/nixos/dynamic.nix", &format!("{before}until = \"{wrong}\"{after}"));
        assert!(system.run(&["apply"]).ends(1).stderr.contains("which is not a UTC time"));
    }
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
