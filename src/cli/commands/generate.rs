//! `dynix generate`: runs the build-time flow.

use anyhow::Context;

use crate::build::{self, Input};
use crate::cli::arguments::Generate;
use crate::exit::Exit;
use crate::host::fs;
use crate::host::process;

/// Compiles a description and writes the output.
pub fn run(arguments: &Generate) -> anyhow::Result<Exit> {
    let path = &arguments.description;
    let text = fs::read_limited(path, fs::OWN)?.with_context(|| format!("there is no description at {path}"))?;
    let text = String::from_utf8(text).with_context(|| format!("the description {path} is no text"))?;
    let dynix = match &arguments.dynix {
        Some(dynix) => dynix.clone(),
        None => process::this_program()?,
    };
    let input = Input {
        description: &text,
        static_root: &arguments.static_root,
        dynix: &dynix,
        plan: &arguments.installed_plan,
    };
    let tree = build::generate(&input).with_context(|| format!("cannot generate from {path}"))?;
    tree.write(&arguments.out)?;
    Ok(Exit::Done)
}
