//! The editor that a person uses (environ(7)).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Opens a file in it, and waits until it is closed.
pub fn edit(file: &Path) -> anyhow::Result<()> {
    let chosen =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let Some(editor) = chosen else { bail!("there is no editor to open: set EDITOR, as in EDITOR=nano") };
    // It may have words of its own, as in `code --wait`.
    let status = Command::new("/bin/sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file)
        .status()
        .with_context(|| format!("cannot run {editor}"))?;
    if status.success() { Ok(()) } else { bail!("{editor} ended with {status}; nothing is recorded") }
}
