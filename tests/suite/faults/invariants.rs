//! What has to hold after any interruption.

use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::Value;

use super::scenario::{Snapshot, Stage, names, run};
use super::tracer::Ended;

/// Most generations of a service that are kept.
const KEPT: usize = 10;

/// How it was before, and how it is when nothing goes wrong.
pub struct Ends {
    pub log_before: String,
    pub log_after: String,
    pub before: Snapshot,
    pub after: Snapshot,
    /// Exit code when nothing goes wrong.
    pub code: i32,
}

/// The log's text; empty if there is none.
pub fn log(root: &Utf8Path) -> String {
    match std::fs::read(root.join("etc/nixos/dynamic.nix")) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Without its times.
pub fn timeless(log: &str) -> String {
    let mut parts = log.split("time = \"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "time = \"" + part.split_once('"').map_or(part, |(_, rest)| rest))
}

/// The whole lines.
fn whole(log: &str) -> &str {
    &log[..log.rfind('\n').map_or(0, |end| end + 1)]
}

/// Checks everything, and lets dynix recover.
pub fn check(stage: &Stage, ends: &Ends, ended: &Ended) {
    let root = stage.root();
    let text = log(&root);
    check_log(&text, ends, ended);
    check_generations(&root, &stage.reference(), ends);
    if ended.code == Some(0) && ends.code == 0 {
        assert_eq!(timeless(&text), timeless(&ends.log_after), "it reports success");
        assert_eq!(Snapshot::of(&root), ends.after, "it reports success");
    }
    // Readers are in no trouble.
    run(&root, &["status"]).ends(0);
    recover(stage);
}

/// The ids that a command says it recorded.
pub fn acknowledged(said: &str) -> Vec<u64> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("recorded ")?.split_once(':'));
    lines.flat_map(|(ids, _)| ids.split(", ").map(|id| id.parse().unwrap())).collect()
}

/// Valid, with all that was there before and all that was acknowledged.
fn check_log(text: &str, ends: &Ends, ended: &Ended) {
    let before = whole(&ends.log_before);
    assert!(text.starts_with(before), "it lost records");
    if !text.is_empty() {
        let parsed = rnix::Root::parse(whole(text));
        assert!(parsed.errors().is_empty(), "{:?}:\n{text}", parsed.errors());
    }
    for id in acknowledged(&ended.stdout) {
        assert!(whole(text).contains(&format!("\n{{ id = {id}; ")), "record {id} was acknowledged:\n{text}");
    }
    // What is more than before is what would have been recorded.
    let (there, expected) = (timeless(whole(text)), timeless(whole(&ends.log_after)));
    assert!(expected.starts_with(&there) || text == ends.log_before, "{there}");
}

/// Each service reads one whole generation or its static files; never a mixture.
fn check_generations(root: &Utf8Path, reference: &Snapshot, ends: &Ends) {
    let now = Snapshot::of(root);
    for service in names(&root.join("run/dynix")) {
        let there = now.services.get(&service);
        let known = [&ends.before, &ends.after, reference].map(|snapshot| snapshot.services.get(&service));
        assert!(known.contains(&there), "{service} reads {there:?}, and has to read one of {known:?}");
    }
    for (unit, text) in &now.drop_ins {
        let known = [&ends.before, &ends.after, reference].map(|snapshot| snapshot.drop_ins.get(unit));
        assert!(known.contains(&Some(text)), "{unit} has {text}");
    }
}

/// The next apply reaches what is recorded, and the one after it has nothing to do.
pub fn recover(stage: &Stage) {
    let root = stage.root();
    let applied = run(&root, &["apply"]);
    assert!(matches!(applied.code, 0 | 3), "{applied:?}");
    assert_eq!(Snapshot::of(&root), stage.reference(), "after the next apply");
    let again = run(&root, &["apply", "--json"]).ends(0).json();
    assert_eq!((&again["actions"], &again["leftToDo"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    if !root.join("etc/nixos/dynamic.nix").exists() {
        // What was to become the log is taken over by whoever makes it.
        run(&root, &["append", "services.distccd.maxJobs", "3"]).ends(0);
    }
    let leftovers = leftovers(&root);
    assert!(leftovers.is_empty(), "left behind: {leftovers:?}");
}

/// What is there and should not be.
fn leftovers(root: &Utf8Path) -> Vec<String> {
    let plan: Value = serde_json::from_slice(&std::fs::read(root.join("etc/dynix/plan.json")).unwrap()).unwrap();
    let services: BTreeSet<&String> = plan["services"].as_object().unwrap().keys().collect();
    let mut found = Vec::new();
    let mut odd = |directory: &str, is_ours: &dyn Fn(&str) -> bool| {
        let there = names(&root.join(directory));
        found.extend(there.iter().filter(|name| !is_ours(name)).map(|name| format!("{directory}/{name}")));
    };
    odd(".", &|name| matches!(name, "etc" | "var" | "run" | "description.json"));
    odd("etc", &|name| matches!(name, "dynix" | "nixos"));
    odd("etc/nixos", &|name| matches!(name, "dynamic.nix" | ".dynamic.nix.lock"));
    odd("run", &|name| matches!(name, "dynix" | "nixos" | "systemd"));
    odd("run/nixos", &|name| name == "switch-to-configuration.lock");
    odd("run/dynix", &|name| matches!(name, "lock" | "state.json") || services.contains(&name.to_owned()));
    odd("var/cache/dynix", &|name| name.starts_with("overrides-"));
    for service in &services {
        odd(&format!("run/dynix/{service}"), &|name| name == "current" || name.starts_with("generation-"));
    }
    for directory in names(&root.join("run/systemd/system")) {
        let below = format!("run/systemd/system/{directory}");
        odd(&below, &|name| name == "50-dynix.conf");
    }
    for directory in names(&root.join("run/systemd/system")) {
        if names(&root.join("run/systemd/system").join(&directory)).is_empty() {
            found.push(format!("{directory} (empty)"));
        }
    }
    for service in services {
        let directory = root.join("run/dynix").join(service);
        let generations = names(&directory).iter().filter(|name| name.starts_with("generation-")).count();
        if generations > KEPT {
            found.push(format!("{generations} generations of {service}"));
        }
    }
    found
}
