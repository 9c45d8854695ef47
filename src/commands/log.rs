//! `dynix log`: every record, oldest first, with what became of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::screen;
use super::session::Session;
use crate::cli::Read;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::{Kind, Record};
use crate::secrets::Secrets;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'r> {
    #[serde(flatten)]
    record: &'r Record,
    /// Whether it counts: no rollback and no rejection leaves it out.
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'r str>,
}

/// Prints the log.
pub fn run(arguments: &Read, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let secrets = Secrets::of(&plan);
    let history: Vec<(Record, bool)> =
        log.history()?.into_iter().map(|(record, counts)| (secrets.shown_record(record), counts)).collect();
    log.fold().map(|folded| folded.warnings).unwrap_or_default().iter().for_each(messages::warn);
    let rejections: BTreeMap<u64, &str> = history
        .iter()
        .filter_map(|(record, counts)| match &record.kind {
            Kind::Reject { id, reason } if *counts => Some((*id, reason.as_str())),
            _ => None,
        })
        .collect();
    let shown = history.iter().map(|(record, counts)| Shown {
        record,
        holds: *counts && !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. }),
        rejected: rejections.get(&record.id).copied(),
    });
    if arguments.json {
        return super::print_json(&shown.collect::<Vec<_>>());
    }
    super::print(messages::visible(&shown.map(|one| line(&one)).collect::<String>()).as_bytes())
}

fn line(shown: &Shown<'_>) -> String {
    let record = shown.record;
    let unknown = "-".to_owned();
    let (time, by) = (record.time.as_ref().unwrap_or(&unknown), within(record.by.as_ref().unwrap_or(&unknown)));
    let mut text = format!("{} {time} {by}: {}", record.id, said(&record.kind));
    // Writing to a String can't fail.
    if let Some(until) = &record.until {
        let _ = write!(text, " (until {until})");
    }
    let has_values = !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. });
    match shown.rejected {
        Some(reason) => drop(write!(text, "  [rejected: {}]", within(reason))),
        None if has_values && !shown.holds => text.push_str("  [rolled back]"),
        None => {}
    }
    text.push('\n');
    text
}

/// Further lines of a text are set in: what a program said never looks like a record.
fn within(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

fn said(kind: &Kind) -> String {
    match kind {
        Kind::Set(leaves) => {
            let leaves = leaves.iter().map(|(path, value)| format!("{path} = {}", screen::value(value)));
            leaves.collect::<Vec<_>>().join(", ")
        }
        Kind::Replace(path, value) => format!("{path} = {} as a whole", screen::value(value)),
        Kind::Unset(path) => format!("unset {path}"),
        Kind::Rollback(to) => format!("rollback to {to}"),
        Kind::Reject { id, reason } => format!("reject {id}: {}", within(reason)),
        Kind::Expression(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
