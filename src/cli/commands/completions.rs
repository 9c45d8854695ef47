//! `dynix completions`: prints the completion script of a shell, and answers its questions.
//!
//! The script runs dynix itself for every completion ([`answer`]): services, option paths and values are those of the
//! system's plan. If the plan can't be read, dynix offers nothing and stays silent.

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use crate::cli::arguments::{Cli, Completions};

/// The variable that says that a shell asks, and which one.
const VARIABLE: &str = "DYNIX_COMPLETE";

/// The script for a shell.
pub fn script(arguments: &Completions) -> anyhow::Result<Vec<u8>> {
    let shell = arguments.shell.to_string();
    let completer = Shells::builtins();
    let completer = completer.completer(&shell).with_context(|| format!("there are no completions for {shell}"))?;
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, "dynix", "dynix", "dynix", &mut text)?;
    Ok(text)
}

/// The definition of the command line, whose options are offered only where nothing else is, or where a word begins with
/// a dash.
fn definition() -> clap::Command {
    let mut all = Cli::command();
    all.build();
    let is_option = std::env::args().next_back().is_some_and(|word| word.starts_with('-'));
    if is_option { all } else { without_options(all) }
}

fn without_options(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|one| if one.is_positional() { one } else { one.hide(true) });
    command.mut_subcommands(without_options)
}

/// Answers a shell that asks, and ends; does nothing otherwise.
pub fn answer() {
    // Checked first, so that all other commands do nothing else for it.
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(definition).var(VARIABLE).complete();
    }
}
