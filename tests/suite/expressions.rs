//! Records that are Nix expressions: evaluated once for a system and kept; left out, and said, where that is not possible.
//! The evaluator here is a script that doubles numbers, and counts how often it is asked; `tests/suite/real_nix.rs` has the
//! real one.

use serde_json::{Value, json};

use crate::support::{Run, System};

/// What stands for `nix-instantiate --expr`.
const EVALUATOR: &str = r#"#!/bin/sh
for last; do :; done
echo asked >> HERE/asked
if [ -e HERE/broken ]; then echo "error: syntax error, unexpected end of file, at HERE/configuration.nix:3:1" >&2; exit 1; fi
case $last in *throw*) echo "error: no such luck" >&2; exit 1;; esac
printf '['
printf '%s\n' "$last" |
    sed -n 's/.*set\.services\.\([xy]\)\.settings\.\([a-z]*\) = (\([0-9]*\) \* 2).*/\1 \2 \3/p' |
    while read -r service name number; do
        printf '%s{"answer":{"set":{"services":{"%s":{"settings":{"%s":%d}}}}}}' "$comma" "$service" "$name" $((number * 2))
        comma=,
    done
printf ']'
"#;

const STATIC: &str = "{\n  \"a\": 1\n}\n";

fn description(system: &str) -> Value {
    let service = |name: &str| {
        let path = format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}.json");
        json!({
            "options": { format!("services.{name}.settings"): { "static": { "a": 1 }, "schema": {} } },
            "files": { "f.json": {
                "format": { "name": "json" }, "value": { "option": format!("services.{name}.settings") },
                "static": path, "attach": { "bind": path },
            } },
            "units": { format!("{name}.service"): {} },
        })
    };
    json!({
        "version": 1,
        "evaluator": { "command": ["/bin/sh", "EVALUATOR"], "arguments": format!("{{ system = \"{system}\"; }}") },
        "services": { "x": service("x"), "y": service("y") },
    })
}

struct Machine {
    system: System,
}

impl Machine {
    fn new() -> Self {
        let statics = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(statics.path().join("nix/store")).unwrap();
        for name in ["x", "y"] {
            let file = format!("nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}.json");
            std::fs::write(statics.path().join(file), STATIC).unwrap();
        }
        let system = System::with(&description("one"), statics.path().to_str().unwrap());
        let machine = Self { system };
        machine.system.write("evaluator", &EVALUATOR.replace("HERE", machine.system.root().as_str()));
        machine.be("one");
        machine
    }

    /// Another system, as after a switch.
    fn be(&self, system: &str) {
        let place = self.system.path("etc/dynix/plan.json");
        let mut plan: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
        plan["evaluator"]["command"][1] = self.system.path("evaluator").as_str().into();
        plan["evaluator"]["arguments"] = system.into();
        std::fs::remove_file(&place).unwrap();
        std::fs::write(&place, plan.to_string()).unwrap();
    }

    fn run(&self, words: &[&str]) -> Run {
        self.system.run(words)
    }

    /// How often the evaluator was asked since the last time.
    fn asked(&self) -> usize {
        let place = self.system.path("asked");
        let text = std::fs::read_to_string(&place).unwrap_or_default();
        let _ = std::fs::remove_file(place);
        text.lines().count()
    }

    /// Whether the configuration can't be evaluated.
    fn is_broken(&self, broken: bool) {
        let place = self.system.path("broken");
        if broken { std::fs::write(place, "").unwrap() } else { std::fs::remove_file(place).unwrap() }
    }

    /// The power goes: all below /run is gone.
    fn reboot(&self) {
        std::fs::remove_dir_all(self.system.path("run/dynix")).unwrap();
    }

    fn file(&self, service: &str) -> Option<Value> {
        let text = std::fs::read(self.system.path(&format!("run/dynix/{service}/current/f.json"))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    fn by_hand(&self, record: &str) {
        let log = self.system.read("etc/nixos/dynamic.nix");
        self.system.write("etc/nixos/dynamic.nix", &format!("{log}{record}\n"));
    }
}

const BROKEN: &str = "syntax error, unexpected end of file";

#[test]
fn a_value_is_evaluated_once_and_holds_whatever_becomes_of_the_configuration() {
    let machine = Machine::new();
    machine.run(&["append", "--expr", "--apply", "services.x.settings.a", "4 * 2"]).ends(0);
    assert_eq!(machine.asked(), 1);
    assert_eq!(machine.file("x"), Some(json!({ "a": 8 })));
    for words in [&["status"][..], &["get", "services.x.settings.a"], &["diff"], &["apply"], &["log"]] {
        machine.run(words).ends(0);
    }
    assert_eq!(machine.asked(), 0);

    // Everything else goes on, and so does what runs on the value.
    machine.is_broken(true);
    machine.run(&["append", "--apply", "services.y.settings.b", "5"]).ends(0);
    assert_eq!(machine.file("y"), Some(json!({ "a": 1, "b": 5 })));
    machine.run(&["apply"]).ends(0);
    assert_eq!(machine.run(&["get", "services.x.settings.a"]).ends(0).stdout, "8\n");
    machine.reboot();
    machine.run(&["apply"]).ends(0);
    assert_eq!((machine.file("x"), machine.file("y")), (Some(json!({ "a": 8 })), Some(json!({ "a": 1, "b": 5 }))));
    assert_eq!(machine.asked(), 0);
    machine.run(&["unset", "--apply", "services.y.settings.b"]).ends(0);

    // A new one has to have a value, and what is known of the same words is not enough.
    let said = machine.run(&["append", "--expr", "services.x.settings.a", "4 * 2"]).ends(1).stderr;
    assert!(said.contains(BROKEN), "{said}");
    machine.is_broken(false);
    machine.asked();
    machine.run(&["append", "--expr", "services.x.settings.a", "4 * 2"]).ends(0);
    assert_eq!(machine.asked(), 1);
}

#[test]
fn a_record_that_can_not_be_evaluated_is_left_out_and_the_rest_is_applied() {
    let machine = Machine::new();
    machine.run(&["append", "services.x.settings.a", "3"]).ends(0);
    machine.run(&["append", "--expr", "services.x.settings.a", "4 * 2"]).ends(0);
    machine.run(&["append", "services.y.settings.b", "5"]).ends(0);
    // Nothing is known of it, as after a switch to a system that was made elsewhere.
    machine.be("another");
    machine.is_broken(true);
    machine.asked();
    let run = machine.run(&["apply"]).ends(3);
    for says in ["record 2", "services.x.settings.a", BROKEN] {
        assert!(run.stderr.contains(says), "no {says:?} in {}", run.stderr);
    }
    // What held before it holds.
    assert_eq!((machine.file("x"), machine.file("y")), (Some(json!({ "a": 3 })), Some(json!({ "a": 1, "b": 5 }))));
    assert_eq!(machine.asked(), 1);

    // Reading asks for nothing that failed a moment ago, and says it.
    for words in [&["get", "services.x.settings.a"][..], &["status"], &["diff"]] {
        let run = machine.run(words).ends(0);
        assert!((run.stdout + &run.stderr).contains(BROKEN), "{words:?}");
    }
    assert_eq!(machine.run(&["get", "services.x.settings.a"]).stdout, "3\n");
    let run = machine.run(&["get", "services.y.settings.b"]).ends(0);
    assert!(!run.stderr.contains(BROKEN), "{}", run.stderr);
    for verb in ["diff", "export"] {
        for (service, is_said) in [("x", true), ("y", false)] {
            let run = machine.run(&[verb, service]).ends(0);
            assert_eq!(run.stderr.contains(BROKEN), is_said, "{verb} {service}: {}", run.stderr);
        }
    }
    assert_eq!(machine.asked(), 0);
    // Another service is nobody's concern.
    machine.run(&["append", "--apply", "services.y.settings.b", "6"]).ends(0);
    assert_eq!(machine.file("y"), Some(json!({ "a": 1, "b": 6 })));

    // An apply tries again.
    machine.is_broken(false);
    machine.run(&["apply"]).ends(0);
    assert_eq!(machine.file("x"), Some(json!({ "a": 8 })));
    // The system that there was before has its value still.
    machine.asked();
    machine.be("one");
    machine.run(&["apply"]).ends(0);
    assert_eq!(machine.asked(), 0);
}

#[test]
fn what_has_no_value_can_be_taken_back() {
    for words in [&["unset", "services.x.settings.b"][..], &["reset", "x"], &["reset"], &["rollback", "--apply"]] {
        let machine = Machine::new();
        machine.run(&["append", "services.x.settings.a", "3"]).ends(0);
        machine.by_hand("{ set.services.x.settings.b = throw \"no\"; }");
        machine.by_hand("{ set.services.y.settings.b = (7 * 2); }");
        let run = machine.run(&["apply"]).ends(3);
        assert!(run.stderr.contains("record 2") && run.stderr.contains("no such luck"), "{}", run.stderr);
        assert_eq!((machine.file("x"), machine.file("y")), (Some(json!({ "a": 3 })), Some(json!({ "a": 1, "b": 14 }))));
        if words[0] == "rollback" {
            // Only the record after it is gone.
            machine.run(words).ends(3);
        }
        machine.run(words).ends(0);
        machine.run(&["apply"]).ends(0);
        let status = machine.run(&["status", "--json"]).ends(0).json();
        assert_eq!(status["leftOut"], json!([]), "{words:?}");
    }
}

#[test]
fn a_set_that_means_something_else_to_nix_is_refused_and_by_hand_left_out() {
    let machine = Machine::new();
    machine.run(&["append", "services.x.settings.a", "3"]).ends(0);
    let before = machine.system.read("etc/nixos/dynamic.nix");
    for text in ["{ outPath = \"q\"; }", "{ a.b = [ { __toString = self: \"q\"; } ]; }", "{ _type = \"if\"; }"] {
        let run = machine.run(&["append", "--expr", "--replace", "services.x.settings.o", text]).ends(3);
        assert!(run.stderr.contains("an attribute can't be named") || run.stderr.contains("_type"), "{}", run.stderr);
        assert_eq!(machine.system.read("etc/nixos/dynamic.nix"), before);
    }
    machine.by_hand("{ set.services.x.settings.o = { b = [ { outPath = \"q\"; } ]; }; }");
    machine.by_hand("{ set.services.x.settings.__toString = \"q\"; }");
    machine.by_hand("{ set.services.y.settings.b = 5; }");
    let run = machine.run(&["apply"]).ends(3);
    for says in ["record 2", "the attribute outPath", "record 3", "the attribute __toString"] {
        assert!(run.stderr.contains(says), "no {says:?} in {}", run.stderr);
    }
    assert_eq!((machine.file("x"), machine.file("y")), (Some(json!({ "a": 3 })), Some(json!({ "a": 1, "b": 5 }))));
    assert_eq!(machine.asked(), 0);
    for words in [&["log"][..], &["status"], &["append", "services.x.settings.n", "1"], &["rollback", "0"]] {
        machine.run(words).ends(0);
    }
}

#[test]
fn an_expression_needs_no_directory_of_the_log() {
    let machine = Machine::new();
    assert!(!machine.system.path("etc/nixos").exists());
    machine.run(&["append", "--expr", "--apply", "services.x.settings.a", "4 * 2"]).ends(0);
    assert_eq!(machine.file("x"), Some(json!({ "a": 8 })));
}

#[test]
fn a_history_evaluates_nothing() {
    let machine = Machine::new();
    machine.run(&["append", "services.x.settings.a", "3"]).ends(0);
    machine.by_hand("{ set.services.x.settings.a = (4 * 2); }");
    machine.asked();
    let text = machine.run(&["history"]).ends(0).stdout;
    assert!(text.contains("services.x.settings.a = \"{ set.services.x.settings.a = (4 * 2); }\""), "{text}");
    assert_eq!(machine.asked(), 0);
}
