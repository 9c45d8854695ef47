//! `dynix services`: lists the services that are dynamic, that could be, and that can't be, with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::print_json;
use super::screen::Screen;
use crate::cli::arguments::Read;
use crate::exit::Exit;
use crate::plan::{Attach, Candidate, File, OnChange, Plan, ProofLevel, Service};
use crate::system::session::Session;

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Answer<'p> {
    dynamic: BTreeMap<&'p str, Dynamic<'p>>,
    /// Services that are enabled and have settings, and are not dynamic.
    candidates: &'p BTreeMap<String, Candidate>,
}

#[derive(Debug, Serialize)]
struct Dynamic<'p> {
    options: Vec<&'p str>,
    files: BTreeMap<&'p str, Shown<'p>>,
    units: BTreeMap<&'p str, OnChange>,
}

#[derive(Debug, Serialize)]
struct Shown<'p> {
    format: &'p str,
    attach: &'static str,
    #[serde(rename = "static")]
    static_file: &'p str,
    level: Option<ProofLevel>,
    found: Option<&'p str>,
}

/// Prints the list.
pub fn run(arguments: &Read, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let plan = session.open()?.plan;
    if arguments.json {
        let dynamic = plan.services.iter().map(|(name, service)| (name.as_str(), of_service(service))).collect();
        return print_json(&Answer { dynamic, candidates: &plan.candidates });
    }
    screen.show(&for_people(&plan))
}

fn of_service(service: &Service) -> Dynamic<'_> {
    Dynamic {
        options: service.options.keys().map(String::as_str).collect(),
        files: service.files.iter().map(|(name, file)| (name.as_str(), of_file(file))).collect(),
        units: service.units.iter().map(|(name, unit)| (name.as_str(), unit.on_change)).collect(),
    }
}

fn of_file(file: &File) -> Shown<'_> {
    Shown {
        format: &file.format.name,
        attach: match file.attach {
            Attach::Bind(_) => "bind",
            Attach::Environment { .. } => "environment",
            Attach::Variables { .. } => "variables",
            Attach::Credential(_) => "credential",
            Attach::Etc(_) => "etc",
        },
        static_file: file.static_file.as_str(),
        level: file.proof.as_ref().map(|proof| proof.level),
        found: file.found.as_deref(),
    }
}

fn for_people(plan: &Plan) -> String {
    // Writing to a String can't fail.
    let mut text = String::from("dynamic:\n");
    for (name, service) in &plan.services {
        let options: Vec<&str> = service.options.keys().map(String::as_str).collect();
        let _ = writeln!(text, "  {name}: {}", options.join(", "));
        for (file_name, file) in &service.files {
            let level = match file.proof.as_ref().map(|proof| proof.level) {
                Some(ProofLevel::Bytes) => ", byte for byte what Nix wrote",
                Some(ProofLevel::Data) => ", the same data as Nix wrote",
                None => "",
            };
            let _ = writeln!(text, "    {file_name}: {}{level}", file.format.name);
        }
        for (unit, spec) in &service.units {
            let action = match spec.on_change {
                OnChange::Restart => "restart",
                OnChange::Reload => "reload",
            };
            let _ = writeln!(text, "    {action} {unit}");
        }
    }
    let (could_not, could): (Vec<_>, Vec<_>) =
        plan.candidates.iter().partition(|(_, candidate)| candidate.problem.is_some());
    if !could.is_empty() {
        text.push_str(
            "could be, with dynamicism.for.NAME.enable = true (the build looks for the file, and proves it):\n",
        );
    }
    for (name, candidate) in could {
        let _ = writeln!(text, "  {name}: {}", candidate.options.join(", "));
    }
    if !could_not.is_empty() {
        text.push_str("could not, as they are:\n");
    }
    for (name, candidate) in could_not {
        let _ = writeln!(text, "  {name}: {}", candidate.problem.as_deref().unwrap_or_default());
    }
    text
}
