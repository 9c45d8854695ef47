//! The bundled descriptions, as they are and spoilt.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use dynix::build::tree::Tree;
use dynix::build::{self, Input};
use serde_json::{Value, json};

pub const HARMONIA: &str = "/services/harmonia";
pub const FILE: &str = "/services/harmonia/files/harmonia.toml";
pub const FLAGS: &str = "/services/distccd/files/flags";

const SERVICES: [&str; 3] = ["distccd", "gotosocial", "harmonia"];

pub fn root() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptions")
}

/// One description of all three.
pub fn description() -> Value {
    let mut services = serde_json::Map::new();
    for service in SERVICES {
        let text = fs::read_to_string(root().join(format!("{service}.json"))).unwrap();
        let one: Value = serde_json::from_str(&text).unwrap();
        services.extend(one["services"].as_object().unwrap().clone());
    }
    json!({ "version": 1, "services": services })
}

pub fn generate_text(text: &str, static_root: &Utf8Path) -> Result<Tree, String> {
    let input = Input {
        description: text,
        static_root,
        dynix: Utf8Path::new("/nix/store/x/bin/dynix"),
        plan: Utf8Path::new("/etc/dynix/plan.json"),
    };
    build::generate(&input).map_err(|error| error.to_string())
}

pub fn generate(description: &Value) -> Result<Tree, String> {
    generate_text(&description.to_string(), &root())
}

pub fn text(tree: &Tree, path: &str) -> String {
    tree.files().find(|(one, ..)| *one == path).unwrap_or_else(|| panic!("no {path}")).1.to_owned()
}

/// The description with the value at a JSON pointer.
pub fn with(place: &str, value: Value) -> Value {
    let mut description = description();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = description.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(object) => drop(object.insert(key.replace("~1", "/"), value)),
        other => panic!("{place} is below {other}"),
    }
    description
}

/// The description without the key at a JSON pointer.
pub fn without(place: &str) -> Value {
    let mut description = description();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let removed = description.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    assert!(removed.is_some(), "no {place}");
    description
}
