//! The errors of the log.

use super::chain::Unknown;
use super::expressions::ExpressionError;
use super::limits::{LAST_ID, Unrecordable};
use crate::host::fs::FileError;
use crate::host::fs::lock::LockError;

/// The log can't be read, or not be added to; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process keeps it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It is a directory, a link, a pipe or the like.
    #[error("{path} is {kind}, and the log of overrides has to be a plain file; {hint}")]
    NotAFile {
        /// The log.
        path: String,
        /// The kind of file that it is.
        kind: &'static str,
        /// The advice.
        hint: &'static str,
    },
    /// Others than root could have written it.
    #[error(
        "{path} can be changed by others (owner {uid}, mode {mode:o}), so its records are not trusted; \
         look at them, then `chown root {path}` and `chmod go-w {path}`"
    )]
    NotTrusted {
        /// The log.
        path: String,
        /// Its owner.
        uid: u32,
        /// Its permissions.
        mode: u32,
    },
    /// It is no log from some line on.
    #[error("{path}, line {line}: {problem}; repair that line by hand, or take it out")]
    Syntax {
        /// The log.
        path: String,
        /// The line, counted from 1.
        line: u64,
        /// The problem in that line.
        problem: String,
    },
    /// A record names one that is not there.
    #[error("{path}: {source}; `dynix log` lists them")]
    Chain {
        /// The log.
        path: String,
        /// Which one.
        source: Unknown,
    },
    /// Somebody asks for a record that is not there.
    #[error("{path} has no record {id}; `dynix log` lists them")]
    NoSuchRecord {
        /// The log.
        path: String,
        /// Its id.
        id: u64,
    },
    /// A new record is an expression that has no value.
    #[error("{path}: {source}")]
    Expression {
        /// The log.
        path: String,
        /// Which and why.
        source: ExpressionError,
    },
    /// It was edited while it was read, each time it was tried.
    #[error("{path} kept changing while it was read; try again when nobody edits it")]
    Unsteady {
        /// The log.
        path: String,
    },
    /// Somebody gave a record the last id that there is.
    #[error(
        "{path} ends with record {LAST_ID}, and no record can have a greater id; give that one a smaller id by hand, and take \
         what names it along"
    )]
    Full {
        /// The log.
        path: String,
    },
    /// The change itself can't be recorded.
    #[error(transparent)]
    Unrecordable(#[from] Unrecordable),
}
