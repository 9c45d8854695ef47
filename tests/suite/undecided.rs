//! What the built values do not show of how a file is written: an override that depends on it is not written by guess.

use std::collections::BTreeMap;

use dynix::build::recognise::recognise;
use dynix::format;
use dynix::plan::{Attach, File, FormatSpec, Proof, ProofLevel, ValueSpec};
use dynix::render::undecided::{Subject, check};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::System;

const STATIC: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.conf";

/// A service `x` whose settings are `value`, which Nix wrote as `text`.
fn system(value: &Value, text: &str, format: &Value) -> System {
    let service = json!({
        "options": { "services.x.settings": { "static": value, "schema": {} } },
        "files": { "x.conf": {
            "format": format, "value": { "option": "services.x.settings" }, "static": STATIC, "attach": { "bind": STATIC },
        } },
        "units": { "x.service": {} },
    });
    described(&service, text)
}

/// The same, with its file to be found.
fn found(value: &Value, text: &str, kind: &str, line: &str, more: &Value) -> System {
    let unit = format!("[Unit]\nDescription=X\n\n[Service]\n{line}\n");
    let mut find = json!({ "store": "/nix/store", "type": kind, "units": { "x.service": unit } });
    find.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let options = json!({ "services.x.settings": { "static": value, "schema": {} } });
    described(&json!({ "options": options, "files": {}, "units": {}, "find": find }), text)
}

fn described(service: &Value, text: &str) -> System {
    let statics = tempfile::tempdir().unwrap();
    let file = statics.path().join(&STATIC[1..]);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    System::with(&json!({ "version": 1, "services": { "x": service } }), statics.path().to_str().unwrap())
}

fn undecided(system: &System) -> Value {
    let proof: Value = serde_json::from_str(&system.read("etc/dynix/proof.json")).unwrap();
    let plan: Value = serde_json::from_str(&system.read("etc/dynix/plan.json")).unwrap();
    let of = |files: &Value| files.as_object().unwrap().values().next().unwrap()["undecided"].clone();
    let files = plan["services"]["x"]["files"].as_object().unwrap();
    let in_plan = files.values().next().unwrap()["proof"]["undecided"].clone();
    assert_eq!(of(&proof["x"]), in_plan);
    in_plan
}

/// Appends; it has to be refused with all of `says`, and nothing is recorded.
#[track_caller]
fn refused(system: &System, path: &str, value: &str, says: &[&str]) {
    let before = system.everything();
    let run = system.run(&["append", "--apply", reading(value), path, value]).ends(3);
    for part in says {
        assert!(run.stderr.contains(part), "{path} = {value} does not say {part:?}:\n{}", run.stderr);
    }
    assert_eq!(system.everything(), before);
}

/// The values are of any kind, whatever is there now.
fn reading(value: &str) -> &'static str {
    if serde_json::from_str::<Value>(value).is_ok() { "--json" } else { "--string" }
}

/// Appends and applies; the file has to have `line`. Gives what is said of it.
#[track_caller]
fn written(system: &System, path: &str, value: &str, line: &str) -> String {
    let run = system.run(&["append", "--apply", reading(value), path, value]).ends(0);
    let plan: Value = serde_json::from_str(&system.read("etc/dynix/plan.json")).unwrap();
    let name = plan["services"]["x"]["files"].as_object().unwrap().keys().next().unwrap().clone();
    let text = system.read(&format!("run/dynix/x/current/{name}"));
    assert!(text.contains(line), "{path} = {value}: no {line:?} in {text}");
    run.stderr
}

#[test]
fn a_convention_that_nothing_showed_refuses_what_depends_on_it() {
    let system = system(&json!({ "s": { "a": 1 } }), "[s]\na=1\n", &json!({ "name": "ini" }));
    let open = ["listsAsDuplicateKeys", "listToValue", "escapeKeys", "booleans", "nulls", "strings", "floats"];
    let mut open: Vec<&str> = open.into();
    open.push("sectionNames");
    assert_eq!(undecided(&system), json!(open));
    let place = "dynamicism.for.x.files.\"x.conf\".format.parameters.booleans";
    refused(
        &system,
        "services.x.settings.s.b",
        "true",
        &["undecided", "how true and false are written", "`b=true` (booleans = \"true/false\")", "`b=yes`", place],
    );
    refused(
        &system,
        "services.x.settings.s.b",
        "null",
        &["`b=null`", "no line (nulls = \"omit\")", "parameters.nulls"],
    );
    refused(&system, "services.x.settings.s.b", "\"text\"", &["`b=text`", "`b=\"text\"`", "parameters.strings"]);
    refused(
        &system,
        "services.x.settings.s.b",
        "[1, 2]",
        &["how a list is written", "`b=1` (listsAsDuplicateKeys = true)", "`b=1…2` (listToValue = \"…\")"],
    );
    // A number with a fraction is the same however many digits it has; one that loses some is not.
    let said = written(&system, "services.x.settings.s.b", "0.5", "b=0.500000");
    assert!(said.contains("undecided") && said.contains("`b=0.5`"), "{said}");
    refused(&system, "services.x.settings.s.b", "1e-7", &["`b=0.000000`", "parameters.floats"]);
    // What depends on nothing has nothing said of it.
    let said = written(&system, "services.x.settings.s.b", "2", "b=2");
    assert!(!said.contains("undecided"), "{said}");
}

#[test]
fn what_is_declared_is_decided() {
    let declared = json!({ "name": "ini", "parameters": {
        "booleans": "yes/no", "nulls": "omit", "strings": "plain", "floats": "json", "listToValue": ", ",
    } });
    let system = system(&json!({ "s": { "a": 1 } }), "[s]\na=1\n", &declared);
    for (value, line) in [("true", "b=yes\n"), ("\"a b\"", "b=a b\n"), ("0.5", "b=0.5\n"), ("[1, 2]", "b=1, 2\n")] {
        let said = written(&system, "services.x.settings.s.b", value, line);
        assert!(!said.contains("undecided"), "{said}");
    }
}

#[test]
fn lists_of_one_element_and_of_none_show_little() {
    // As modules join lists by a blank: nixpkgs writes `key=` for an empty one.
    let value = json!({ "security": { "admin_user": "admin", "csrf_trusted_origins": [] } });
    let text = "[security]\nadmin_user=admin\ncsrf_trusted_origins=\n";
    let empty = system(&value, text, &json!({ "name": "ini" }));
    assert!(undecided(&empty).as_array().unwrap().contains(&json!("listToValue")));
    refused(
        &empty,
        "services.x.settings.security.csrf_trusted_origins",
        "[\"a\", \"b\"]",
        &["`csrf_trusted_origins=a…b`"],
    );
    written(&empty, "services.x.settings.security.csrf_trusted_origins", "[\"a\"]", "csrf_trusted_origins=a\n");
    let joined = system(&value, text, &json!({ "name": "ini", "parameters": { "listToValue": " " } }));
    written(
        &joined,
        "services.x.settings.security.csrf_trusted_origins",
        "[\"a\", \"b\"]",
        "csrf_trusted_origins=a b\n",
    );

    let one = system(&json!({ "s": { "hosts": ["a"] } }), "[s]\nhosts=a\n", &json!({ "name": "ini" }));
    let open = undecided(&one);
    for name in ["listsAsDuplicateKeys", "listToValue"] {
        assert!(open.as_array().unwrap().contains(&json!(name)), "{open}");
    }
    let path = "services.x.settings.s.hosts";
    refused(&one, path, "[\"a\", \"b\"]", &["how a list is written", "`hosts=a…b` (listToValue = \"…\")"]);
    written(&one, path, "[\"b\"]", "hosts=b\n");
    // The type of an option says which of the two it is.
    for (kind, says) in [
        ("section of an INI file (attrs of INI atom or a list of them for duplicate keys)", None),
        ("section of an INI file (attrs of INI atom or a non-empty list of them)", Some("`hosts=a…b`")),
    ] {
        let line = format!("ExecStart=/bin/x {STATIC}");
        let typed = found(&json!({ "s": { "hosts": ["a"] } }), "[s]\nhosts=a\n", kind, &line, &json!({}));
        match says {
            None => drop(written(&typed, path, "[\"a\", \"b\"]", "hosts=a\nhosts=b\n")),
            Some(says) => {
                refused(&typed, path, "[\"a\", \"b\"]", &[says, "dynamicism.for.x.parameters.listToValue"]);
                let known = json!({ "parameters": { "listToValue": ", " } });
                let known = found(&json!({ "s": { "hosts": ["a"] } }), "[s]\nhosts=a\n", kind, &line, &known);
                written(&known, path, "[\"a\", \"b\"]", "hosts=a, b\n");
            }
        }
    }
}

#[test]
fn quotes_within_quotes_depend_on_how_strings_are_quoted() {
    let quoted = system(&json!({ "a": "b" }), "a=\"b\"\n", &json!({ "name": "keyValue" }));
    written(&quoted, "services.x.settings.a", "c d", "a=\"c d\"\n");
    let ways = ["`a=\"c\"d\"` (strings = \"double-quoted\")", "`a=\"c\\\"d\"` (strings = \"json\")"];
    refused(&quoted, "services.x.settings.a", "c\"d", &ways);
    // Where strings are plain, only a shell script would need quotes.
    let plain = system(&json!({ "a": "b" }), "a=b\n", &json!({ "name": "keyValue" }));
    let said = written(&plain, "services.x.settings.a", "c d", "a=c d\n");
    assert!(said.contains("undecided") && said.contains("`a='c d'` (strings = \"shell\")"), "{said}");
}

#[test]
fn strings_that_a_later_step_makes_tags_of() {
    let value = json!({ "http": { "port": 1 } });
    let text = "http:\n  port: 1\n";
    let pyyaml = |parameters: Value| json!({ "name": "yaml_1_1", "dialect": "pyyaml", "parameters": parameters });
    let path = "services.x.settings.automation";
    let open = system(&value, text, &pyyaml(json!({})));
    assert_eq!(undecided(&open), json!(["unquotedTags"]));
    let ways = ["`automation: '!include a.yaml'` (unquotedTags = false)", "`automation: !include a.yaml`"];
    refused(&open, path, "!include a.yaml", &ways);
    written(&open, path, "include a.yaml", "automation: include a.yaml\n");
    let tags = system(&value, text, &pyyaml(json!({ "unquotedTags": true })));
    written(&tags, path, "!include a.yaml", "automation: !include a.yaml\n");
    // What would not come out as a tag is refused, as all that reads back as something else.
    refused(&tags, path, "say '!include a.yaml'", &["taken for the beginning of a tag"]);
    // The built values may show it.
    let mut with = value;
    with["scene"] = "!include b.yaml".into();
    let shown = system(&with, "http:\n  port: 1\nscene: !include b.yaml\n", &pyyaml(json!({})));
    assert_eq!(undecided(&shown), Value::Null);
    written(&shown, path, "!include a.yaml", "automation: !include a.yaml\n");
}

#[test]
fn nulls_that_may_be_left_out() {
    let line = format!("ExecStart=/bin/x {STATIC}");
    let build = |more: &Value| found(&json!({ "a": 1 }), "{\n  \"a\": 1\n}\n", "JSON value", &line, more);
    let open = build(&json!({}));
    assert_eq!(undecided(&open), json!(["prune"]));
    let says =
        ["whether what is null or empty is left out", "`\"b\": null` (nothing left out)", "dynamicism.for.x.value"];
    refused(&open, "services.x.settings.b", "null", &says);
    // That something empty is left out is rare.
    let said = written(&open, "services.x.settings.b", "[]", "\"b\": []");
    assert!(said.contains("undecided") && said.contains("prune"), "{said}");
    let prune = |drop: Value| {
        let from = json!({ "option": "services.x.settings" });
        build(&json!({ "value": { "prune": { "from": from, "drop": drop, "within": "sets" } } }))
    };
    let whole = prune(json!([]));
    assert_eq!(undecided(&whole), Value::Null);
    written(&whole, "services.x.settings.b", "null", "\"b\": null");
    let without = prune(json!(["null"]));
    written(&without, "services.x.settings", "{\"b\": null, \"c\": 2}", "{\n  \"a\": 1,\n  \"c\": 2\n}\n");
}

#[test]
fn flags_and_variables_that_were_not_shown() {
    let line = "ExecStart=/bin/x --id=y";
    let value = json!({ "id": "y" });
    let open = found(&value, "", "CLI value", line, &json!({}));
    assert_eq!(undecided(&open), json!(["separator", "dashes", "booleans", "join"]));
    let ways = ["--log\"` (booleans = \"bare\")", "--log=true", "dynamicism.for.x.parameters.booleans"];
    refused(&open, "services.x.settings.log", "true", &ways);
    refused(&open, "services.x.settings.tag", "[\"a\", \"b\"]", &["how a list is written", "parameters.join"]);
    refused(&open, "services.x.settings.p", "1", &["-p=1", "-p1", "parameters.separator"]);
    written(&open, "services.x.settings.id", "z", "--id=z");
    let known = json!({ "parameters": { "dashes": "gnu", "separator": "=", "booleans": "bare", "join": null } });
    let known = found(&value, "", "CLI value", line, &known);
    assert_eq!(undecided(&known), Value::Null);
    written(&known, "services.x.settings.log", "true", "--id=y --log");

    let line = "Environment=X_NAME=y\nExecStart=/bin/x";
    let value = json!({ "X_NAME": "y" });
    let open = found(&value, "", "attribute set of anything", line, &json!({}));
    assert_eq!(undecided(&open), json!(["booleans"]));
    refused(&open, "services.x.settings.X_LOG", "true", &["X_LOG=\"true\"", "X_LOG=\"1\"", "parameters.booleans"]);
    let known = json!({ "parameters": { "booleans": "1/" } });
    let known = found(&value, "", "attribute set of anything", line, &known);
    written(&known, "services.x.settings.X_LOG", "true", "X_LOG=\"1\"\n");
}

#[test]
fn parameters_that_no_format_takes_are_refused() {
    let statics = tempfile::tempdir().unwrap();
    let unit = "[Service]\nExecStart=/bin/x\n";
    let find = json!({ "store": "/nix/store", "units": { "x.service": unit }, "parameters": { "boolean": "yes/no" } });
    let options = json!({ "services.x.settings": { "static": { "a": 1 }, "schema": {} } });
    let service = json!({ "options": options, "files": {}, "units": {}, "find": find });
    let description = json!({ "version": 1, "services": { "x": service } }).to_string();
    let root = camino::Utf8Path::from_path(statics.path()).unwrap();
    let error = crate::bundled::generate_text(&description, root).unwrap_err();
    assert!(error.contains("no format takes {\"boolean\":\"yes/no\"}"), "{error}");
}

/// One that was recorded when nobody asked, or that another system showed: the service keeps what it has.
#[test]
fn a_record_that_depends_on_it_is_not_applied() {
    let system = system(&json!({ "s": { "a": 1 } }), "[s]\na=1\n", &json!({ "name": "ini" }));
    written(&system, "services.x.settings.s.a", "2", "a=2");
    let log = system.read("etc/nixos/dynamic.nix");
    system.write("etc/nixos/dynamic.nix", &format!("{log}{{ set.services.x.settings.s.b = true; }}\n"));
    let run = system.run(&["apply"]).ends(3);
    assert!(
        run.stderr.contains("x: refused, nothing of it was changed") && run.stderr.contains("undecided"),
        "{}",
        run.stderr
    );
    assert_eq!(system.read("run/dynix/x/current/x.conf"), "[s]\na=2\n");
}

#[test]
fn of_a_service_with_secrets_no_value_is_shown() {
    let options = json!({ "services.x.settings": {
        "static": { "s": { "a": 1, "password": null } }, "schema": {}, "secret": [["s", "password"]],
    } });
    let service = json!({
        "options": options,
        "files": { "x.conf": {
            "format": { "name": "ini", "parameters": { "nulls": "omit" } }, "value": { "option": "services.x.settings" },
            "static": STATIC, "attach": { "bind": STATIC }, "mode": "0400",
        } },
        "units": { "x.service": {} },
    });
    let system = described(&service, "[s]\na=1\n");
    system.write("run/secrets/password", "hunter2");
    std::process::Command::new("chmod").args(["0400", system.path("run/secrets/password").as_str()]).status().unwrap();
    let arguments = ["append", "services.x.settings.s.password", "--secret-file", "/run/secrets/password"];
    let run = system.run(&arguments).ends(3);
    assert!(
        run.stderr.contains("how a string is quoted") && run.stderr.contains("parameters.strings"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
}

/// Formats with conventions, and what each can be.
fn conventions(name: &str) -> impl Strategy<Value = Map<String, Value>> + use<> {
    let parameters = format::find(name).unwrap().parameters;
    let choices: Vec<_> = parameters
        .iter()
        .map(|parameter| {
            let mut ways = vec![None];
            ways.extend(
                format::conventions::candidates(parameter.kind).into_iter().filter(|way| !way.is_null()).map(Some),
            );
            let texts = [" ", ", ", "=", " = ", ":"];
            let texts = move |way: Option<Value>, index: usize| match way {
                Some(Value::String(text)) if text == format::conventions::ANY_TEXT => Some(texts[index].into()),
                way => way,
            };
            let name = parameter.name;
            (prop::sample::select(ways), 0..5_usize)
                .prop_map(move |(way, index)| texts(way, index).map(|way| (name.to_owned(), way)))
        })
        .collect();
    choices.prop_map(|parameters| parameters.into_iter().flatten().collect())
}

fn attributes() -> impl Strategy<Value = Value> {
    let atom = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5..5_i64).prop_map(Value::from),
        Just(Value::Null),
        prop::sample::select(vec!["a", "b c", "d\"e", "", "f'g", "h=i", "!j k", "l/m"]).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1e-7]).prop_map(Value::from),
    ];
    let value = prop_oneof![3 => atom.clone(), 1 => prop::collection::vec(atom, 0..3).prop_map(Value::from)];
    let names = prop::sample::select(vec!["A", "B", "C", "D"]).prop_map(str::to_owned);
    prop::collection::btree_map(names, value, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Flags have a variable in any case.
fn spec(name: &str, mut parameters: Map<String, Value>) -> FormatSpec {
    if name == "flags" {
        parameters.insert("variable".to_owned(), "FLAGS".into());
    }
    FormatSpec { name: name.to_owned(), dialect: None, parameters }
}

/// A file of the built values' text, as the build proves it.
fn proven(name: &str, built: &Value, text: &[u8]) -> Option<File> {
    let found = recognise(&[spec(name, Map::new())], built, text)
        .found
        .into_iter()
        .find(|found| found.level == ProofLevel::Bytes)?;
    let undecided = found.undecided.iter().map(|name| (*name).to_owned()).collect();
    Some(File {
        format: found.format,
        value: ValueSpec::Option("o".to_owned()),
        static_file: STATIC.into(),
        mode: "0444".to_owned(),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        attach: Attach::Bind(STATIC.into()),
        around: None,
        units: None,
        found: None,
        proof: Some(Proof { level: ProofLevel::Bytes, nix: String::new(), rendered: String::new(), undecided }),
    })
}

/// Whatever conventions a module has, and however little of them its built values show: what is written without a word is
/// what the module writes.
#[track_caller]
fn nothing_is_guessed(name: &'static str, wrap: fn(Value) -> Value) {
    let mut counts = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = (conventions(name), attributes(), attributes());
    let counted = std::cell::RefCell::new(&mut counts);
    runner
        .run(&cases, |(parameters, built, new)| {
            let hidden = spec(name, parameters);
            let (built, new) = (wrap(built), wrap(new));
            let Ok(text) = format::render(&hidden, &built) else { return Ok(()) };
            let Some(file) = proven(name, &built, &text) else { return Ok(()) };
            let built = [("o".to_owned(), built)].into();
            let values = [("o".to_owned(), new.clone())].into();
            let subject =
                Subject { service: "x", name: "f", file: &file, built: &built, values: &values, is_secret: false };
            let outcome = match check(subject) {
                Err(_) => "refused",
                Ok(notes) if !notes.is_empty() => "noted",
                Ok(_) => {
                    let ours = format::render(&file.format, &new);
                    if let Ok(ours) = ours {
                        let theirs = format::render(&hidden, &new).ok();
                        prop_assert_eq!(Some(ours), theirs, "{:?} {:?}", file.format, file.proof);
                    }
                    "sure"
                }
            };
            *counted.borrow_mut().entry(outcome).or_insert(0) += 1;
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    for outcome in ["refused", "sure"] {
        assert!(counts.get(outcome).is_some_and(|count| *count > 5), "{name}: {counts:?}");
    }
}

#[test]
fn nothing_is_guessed_in_lines() {
    nothing_is_guessed("keyValue", |attributes| attributes);
}

#[test]
fn nothing_is_guessed_in_sections() {
    nothing_is_guessed("ini", |attributes| json!({ "s[1]": attributes }));
}

#[test]
fn nothing_is_guessed_in_variables() {
    nothing_is_guessed("environment", |attributes| attributes);
}

#[test]
fn nothing_is_guessed_in_flags() {
    nothing_is_guessed("flags", |attributes| json!([{ "flags": attributes }]));
}

#[test]
fn nothing_is_guessed_in_yaml() {
    nothing_is_guessed("yaml_1_2", |attributes| attributes);
}
