//! docs/description.schema.json, docs/description.md and the types of `dynix::plan` say the same.

use std::collections::{BTreeMap, BTreeSet};

use dynix::attr_path::AttrPath;
use dynix::build::description::SCHEMA;
use dynix::host::evaluator::Evaluator;
use dynix::host::warm::Warm;
use dynix::plan::documentation::{Documentation, Documented};
use dynix::plan::{
    Around, Attach, Bounds, Candidate, Check, DaemonSpec, Drop, EtcFile, Exempt, File, Find, FormatSpec, Health,
    Method, MetricsSpec, OnChange, OnSwitch, OptionSpec, OwnFiles, Plan, Probe, Rule, Scope, Service, SourceSpec, Unit,
    ValueSpec, Verify, Within,
};
use dynix::types::compile;
use serde_json::{Value, json};

const GUIDE: &str = include_str!("../../docs/description.md");

fn candidate() -> Candidate {
    Candidate { options: vec!["services.z.settings".to_owned()], problem: Some("it is".to_owned()) }
}

/// Every kind of value.
fn values() -> Vec<ValueSpec> {
    let option = |name: &str| Box::new(ValueSpec::Option(name.to_owned()));
    vec![
        ValueSpec::Option("a.b".to_owned()),
        ValueSpec::Literal(json!("--x")),
        ValueSpec::Built(AttrPath(vec!["a".to_owned()])),
        ValueSpec::Attrs(BTreeMap::from([("x".to_owned(), *option("a.b"))])),
        ValueSpec::List(vec![*option("a.b"), ValueSpec::Literal(json!(1))]),
        ValueSpec::When { condition: option("a.b"), then: option("a.b") },
        ValueSpec::Select { from: option("a.b"), path: AttrPath(vec!["c".to_owned()]) },
        ValueSpec::Prune {
            from: option("a.b"),
            drop: vec![Drop::Null, Drop::Set, Drop::List, Drop::String],
            within: Within::Sets,
        },
        ValueSpec::Merge(vec![*option("a.b"), ValueSpec::Literal(json!({}))]),
        ValueSpec::Flatten { from: option("a.b"), prefix: "X__".to_owned(), separator: "__".to_owned(), upper: true },
        ValueSpec::Entries { from: option("a.b"), separator: "=".to_owned() },
    ]
}

/// Every field of every type and every variant; without `..`, so that a new one does not compile here.
fn everything() -> Plan {
    let values = values();
    let file = |index: usize, value: ValueSpec| File {
        format: FormatSpec {
            name: "toml".to_owned(),
            dialect: Some("tomlkit".to_owned()),
            parameters: [("x".to_owned(), json!(true))].into_iter().collect(),
        },
        value,
        static_file: "/s".into(),
        mode: "0444".to_owned(),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        attach: match index % 5 {
            0 => Attach::Bind("/t".into()),
            1 => Attach::Variables {
                built: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
                files: BTreeMap::from([("x.service".to_owned(), OwnFiles::default())]),
            },
            2 => Attach::Credential("c".to_owned()),
            3 => Attach::Etc("/etc/x".into()),
            _ => Attach::Environment {
                variable: "V".to_owned(),
                command: vec!["/bin/x".to_owned(), "y".to_owned()],
                environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]),
                built: Some(vec!["/bin/x".to_owned(), "y".to_owned()]),
            },
        },
        around: Some(Around { head: Some(String::new()), tail: Some(String::new()) }),
        units: Some(vec!["x.service".to_owned()]),
        // Only in the plan.
        found: None,
        proof: None,
    };
    let probes = [
        Probe::Command(vec!["/bin/x".to_owned()]),
        Probe::Http("http://a/".to_owned()),
        Probe::Tcp("a:1".to_owned()),
        Probe::Unix("/run/x".into()),
    ];
    let service = |index: usize, probe: Probe| Service {
        options: ["a.b", "a.c"]
            .map(|name| {
                let option = OptionSpec {
                    static_value: json!({ "c": 1 }),
                    schema: json!({ "type": "object" }).into(),
                    dynamic: Some(vec![AttrPath(vec!["c".to_owned()])]),
                    secret: vec![AttrPath(vec!["d".to_owned()])],
                    defined_in: vec!["/etc/nixos/configuration.nix".to_owned()],
                };
                (name.to_owned(), option)
            })
            .into(),
        files: values.iter().cloned().enumerate().map(|(n, value)| (format!("f{n}"), file(n + index, value))).collect(),
        drop_ins: BTreeMap::from([("x.service".to_owned(), "[Service]\n".to_owned())]),
        exempt: vec![Exempt { kind: "package".to_owned(), name: "x".to_owned(), reason: "it may".to_owned() }],
        check: Some(Check { command: vec!["/bin/x".to_owned()], on_trial: true, deadline: 1.5 }),
        health: Some(Health { probe, grace: 0.5, interval: 0.5, deadline: 2.0 }),
        units: units(),
        after: vec!["s0".to_owned()],
        watch: Some(0.0),
        find: Some(find()),
    };
    Plan {
        version: 1,
        scope: Scope::User,
        on_switch: OnSwitch::Reapply,
        verify: Verify::Rollback,
        evaluator: Some(evaluator()),
        overrides_file: Some("/etc/nixos/dynamic.nix".into()),
        options: vec!["systemd".to_owned()],
        keep: 5,
        watch: 12.5,
        sources: vec![source()],
        daemon: Some(daemon()),
        metrics: Some(MetricsSpec { textfile: "/var/lib/x".into() }),
        candidates: BTreeMap::from([("z".to_owned(), candidate())]),
        services: probes.into_iter().enumerate().map(|(n, probe)| (format!("s{n}"), service(n, probe))).collect(),
    }
}

fn evaluator() -> Evaluator {
    let command = || vec!["nix".to_owned()];
    let warm = Warm {
        command: command(),
        sources: vec!["/etc/nixos".to_owned()],
        memory: 100,
        idle: 5.5,
        socket: "/run/x.sock".into(),
    };
    Evaluator { command: command(), arguments: "{ }".to_owned(), deadline: 4.0, warm: Some(warm) }
}

fn units() -> BTreeMap<String, Unit> {
    let unit = |(name, on_change): (&str, OnChange)| {
        let text = Some("[Service]\nExecReload=/bin/x\n".to_owned());
        (
            name.to_owned(),
            Unit { on_change, deadline: 3.0, settle: Some(0.0), private_mounts: true, after: Vec::new(), text },
        )
    };
    [("x.service", OnChange::Restart), ("y.service", OnChange::Reload)].map(unit).into()
}

fn find() -> Find {
    Find {
        store: "/nix/store".to_owned(),
        type_description: "TOML value".to_owned(),
        value: Some(ValueSpec::Option("a.b".to_owned())),
        parameters: json!({ "booleans": "yes/no" }).as_object().unwrap().clone(),
        units: BTreeMap::from([("x.service".to_owned(), "[Service]\n".to_owned())]),
        etc: BTreeMap::from([(
            "x".to_owned(),
            EtcFile { target: "x".into(), source: "/s".into(), mode: "symlink".to_owned() },
        )]),
        around: Some(Around { head: None, tail: Some(String::new()) }),
        passed_on: true,
    }
}

fn source() -> SourceSpec {
    SourceSpec { name: "w".to_owned(), over_host: true }
}

fn daemon() -> DaemonSpec {
    let bounds = Bounds {
        methods: vec![Method::Append, Method::Rollback],
        minimum: serde_json::Number::from_f64(1.5),
        maximum: serde_json::Number::from_f64(2.5),
        values: Some(vec![1.into()]),
        rate: Some("10/min".to_owned()),
    };
    let options = BTreeMap::from([("services.s0.settings".to_owned(), bounds)]);
    let rule =
        Rule { users: vec!["u".to_owned()], groups: vec!["g".to_owned()], source: Some("w".to_owned()), options };
    let allow = BTreeMap::from([("r".to_owned(), rule)]);
    DaemonSpec { allow, window: 0.5, idle: 1.5, connections_per_user: 7 }
}

/// All that is said of an option to people. It is in a description and not in a plan.
fn documented() -> Value {
    let documented = Documented {
        path: AttrPath(vec!["<name>".to_owned(), "c".to_owned()]),
        description: Some("It is.".to_owned()),
        default: Some("pkgs.x".to_owned()),
        example: Some("1".to_owned()),
        declared_in: vec!["configuration.nix".to_owned()],
    };
    json!({ "a.b": [documented] })
}

fn document() -> Value {
    let mut document = serde_json::to_value(everything()).unwrap();
    document["documentation"] = documented();
    document
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn takes(schema: &Value, document: &Value) -> bool {
    compile(schema).unwrap().mismatches(document, None).is_empty()
}

fn reads(document: &Value) -> bool {
    let mut plan = document.clone();
    let said = plan.as_object_mut().and_then(|keys| keys.remove("documentation"));
    let reads_said = said.is_none_or(|said| serde_json::from_value::<Documentation>(said).is_ok());
    reads_said && serde_json::from_value::<Plan>(plan).is_ok()
}

/// JSON pointers of all values below `value`, except in values that can be anything.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let open = matches!(key.as_str(), "schema" | "literal" | "parameters" | "values")
            || (key == "static" && !value.is_string());
        if !open {
            pointers(value, &format!("{at}/{key}"), found);
        }
    }
}

fn all_pointers() -> Vec<String> {
    let mut found = Vec::new();
    pointers(&document(), "", &mut found);
    assert!(found.len() > 100);
    found
}

/// Pointers of all `properties` in the schema, with their keys.
fn properties(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    let Value::Object(object) = value else {
        if let Value::Array(list) = value {
            list.iter().enumerate().for_each(|(index, one)| properties(one, &format!("{at}/{index}"), found));
        }
        return;
    };
    for (key, below) in object {
        let here = format!("{at}/{key}");
        if key == "properties" {
            found.extend(below.as_object().unwrap().keys().map(|name| (here.clone(), name.clone())));
        }
        properties(below, &here, found);
    }
}

fn schema_keys() -> Vec<(String, String)> {
    let mut found = Vec::new();
    properties(&schema(), "", &mut found);
    found.retain(|(at, _)| at.ends_with("/properties"));
    assert!(found.len() > 40);
    found
}

#[test]
fn the_schema_takes_all_that_the_types_have() {
    assert_eq!(compile(&schema()).unwrap().mismatches(&document(), None), []);
}

#[test]
fn the_types_have_all_that_the_schema_knows() {
    for (at, key) in schema_keys() {
        let mut smaller = schema();
        smaller.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(&key).unwrap();
        assert!(!takes(&smaller, &document()), "{at}/{key} is in no type");
    }
}

#[test]
fn the_schema_and_the_types_require_the_same_and_know_no_more() {
    let schema = schema();
    for pointer in all_pointers() {
        let mut smaller = document();
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(parent) = smaller.pointer_mut(parent).unwrap().as_object_mut()
        {
            parent.remove(&key.replace("~1", "/").replace("~0", "~")).unwrap();
            let emptied = parent.is_empty();
            assert!(takes(&schema, &smaller) == reads(&smaller) || emptied, "without {pointer}");
        }
        let mut larger = document();
        if let Some(object) = larger.pointer_mut(&pointer).unwrap().as_object_mut() {
            object.insert("zzz".to_owned(), Value::Null);
            assert!(!takes(&schema, &larger), "zzz in {pointer}");
            assert!(!reads(&larger), "zzz in {pointer}");
        }
    }
}

#[test]
fn what_the_schema_takes_the_types_can_read() {
    let schema = schema();
    let kind = compile(&schema).unwrap();
    let mut taken = 0;
    for pointer in all_pointers() {
        for other in [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(2),
            json!(0.5),
            json!("x"),
            json!([]),
            json!(["x"]),
            json!({}),
        ] {
            let mut changed = document();
            *changed.pointer_mut(&pointer).unwrap() = other.clone();
            if kind.mismatches(&changed, None).is_empty() {
                taken += 1;
                assert!(reads(&changed), "{other} at {pointer}");
            }
        }
    }
    assert!(taken > 100);
}

#[test]
fn defaults_are_the_types_own() {
    // What is for people alone is no part of the plan.
    let document = || serde_json::to_value(everything()).unwrap();
    let mut minimal = document();
    let mut removed = 0;
    // Everything that has a default in the schema, left out one at a time.
    for (at, key) in schema_keys() {
        let spec = schema().pointer(&at).unwrap()[&key].clone();
        let Some(default) = spec.get("default") else { continue };
        let mut found = Vec::new();
        places_of(&document(), "", &key, &mut found);
        for place in found {
            let mut without = document();
            let (parent, name) = place.rsplit_once('/').unwrap();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            let Ok(read) = serde_json::from_value::<Plan>(without) else { continue };
            let read = serde_json::to_value(read).unwrap();
            // A key of several types has a default in each.
            let others = match key.as_str() {
                "deadline" => vec![json!(90), json!(60), json!(10)],
                "options" | "scope" | "sources" => vec![Value::Null],
                "watch" => vec![json!(30), Value::Null],
                "idle" => vec![json!(60), json!(3600)],
                _ => Vec::new(),
            };
            let value = read.pointer(&place).unwrap_or(&Value::Null);
            let equal = |one: &Value| one == value || one.as_f64().is_some() && one.as_f64() == value.as_f64();
            assert!(equal(default) || others.iter().any(equal), "{place}: {value}");
            // What held it may be gone already.
            if let Some(parent) = minimal.pointer_mut(parent) {
                parent.as_object_mut().unwrap().remove(name);
            }
            removed += 1;
        }
    }
    assert!(removed > 20 && reads(&minimal) && takes(&schema(), &minimal));
}

fn places_of(value: &Value, at: &str, key: &str, found: &mut Vec<String>) {
    let mut all = Vec::new();
    pointers(value, at, &mut all);
    found.extend(all.into_iter().filter(|pointer| pointer.rsplit_once('/').is_some_and(|(_, name)| name == key)));
}

#[test]
fn the_guide_speaks_of_every_key() {
    let keys: BTreeSet<String> = schema_keys().into_iter().map(|(_, key)| key).collect();
    let missing: Vec<&String> = keys.iter().filter(|key| !GUIDE.contains(&format!("`{key}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_examples_of_the_guide_are_descriptions() {
    let examples: Vec<&str> = GUIDE.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let value: Value = serde_json::from_str(example).unwrap();
        assert!(takes(&schema(), &value) && reads(&value), "{example}");
    }
}
