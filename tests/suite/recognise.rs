//! A file and a value, and the format that says the one in the other.

use std::path::Path;

use dynix::build::recognise::{every_format, recognise};
use dynix::format;
use dynix::plan::{FormatSpec, ProofLevel};
use serde_json::{Map, Value, json};

use crate::support::{System, dynix, finish};

fn spec(name: &str) -> FormatSpec {
    FormatSpec { name: name.to_owned(), dialect: None, parameters: Map::new() }
}

/// What every fixture of a format was written with is found from the text alone: something that writes the same.
fn fixtures_are_recognised(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("formats/tests/fixtures/formats/{name}.json"));
    let cases: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in cases.as_array().unwrap() {
        let text = case["expected"].as_str().unwrap().as_bytes();
        let recognition = recognise(&[spec(name)], &case["input"], text);
        let found = recognition.found.first().unwrap_or_else(|| panic!("{name}: {case:#}\n{:#?}", recognition.nearest));
        assert_eq!(found.level, ProofLevel::Bytes);
        assert_eq!(format::render(&found.format, &case["input"]).unwrap(), text);
    }
}

#[test]
fn every_fixture_is_recognised() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats/tests/fixtures/formats");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        if format::find(name).is_some() {
            fixtures_are_recognised(name);
            count += 1;
        }
    }
    assert!(count >= 11, "only {count}");
}

/// The conventions that nixpkgs' modules pass as functions, in all their combinations that a value can show.
#[test]
fn conventions_are_found_by_trying() {
    let value = json!({
        "main": {
            "a": "a $word", "b": true, "c": false, "d": 3, "e": null, "f": 0.5, "g": ["x y", "z", 1], "h = i": "it's",
        },
        "o[t]her": { "a": "\"" },
    });
    for separator in ["=", " = ", ": ", " "] {
        for booleans in ["true/false", "True/False", "yes/no", "on/off", "1/0", "key/comment"] {
            for strings in ["plain", "double-quoted", "single-quoted", "json", "shell"] {
                for lists in [json!({ "listsAsDuplicateKeys": true }), json!({ "listToValue": ", " })] {
                    let others = json!({ "separator": separator, "booleans": booleans, "strings": strings });
                    let Value::Object(mut parameters) = others else { unreachable!() };
                    parameters.extend(lists.as_object().unwrap().clone());
                    for (name, one) in [("nulls", "empty"), ("floats", "json"), ("sectionNames", "plain")] {
                        parameters.insert(name.to_owned(), one.into());
                    }
                    let written = FormatSpec { parameters, ..spec("ini") };
                    let text = format::render(&written, &value).unwrap();
                    let recognition = recognise(&[spec("ini")], &value, &text);
                    let found = recognition.found.first().map(|found| format::render(&found.format, &value).unwrap());
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(
                        found.map(|found| String::from_utf8(found).unwrap()),
                        Some(text),
                        "{written:?}: {:#?}",
                        recognition.nearest
                    );
                }
            }
        }
    }
}

#[test]
fn what_a_value_does_not_show_is_undecided() {
    let recognition = recognise(&[spec("keyValue")], &json!({ "a": "b" }), b"a: b\n");
    let found = &recognition.found[0];
    assert_eq!(found.format.parameters, json!({ "separator": ": " }).as_object().unwrap().clone());
    assert!(found.undecided.contains(&"booleans") && !found.undecided.contains(&"separator"), "{found:?}");
    // What is given is decided.
    let given =
        FormatSpec { parameters: json!({ "booleans": "yes/no" }).as_object().unwrap().clone(), ..spec("keyValue") };
    let recognition = recognise(&[given], &json!({ "a": "b" }), b"a=b\n");
    assert!(!recognition.found[0].undecided.contains(&"booleans"));
    // And what is shown.
    let recognition = recognise(&[spec("keyValue")], &json!({ "a": "b", "c": true }), b"a=b\nc=yes\n");
    assert!(!recognition.found[0].undecided.contains(&"booleans"), "{:?}", recognition.found);
}

#[test]
fn what_is_given_is_kept() {
    let parameters = json!({ "separator": "=" }).as_object().unwrap().clone();
    let given = FormatSpec { parameters, ..spec("keyValue") };
    let recognition = recognise(&[given], &json!({ "a": "b" }), b"a: b\n");
    assert!(recognition.found.is_empty());
    assert!(recognition.nearest.unwrap().difference.contains("-a: b\n+a=b\n"));
}

#[test]
fn services_files_are_recognised_among_all_formats() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/services/static.json");
    let services: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (service, format) in [("harmonia", "toml"), ("gotosocial", "yaml_1_1")] {
        let service = &services["services"][service];
        let text = service["config_file"]["content"].as_str().unwrap();
        let found = recognise(&every_format(), &service["settings"], text.as_bytes()).found;
        assert!(found.iter().any(|found| found.format.name == format), "{found:?}");
        assert!(found.iter().all(|found| found.level == ProofLevel::Bytes));
    }
}

#[test]
fn the_command_line_recognises() {
    let system = System::new();
    system.write("x.conf", "workers: 4\nverbose: aye\n");
    let file = system.path("x.conf");
    let value = r#"{"workers": 4, "verbose": true}"#;
    let missed = finish(dynix().args(["recognise", file.as_str(), "--value", value])).ends(1).stdout;
    assert!(missed.contains("the nearest is format"), "{missed}");
    // Nix sorts attributes: nothing writes them in that order, but it is the same data.
    system.write("x.conf", "workers: 4\nverbose: yes\n");
    let same = finish(dynix().args(["recognise", file.as_str(), "--value", value])).ends(0).stdout;
    assert!(same.contains("the same data"), "{same}");
    system.write("x.conf", "verbose: yes\nworkers: 4\n");
    let found = finish(dynix().args(["recognise", file.as_str(), "--value", value, "--json"])).ends(0).json();
    assert_eq!(found["found"][0]["format"]["parameters"], json!({ "separator": ": ", "booleans": "yes/no" }));
    finish(dynix().args(["recognise", "/there/is/none", "--value", "1"])).ends(1);
    let wrong = finish(dynix().args(["recognise", file.as_str(), "--value", "{\"a\": }"])).ends(3).stderr;
    assert!(wrong.contains("--value:1:7"), "{wrong}");
}
