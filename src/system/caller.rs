//! The user who asks for a change, and what they may change.

use std::collections::BTreeSet;

use crate::overrides::{Draft, LogFile};
use crate::reconcile;

/// Says whether changes may be recorded, or why not. It may be asked twice of the same changes; see [`LogFile::decide`].
pub type Judge<'j> = &'j dyn Fn(&LogFile, &[Draft]) -> anyhow::Result<()>;

/// What the daemon adds to the name of a user.
const VIA_DAEMON: &str = " via daemon";

/// The name in the log of a user who asks the daemon.
#[must_use]
pub fn by_daemon(user: &str) -> String {
    format!("{user}{VIA_DAEMON}")
}

/// The name in the log of somebody who says something by way of a source.
pub fn by_source(by: &str, source: &str) -> Result<String, String> {
    let by = by.trim();
    if by.is_empty() || by.len() > 200 || by.contains(char::is_control) {
        return Err(format!("{by:?} is no name of who says it: 1 to 200 bytes without line breaks"));
    }
    Ok(format!("{by} via {source}"))
}

/// Whether a record by `by` is one of the user, made directly or by the daemon.
#[must_use]
pub fn is_of(by: &str, user: &str) -> bool {
    by == user || by.strip_suffix(VIA_DAEMON) == Some(user)
}

/// The user who asks.
#[derive(Clone, Copy)]
pub struct Caller<'c> {
    /// The name in the log.
    pub by: &'c str,
    /// Judges what the user may change.
    pub judge: Judge<'c>,
    /// What the user says about the change.
    pub message: Option<&'c str>,
    /// Whether nothing is recorded: only what would be is found out.
    pub only_looks: bool,
}

impl<'c> Caller<'c> {
    /// Somebody who may change everything: who can write the log without us.
    #[must_use]
    pub fn trusted(by: &'c str) -> Self {
        Self::judged(by, &|_, _| Ok(()))
    }

    /// Somebody whose changes are judged.
    #[must_use]
    pub fn judged(by: &'c str, judge: Judge<'c>) -> Self {
        Self { by, judge, message: None, only_looks: false }
    }

    /// An apply of some services, or of all.
    pub(super) fn apply(&self, services: Option<BTreeSet<String>>) -> reconcile::Request {
        reconcile::Request { services, by: self.by.to_owned(), ..reconcile::Request::default() }
    }
}
