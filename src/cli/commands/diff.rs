//! `dynix diff`: compares the configuration in effect with the built one, or shows what an apply would change.

use super::screen::{self, Screen};
use clap::ColorChoice;

use crate::cli::arguments::{Diff, Output};
use crate::evaluated::SYSTEM;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::Refused;
use crate::system::differences::Pair;
use crate::system::moment::Moment;
use crate::system::session::Session;

/// Prints the differences.
pub fn run(arguments: &Diff, output: Output, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let system = session.open()?;
    let (ranges, services): (Vec<&String>, Vec<&String>) =
        arguments.words.iter().partition(|word| Moment::read_range(word).is_some());
    let services: Vec<String> = services.into_iter().cloned().collect();
    let (pairs, labels) = match (ranges.as_slice(), arguments.pending) {
        ([], true) => (system.differences(&services, true)?, owned(PENDING)),
        ([], false) => (system.differences(&services, false)?, owned(("built", "in effect"))),
        ([range], false) => {
            let range = Moment::read_range(range).transpose()?.unwrap_or((Moment::Built, Moment::Now));
            system.differences_between(&services, range)?
        }
        _ => return Err(Refused("give one pair of moments, and not with --pending".to_owned()).into()),
    };
    if arguments.json {
        super::print_list(output, "differences", &pairs)?;
    } else if pairs.is_empty() && !arguments.exit_code {
        messages::info("nothing differs");
    } else {
        screen.show(&text(&pairs, (&labels.0, &labels.1), screen.color))?;
    }
    Ok(if arguments.exit_code && !pairs.is_empty() { Exit::Found } else { Exit::Done })
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// What the sides are called of what an apply would change.
pub const PENDING: (&str, &str) = ("in effect", "after an apply");

/// The differences as text.
#[must_use]
pub fn text(pairs: &[Pair], labels: (&str, &str), color: ColorChoice) -> String {
    let coloured = screen::colours(color);
    let shown = pairs.iter().map(|pair| {
        let name = if pair.service == SYSTEM { pair.name.clone() } else { format!("{}/{}", pair.service, pair.name) };
        let said: Vec<String> =
            pair.sources.iter().map(|(path, source)| format!("# {path} is from {source}\n")).collect();
        said.concat() + &screen::diff(&name, (labels.0, &pair.old), (labels.1, &pair.new), coloured)
    });
    shown.collect()
}
