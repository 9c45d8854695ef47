//! Asks a person on a terminal.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};

/// Whether somebody can be asked.
#[must_use]
pub fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// An error, unless somebody can be asked. `flag` is what asks.
pub fn required(flag: &str) -> anyhow::Result<()> {
    if is_there() {
        return Ok(());
    }
    bail!("{flag} needs a terminal to ask on; --dry-run shows the same and asks for nothing")
}

/// Whether the person agrees. Only `y` and `yes` do that.
pub fn agrees(question: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stderr().lock();
    write!(out, "{question} [y/N] ").and_then(|()| out.flush()).context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
