//! `dynix prove`: what the values of each dynamic service flow into, found once and kept.

use std::fmt::Write as _;

use anyhow::Context;
use camino::Utf8Path;

use super::session::Session;
use crate::cli::arguments::Read;
use crate::exit::Exit;
use crate::host::current_system;
use crate::host::fs;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::plan::Plan;
use crate::verify::evaluation;
use crate::verify::proof::{self, Proof};

/// Proves, keeps and prints.
pub fn run(arguments: &Read, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let proof = prove(&plan, &paths)?;
    if arguments.json { super::print_json(&proof) } else { super::print(text(&plan, &proof).as_bytes()) }
}

/// Evaluates, and keeps what comes of it where it is of the system that runs.
pub fn prove(plan: &Plan, paths: &Paths) -> anyhow::Result<Proof> {
    let evaluator = plan.evaluator.as_ref().context("this system's plan has no evaluator (dynamicism.evaluator)")?;
    let directory = paths.overrides().parent().unwrap_or(Utf8Path::new("/"));
    let proof = evaluation::prove(evaluator, plan, directory)?;
    let built = paths.plan().canonicalize_utf8().ok();
    let built = built.as_deref().and_then(Utf8Path::parent).filter(|built| built.starts_with("/nix/store"));
    if built.is_some_and(|built| built != proof.generated) {
        messages::warn(
            "the configuration was changed since the last switch: this is the proof of the changed one, and is not kept",
        );
    } else if let Err(error) = proof::save(&paths.proof(), &identity(paths)?, &proof) {
        messages::warn(format!("the proof is not kept: {error}"));
    }
    Ok(proof)
}

/// The proof of the system that runs, where one was kept.
pub fn kept(paths: &Paths) -> anyhow::Result<Option<Proof>> {
    // Most systems have none, and need no digest of their plan.
    if !fs::exists(&paths.proof())? {
        return Ok(None);
    }
    Ok(proof::load(&paths.proof(), &identity(paths)?)?)
}

/// What tells the running system, or the one that is being activated, from others.
pub fn identity(paths: &Paths) -> anyhow::Result<String> {
    Ok(current_system::identify(paths)?)
}

fn text(plan: &Plan, proof: &Proof) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for (name, service) in &proof.services {
        let Some(all) = proof.flows(plan, name, &crate::attr_path::AttrPath::default()) else { continue };
        if all.is_empty() {
            let _ = writeln!(text, "{name}: independent; whatever its values are, nothing else follows them");
            continue;
        }
        let _ = writeln!(text, "{name}: its values can decide {}", proof::named(&all).join(", "));
        for one in &service.paths {
            if let Some(flows) = proof.flows(plan, name, &one.path).filter(|flows| !flows.is_empty()) {
                let _ = writeln!(text, "  {} decides {}", one.path, proof::named(&flows).join(", "));
            }
        }
        let free =
            service.paths.iter().filter(|one| proof.flows(plan, name, &one.path).is_some_and(|it| it.is_empty()));
        let _ =
            writeln!(text, "  {} of {} values that there are decide nothing else", free.count(), service.paths.len());
    }
    text
}
