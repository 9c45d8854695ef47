//! Build time: from the description to everything that run time needs.
//!
//! Takes the description's text and a place to read the static files from; gives a [`Tree`] in memory, or every problem
//! found. In order: [`description`] reads it, [`checks`] holds it against itself, [`proof`] shows that our serialisers
//! write what Nix wrote, [`stub`] gives the units' drop-ins, [`tree`] writes.

pub mod checks;
pub mod description;
pub mod proof;
pub mod script;
pub mod stub;
pub mod tree;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::fs::{self, FileError};
use crate::plan::{Plan, ProofLevel};
use crate::templates::{self, TemplateError};
use checks::Problem;
use tree::Tree;

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The description is wrong: everything that is, each with its place.
    #[error("the description is refused:{}", list(.0))]
    Description(Vec<Problem>),
    /// What we write differs from what Nix wrote.
    #[error("the static files can't be proven:{}", list(.0))]
    Proof(Vec<Problem>),
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A text can't be written.
    #[error("{place}: {source}")]
    Template {
        /// Which one.
        place: String,
        /// Why not.
        source: TemplateError,
    },
    /// The output directory holds something else.
    #[error("{0} is there and is no output of dynix; give another --out")]
    Occupied(Utf8PathBuf),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect::<Vec<_>>().concat()
}

/// What goes in besides the description.
#[derive(Clone, Debug)]
pub struct Input<'i> {
    /// The description (JSON).
    pub description: &'i str,
    /// The static files are found below it; `/` but for tests.
    pub static_root: &'i Utf8Path,
    /// The program that the scripts call.
    pub dynix: &'i Utf8Path,
    /// Where the plan will lie, for the scripts.
    pub plan: &'i Utf8Path,
}

/// One line of `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofLine {
    format: String,
    dialect: Option<String>,
    level: ProofLevel,
    nix: String,
    rendered: String,
}

/// Compiles a description.
pub fn generate(input: &Input<'_>) -> Result<Tree, BuildError> {
    let mut plan = description::read(input.description).map_err(BuildError::Description)?;
    let problems = checks::check(&plan);
    if !problems.is_empty() {
        return Err(BuildError::Description(problems));
    }
    prove(&mut plan, input.static_root)?;
    emit(&plan, input)
}

/// Proves every file, and notes in the plan what was found.
fn prove(plan: &mut Plan, static_root: &Utf8Path) -> Result<(), BuildError> {
    let mut problems = Vec::new();
    for (name, service) in &mut plan.services {
        let mut found = BTreeMap::new();
        for (file_name, file) in &service.files {
            let place = format!("services.{name}.files.{file_name}");
            let path = static_root.join(file.static_file.strip_prefix("/").unwrap_or(&file.static_file));
            let Some(nix) = fs::read(&path)? else {
                problems.push(Problem { place, problem: format!("the static file {path} is not there") });
                continue;
            };
            match proof::prove(service, file, &nix) {
                Ok(proof) => drop(found.insert(file_name.clone(), proof)),
                Err(problem) => problems.push(Problem { place, problem }),
            }
        }
        for (file_name, (dialect, proof)) in found {
            if let Some(file) = service.files.get_mut(&file_name) {
                file.format.dialect = dialect;
                file.proof = Some(proof);
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(BuildError::Proof(problems)) }
}

fn emit(plan: &Plan, input: &Input<'_>) -> Result<Tree, BuildError> {
    let mut tree = Tree::default();
    tree.json("plan.json", plan);
    let mut proofs: BTreeMap<&str, BTreeMap<&str, ProofLine>> = BTreeMap::new();
    for (name, service) in &plan.services {
        for (file_name, file) in &service.files {
            let Some(proof) = &file.proof else { continue };
            let line = ProofLine {
                format: file.format.name.clone(),
                dialect: file.format.dialect.clone(),
                level: proof.level,
                nix: proof.nix.clone(),
                rendered: proof.rendered.clone(),
            };
            proofs.entry(name).or_default().insert(file_name, line);
        }
    }
    tree.json("proof.json", &proofs);
    for (unit, text) in stub::stubs(plan).map_err(|(place, source)| BuildError::Template { place, source })? {
        tree.text(&format!("lib/systemd/system/{unit}.d/10-dynix.conf"), text, 0o444);
    }
    let context = BTreeMap::from([("dynix", input.dynix), ("plan", input.plan)]);
    for (path, template) in [
        ("activate", include_str!("../../templates/activate")),
        ("bin/apply-dynamic-configuration", include_str!("../../templates/apply-dynamic-configuration")),
    ] {
        let text = templates::script(template, &context)
            .map_err(|source| BuildError::Template { place: path.to_owned(), source })?;
        tree.text(path, text, 0o555);
    }
    Ok(tree)
}
