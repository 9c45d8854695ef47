//! What dynix is made of, as `cargo metadata` says it: licences, sources, crates and features that are not wanted.
//!
//! deny.toml says the same for who has cargo-deny. Advisories need its database, and are NOT looked at here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that may be passed on with the EUPL-1.2.
const LICENCES: [&str; 10] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Archived, or not to be trusted with what dynix does.
const BANNED: [&str; 4] = ["openssl-sys", "serde_yaml", "serde_yml", "yaml-rust"];

pub fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    // What is for other platforms may not be there.
    cargo.arg("--filter-platform").arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The packages that are built into programs: what these depend on, and not only for their tests or their build.
pub fn built_in<'m>(metadata: &'m Value, programs: &[&str]) -> Vec<&'m Value> {
    let packages: BTreeMap<&str, &Value> =
        metadata["packages"].as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap(), one)).collect();
    let nodes: BTreeMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap(), one)).collect();
    let is_root = |one: &Value| programs.iter().any(|name| one["name"] == **name);
    let mut next: Vec<&str> = packages.iter().filter(|(_, one)| is_root(one)).map(|(id, _)| *id).collect();
    assert_eq!(next.len(), programs.len());
    let mut found = BTreeSet::new();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let normal = |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            next.extend(
                nodes[id]["deps"].as_array().unwrap().iter().filter(normal).map(|dep| dep["pkg"].as_str().unwrap()),
            );
        }
    }
    found.into_iter().map(|id| packages[id]).filter(|one| !one["source"].is_null()).collect()
}

/// Names of which there is more than one version.
fn duplicates<'m>(packages: impl Iterator<Item = &'m Value>) -> BTreeSet<&'m str> {
    let mut seen = BTreeSet::new();
    packages.map(|one| one["name"].as_str().unwrap()).filter(|name| !seen.insert(*name)).collect()
}

/// Each crate twice is code twice, and two to look after. What is new here is weighed, or avoided.
#[test]
fn no_more_crates_are_there_in_two_versions() {
    let metadata = metadata();
    // rowan (rnix) has an older one than the rest.
    assert_eq!(duplicates(built_in(&metadata, &["dynix"]).into_iter()), ["hashbrown"].into());
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let deny: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(deny["bans"]["multiple-versions"].as_str(), Some("deny"));
    let skipped = deny["bans"]["skip"].as_array().unwrap().iter().map(|one| one["crate"].as_str().unwrap());
    assert_eq!(duplicates(metadata["packages"].as_array().unwrap().iter()), skipped.collect());
}

/// The agent of a fleet talks to a network; `dynix` does not, and has nothing for it.
#[test]
fn what_talks_to_a_network_is_in_the_agent_alone() {
    let metadata = metadata();
    let names = |programs: &[&str]| -> BTreeSet<&str> {
        built_in(&metadata, programs).into_iter().map(|one| one["name"].as_str().unwrap()).collect()
    };
    let network = ["tokio", "tonic", "prost", "h2", "hyper", "http", "tower", "rustls", "ring", "tracing"];
    let agent = names(&["dynix-agent"]);
    assert!(network.iter().all(|name| agent.contains(name)), "{agent:?}");
    let dynix = names(&["dynix"]);
    assert_eq!(network.iter().filter(|name| dynix.contains(*name)).collect::<Vec<_>>(), Vec::<&&str>::new());
    // No other implementation of TLS, and nothing that wants a compiler for anything but ring.
    for name in ["aws-lc-rs", "openssl", "native-tls", "prost-build", "axum"] {
        assert!(!agent.contains(name), "{name}");
    }
}

/// Whether an SPDX expression can be met: one of what stands beside `OR`, all of what stands beside `AND`.
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    if expression.contains(" AND ") && expression.contains(" OR ") {
        // Too clever for this: everything has to be allowed.
        return flat.split(" AND ").flat_map(|part| part.split(" OR ")).all(|one| LICENCES.contains(&one.trim()));
    }
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn every_crate_may_be_used() {
    crate::support::skip(
        "security advisories of dependencies: their database can't be had here; run `cargo deny check`",
    );
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    let mut problems = Vec::new();
    for package in packages.iter().filter(|package| !package["source"].is_null()) {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none");
        if !is_allowed(licence) {
            problems.push(format!("{name}: the licence is {licence}"));
        }
        let source = package["source"].as_str().unwrap();
        if source != "registry+https://github.com/rust-lang/crates.io-index" {
            problems.push(format!("{name}: it is from {source}"));
        }
        if BANNED.contains(&name) {
            problems.push(format!("{name}: it is banned"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// See Cargo.toml: both change what `serde_json` gives to every other serialiser.
#[test]
fn serde_json_keeps_names_sorted_and_numbers_plain() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let features: BTreeSet<&str> = nodes
        .iter()
        .filter(|node| node["id"].as_str().unwrap().contains("#serde_json@"))
        .flat_map(|node| node["features"].as_array().unwrap())
        .map(|feature| feature.as_str().unwrap())
        .collect();
    assert!(features.contains("std"), "{features:?}");
    assert!(!features.contains("preserve_order") && !features.contains("arbitrary_precision"), "{features:?}");
}

#[test]
fn licences_are_read_as_they_are_meant() {
    for good in ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "MIT AND ISC", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["none", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

/// deny.toml and this file name the same licences.
#[test]
fn deny_toml_says_the_same() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let deny: toml::Table = toml::from_str(&text).unwrap();
    let licences = deny["licenses"]["allow"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
    assert_eq!(licences.collect::<BTreeSet<_>>(), LICENCES.into_iter().chain(["EUPL-1.2"]).collect());
    let banned = deny["bans"]["deny"].as_array().unwrap().iter().map(|one| one["crate"].as_str().unwrap());
    assert_eq!(banned.collect::<BTreeSet<_>>(), BANNED.into());
}
