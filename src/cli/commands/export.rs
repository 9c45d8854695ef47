//! `dynix export`: prints the overrides as configuration.

use crate::cli::arguments::{Export, ExportFormat, Output};
use crate::exit::Exit;
use crate::host::messages;
use crate::system::export::Form;
use crate::system::session::Session;

/// Prints them.
pub fn run(arguments: &Export, output: Output, session: &Session) -> anyhow::Result<Exit> {
    let form = match (arguments.format, output) {
        (None, Output::Text) | (Some(ExportFormat::Nix), _) => Form::Nix,
        (Some(ExportFormat::Module), _) => Form::Module,
        (None, Output::Json) | (Some(ExportFormat::Json), _) => Form::Json,
        (Some(ExportFormat::Toml), _) => Form::Toml,
    };
    let text = session.open()?.export(&arguments.services, form)?;
    if text.is_empty() {
        messages::info("nothing is overridden");
    }
    super::print(text.as_bytes())
}
