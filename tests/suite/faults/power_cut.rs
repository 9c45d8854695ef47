//! The power goes at any moment: /run is empty then, and of what was not synced there is something or nothing.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::power::{Disk, Node, Remains};
use super::scenario::{Snapshot, Stage, generate, names, on, run};
use super::tracer::{self, Fate};
use super::{can_trace, invariants, say, whole};
use crate::support::description;

const WORKERS: &str = "services.harmonia.settings.workers";

/// What is acknowledged after so many steps: the log then.
struct Acknowledged {
    steps: usize,
    log: String,
}

fn commands() -> Vec<Vec<String>> {
    // Longer than a sector, and longer than a page.
    let (name, host) = ("n".repeat(700), "h".repeat(5000));
    let commands: [&[&str]; 8] = [
        &["append", WORKERS, "20", "--apply"],
        &["append", "services.gotosocial.settings.application-name", &name],
        &["append", "services.distccd.maxJobs", "4", "--apply"],
        &["append", "services.distccd.logLevel", "debug"],
        // Two records at once.
        &["reset", "distccd"],
        &["append", "services.gotosocial.settings.host", &host],
        &["unset", WORKERS, "--apply"],
        &["rollback", "4", "--apply"],
    ];
    commands.iter().map(|command| command.iter().map(|&word| word.to_owned()).collect()).collect()
}

/// What a disk has of a tree: nothing below /run.
fn tree(root: &Utf8Path, directory: &Utf8Path) -> BTreeMap<Utf8PathBuf, Node> {
    let mut found = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(name);
        if path == root.join("run") {
            continue;
        }
        if path.is_dir() {
            found.extend(tree(root, &path));
            found.insert(path, Node::Directory);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, Node::File(bytes));
        }
    }
    found
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if !can_trace() {
        return;
    }
    let stage = Stage::new();
    let root = stage.root();
    generate(&root, &description());
    let mut disk = Disk::new(tree(&root, &root));
    let mut acknowledged = vec![Acknowledged { steps: 0, log: String::new() }];
    for command in commands() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let ended = tracer::run(&on(&root, &words), &root, |_| Fate::Pass);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let kept = ended.calls.iter().filter(|call| !call.path.starts_with(root.join("run")));
        kept.for_each(|call| disk.record(call));
        acknowledged.push(Acknowledged { steps: disk.steps(), log: invariants::log(&root) });
    }
    let everything = disk.after(disk.steps(), |_| Remains::All);
    let now = tree(&root, &root);
    assert_eq!(everything, now, "the model is what happened");
    let mut seen = BTreeSet::new();
    // Numerical Recipes' generator: the same disks each time.
    let mut random = 7_u64;
    let (tries, stride) = if whole() { (100, 1) } else { (3, 7) };
    for cut in (0..=disk.steps()).step_by(stride) {
        let safe = acknowledged.iter().rev().find(|one| one.steps <= cut).unwrap();
        for number in 0..tries {
            let found = disk.after(cut, |possible| match number {
                0 => Remains::Nothing,
                1 => Remains::All,
                _ => {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    possible[usize::try_from(random >> 33).unwrap() % possible.len()]
                }
            });
            if seen.insert(found.clone()) {
                check(&stage, &found, &safe.log);
            }
        }
    }
    if whole() {
        say(&format!("power cuts: {} steps, {} different disks\n", disk.steps(), seen.len()));
    }
}

fn check(stage: &Stage, disk: &BTreeMap<Utf8PathBuf, Node>, acknowledged: &str) {
    let root = stage.root();
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    for (path, node) in disk {
        match node {
            Node::Directory => std::fs::create_dir(path).unwrap(),
            Node::File(bytes) => std::fs::write(path, bytes).unwrap(),
        }
    }
    let log = root.join("etc/nixos/dynamic.nix");
    let found = std::fs::read(&log).unwrap_or_default();
    let shown = || String::from_utf8_lossy(&found).replace('\0', "\u{2400}");
    assert!(found.starts_with(acknowledged.as_bytes()), "{acknowledged}\nwas acknowledged, and there is\n{}", shown());
    let read = run(&root, &["status"]);
    assert_eq!(read.code, 0, "{}{}", read.stderr, shown());
    run(&root, &["apply"]).ends(0);
    // One that goes on is the same as one that was never cut.
    let appended = run(&root, &["append", WORKERS, "30", "--apply"]);
    assert_eq!(appended.code, 0, "{}{}", appended.stderr, shown());
    let after = std::fs::read_to_string(&log).unwrap();
    assert!(after.starts_with(acknowledged));
    assert!(rnix::Root::parse(&after).errors().is_empty(), "{after}");
    assert_eq!(Snapshot::of(&root), stage.reference());
    assert_eq!(names(&root.join("etc/nixos")), [".dynamic.nix.lock", "dynamic.nix"]);
}
