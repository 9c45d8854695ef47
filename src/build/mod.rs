//! Build time: compiles the description into everything that run time needs.
//!
//! Takes the description's text and a place to read the static files from; gives a [`Tree`] in memory, or every problem
//! found. In order: [`description`] reads it, [`find`] looks for the files that it does not name, [`checks`] checks its
//! consistency, [`proof`] shows that our serialisers write what Nix wrote, [`trial`] tries the checks that the
//! description does not vouch for, [`stub`] gives the units' drop-ins, [`tree`] writes. The same input, with the same
//! programs to try, gives the same output to the byte: nothing in the output says when or where it was made.

pub mod around;
pub mod checks;
pub mod daemon;
pub mod data;
pub mod description;
pub mod dialects;
pub mod find;
pub mod home;
pub mod json;
mod kept;
pub mod problem;
pub mod proof;
pub mod recognise;
pub mod script;
pub mod stub;
pub mod tree;
pub mod trial;
pub mod yaml_value;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::json;

use crate::host::fs;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::systemd::users;
use crate::host::templates::{self, TemplateError};
use crate::plan::{Attach, Plan, ProofLevel, Scope, documentation, index};
use problem::{Place, Problem, Problems};
use tree::Tree;

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The description is wrong: everything that is, each with its place.
    #[error("the description is refused:{}", list(.0))]
    Description(Vec<Problem>),
    /// The files of a service were not found.
    #[error("the files of a service can't be found:{}", list(.0))]
    Find(Vec<Problem>),
    /// Our text differs from that of Nix, or the latter can't be read.
    #[error("the static files can't be proven:{}", list(.0))]
    Proof(Vec<Problem>),
    /// A text can't be written.
    #[error("{place}: {source}")]
    Template {
        /// Which one.
        place: String,
        /// Why not.
        source: TemplateError,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        // A problem of several lines, a difference, stays below its place.
        text.push_str("\n  ");
        text.push_str(&problem.to_string().trim_end().replace('\n', "\n    "));
        text
    })
}

/// The inputs besides the description.
#[derive(Clone, Debug)]
pub struct Input<'i> {
    /// The description (JSON).
    pub description: &'i str,
    /// The static files are found below it; `/` but for tests.
    pub static_root: &'i Utf8Path,
    /// The program that the scripts call.
    pub dynix: &'i Utf8Path,
    /// The later path of the plan, for the scripts.
    pub plan: &'i Utf8Path,
}

/// One file in `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofLine<'p> {
    format: &'p str,
    dialect: Option<&'p str>,
    level: ProofLevel,
    #[serde(rename = "static")]
    static_file: &'p Utf8Path,
    nix: &'p str,
    rendered: &'p str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    undecided: &'p [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'p str>,
}

/// Compiles a description.
pub fn generate(input: &Input<'_>) -> Result<Tree, BuildError> {
    let mut plan = description::read(input.description).map_err(BuildError::Description)?;
    let open = find::find(&mut plan, input.static_root).map_err(BuildError::Find)?;
    kept::fill(&mut plan, input.static_root).map_err(BuildError::Description)?;
    checks::check(&plan).map_err(BuildError::Description)?;
    for warning in checks::warnings(&plan) {
        messages::warn(warning);
    }
    complete(&mut plan);
    let given = with_dialect(&plan);
    prove(&mut plan, input.static_root, &open).map_err(BuildError::Proof)?;
    dialects::agree(&mut plan, &given);
    for unused in trial::checks(&mut plan) {
        messages::warn(unused);
    }
    emit(&plan, input)
}

/// Fills in what the description says only once: the variable of words, which their format has as a parameter, and the
/// order of a service's units. Leaves out what only the checks need.
fn complete(plan: &mut Plan) {
    for service in plan.services.values_mut() {
        let names: BTreeSet<String> = service.units.keys().cloned().collect();
        for unit in service.units.values_mut() {
            let text = unit.text.take().unwrap_or_default();
            unit.after = find::unit::after(&text).into_iter().filter(|other| names.contains(other)).collect();
        }
    }
    for file in plan.services.values_mut().flat_map(|service| service.files.values_mut()) {
        if let Attach::Environment { variable, .. } = &file.attach {
            file.format.parameters.insert("variable".to_owned(), variable.clone().into());
        }
    }
}

/// The files whose dialect the description says.
fn with_dialect(plan: &Plan) -> BTreeSet<(String, String)> {
    let files = plan.services.iter().flat_map(|(service, spec)| spec.files.iter().map(move |one| (service, one)));
    let given = files.filter(|(_, (_, file))| file.format.dialect.is_some());
    given.map(|(service, (name, _))| (service.clone(), name.clone())).collect()
}

/// Proves every file, and notes in the plan what was found. `open`: what is not shown of files that were found.
fn prove(plan: &mut Plan, static_root: &Utf8Path, open: &find::Open) -> Result<(), Vec<Problem>> {
    let mut problems = Problems::default();
    for (name, service) in &mut plan.services {
        let mut found = Vec::new();
        for (file_name, file) in &service.files {
            let place = Place::top().keys(["services", name, "files", file_name]);
            // The unit's own values are in the description.
            let nix = if file.attach.is_of_the_unit() { Ok(Vec::new()) } else { text(static_root, &file.static_file) };
            let nix = match nix {
                Ok(nix) => nix,
                Err(problem) => {
                    problems.add(&place.key("static"), problem);
                    continue;
                }
            };
            match proof::prove(service, file, &nix) {
                Ok((format, mut proof, around)) => {
                    let of_the_value = open.get(&(name.clone(), file_name.clone())).into_iter().flatten();
                    proof.undecided.extend(of_the_value.map(|name| (*name).to_owned()));
                    found.push((file_name.clone(), (format, proof, around)));
                }
                Err(problem) => problems.add(&place, problem),
            }
        }
        for (file_name, (format, proof, around)) in found {
            if let Some(file) = service.files.get_mut(&file_name) {
                file.format = format;
                file.around = around;
                file.proof = Some(proof);
            }
        }
    }
    problems.or(())
}

/// The text that Nix wrote to a file.
fn text(static_root: &Utf8Path, path: &Utf8Path) -> Result<Vec<u8>, String> {
    let path = below(static_root, path);
    let text = fs::read(&path).map_err(|error| error.to_string())?;
    text.ok_or_else(|| format!("there is no file at {path}"))
}

fn emit(plan: &Plan, input: &Input<'_>) -> Result<Tree, BuildError> {
    let mut tree = Tree::default();
    let text = tree::json(plan);
    if let Some(index) = index::write(&text) {
        tree.data(&index::beside("plan.json".into()), index);
    }
    tree.text("plan.json", text, 0o444);
    tree.json("proof.json", &proofs(plan));
    let documentation = description::documentation(input.description);
    if !documentation.is_empty() {
        tree.json(documentation::FILE, &documentation);
    }
    let texts = credentials(plan, input.static_root).map_err(BuildError::Proof)?;
    for (unit, text) in stub::stubs(plan, &texts).map_err(|(place, source)| BuildError::Template { place, source })? {
        let whose = if plan.scope == Scope::User || users::is_of_users(&unit) { "user" } else { "system" };
        tree.text(&format!("lib/systemd/{whose}/{}.d/10-dynix.conf", users::bare(&unit)), text, 0o444);
    }
    if plan.scope == Scope::User {
        home::add(&mut tree, input)?;
        return Ok(tree);
    }
    daemon::add(&mut tree, plan, input)?;
    let places = Paths::new(Utf8Path::new("/"), None, None);
    let logs = plan
        .overrides_file
        .clone()
        .map_or_else(|| vec![places.overrides().to_owned(), places.state_log()], |log| vec![log]);
    let context = json!({
        "dynix": input.dynix,
        "plan": input.plan,
        "logs": logs,
        "run": places.run(),
        "measured": plan.metrics.is_some(),
    });
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

/// Most bytes of a file that a stub has in it: a line of a unit has at most a megabyte (systemd.syntax(7)), escaped.
const CREDENTIAL: usize = 256 << 10;

/// The static files that are credentials.
fn credentials<'p>(plan: &'p Plan, static_root: &Utf8Path) -> Result<BTreeMap<&'p Utf8Path, String>, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut texts = BTreeMap::new();
    for (name, service) in &plan.services {
        for (file_name, file) in service.files.iter().filter(|(_, file)| matches!(file.attach, Attach::Credential(_))) {
            let place = Place::top().keys(["services", name, "files", file_name]).key("static");
            match fs::read(&below(static_root, &file.static_file)) {
                Ok(Some(bytes)) if bytes.len() > CREDENTIAL => {
                    let problem = format!("it has {} bytes; as a credential it can have {CREDENTIAL}", bytes.len());
                    problems.add(&place, problem);
                }
                Ok(bytes) => match String::from_utf8(bytes.unwrap_or_default()) {
                    Ok(text) => drop(texts.insert(file.static_file.as_path(), text)),
                    Err(error) => problems.add(&place, error),
                },
                Err(error) => problems.add(&place, error),
            }
        }
    }
    problems.or(texts)
}

fn below(static_root: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    static_root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The proof of each file, by service and name.
fn proofs(plan: &Plan) -> BTreeMap<&str, BTreeMap<&str, ProofLine<'_>>> {
    let services = plan.services.iter().map(|(name, service)| {
        let files = service.files.iter().filter_map(|(file_name, file)| {
            let proof = file.proof.as_ref()?;
            let line = ProofLine {
                format: &file.format.name,
                dialect: file.format.dialect.as_deref(),
                level: proof.level,
                static_file: &file.static_file,
                nix: &proof.nix,
                rendered: &proof.rendered,
                undecided: &proof.undecided,
                found: file.found.as_deref(),
            };
            Some((file_name.as_str(), line))
        });
        (name.as_str(), files.collect())
    });
    services.collect()
}
