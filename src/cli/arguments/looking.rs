//! Verbs that only look.

use std::ffi::OsString;
use std::time::SystemTime;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use crate::cli::commands::offers;
use crate::time::when::when;

/// `dynix get`
#[derive(Debug, Args)]
#[command(after_help = "\
The value on standard output is the one in effect. What is only recorded is said besides, on standard error.

Examples:
  dynix get services.harmonia.settings.workers
  dynix get services.harmonia.settings --json
  dynix get services.harmonia.settings.workers --at 2h      what was recorded two hours ago
  dynix get services.harmonia.settings.workers --at 12      what was recorded after record 12")]
pub struct Get {
    /// The option path, possibly below an option
    #[arg(add = ArgValueCompleter::new(offers::paths))]
    pub path: String,
    /// Show what was recorded then: after record ID, or at TIME (`2026-11-21 10:00` in UTC, `2h` for how long ago)
    #[arg(long, value_name = "ID|TIME", add = ArgValueCompleter::new(offers::records))]
    pub at: Option<String>,
    /// Print JSON, with the built value and the origin of the present one
    #[arg(long)]
    pub json: bool,
}

/// `dynix services`, `dynix prove`
#[derive(Debug, Args)]
pub struct Read {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix history`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix history harmonia
  dynix history services.harmonia.settings.workers --json
  dynix history --html incident.html    one page to keep or to mail; it needs no other file")]
pub struct History {
    /// Only about this service or path
    #[arg(value_name = "SERVICE|PATH", add = ArgValueCompleter::new(offers::services_and_paths))]
    pub subject: Option<String>,
    /// Look at the newest N records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    pub last: usize,
    /// Write a page of HTML; `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<Utf8PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix status`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix status
  dynix status --exit-code > /dev/null || echo 'this host is not as it was built'")]
pub struct Status {
    /// Exit with 8 if anything is overridden, recorded and not in effect, or failed
    #[arg(long)]
    pub exit_code: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix log`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix log harmonia -n 5                          the last five records about a service
  dynix log services.harmonia.settings.workers     all records about a path
  dynix log --since 2h --by ann                    what ann recorded in the last two hours")]
pub struct Log {
    /// Only records about this path or service
    #[arg(value_name = "PATH|SERVICE", add = ArgValueCompleter::new(offers::services_and_paths))]
    pub about: Option<String>,
    /// Only the last N
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<usize>,
    /// Only records since TIME: `2026-11-21`, `2026-11-21 10:00` (UTC), or `2h` for how long ago
    #[arg(long, value_name = "TIME", value_parser = |text: &str| when(text, SystemTime::now()))]
    pub since: Option<SystemTime>,
    /// Only records by this user
    #[arg(long, value_name = "USER")]
    pub by: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix export`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix export harmonia                    lines to paste into configuration.nix
  dynix export --format module > /etc/nixos/from-dynix.nix
  nixos-rebuild switch && dynix prune      once they are built in, the overrides can go")]
pub struct Export {
    /// Only these services; all by default
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(offers::services))]
    pub services: Vec<String>,
    /// What is printed [default: nix; with --output json, json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
}

/// What `dynix export` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Lines for configuration.nix.
    Nix,
    /// A module file for `imports`.
    Module,
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// `dynix options`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix options gotosocial
  dynix options gotosocial port        only settings that have to do with `port`")]
pub struct Options {
    /// The service
    #[arg(add = ArgValueCompleter::new(offers::services))]
    pub service: String,
    /// Only settings with this text in name, type, values or description
    pub pattern: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix diff`
#[derive(Debug, Args)]
#[command(after_help = "\
A and B are ids of records, times (`2026-11-21 10:00` in UTC, `2h` for how long ago), `built`, `effect` or `now`, which is \
what is recorded. Left out, A is `built` and B is `now`. Values that were recorded then are shown as this system renders them.

Examples:
  dynix diff                     what is in effect, against what is built
  dynix diff 3..5 harmonia       what records 4 and 5 changed of harmonia
  dynix diff 2h..                what was recorded in the last two hours
  dynix diff --exit-code         exits with 8 if something differs")]
pub struct Diff {
    /// Two moments, and services; all by default
    #[arg(value_name = "A..B|SERVICE", add = ArgValueCompleter::new(offers::services))]
    pub words: Vec<String>,
    /// Show what an apply would change, instead of what is in effect
    #[arg(long)]
    pub pending: bool,
    /// Exit with 8 if something differs
    #[arg(long)]
    pub exit_code: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix verify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  dynix verify || dynix rollback")]
pub struct Verify {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Keep what is found for `dynix status`, and do what the plan says about it
    #[arg(long, hide = true)]
    pub background: bool,
    /// Begin when this system is the one that runs, and its switch is over
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    pub system: Option<Utf8PathBuf>,
}

/// `dynix fleet`
#[derive(Debug, Args)]
pub struct Fleet {
    /// What dynix-fleet(1) takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    pub words: Vec<OsString>,
}
