//! A plan that is opened by its index gives the same answers as one that is read whole.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8Path;
use dynix::attr_path::AttrPath;
use dynix::plan::{self, Plan};
use serde_json::{Value, json};

use crate::support::{System, description};

const INDEX: &str = "etc/dynix/plan.json.index";

/// The same system twice: with its index, and without.
fn twins(description: &Value) -> [System; 2] {
    let twins = [System::of(description), System::of(description)];
    assert!(twins[0].path(INDEX).exists());
    fs::remove_file(twins[1].path(INDEX)).unwrap();
    twins
}

/// What differs between two runs however alike they are: the root, and times (2026-11-30T05:20:11Z).
fn alike(system: &System, text: &str) -> String {
    let text = text.replace(system.root().as_str(), "ROOT");
    let (mut said, mut rest) = (String::new(), text.as_str());
    while let Some(at) = rest.find('T') {
        let is_time = at >= 10
            && rest.get(at - 10..at).is_some_and(|date| date.chars().all(|ch| ch.is_ascii_digit() || ch == '-'))
            && rest.get(at + 9..at + 10) == Some("Z");
        let end = if is_time { at + 10 } else { at + 1 };
        said.push_str(if is_time { &rest[..at - 10] } else { &rest[..end] });
        rest = &rest[end..];
    }
    said + rest
}

fn everything(system: &System) -> BTreeMap<String, String> {
    let is_input = |name: &str| name.contains("/etc/dynix/") || name.ends_with("/description.json");
    let files = system.everything().into_iter().filter(|(name, _)| !is_input(name));
    files
        .map(|(name, content)| {
            let mut text = String::from_utf8_lossy(&content).into_owned();
            if name.ends_with("/state.json") {
                let mut state: Value = serde_json::from_str(&text).unwrap();
                for one in state["services"].as_object_mut().unwrap().values_mut() {
                    one.as_object_mut().unwrap().remove("since");
                }
                text = state.to_string();
            }
            (alike(system, &name), alike(system, &text))
        })
        .collect()
}

/// Runs the same on both, and compares all that can be seen of it.
fn same(twins: &[System; 2], words: &[&str]) {
    let [one, other] = twins.each_ref().map(|system| {
        let run = system.run(words);
        (run.code, alike(system, &run.stdout), alike(system, &run.stderr), everything(system))
    });
    assert_eq!(one, other, "{words:?}");
}

/// What each kind of command does, on all options of the description.
#[test]
fn answers_are_the_same_with_and_without_an_index() {
    let description = description();
    let twins = twins(&description);
    let services = description["services"].as_object().unwrap();
    let options: Vec<&String> =
        services.values().flat_map(|service| service["options"].as_object().unwrap().keys()).collect();
    for option in &options {
        same(&twins, &["get", option]);
        same(&twins, &["get", &format!("{option}.nothing.of.that.name")]);
        same(&twins, &["append", option, "7"]);
        same(&twins, &["append", &format!("{option}x"), "7", "--apply"]);
    }
    same(&twins, &["apply", "--dry-run"]);
    same(&twins, &["apply"]);
    same(&twins, &["append", "services.harmonia.settings.workers", "20"]);
    same(&twins, &["append", "services.gotosocial.settings.port", "80", "--apply"]);
    // Now harmonia is behind.
    same(&twins, &["status", "--json"]);
    same(&twins, &["append", "services.harmonia.settings.workers", "many"]);
    same(&twins, &["append", "services.distccd.maxJobs", "4", "--apply"]);
    same(&twins, &["apply", "gotosocial"]);
    same(&twins, &["apply", "gotosociall"]);
    same(&twins, &["apply"]);
    same(&twins, &["rollback", "1", "--apply"]);
    same(&twins, &["apply"]);
    same(&twins, &["append", "services.harmonia.settings.workers", "9", "--apply", "--for", "1h"]);
    same(&twins, &["unset", "services.gotosocial", "--apply"]);
    same(&twins, &["append", "services", "1"]);
    same(&twins, &["append", "services.openssh.settings.Port", "1"]);
    same(&twins, &["reset"]);
    same(&twins, &["apply"]);
    same(&twins, &["status", "--json"]);
}

/// A description of so many services that each come after the one before, but for every tenth.
fn many(count: usize) -> Value {
    let template = description()["services"]["harmonia"].to_string();
    let services: serde_json::Map<String, Value> = (0..count)
        .map(|number| {
            let name = format!("service{number}");
            let text = template
                .replace("services.harmonia", &format!("services.{name}"))
                .replace("harmonia.service", &format!("{name}.service"));
            let mut service: Value = serde_json::from_str(&text).unwrap();
            if number % 10 != 0 {
                service["after"] = json!([format!("service{}", number - 1)]);
            }
            (name, service)
        })
        .collect();
    json!({"version": 1, "services": services})
}

fn opened(system: &System) -> Plan {
    plan::open(&system.path("etc/dynix/plan.json")).unwrap().unwrap()
}

fn read(plan: &Plan) -> Vec<&str> {
    plan.services.keys().map(String::as_str).collect()
}

#[test]
fn of_a_plan_of_two_thousand_services_only_those_concerned_are_read() {
    let system = System::of(&many(2000));
    let whole = plan::load(&system.path("etc/dynix/plan.json")).unwrap().unwrap();
    let plan = opened(&system);
    assert_eq!(read(&plan), [""; 0]);
    assert_eq!((plan.services.len(), plan.services.contains_key("service1999")), (2000, true));
    assert!(!plan.services.contains_key("service2000"));
    let path = AttrPath::parse("services.service1992.settings.workers").unwrap();
    plan.services.require_options([&path, &AttrPath::parse("services.elsewhere.settings").unwrap()]).unwrap();
    // With what it comes after, and in the order of the names.
    assert_eq!(read(&plan), ["service1990", "service1991", "service1992"]);
    plan.services.require(&["service20".to_owned(), "elsewhere".to_owned()]).unwrap();
    assert_eq!(read(&plan), ["service1990", "service1991", "service1992", "service20"]);
    assert!(plan.services.iter().all(|(name, service)| whole.services.get(name) == Some(service)));
    assert_eq!(plan.services.get("service3"), None);
    plan.services.require_all().unwrap();
    assert_eq!(plan.services, whole.services);

    // The commands find their way in it.
    let workers = "services.service1992.settings.workers";
    system.run(&["append", workers, "20", "--apply"]).ends(0);
    assert_eq!(system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    assert!(system.read("run/dynix/service1992/current/harmonia.toml").contains("workers = 20\n"));
    // Nothing is noted of the others.
    let state: Value = serde_json::from_str(&system.read("run/dynix/state.json")).unwrap();
    assert_eq!(state["services"].as_object().unwrap().keys().collect::<Vec<_>>(), ["service1992"]);
    // A directory that an apply of before left is looked at, whoever's it is.
    system.write("run/dynix/service7/generation-1/harmonia.toml", "x");
    system.write("run/dynix/gone/generation-1/harmonia.toml", "x");
    system.run(&["apply"]).ends(0);
    assert!(!system.path("run/dynix/gone").exists());
}

#[test]
fn an_index_that_does_not_belong_to_the_plan_is_ignored() {
    let system = System::new();
    let (file, index) = (system.path("etc/dynix/plan.json"), system.path(INDEX));
    let whole = plan::load(&file).unwrap().unwrap();
    let bytes = fs::read(&index).unwrap();
    let place = [AttrPath::parse("services.harmonia.settings").unwrap()];
    // Each byte wrong, and each length.
    let damaged = (0..bytes.len()).map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x41;
        bytes
    });
    for wrong in damaged.chain((0..bytes.len()).step_by(7).map(|length| bytes[..length].to_vec())) {
        replace(&index, &wrong);
        let plan = opened(&system);
        plan.services.require_options(&place).unwrap();
        for (name, service) in &plan.services {
            assert_eq!(Some(service), whole.services.get(name));
        }
        plan.services.require_all().unwrap();
        assert_eq!(plan.services, whole.services);
    }
    // A plan of the same length with something else in it.
    let text = system.read("etc/dynix/plan.json");
    let changed = text.replace("\"max_connection_rate\":256", "\"max_connection_rate\":257");
    assert!(changed != text && changed.len() == text.len());
    replace(&file, changed.as_bytes());
    replace(&index, &bytes);
    assert!(read(&opened(&system)).is_empty(), "it belongs as far as can be seen");
    let run = system.run(&["get", "services.harmonia.settings.max_connection_rate"]).ends(0);
    assert_eq!(run.stdout, "257\n");
    // A plan that was written after the index.
    let later = fs::metadata(&index).unwrap().modified().unwrap() + std::time::Duration::from_millis(1);
    replace(&file, text.as_bytes());
    fs::File::open(&file).unwrap().set_modified(later).unwrap();
    assert_eq!(read(&opened(&system)).len(), 3);
}

/// What `generate` writes is for nobody to write to.
fn replace(file: &Utf8Path, bytes: &[u8]) {
    let _ = fs::remove_file(file);
    fs::write(file, bytes).unwrap();
}
