//! `dynix edit`: opens the present values in an editor, and makes a request of what was changed.

use std::io::Write as _;

use anyhow::{Context, bail};

use crate::cli::arguments;
use crate::host::editor;
use crate::host::messages;
use crate::system::request::Set;
use crate::system::session::Session;

/// The request of the command line; `None` if nothing was changed.
pub fn request(arguments: &arguments::Edit, session: &Session) -> anyhow::Result<Option<Set>> {
    let arguments::Edit { about, duration, recording, .. } = arguments;
    let editable = session.open()?.editable(about)?;
    let mut file = tempfile::Builder::new().prefix("dynix-").suffix(".nix").tempfile().context("cannot make a file")?;
    file.write_all(editable.text.as_bytes()).context("cannot write the file")?;
    editor::edit(file.path())?;
    let edited = std::fs::read_to_string(file.path()).context("cannot read what was edited")?;
    let changes = if edited == editable.text {
        Vec::new()
    } else {
        match editable.changes(&edited) {
            Ok(changes) => changes,
            Err(problem) => {
                // What somebody typed is not thrown away.
                let (_, path) = file.keep().context("cannot keep what was edited")?;
                messages::info(format!("what you wrote is kept in {}", path.display()));
                bail!(problem)
            }
        }
    };
    if changes.is_empty() {
        messages::info("nothing was changed, and nothing is recorded");
        return Ok(None);
    }
    Ok(Some(Set {
        changes,
        duration: *duration,
        apply: recording.apply,
        confirm: recording.confirm,
        message: recording.telling.message.clone(),
        ..Set::default()
    }))
}
