//! `dynix log`: prints every record, oldest first, and whether it counts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::Value;

use super::screen::{Paint, Screen};
use super::{VERSION, Versioned};
use crate::attr_path::AttrPath;
use crate::cli::arguments::{Log, Output};
use crate::exit::Exit;
use crate::host::messages;
use crate::overrides::{Kind, Layer, Record};
use crate::system::System;
use crate::system::records::{Filter, Shown};
use crate::system::session::Session;
use crate::types::brief;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InJson<'r> {
    #[serde(flatten)]
    record: &'r Record,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<&'r str>,
}

fn in_json(shown: &Shown) -> InJson<'_> {
    InJson { record: &shown.record, holds: shown.holds, rejected: shown.rejected.as_deref() }
}

/// The records as a list that is written while the log is read: it may have millions.
struct Records<'s> {
    system: &'s System<'s>,
    filter: &'s Filter,
    /// What kept the log from being read to its end.
    problem: RefCell<Option<anyhow::Error>>,
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut written = Ok(());
        let read = self.system.records(self.filter, |shown| {
            written = list.serialize_element(&in_json(shown));
            written.is_ok()
        });
        *self.problem.borrow_mut() = read.err();
        written.and_then(|()| list.end())
    }
}

/// Prints the log, record by record.
pub fn run(arguments: &Log, output: Output, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let system = session.open()?;
    let filter = Filter {
        about: arguments.about.clone(),
        by: arguments.by.clone(),
        since: arguments.since,
        last: arguments.last,
    };
    system.log().fold().map(|folded| folded.warnings).unwrap_or_default().iter().for_each(messages::warn);
    let paged = screen.paged && !arguments.json;
    let mut out = BufWriter::new(Screen { paged, ..screen }.out());
    let (written, read) = if arguments.json {
        let records = Records { system: &system, filter: &filter, problem: RefCell::default() };
        let mut json = serde_json::Serializer::pretty(&mut out);
        let written = match output {
            Output::Json => {
                Versioned { version: VERSION, answer: &BTreeMap::from([("records", &records)]) }.serialize(&mut json)
            }
            Output::Text => records.serialize(&mut json),
        };
        let written = written.map_err(std::io::Error::from).and_then(|()| out.write_all(b"\n"));
        (written, records.problem.into_inner().map_or(Ok(()), Err))
    } else {
        let paint = screen.paint();
        let (mut written, mut is_any) = (Ok(()), false);
        let read = system.records(&filter, |shown| {
            is_any = true;
            written = out.write_all(line(shown, paint).as_bytes());
            written.is_ok()
        });
        if read.is_ok() && !is_any {
            messages::info(if filter == Filter::default() { "nothing is recorded" } else { "there is no such record" });
        }
        (written, read)
    };
    if let Err(problem) = read {
        // A list without an end is nothing to read.
        let _ = out.into_parts().0.end();
        return Err(problem);
    }
    let written = written.and_then(|()| out.flush());
    let ended = out.into_parts().0.end();
    super::printed(written.and(ended))
}

fn line(shown: &Shown, paint: Paint) -> String {
    let visible = |text: &str| messages::visible(text).into_owned();
    let record = &shown.record;
    let unknown = "-".to_owned();
    let (time, by) = (record.time.as_ref().unwrap_or(&unknown), within(record.by.as_ref().unwrap_or(&unknown)));
    let id = paint.name(&record.id.to_string());
    let said = visible(&said(&record.kind));
    let is_out = shown.rejected.is_some() || !shown.holds;
    let said = if is_out { paint.aside(&said) } else { said };
    let mut text = format!("{id} {} {}: {said}", visible(time), visible(&by));
    // Writing to a String can't fail.
    if let Some(until) = &record.until {
        let _ = write!(text, " (until {})", visible(until));
    }
    if let Some(message) = &record.message {
        let _ = write!(text, "  {}", paint.notice(&format!("# {}", visible(&within(message)))));
    }
    let has_values = !matches!(record.kind, Kind::Rollback(_) | Kind::Reject { .. });
    match &shown.rejected {
        Some(reason) => {
            let reason = visible(&format!("[rejected: {}]", within(reason)));
            let _ = write!(text, "  {}", paint.failure(&reason));
        }
        None if has_values && !shown.holds => {
            let _ = write!(text, "  {}", paint.aside("[rolled back]"));
        }
        None => {}
    }
    text.push('\n');
    text
}

/// Further lines of a text are indented, so that the output of a program never looks like a record.
fn within(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

fn assigned(leaves: &[(AttrPath, Value)]) -> String {
    let leaves = leaves.iter().map(|(path, value)| format!("{path} = {}", brief(value)));
    leaves.collect::<Vec<_>>().join(", ")
}

/// What a record says.
#[must_use]
pub fn said(kind: &Kind) -> String {
    match kind {
        Kind::Set(leaves) => assigned(leaves),
        Kind::Layer(Layer { source, revision, values }) => {
            let revision = revision.as_deref().map(|revision| format!(" {revision}")).unwrap_or_default();
            let values = if values.is_empty() { "nothing".to_owned() } else { assigned(values) };
            format!("{source}{revision} says {values}")
        }
        Kind::Replace(path, value) => format!("{path} = {} as a whole", brief(value)),
        Kind::Unset(path) => format!("unset {path}"),
        Kind::Rollback(to) => format!("rollback to {to}"),
        Kind::Reject { id, reason } => format!("reject {id}: {}", within(reason)),
        Kind::Expression(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
