//! `dynix completions`: prints the completion script of a shell, and answers its questions.
//!
//! The script runs dynix itself for every completion ([`answer`]): services, option paths and values are those of the
//! system's plan. If the plan can't be read, dynix offers nothing and stays silent.

use std::ffi::OsStr;

use anyhow::Context;
use camino::Utf8PathBuf;
use clap::builder::StyledStr;
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use crate::cli::arguments::{Cli, Completions};
use crate::plan::Plan;
use crate::system::lookup;
use crate::system::settings::paths_below;
use crate::types::Below;
use crate::types::brief;

/// The variable that says that a shell asks, and which one.
const VARIABLE: &str = "DYNIX_COMPLETE";

/// Most paths that are offered.
const OFFERED: usize = 500;

/// The script for a shell.
pub fn script(arguments: &Completions) -> anyhow::Result<Vec<u8>> {
    let shell = arguments.shell.to_string();
    let completer = Shells::builtins();
    let completer = completer.completer(&shell).with_context(|| format!("there are no completions for {shell}"))?;
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, "dynix", "dynix", "dynix", &mut text)?;
    Ok(text)
}

/// Answers a shell that asks, and ends; does nothing otherwise.
pub fn answer() {
    // Checked first, so that all other commands do nothing else for it.
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
    }
}

/// Paths of settings that may change.
#[must_use]
pub fn paths(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    let mut offered = Vec::new();
    for (name, option) in plan.services.values().flat_map(|service| &service.options) {
        let Ok(path) = lookup::parse(name) else { continue };
        for below_option in paths_below(&option.schema, &[&option.static_value]) {
            let whole = path.join(&below_option).to_string();
            if whole.starts_with(current) && option.may_change(below_option.names()) && offered.len() < OFFERED {
                let built = below_option.within(&option.static_value);
                let help = built.map(|built| StyledStr::from(format!("built {}", brief(built))));
                offered.push(CompletionCandidate::new(whole).help(help));
            }
        }
    }
    offered
}

/// Values that the type of the option on the command line lists.
#[must_use]
pub fn values(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    let words = words();
    let given = words.iter().skip_while(|word| *word != "append").skip(1).find(|word| !word.starts_with('-'));
    let Some(path) = given.and_then(|path| lookup::parse(path).ok()) else { return Vec::new() };
    let Ok(place) = lookup::find(&plan, &path) else { return Vec::new() };
    let Ok(kind) = place.option.schema.kind() else { return Vec::new() };
    let Below::Part(part) = kind.below(place.below(&path).names()) else { return Vec::new() };
    part.listed().into_iter().filter(|text| text.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// Services that are dynamic.
#[must_use]
pub fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    plan.services.keys().filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// The words of the command line that is being completed: those after the `--` of the shell's question.
fn words() -> Vec<String> {
    std::env::args().skip_while(|word| word != "--").skip(1).collect()
}

/// The plan that the command line names, or the system's.
fn plan() -> Option<Plan> {
    let words = words();
    let given = |flag: &str| {
        let after = words.iter().skip_while(|word| *word != flag).nth(1);
        after.map(Utf8PathBuf::from)
    };
    // The environment counts as for any command.
    let mut global = Cli::try_parse_from(["dynix", "status"]).ok()?.global;
    global.root = given("--root").or(global.root);
    global.plan = given("--plan").or(global.plan);
    super::session(&global).ok()?.open().ok().map(|system| system.plan)
}
