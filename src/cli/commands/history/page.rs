//! The history as one page of HTML that needs nothing else: no script, no other file.
//!
//! Pure: takes the history, the machine's name and the time; gives the text. templates/history.html has its form.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::ended;
use crate::host::templates::{self, TemplateError};
use crate::overrides::{Ending, Period};
use crate::system::history::History;
use crate::time::{self, seconds};
use crate::types::brief;

/// How many times the axis names, at most.
const TICKS: u32 = 6;
/// The distances between them (seconds).
const STEPS: [u64; 15] =
    [1, 10, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 7_776_000, 31_536_000];

#[derive(Serialize)]
struct Page<'p> {
    host: &'p str,
    made: String,
    partial: bool,
    ticks: Vec<Tick>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Tick {
    /// Percent of the width.
    at: f64,
    text: String,
}

#[derive(Serialize)]
struct Row {
    path: String,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Bar {
    /// Percent of the width; `None` if it is not known when it began.
    left: Option<f64>,
    width: f64,
    /// The class of its colour.
    class: &'static str,
    value: String,
    record: u64,
    by: String,
    message: String,
    from: String,
    to: String,
    lasted: String,
    end: String,
}

/// The page.
pub fn page(history: &History, host: &str, now: SystemTime) -> Result<String, TemplateError> {
    let end = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let starts = history.periods.iter().filter_map(|period| seconds(period.from.as_deref()?));
    let start = starts.fold(end, f64::min);
    // A history without a length is shown in the middle of a minute.
    let (start, end) = if end - start < 1.0 { (start - 30.0, end + 30.0) } else { (start, end) };
    let mut rows: BTreeMap<String, Vec<Bar>> = BTreeMap::new();
    for period in &history.periods {
        rows.entry(period.path.to_string()).or_default().push(bar(period, history, (start, end), now));
    }
    let rows = rows.into_iter().map(|(path, bars)| Row { path, bars }).collect();
    let page = Page { host, made: time::text(now), partial: history.partial, ticks: ticks(start, end), rows };
    templates::html(include_str!("../../../../templates/history.html"), &page)
}

fn bar(period: &Period, history: &History, (start, end): (f64, f64), now: SystemTime) -> Bar {
    let place = |time: f64| ((time - start) / (end - start) * 100.0).clamp(0.0, 100.0);
    let from = match &period.from {
        Some(from) => seconds(from),
        // It held before the part that is shown.
        None => history.partial.then_some(start),
    };
    let to = period.to.as_deref().and_then(seconds).unwrap_or(end);
    Bar {
        left: from.map(place),
        width: from.map_or(0.0, |from| place(to) - place(from)),
        class: class(period, history),
        value: brief(&period.value),
        record: period.record,
        by: period.by.clone().unwrap_or_else(|| "unknown".to_owned()),
        message: period.message.clone().unwrap_or_default(),
        from: period.from.clone().unwrap_or_default(),
        to: period.to.clone().unwrap_or_default(),
        lasted: period.lasted(now).map(crate::cli::commands::screen::lasting).unwrap_or_default(),
        end: ended(period, history),
    }
}

fn class(period: &Period, history: &History) -> &'static str {
    match period.end {
        Ending::Holds if history.left_out(period).is_some() => "rejected",
        Ending::Holds if history.not_in_effect.contains(&period.record) => "pending",
        Ending::Holds => "holds",
        Ending::Replaced(_) | Ending::Unset(_) | Ending::Expired(_) => "over",
        Ending::RolledBack(_) => "undone",
        Ending::Rejected { .. } => "rejected",
    }
}

/// Round times between both ends.
fn ticks(start: f64, end: f64) -> Vec<Tick> {
    let length = end - start;
    let fits = |step: &&u64| length / Duration::from_secs(**step).as_secs_f64() <= f64::from(TICKS);
    let step = Duration::from_secs(*STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1])).as_secs_f64();
    let first = (start / step).ceil() * step;
    let times = (0..=TICKS).map(|number| first + f64::from(number) * step).filter(|time| (start..=end).contains(time));
    let text = |time: f64| {
        let text = time::text(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(time.max(0.0)));
        let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
        if step < 86_400.0 { format!("{day} {}", clock.trim_end_matches('Z')) } else { day.to_owned() }
    };
    times.map(|time| Tick { at: (time - start) / length * 100.0, text: text(time) }).collect()
}
