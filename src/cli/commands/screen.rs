//! Text for people: colours, diffs, times.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, SystemTime};

use clap::ColorChoice;
use similar::TextDiff;

use super::pager::Out;
use crate::exit::Exit;

/// How text for people is shown.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// When to use colour.
    pub color: ColorChoice,
    /// Whether long text goes through a pager.
    pub paged: bool,
}

impl Screen {
    /// Colours, where they are wanted.
    #[must_use]
    pub fn paint(self) -> Paint {
        Paint(colours(self.color))
    }

    /// Where text goes.
    #[must_use]
    pub fn out(self) -> Out {
        Out::new(self.paged)
    }

    /// Shows a text.
    pub fn show(self, text: &str) -> anyhow::Result<Exit> {
        let mut out = self.out();
        let written = out.write_all(text.as_bytes());
        let ended = out.end();
        super::printed(written.and(ended))
    }
}

/// Whether standard output takes colours (`NO_COLOR`, no-color.org).
#[must_use]
pub fn colours(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            !unwanted && std::io::stdout().is_terminal()
        }
    }
}

/// Colours for parts of a text, where they are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    /// What things are called.
    #[must_use]
    pub fn name(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What is to be seen.
    #[must_use]
    pub fn notice(self, text: &str) -> String {
        self.with("33", text)
    }

    /// What went wrong.
    #[must_use]
    pub fn failure(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What does not count, and what is said besides.
    #[must_use]
    pub fn aside(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A unified diff; empty if nothing differs.
#[must_use]
pub fn diff(name: &str, old: (&str, &str), new: (&str, &str), coloured: bool) -> String {
    if old.1 == new.1 {
        return String::new();
    }
    let diff = TextDiff::from_lines(old.1, new.1);
    let mut unified = diff.unified_diff();
    let text =
        unified.context_radius(3).header(&format!("{name} ({})", old.0), &format!("{name} ({})", new.0)).to_string();
    if !coloured {
        return text;
    }
    text.lines().fold(String::new(), |mut text, line| {
        let colour = match line.as_bytes().first() {
            _ if line.starts_with("---") || line.starts_with("+++") => "1",
            Some(b'-') => "31",
            Some(b'+') => "32",
            Some(b'@') => "36",
            _ => "0",
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "\x1b[{colour}m{line}\x1b[0m");
        text
    })
}

/// A time in its two largest units: `2days 3h`.
#[must_use]
pub fn lasting(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// The time left until a time (RFC 3339), as `in 59min 3s` or `over`.
#[must_use]
pub fn remaining(until: &str) -> String {
    let left = crate::time::read(until).ok().and_then(|until| until.duration_since(SystemTime::now()).ok());
    match left {
        Some(left) => format!("ends in {}", lasting(left)),
        None => "its time is over; `dynix apply` takes it back".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_exactly_as_anybody_cares() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (3600, "1h"),
            (3661, "1h 1m"),
            (200_000, "2days 7h"),
            (2_300_000_000, "72years 10months"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), text);
        }
        assert_eq!(lasting(Duration::from_millis(1500)), "1s");
    }
}
