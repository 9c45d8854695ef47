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

/// The result of `lib/prove`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// Always [`VERSION`].
    pub version: u64,
    /// The compiled description of the proof's system.
    pub generated: String,
    /// How many parts were evaluated.
    pub parts: usize,
    /// By service.
    pub services: BTreeMap<String, ServiceProof>,
}

/// The things that can depend on one service's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceProof {
    /// The things that depend on any value; empty if the service is independent.
    pub flows: Flows,
    /// More exactly, the values that there were.
    pub paths: Vec<PathProof>,
}

/// The things that can depend on one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathProof {
    /// Its path.
    pub path: AttrPath,
    /// `None`: it can't be separated from the other values of the service.
    pub flows: Option<Flows>,
}

impl Proof {
    /// The things that can depend on a value at `path`, without those that the service exempts; `None` if nothing is
    /// known.
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
        if let Some(names) = flows.get_mut("etc") {
            names.retain(|name| !plan.has_link(name));
        }
        // A fact about a whole option counts only for what is in it.
        let mut within = flows.remove("within").unwrap_or_default();
        within.retain(|name| AttrPath::parse(name).map_or(true, |option| path.starts_with(&option)));
        flows.entry("value".to_owned()).or_default().extend(within);
        flows.retain(|_, names| !names.is_empty());
        Some(flows)
    }
}

/// Flows as text.
#[must_use]
pub fn named(flows: &Flows) -> Vec<String> {
    // The rest of the system is named by its contents, if it has any.
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
