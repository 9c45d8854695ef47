//! `generate` on the bundled descriptions: what it writes, and what it proves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use dynix::build;
use dynix::build::tree::Tree;
use dynix::plan::Plan;
use dynix::render::{render, static_values};
use serde_json::{Value, json};

use crate::bundled::{self, FILE, description, generate, generate_text, root, text, with, without};

fn plan(tree: &Tree) -> Plan {
    serde_json::from_str(&text(tree, "plan.json")).unwrap()
}

#[test]
fn the_tree_of_the_three_services() {
    let tree = generate(&description()).unwrap();
    let mut all = String::new();
    for (path, text, mode) in tree.files() {
        let text = match path.extension() {
            Some("json") => serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap(),
            _ => text.trim_end().to_owned(),
        };
        write!(all, "=== {path} {mode:04o}\n{text}\n\n").unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_same_description_gives_the_same_bytes_wherever_it_is_made() {
    let here = generate(&description()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Utf8PathBuf::try_from(elsewhere.path().to_owned()).unwrap();
    fs::create_dir_all(other.join("nix/store")).unwrap();
    for entry in fs::read_dir(root().join("nix/store")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), other.join("nix/store").join(entry.file_name().to_str().unwrap())).unwrap();
    }
    // Keys in another order and with white space: as another Nix, or a person, would write them.
    let pretty = serde_json::to_string_pretty(&description()).unwrap();
    assert_eq!(generate_text(&pretty, &other).unwrap(), here);
    let (one, two) = (other.join("one"), other.join("two"));
    here.write(&one).unwrap();
    here.write(&two).unwrap();
    here.write(&two).unwrap();
    for (path, text, mode) in here.files() {
        for out in [&one, &two] {
            assert_eq!(fs::read_to_string(out.join(path)).unwrap(), text);
            assert_eq!(fs::metadata(out.join(path)).unwrap().permissions().mode() & 0o7777, mode);
        }
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{path} names the place where it was made");
    }
}

/// What NixOS itself evaluates (tests/fixtures/services) for the static and for other values.
#[test]
fn every_fixture_of_nixos_is_rendered_as_nixos_writes_it() {
    let plan = plan(&generate(&description()).unwrap());
    let mut cases = 0;
    for entry in fs::read_dir(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/services")).unwrap() {
        let case: Value = serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for (name, nixos) in case["services"].as_object().unwrap() {
            let service = plan.services.get(name).unwrap();
            let values = values_of(name, nixos);
            assert_eq!(values.keys().collect::<Vec<_>>(), service.options.keys().collect::<Vec<_>>());
            let rendered = render(name, service, &values).unwrap();
            let (file, bytes) = rendered.files.first_key_value().unwrap();
            if name == "distccd" {
                let script = build::script::read(nixos["script"].as_str().unwrap()).unwrap();
                let value = service.files[file].value.evaluate(&values).unwrap();
                let words = dynix::format::flags::words(&service.files[file].format.parameters, &value).unwrap();
                assert_eq!(words, script.words[1..]);
            } else {
                assert_eq!(std::str::from_utf8(bytes).unwrap(), nixos["config_file"]["content"].as_str().unwrap());
            }
            if case["case"] == "static" {
                assert_eq!(values, static_values(service), "{name}");
            }
            let capability = nixos["unit"].as_str().unwrap().contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
            let drop_in = rendered.drop_ins.get("gotosocial.service");
            assert_eq!(
                capability,
                drop_in.is_some_and(|text| text.contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"))
            );
            assert_eq!(drop_in.is_some(), capability, "a drop-in where nothing differs");
            cases += 1;
        }
    }
    assert_eq!(cases, 15);
}

fn values_of(name: &str, nixos: &Value) -> BTreeMap<String, Value> {
    let Some(options) = nixos["options"].as_object() else {
        return BTreeMap::from([(format!("services.{name}.settings"), nixos["settings"].clone())]);
    };
    let mut values = BTreeMap::new();
    for (option, value) in options {
        match value.as_object() {
            Some(below) => values
                .extend(below.iter().map(|(one, value)| (format!("services.{name}.{option}.{one}"), value.clone()))),
            None => drop(values.insert(format!("services.{name}.{option}"), value.clone())),
        }
    }
    values
}

#[test]
fn what_differs_from_nix_fails_with_a_difference() {
    let error =
        generate(&with("/services/harmonia/options/services.harmonia.settings/static/workers", json!(5))).unwrap_err();
    insta::assert_snapshot!(error);
    let error = generate(&with("/services/distccd/options/services.distccd.maxJobs/static", json!(13))).unwrap_err();
    insta::assert_snapshot!(error);
    let error = generate(&with(&format!("{FILE}/static"), json!("/nix/store/none"))).unwrap_err();
    assert!(error.starts_with(
        "the static files can't be proven:\n  services.harmonia.files.\"harmonia.toml\".static: there is no file at "
    ));
    // A file that can't be read is no file that is not there.
    let error = generate(&with(&format!("{FILE}/static"), json!("/nix/store"))).unwrap_err();
    assert!(error.contains("static: cannot read "), "{error}");
}

#[test]
fn the_same_data_in_another_layout_is_proven_as_data() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
    let mut description = json!({ "version": 1, "services": {} });
    description["services"]["harmonia"] = bundled::description()["services"]["harmonia"].clone();
    let path =
        root.join(description.pointer(&format!("{FILE}/static")).unwrap().as_str().unwrap().trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "# by another generator\nworkers=4\nmax_connection_rate=256\n").unwrap();
    let tree = generate_text(&description.to_string(), &root).unwrap();
    let proof = &serde_json::from_str::<Value>(&text(&tree, "proof.json")).unwrap()["harmonia"]["harmonia.toml"];
    assert_eq!(proof["level"], "data");
    assert_ne!(proof["nix"], proof["rendered"]);
    fs::write(&path, "workers=4\nmax_connection_rate=255\n").unwrap();
    assert!(generate_text(&description.to_string(), &root).unwrap_err().contains("\n    -max_connection_rate=255\n"));
}

#[test]
fn a_failing_generate_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
    fs::write(root.join("bad.json"), without("/version").to_string()).unwrap();
    fs::write(root.join("good.json"), description().to_string()).unwrap();
    let run = |name: &str| {
        let mut command = assert_cmd::Command::cargo_bin("dynix").unwrap();
        command.args(["generate", "--description", root.join(name).as_str(), "--out", root.join("out").as_str()]);
        command.args(["--static-root", bundled::root().as_str(), "--dynix", "/bin/dynix"]).assert()
    };
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    run("bad.json").failure();
    assert_eq!(names(), ["bad.json", "good.json"]);
    run("good.json").success();
    let before = fs::read_to_string(root.join("out/plan.json")).unwrap();
    run("bad.json").failure();
    assert_eq!(names(), ["bad.json", "good.json", "out"]);
    assert_eq!(fs::read_to_string(root.join("out/plan.json")).unwrap(), before);
}

/// Both dialects of TOML write harmonia's few lines alike.
#[test]
fn a_file_that_fits_several_dialects_takes_that_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
    let mut description = json!({ "version": 1, "services": {} });
    for (service, value, text) in [
        ("a", json!({ "x": 1 }), "x = 1\n"),
        ("b", json!({ "x": { "y": { } } }), "[x.y]\n"),
        ("c", json!({ "x": "a\"b" }), "x = \"a\\\"b\"\n"),
    ] {
        let path = format!("/{service}.toml");
        std::fs::write(root.join(&path[1..]), text).unwrap();
        description["services"][service] = json!({
            "options": { service: { "static": value, "schema": {} } },
            "files": { "f.toml": {
                "format": { "name": "toml" }, "value": { "option": service }, "static": path, "attach": { "bind": path } } },
            "units": { format!("{service}.service"): {} } });
    }
    let dialects = |description: &Value| {
        let plan = plan(&generate_text(&description.to_string(), &root).unwrap());
        let dialect =
            |service: &str| plan.services.get(service).unwrap().files["f.toml"].format.dialect.clone().unwrap();
        ["a", "b", "c"].map(dialect)
    };
    assert_eq!(dialects(&description), ["tomlkit", "tomlkit", "tomlkit"]);
    // Said is said.
    description["services"]["a"]["files"]["f.toml"]["format"]["dialect"] = json!("toml-rs");
    assert_eq!(dialects(&description), ["toml-rs", "tomlkit", "tomlkit"]);
}
