//! `dynix history`: prints which override held from when to when, as text, as JSON, or as a page to keep or to mail.

mod page;

use std::fmt::Write as _;
use std::time::SystemTime;

use anyhow::Context;

use super::screen::{Paint, Screen, lasting};
use crate::cli::arguments;
use crate::exit::Exit;
use crate::host::messages;
use crate::overrides::{Ending, Period};
use crate::system::history::History;
use crate::system::session::Session;
use crate::types::brief;

/// Prints the history.
pub fn run(arguments: &arguments::History, screen: Screen, session: &Session) -> anyhow::Result<Exit> {
    let history = session.open()?.history(arguments.subject.as_deref(), arguments.last)?;
    if let Some(file) = &arguments.html {
        let page = page::page(&history, &host(), SystemTime::now())?;
        if file == "-" {
            return super::print(page.as_bytes());
        }
        std::fs::write(file, page).with_context(|| format!("cannot write {file}"))?;
        return Ok(Exit::Done);
    }
    if arguments.json {
        return super::print_json(&history);
    }
    if history.periods.is_empty() {
        messages::info("nothing was overridden");
    }
    screen.show(&text(&history, screen.paint()))
}

/// The name of the machine.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "this machine".to_owned() } else { name.trim().to_owned() }
}

fn text(history: &History, paint: Paint) -> String {
    let visible = |text: &str| messages::visible(text).into_owned();
    let mut text = String::new();
    // Writing to a String can't fail.
    if history.partial {
        let _ = writeln!(text, "(older records are left out; --last N looks at more)");
    }
    for period in &history.periods {
        let Period { path, value, record, by, message, from, to, end, .. } = period;
        let unknown = if history.partial { "earlier" } else { "an unknown time" };
        let from = from.as_deref().unwrap_or(unknown);
        let _ = writeln!(text, "{} = {}", paint.name(&visible(&path.to_string())), visible(&brief(value)));
        let _ = write!(text, "  {from} to {}", to.as_deref().unwrap_or("now"));
        if let Some(lasted) = period.lasted(SystemTime::now()) {
            let _ = write!(text, " ({})", lasting(lasted));
        }
        let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let ended = visible(&within(&ended(period, history)));
        let ended = match end {
            Ending::Rejected { .. } => paint.failure(&ended),
            Ending::Holds if history.left_out(period).is_some() => paint.failure(&ended),
            Ending::Holds if history.not_in_effect.contains(record) => paint.notice(&ended),
            _ => ended,
        };
        let _ = writeln!(text, ", record {record}{}: {ended}", visible(&by));
        if let Some(message) = message {
            let _ = writeln!(text, "  {}", paint.notice(&format!("# {}", visible(&within(message)))));
        }
    }
    text
}

/// Further lines are indented, so that the output of a program never looks like a period.
fn within(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// An ending in words.
fn ended(period: &Period, history: &History) -> String {
    match &period.end {
        Ending::Holds => match history.left_out(period) {
            Some(one) => format!("does not hold: {}", one.reason),
            None if history.not_in_effect.contains(&period.record) => "recorded, not in effect".to_owned(),
            None => "holds".to_owned(),
        },
        Ending::Replaced(id) => format!("replaced by record {id}"),
        Ending::Unset(id) => format!("removed by record {id}"),
        Ending::RolledBack(id) => format!("rolled back by record {id}"),
        Ending::Expired(id) => format!("its time was over (record {id})"),
        Ending::Rejected { record, reason } => format!("rejected by record {record}: {}", reason.trim_end()),
    }
}
