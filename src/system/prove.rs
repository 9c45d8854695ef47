//! Finds everything that can depend on the values of each dynamic service, and stores it.

use anyhow::Context;
use camino::Utf8Path;

use super::System;
use crate::host::current_system;
use crate::host::fs;
use crate::verify::evaluation;
use crate::verify::proof::{self, Proof};

impl System<'_> {
    /// Evaluates the proof, and stores it if it is of the running system.
    pub fn prove(&self) -> anyhow::Result<Proof> {
        let System { plan, paths, session } = self;
        let evaluator =
            plan.evaluator.as_ref().context("this system's plan has no evaluator (dynamicism.evaluator)")?;
        let directory = paths.expressions();
        let proof = evaluation::prove(evaluator, plan, directory)?;
        let built = paths.plan().canonicalize_utf8().ok();
        let built = built.as_deref().and_then(Utf8Path::parent).filter(|built| built.starts_with("/nix/store"));
        if built.is_some_and(|built| built != proof.generated) {
            session.progress().warn(
                "the configuration was changed since the last switch: this is the proof of the changed one, and is not \
                 kept",
            );
        } else if let Err(error) = proof::save(&paths.proof(), &self.identity()?, &proof) {
            session.progress().warn(&format!("the proof is not kept: {error}"));
        }
        Ok(proof)
    }

    /// The stored proof of the running system, if there is one.
    pub(super) fn kept_proof(&self) -> anyhow::Result<Option<Proof>> {
        // Most systems have none, and need no digest of their plan.
        if !fs::exists(&self.paths.proof())? {
            return Ok(None);
        }
        // The exemptions of one service hold for all.
        self.plan.services.require_all()?;
        Ok(proof::load(&self.paths.proof(), &self.identity()?)?)
    }

    /// Identifies the system that runs, or the one that is being activated.
    pub(super) fn identity(&self) -> anyhow::Result<String> {
        Ok(current_system::identify(&self.paths)?)
    }
}
