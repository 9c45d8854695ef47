//! `dynix export`: prints the overrides as configuration.

use crate::cli::arguments::{Export, ExportFormat};
use crate::exit::Exit;
use crate::system::export::Form;
use crate::system::session::Session;

/// Prints them.
pub fn run(arguments: &Export, session: &Session) -> anyhow::Result<Exit> {
    let form = match arguments.format {
        ExportFormat::Nix => Form::Nix,
        ExportFormat::Module => Form::Module,
        ExportFormat::Json => Form::Json,
        ExportFormat::Toml => Form::Toml,
    };
    super::print(session.open()?.export(&arguments.services, form)?.as_bytes())
}
