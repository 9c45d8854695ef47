//! Messages to people, on standard error; under systemd with the journal's priorities.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// How important a message is, as in syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Priority {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// What is done before a message is written.
static BEFORE: OnceLock<fn()> = OnceLock::new();

/// From now on, `act` is done before each message: it makes room for it on a terminal.
pub fn before(act: fn()) {
    BEFORE.get_or_init(|| act);
}

/// Something failed.
pub fn error(message: impl Display) {
    say(Priority::Error, "error: ", &message);
}

/// Something is not as one would expect.
pub fn warn(message: impl Display) {
    say(Priority::Warning, "warning: ", &message);
}

/// Reports progress.
pub fn info(message: impl Display) {
    say(Priority::Info, "", &message);
}

/// An error with its causes, each once: many of our errors contain their cause themselves.
#[must_use]
pub fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        before if before.contains(&cause) => text,
        before => format!("{before}: {cause}"),
    })
}

/// Text without characters that control a terminal: it may come from programs and other users. Line feeds and tabs
/// stay.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    let controls = |ch: char| {
        let turns = matches!(ch, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        ch.is_control() && !matches!(ch, '\n' | '\t') || turns
    };
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), |mut shown, ch| {
        if controls(ch) {
            shown.extend(ch.escape_unicode());
        } else {
            shown.push(ch);
        }
        shown
    }))
}

fn say(priority: Priority, label: &str, message: &dyn Display) {
    if let Some(act) = BEFORE.get() {
        act();
    }
    let text = format!("{label}{message}");
    let text = visible(&text);
    let mut out = std::io::stderr().lock();
    // The journal takes a line's priority from its start (sd-daemon(3)). A closed stderr can't be reported anywhere.
    let _ = if is_journal(&out) {
        text.lines().try_for_each(|line| writeln!(out, "<{}>{line}", priority as u8))
    } else {
        writeln!(out, "{text}")
    };
}

/// Whether `stream` is the one that systemd connected to the journal. `$JOURNAL_STREAM` names it by device and inode: a
/// child inherits the variable, and may have another stream (systemd.exec(5)).
fn is_journal(stream: &impl AsFd) -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(stream).is_ok_and(|found| named == format!("{}:{}", found.st_dev, found.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let inner = crate::host::fs::FileError {
            operation: "read",
            path: "/x".to_owned(),
            source: std::io::Error::from_raw_os_error(2),
        };
        let error = anyhow::Error::new(inner).context("cannot start");
        assert_eq!(chain(&error), "cannot start: cannot read /x: No such file or directory (os error 2)");
    }
}
