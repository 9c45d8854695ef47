//! Files of the agent, written so that there is the old one or the new one.

use std::io::Write;

use anyhow::Context;
use camino::Utf8Path;

/// Replaces a file, and its directory knows it when this is back.
pub fn replace(path: &Utf8Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Utf8Path::new("."));
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        // Readers of a textfile are other users.
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(directory)?.sync_all()
    };
    written().with_context(|| format!("cannot write {path}"))
}
