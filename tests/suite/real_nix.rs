//! What dynix writes and reads is what the Nix evaluator reads. These run where there is a `nix-instantiate` (2.18 or
//! newer; on the PATH, or named by `DYNIX_NIX_INSTANTIATE`).

use std::io::Write as _;
use std::process::Command;

use camino::Utf8Path;
use dynix::attr_path::AttrPath;
use dynix::host::evaluator::Evaluator;
use dynix::overrides::{Draft, HEADER, Kind, LogFile, Record};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// The evaluator's program. Where there is none, says so in a line that the test harness does not hide; one that was
/// named has to work.
pub fn nix() -> Option<String> {
    let named = std::env::var("DYNIX_NIX_INSTANTIATE").ok();
    let program = named.clone().unwrap_or_else(|| "nix-instantiate".to_owned());
    let obstacle = match Command::new(&program).arg("--version").output() {
        Ok(output) if output.status.success() => too_old(&program, &String::from_utf8(output.stdout).unwrap()),
        Ok(output) => Some(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Some(format!("{program}: {error}; put it on the PATH or name it in DYNIX_NIX_INSTANTIATE")),
    };
    let Some(obstacle) = obstacle else { return Some(program) };
    assert!(named.is_none(), "DYNIX_NIX_INSTANTIATE is set, and {obstacle}");
    // Not println, whose output the harness keeps to itself when a test passes.
    let line = format!("\nSKIPPED: a comparison with the real Nix: {obstacle}\n\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

fn too_old(program: &str, version: &str) -> Option<String> {
    let number = version.trim().rsplit(' ').next().unwrap_or_default();
    let parts: Vec<u32> = number.split(['.', 'p', '+']).map_while(|part| part.parse().ok()).collect();
    (parts < vec![2, 18]).then(|| format!("{program} is {number}, and 2.18 is the oldest to compare with"))
}

fn evaluate(program: &str, expression: &str) -> Result<Value, String> {
    let output = Command::new(program).args(["--eval", "--strict", "--json", "--expr", expression]).output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The records of a log as Nix reads them, collected as the NixOS module does it.
fn records(program: &str, path: &Utf8Path) -> Result<Vec<Value>, String> {
    let expression = format!(
        r#"let
          collect = node: {{
            inherit node;
            __functor = _: record:
              let index = node.index + 1;
              in builtins.seq index (collect {{ inherit index record; prev = node; }});
          }};
          last = (import (/. + "{path}") {{ overrides = collect {{ index = 0; }}; config = {{ }}; lib = {{ }}; pkgs = {{ }}; }}).node;
          nodes = builtins.genericClosure {{
            startSet = [ {{ key = last.index; node = last; }} ];
            operator = {{ node, ... }}: if node.index == 0 then [ ] else [ {{ key = node.prev.index; node = node.prev; }} ];
          }};
        in builtins.concatMap ({{ node, ... }}: if node.index == 0 then [ ] else [ node.record ]) nodes"#
    );
    let Value::Array(mut records) = evaluate(program, &expression)? else { panic!("no list") };
    records.reverse();
    Ok(records)
}

fn values() -> impl Strategy<Value = Value> {
    let hostile = prop::sample::select(vec![
        "${x}",
        "$${x}",
        "$$${x}",
        "\\${x}",
        "$",
        "$$",
        "\\",
        "\"",
        "''",
        "''${x}",
        "\"; }\n{ id = 9; }",
        "\r\n",
        "\r",
        "\t",
        "#",
        "/*",
        "\u{1}\u{1b}\u{7f}",
        "\u{2028}",
        "\u{feff}",
        "{{",
        "$\\{",
        "true",
        "http://x.y",
        "<nixpkgs>",
        "~/x",
        "./x",
    ]);
    let number =
        prop_oneof![any::<i64>(), prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX, 0, -1, 1_000_000_007]),];
    let float = prop_oneof![
        any::<f64>().prop_filter("one that Nix has", |float| float.is_normal()),
        prop::sample::select(vec![
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e20,
            1e-7,
            f64::MAX,
            f64::MIN_POSITIVE,
            1e16,
            123_456_789.125
        ]),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(Value::from),
        float.prop_map(Value::from),
        hostile.clone().prop_map(Value::from),
        "[^\0]{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        hostile.prop_map(str::to_owned),
        "[^\0]{0,6}",
        prop::sample::select(vec!["if", "or", "rec", "inherit", "null", "true", "", "a", "__functor", "x'y"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 30, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Equal up to how JSON writes a number: `1e20` and `100000000000000000000.0` are one.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

#[test]
fn every_value_arrives_in_nix_as_itself() {
    let Some(program) = nix() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let log = LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), None);
    let mut runner = TestRunner::default();
    let strategy = (prop::collection::vec("[^\0]{0,6}|if|or|a", 1..4), values());
    let written: Vec<(AttrPath, Value)> = (0..400)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .map(|(names, value)| (AttrPath(names), value))
        .collect();
    let changes: Vec<Draft> = written.iter().map(|(path, value)| Draft::Replace(path.clone(), value.clone())).collect();
    log.append(&changes, "${builtins.abort \"no\"} \"", None, |_| ()).unwrap();
    let read = records(&program, log.path()).unwrap();
    assert_eq!(read.len(), written.len());
    let ours = log.records().unwrap();
    for (((path, value), read), ours) in written.iter().zip(&read).zip(&ours) {
        assert!(same(&read["replace"]["value"], value), "{value:?} arrives in Nix as {:?}", read["replace"]["value"]);
        assert_eq!(read["replace"]["path"], serde_json::to_value(path).unwrap());
        assert_eq!(read["by"], "${builtins.abort \"no\"} \"");
        let Kind::Replace(at, back) = &ours.kind else { panic!("{ours:?}") };
        assert!(same(back, value) && at == path, "{value:?} comes back as {back:?}");
    }
}

#[test]
fn every_prefix_of_whole_lines_is_valid_nix() {
    let Some(program) = nix() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let log = LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), None);
    let path = || AttrPath::parse("services.\"a.b\".if").unwrap();
    let changes = [
        Draft::Set(path(), json!({"a": [1, -2, {"b": "${c}"}], "d": i64::MIN})),
        Draft::Replace(path(), json!({})),
        Draft::Unset(path()),
        Draft::Rollback(1),
        Draft::Reject { id: 2, reason: "it said: \"no\"\n${x}".to_owned() },
    ];
    log.append(&changes, "root", Some(std::time::SystemTime::now()), |_| ()).unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    let prefix = root.join("prefix.nix");
    for lines in 2..=text.lines().count() {
        let kept: Vec<&str> = text.lines().take(lines).collect();
        std::fs::write(&prefix, kept.join("\n") + "\n").unwrap();
        assert_eq!(records(&program, &prefix).unwrap().len(), lines - 2);
    }
}

/// Ways to write a value by hand, right and wrong ones.
const BY_HAND: &[&str] = &[
    "1",
    "007",
    "-1",
    "- 1",
    "--1",
    "(1)",
    "((-1))",
    "+1",
    "1.",
    "1.0",
    ".5",
    "0.5",
    "00.5",
    "01.5",
    "1.5e3",
    "1.5E+3",
    "1e3",
    "-0.0",
    "-0",
    "5.0e-324",
    "1.0e400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "(-9223372036854775807 - 1)",
    "-9223372036854775807 - 1",
    "true",
    "null",
    "True",
    "\"a\"",
    "\"a\\nb\\t\\r\\\\\\\"\\q\"",
    "\"a\nb\"",
    "\"a\r\nb\"",
    "\"a\rb\"",
    "\"$\"",
    "\"$$\"",
    "\"$a\"",
    "\"$${a}\"",
    "\"$$${a}\"",
    "\"\\${a}\"",
    "\"$\\{a}\"",
    "\"$\\${a}\"",
    "\"\\$${\"a\"}\"",
    "\"${\"a\"}\"",
    "''a''",
    "''\n  a\n    b\n  ''",
    "''\n  a\n    b''",
    "''  a\n  b\n''",
    "''\n\ta\n\t  b\n''",
    "''\n  a\n\n  b\n ''",
    "''a''$b''",
    "''a''\\nb''",
    "''a'''b''",
    "''${\"a\"}''",
    "''$a''",
    "''$$''",
    "''\r\n  a\r\n''",
    "''\n  ''",
    "''   ''",
    "''\n''",
    "'' a ''",
    "''\n   \n  a\n''",
    "''\u{a0} a''",
    "[ ]",
    "[ 1 2 ]",
    "[1 2]",
    "[ 1 -2 ]",
    "[ (-2) ]",
    "[ 1.5 .5 ]",
    "[\"a\"\"b\"]",
    "[ a ]",
    "[ [ ] { } ]",
    "[ true null ]",
    "{ }",
    "{ a = 1; }",
    "{a=1;b=2;}",
    "{ a = 1; a = 2; }",
    "{ a.b = 1; a.c = 2; }",
    "{ a.b = 1; a = { c = 2; }; }",
    "{ a = { b = 1; }; a.b = 2; }",
    "{ a = { b = 1; }; a = { c = 2; }; }",
    "{ a = { }; a = { }; }",
    "{ a = 1; a.b = 2; }",
    "{ \"a\" = 1; a = 2; }",
    "{ \"${\"a\"}\" = 1; }",
    "{ ${\"a\"} = 1; }",
    "rec { a = 1; b = a; }",
    "{ inherit ({ a = 1; }) a; }",
    "{ \"a b\".\"\" = 1; }",
    "{ if = 1; }",
    "{ or = 1; }",
    "{ a' = 1; a-b = 2; _ = 3; }",
    "{ 1a = 1; }",
    "{ \"\\u0041\" = 1; }",
    "{ a = 1 }",
    "{ a = ; }",
    "let x = 1; in x",
    "if true then 1 else 2",
    "1 + 1",
    "\"a\" + \"b\"",
    "{ } // { a = 1; }",
    "[ 1 ] ++ [ 2 ]",
    "http://example.org/a",
    "a:b",
    "/* c */ 1",
    "1 # c\n",
    "1 /* a */",
    "# c\n1",
    "# c\r1\n",
    "{ # }\n a = 1; }",
    "{ /* } */ a = 1; }",
    "\"# no\"",
    "\"/* no\"",
    "{ a = \"}\"; }",
    "{ a = ''}''; }",
    "{ a = ''''$''; }",
    "assert true; 1",
    "with { a = 1; }; a",
    "(x: x) 1",
    "!true",
    "a.b",
    "<nixpkgs>",
    "/etc/passwd/x",
    "1.2.3",
    "1a",
    "1 2",
    "1;",
    "1; }",
    "\"a\" \"b\"",
    "1\u{a0}",
    "\u{feff}1",
    "__curPos.line",
    "builtins.length [ 1 ]",
    "- { }",
    "-true",
    "-(1)",
    "-(-1)",
    "(- 9223372036854775807)",
];

/// What is read without the evaluator has to be what the evaluator says, and what the
/// evaluator refuses must not be read.
#[test]
fn what_people_write_is_read_as_nix_reads_it() {
    let Some(program) = nix() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let path = root.join("dynamic.nix");
    let mut plain = 0;
    for text in BY_HAND {
        // What follows the value is what ends a comment in it.
        let record =
            format!("{{ id = 5; replace = {{ path = [ \"a\" ]; value = {text}\n; }}; }}\n{{ set.b = true; }}\n");
        std::fs::write(&path, format!("{HEADER}{record}")).unwrap();
        let ours = LogFile::new(&path, &root.join("cache"), None).records();
        let theirs = records(&program, &path);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours.len(), theirs.len(), "{text:?}");
                match &ours[0].kind {
                    Kind::Replace(_, value) => {
                        let expected = &theirs[0]["replace"]["value"];
                        assert!(same(value, expected), "{text:?} is {expected:?} to Nix and {value:?} to us");
                        plain += 1;
                    }
                    Kind::Expression(_) => {}
                    other => panic!("{text:?}: {other:?}"),
                }
            }
            (Ok(ours), Err(theirs)) => {
                assert!(matches!(ours[0].kind, Kind::Expression(_)), "{text:?} is read, and Nix says {theirs}");
            }
            (Err(ours), Ok(_)) => {
                // Stricter than Nix only where it is said.
                assert!(ours.to_string().contains("carriage return"), "{text:?} is valid for Nix, and we say {ours}");
            }
            (Err(_), Err(_)) => {}
        }
    }
    assert!(plain >= 60, "only {plain} were read without the evaluator");
}

fn evaluator(program: &str) -> Evaluator {
    Evaluator {
        command: [program, "--eval", "--strict", "--json"].map(str::to_owned).to_vec(),
        arguments: "{ config.services.a.workers = 8; lib.id = x: x; pkgs.hello = \"hello-2\"; }".to_owned(),
        deadline: 60.0,
        warm: None,
    }
}

#[test]
fn expressions_are_evaluated_with_the_systems_own_arguments() {
    let Some(program) = nix() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let log = LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), Some(evaluator(&program)));
    let path = |text| AttrPath::parse(text).unwrap();
    let expression = |at, text: &str, replace| Draft::Expression { path: path(at), text: text.to_owned(), replace };
    let append = |change| log.append(&[change], "test", None, |_| ());
    append(expression("services.a.workers", "config.services.a.workers * 2", false)).unwrap();
    append(expression("services.a.set", "rec { a = lib.id 1; b = { c = a; }; }", false)).unwrap();
    append(expression("services.a.whole", "{ x = pkgs.hello; } // { y = { }; }", true)).unwrap();
    append(Draft::Set(path("services.a.set.b.d"), json!(5))).unwrap();
    let built = json!({"services": {"a": {"workers": 8, "set": {"z": 0}, "whole": {"z": 0}}}});
    let effective = json!({"services": {"a": {
        "workers": 16, "set": {"a": 1, "b": {"c": 1, "d": 5}, "z": 0}, "whole": {"x": "hello-2", "y": {}}
    }}});
    assert_eq!(log.fold().unwrap().overlay.effective(&built), Ok(effective));
    let kinds: Vec<Record> = log.evaluated(|_| true).unwrap();
    assert_eq!(kinds[0].kind, Kind::Set(vec![(path("services.a.workers"), json!(16))]));

    // What has no value is not recorded.
    let before = std::fs::read(log.path()).unwrap();
    for (text, says) in [
        ("config.no.such", "attribute 'no' missing"),
        ("nowhere", "undefined variable 'nowhere'"),
        ("{ a = 1; a = 2; }", "has already been"),
        ("x: x", "cannot convert a function to JSON"),
        ("{ _type = \"if\"; }", "_type"),
        ("lib.id { outPath = \"q\"; }", "the attribute outPath at services.a.b"),
        ("{ c = map (x: { __toString = self: x; }) [ \"q\" ]; }", "the attribute __toString at services.a.b.c"),
        ("{ c.d = lib.id { _type = \"if\"; }; }", "the attribute _type at services.a.b.c.d"),
    ] {
        let error = append(expression("services.a.b", text, false)).unwrap_err();
        let words = format!("{:#}", anyhow::Error::new(error));
        // What can be seen in its text is refused before it would be a record.
        let is_named = words.contains("record 5") || text.starts_with("{ _type") || text.contains("a = 2");
        assert!(is_named && (words.contains(says) || text.contains("a = 2")), "{text}: {words}");
        assert_eq!(std::fs::read(log.path()).unwrap(), before);
    }

    // A record by hand, one that does not hold, and a torn end: only what holds is evaluated.
    let mut text = String::from_utf8(before).unwrap();
    text.push_str("{\n  set = if config ? services then { services.b = 1; } else throw \"no\";\n}\n");
    text.push_str("{ set.services.c = throw \"it is rejected\"; }\n{ reject = 6; }\n{ id = 8; set.services.d = ");
    std::fs::write(log.path(), text).unwrap();
    let folded = log.fold().unwrap();
    assert!(folded.torn.is_some());
    let leaves = folded.overlay.leaves();
    assert!(leaves.iter().any(|(at, one)| at == &path("services.b") && one.id == 5 && one.value == 1), "{leaves:?}");

    // Without an evaluator the records are left out, each by its name.
    let without = LogFile::new(log.path(), &root.join("cache"), None);
    let folded = without.fold().unwrap();
    assert_eq!(folded.unevaluated.iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2, 3, 5]);
    let first = folded.unevaluated[0].to_string();
    assert!(first.contains("record 1: it is a Nix expression, and this system's plan has no evaluator"), "{first}");
    assert_eq!(folded.unevaluated[0].paths, [path("services.a.workers")]);
    assert!(folded.overlay.leaves().iter().any(|(at, _)| at == &path("services.a.set.b.d")));
    assert_eq!(without.records().unwrap().len(), 7);
    // What overrides everything needs none.
    without.append(&[Draft::Rollback(0)], "test", None, |_| ()).unwrap();
    assert!(without.fold().unwrap().overlay.is_empty());
}

#[test]
fn an_evaluation_that_does_not_end_is_given_up() {
    let Some(program) = nix() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(directory.path()).unwrap();
    let evaluator = Evaluator { deadline: 0.5, ..evaluator(&program) };
    let log = LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), Some(evaluator));
    let text = "builtins.foldl' (a: b: builtins.deepSeq (builtins.genList (x: x) 100000) a) 0 (builtins.genList (x: x) 1000000)";
    let change = Draft::Expression { path: AttrPath(vec!["a".to_owned()]), text: text.to_owned(), replace: false };
    let start = std::time::Instant::now();
    let error = log.append(&[change], "test", None, |_| ()).unwrap_err();
    assert!(start.elapsed().as_secs() < 30);
    let words = format!("{:#}", anyhow::Error::new(error));
    assert!(words.contains("was not done within 0.5 s"), "{words}");
    assert!(!log.path().exists());
}
