//! Files of the agent, written so that there is the old one or the new one.

use anyhow::Context;
use camino::Utf8Path;
use dynix::host::fs::atomic::{self, Durability};

/// Replaces a file, and its directory knows it when this is back.
pub fn replace(path: &Utf8Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {directory}"))?;
    }
    // Readers of a textfile are other users.
    Ok(atomic::write(path, bytes, 0o644, Durability::Durable)?)
}
