//! What can depend on the values of dynamic services, for all possible values, as `lib/prove` found it.
//!
//! A proof is of one system. It is stored with what identifies that system, and counts as absent on any other.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::summary;
use crate::attr_path::AttrPath;
use crate::host::fs::{self, FileError, json_file};
use crate::plan::Plan;

/// The only version that this dynix reads.
pub const VERSION: u64 = 2;

/// Parts of a system: names by kind.
pub type Flows = BTreeMap<String, Vec<String>>;

/// What `lib/prove` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// Always [`VERSION`].
    pub version: u64,
    /// The compiled description of the system that it is of.
    pub generated: String,
    /// How many parts were evaluated.
    pub parts: usize,
    /// By service.
    pub services: BTreeMap<String, ServiceProof>,
}

/// What one service's values flow into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceProof {
    /// Whatever values there are; empty where the service is independent.
    pub flows: Flows,
    /// More exactly, the values that there were.
    pub paths: Vec<PathProof>,
}

/// What one value flows into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathProof {
    /// Where it is.
    pub path: AttrPath,
    /// `None`: it can't be told from the other values of the service.
    pub flows: Option<Flows>,
}

impl Proof {
    /// What a value at `path` flows into, besides what the service says need not follow it; `None` where nothing is known.
    #[must_use]
    pub fn flows(&self, plan: &Plan, service: &str, path: &AttrPath) -> Option<Flows> {
        let proof = self.services.get(service)?;
        let exact = proof.paths.iter().find(|one| one.path == *path).and_then(|one| one.flows.as_ref());
        let mut flows = exact.unwrap_or(&proof.flows).clone();
        for exempt in plan.services.values().flat_map(|service| &service.exempt) {
            if let Some(names) = flows.get_mut(&exempt.kind) {
                names.retain(|name| *name != exempt.name);
            }
        }
        // What is known of a whole option only counts for what is in it.
        let mut within = flows.remove("within").unwrap_or_default();
        within.retain(|name| AttrPath::parse(name).map_or(true, |option| path.starts_with(&option)));
        flows.entry("value".to_owned()).or_default().extend(within);
        flows.retain(|_, names| !names.is_empty());
        Some(flows)
    }
}

/// Flows in words.
#[must_use]
pub fn named(flows: &Flows) -> Vec<String> {
    // The rest of the system is named by what is in it, where anything is.
    let only_rest = flows.keys().all(|kind| matches!(kind.as_str(), "rest" | "warning"));
    let told = flows.iter().filter(|(kind, _)| only_rest || kind.as_str() != "rest");
    told.flat_map(|(kind, names)| names.iter().map(|name| summary::named(kind, name))).collect()
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    identity: String,
    proof: Proof,
}

/// The proof of the system of this identity, if there is one. A file that can't be read as one is none: it is made anew.
pub fn load(path: &Utf8Path, identity: &str) -> Result<Option<Proof>, FileError> {
    let found: Option<Kept> = json_file::load(path)?;
    Ok(found.filter(|kept| kept.identity == identity && kept.proof.version == VERSION).map(|kept| kept.proof))
}

/// Keeps a proof, in the place of the one before.
pub fn save(path: &Utf8Path, identity: &str, proof: &Proof) -> Result<(), FileError> {
    if let Some(directory) = path.parent() {
        fs::create_dir(directory)?;
    }
    json_file::save(path, &Kept { identity: identity.to_owned(), proof: proof.clone() }, 0o644)
}
