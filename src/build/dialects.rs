//! Decides dialects across files. All files of a format come from one nixpkgs, so one generator wrote them all. A small
//! file often is the same in every dialect; then another file of the format decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::format;
use crate::host::digest::sha256;
use crate::plan::{File, FormatSpec, Plan, ProofLevel, Service};
use crate::render::static_values;

/// Sets the dialect of files that fit several to one that all files of their format fit, if there is one. Takes a plan
/// with proofs; `given` are the files whose dialect the description names, by service and name.
pub fn agree(plan: &mut Plan, given: &BTreeSet<(String, String)>) {
    let mut common: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (service, file) in
        plan.services.values().flat_map(|service| service.files.values().map(move |file| (service, file)))
    {
        let fitting = fitting(service, file);
        if fitting.is_empty() {
            continue;
        }
        match common.get_mut(&file.format.name) {
            Some(common) => common.retain(|dialect| fitting.contains(dialect)),
            None => drop(common.insert(file.format.name.clone(), fitting)),
        }
    }
    for (service_name, service) in &mut plan.services {
        for (name, file) in &mut service.files {
            let Some(common) = common.get(&file.format.name) else { continue };
            let is_given = given.contains(&(service_name.clone(), name.clone()));
            let is_proven = file.proof.as_ref().is_some_and(|proof| proof.level == ProofLevel::Bytes);
            // The dialect of current nixpkgs comes first.
            let first = format::dialects(&file.format.name).iter().find(|dialect| common.contains(**dialect));
            if let Some(first) = first.filter(|_| is_proven && !is_given) {
                file.format.dialect = Some((*first).to_owned());
            }
        }
    }
}

/// The dialects in which the file is byte for byte what Nix wrote.
fn fitting(service: &Service, file: &File) -> BTreeSet<String> {
    let Some(proof) = file.proof.as_ref().filter(|proof| proof.level == ProofLevel::Bytes) else {
        return BTreeSet::new();
    };
    let values = static_values(service);
    let Ok(value) = file.value.evaluate(&values) else { return BTreeSet::new() };
    let dialects = format::dialects(&file.format.name).iter().map(|dialect| (*dialect).to_owned());
    let fits = |dialect: &String| {
        let spec = FormatSpec { dialect: Some(dialect.clone()), ..file.format.clone() };
        format::render(&spec, &value).is_ok_and(|rendered| sha256(&rendered) == proof.nix)
    };
    dialects.filter(fits).collect()
}
