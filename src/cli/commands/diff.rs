//! `dynix diff`: compares the configuration in effect with the built one, or shows what an apply would change.

use super::screen;
use clap::ColorChoice;

use crate::cli::arguments::Diff;
use crate::evaluated::SYSTEM;
use crate::exit::Exit;
use crate::system::differences::Pair;
use crate::system::session::Session;

/// Prints the differences.
pub fn run(arguments: &Diff, color: ColorChoice, session: &Session) -> anyhow::Result<Exit> {
    let pairs = session.open()?.differences(&arguments.services, arguments.pending)?;
    if arguments.json {
        return super::print_json(&pairs);
    }
    let labels = if arguments.pending { PENDING } else { ("built", "in effect") };
    super::print(text(&pairs, labels, color).as_bytes())
}

/// What the sides are called of what an apply would change.
pub const PENDING: (&str, &str) = ("in effect", "after an apply");

/// The differences as text.
#[must_use]
pub fn text(pairs: &[Pair], labels: (&str, &str), color: ColorChoice) -> String {
    let coloured = screen::colours(color);
    let shown = pairs.iter().map(|pair| {
        let name = if pair.service == SYSTEM { pair.name.clone() } else { format!("{}/{}", pair.service, pair.name) };
        screen::diff(&name, (labels.0, &pair.old), (labels.1, &pair.new), coloured)
    });
    shown.collect()
}
