//! `dynix import`: turns settings that somebody wrote down into a request.

use camino::Utf8Path;

use super::input;
use crate::attr_path::AttrPath;
use crate::cli::arguments::{self, ImportFormat};
use crate::system::import::{Written, assignments, read};
use crate::system::lookup;
use crate::system::request::Set;

/// The request of the command line.
pub fn request(arguments: &arguments::Import) -> anyhow::Result<Set> {
    let arguments::Import { file, format, at, duration, recording, .. } = arguments;
    let base = at.as_deref().map(lookup::parse).transpose()?.unwrap_or_else(AttrPath::default);
    let file = file.as_deref().filter(|file| *file != "-");
    let text = input::text(file)?;
    let written = form(*format, file);
    Ok(Set {
        changes: assignments(read(&text, written)?, &base)?,
        duration: *duration,
        apply: recording.apply,
        confirm: recording.confirm,
        message: recording.telling.message.clone(),
        ..Set::default()
    })
}

/// How the settings in a file are written.
#[must_use]
pub fn form(format: Option<ImportFormat>, file: Option<&Utf8Path>) -> Written {
    match format {
        Some(ImportFormat::Nix) => Written::Nix,
        Some(ImportFormat::Json) => Written::Json,
        Some(ImportFormat::Toml) => Written::Toml,
        Some(ImportFormat::Yaml) => Written::Yaml,
        None => by_name(file),
    }
}

/// By the end of the file's name; Nix otherwise, which takes JSON's numbers and strings, and not its sets.
fn by_name(file: Option<&Utf8Path>) -> Written {
    match file.and_then(Utf8Path::extension) {
        Some("json") => Written::Json,
        Some("toml") => Written::Toml,
        Some("yaml" | "yml") => Written::Yaml,
        _ => Written::Nix,
    }
}
