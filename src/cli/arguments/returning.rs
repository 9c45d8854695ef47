//! Verbs that take records back.

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::applying::Applying;
use super::recording::Recording;
use crate::cli::commands::offers;

/// `dynix undo`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix undo               take back the last record that counts; again, the one before
  dynix undo 12 --apply    take back record 12 (see `dynix log`), and leave later ones
  dynix redo               bring back what was taken back last")]
pub struct Undo {
    /// The record [default: the last one that counts]
    #[arg(add = ArgValueCompleter::new(offers::records))]
    pub id: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix redo`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix redo               bring back the record that was taken back last
  dynix redo 12 --apply    bring back record 12, whoever or whatever rejected it")]
pub struct Redo {
    /// The record [default: the one that was taken back last]
    #[arg(add = ArgValueCompleter::new(offers::rejected))]
    pub id: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix reject`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dynix reject 12 --message 'the upstream allows 10 connections' --apply")]
pub struct Reject {
    /// The record
    #[arg(add = ArgValueCompleter::new(offers::records))]
    pub id: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix rollback`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix rollback           return to the state before the last record
  dynix rollback 12        return to the state after record 12: later ones are taken back
  dynix rollback 0         remove all overrides

On a terminal it asks before it takes back what others recorded. `dynix undo ID` takes back one record alone.")]
pub struct Rollback {
    /// Record to return to [default: the one before the last]
    #[arg(add = ArgValueCompleter::new(offers::records))]
    pub id: Option<u64>,
    /// Do not ask before records of others are taken back
    #[arg(short, long)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix reset`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix reset --dry-run                          see what it would do
  dynix reset harmonia --message 'enough of it'")]
pub struct Reset {
    /// Only these services; all by default
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(offers::services))]
    pub services: Vec<String>,
    /// Say why: the text is kept with the record, and shown by log, status and the journal
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Show what it would do, then ask
    #[arg(long, conflicts_with = "dry_run")]
    pub ask: bool,
    /// How it is applied.
    #[command(flatten)]
    pub applying: Applying,
}
