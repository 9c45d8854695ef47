//! `dynix completions`: the shell's own completion script.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};

/// The script for a shell.
#[must_use]
pub fn script(arguments: &Completions) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dynix", &mut text);
    text
}
