//! What a host has seen of etcd already, on disk: a backup from before that is no news, and another etcd is not this one.

use anyhow::Context;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::mirror::Floor;

/// The name of the file in the source's directory.
pub const FILE: &str = "seen.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    cluster: u64,
    revision: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older: Option<i64>,
}

/// What was seen; nothing where there is no file.
pub fn read(directory: &Utf8Path) -> anyhow::Result<Floor> {
    let path = directory.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Floor::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
    };
    let Seen { cluster, revision, older } =
        serde_json::from_slice(&bytes).with_context(|| format!("cannot use {path}"))?;
    Ok(Floor { cluster, revision, older })
}

/// Keeps what was seen.
pub fn write(directory: &Utf8Path, floor: Floor) -> anyhow::Result<()> {
    let Floor { cluster, revision, older } = floor;
    let bytes = serde_json::to_vec(&Seen { cluster, revision, older })?;
    crate::file::replace(&directory.join(FILE), &bytes)
}

/// Forgets what was seen: whatever comes next is believed.
pub fn forget(directory: &Utf8Path) -> anyhow::Result<bool> {
    let path = directory.join(FILE);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {path}")),
    }
}
