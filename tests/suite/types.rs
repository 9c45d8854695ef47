//! The judge of values against the module system itself: tests/fixtures/types.json has what NixOS makes of each of many
//! values as the definition of an option of each of many types, and the schema that our modules make of the type
//! (`tests/nix/run --write types`).

use dynix::types::compile;
use serde_json::Value;

/// Where dynix refuses what the module system takes as it is, and why. It may not take anything that NixOS refuses or
/// turns into something else.
const STRICTER: &[(&str, &str)] = &[
    ("checked-int", "a check that a module adds can't run on the machine"),
    ("checked-list", "a check that a module adds can't run on the machine"),
    ("coerced-to-its-own", "what goes through a function is known to the build alone"),
    ("custom", "a type that a module makes can't be judged on the machine"),
    ("custom-or-str", "a type that a module makes can't be judged on the machine"),
    ("externalPath", "a detour (//, ..) may lead into the store"),
    ("pattern-equal", "classes of equal characters are a matter of the locale"),
    ("read-only", "nobody else may define it"),
];

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/types.json")).unwrap()
}

#[test]
fn values_are_judged_as_by_the_module_system() {
    let fixture = fixture();
    let values: Vec<(&str, Value)> = fixture["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::as_str)
        .map(Option::unwrap)
        .map(|text| (text, serde_json::from_str(text).unwrap()))
        .collect();
    let types = fixture["types"].as_object().unwrap();
    assert!(types.len() >= 80 && values.len() >= 70, "{} types, {} values", types.len(), values.len());
    let mut wrong = Vec::new();
    let mut used = Vec::new();
    for (name, one) in types {
        let kind = compile(&one["schema"]).unwrap();
        let outcomes = one["outcomes"].as_str().unwrap();
        assert_eq!(outcomes.len(), values.len(), "{name}");
        for ((text, value), outcome) in values.iter().zip(outcomes.chars()) {
            let taken = kind.mismatches(value, None).is_empty();
            match (outcome, taken) {
                ('a', true) | ('c' | 'r', false) => {}
                ('a', false) if STRICTER.iter().any(|(stricter, _)| stricter == name) => used.push(name.as_str()),
                _ => {
                    wrong
                        .push(format!("{name}: {text}: NixOS says {outcome}, dynix {}", if taken { "a" } else { "r" }));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<&str> = STRICTER.iter().map(|(name, _)| *name).filter(|name| !used.contains(name)).collect();
    assert_eq!(unused, [""; 0], "exceptions that are none");
}
