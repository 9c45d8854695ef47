//! Verbs that record values, and what they share.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use crate::cli::commands::offers;
use crate::system::request::{ListEdit, Wait};
use crate::time::duration::{AWAITS, HOLDS};

/// How records are made.
#[derive(Clone, Debug, Args)]
pub struct Recording {
    /// Apply at once
    #[arg(long)]
    pub apply: bool,
    /// With --apply: roll back after DURATION unless `dynix confirm` runs first
    #[arg(long, value_name = "DURATION", requires = "apply", value_parser = |text: &str| AWAITS.read(text))]
    pub confirm: Option<Duration>,
    /// With --apply: wait until the units have stayed up for as long as they are watched, at most DURATION, and exit with 4
    /// if one did not
    #[arg(long, value_name = "DURATION", requires = "apply", value_parser = wait)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub wait: Option<Wait>,
    /// How it is told.
    #[command(flatten)]
    pub telling: Telling,
}

/// What is said about a record, and whether it is looked at first.
#[derive(Clone, Debug, Args)]
pub struct Telling {
    /// Say why: the text is kept with the record, and shown by log, status and the journal
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Print what recording and applying it would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Show what recording and applying it would do, then ask
    #[arg(long, conflicts_with = "dry_run")]
    pub ask: bool,
}

pub(super) fn wait(text: &str) -> Result<Wait, String> {
    match text {
        "" => Ok(Wait::ToTheEnd),
        text => humantime::parse_duration(text).map(Wait::For).map_err(|error| error.to_string()),
    }
}

/// How VALUE is taken.
#[derive(Clone, Copy, Debug, Args)]
pub struct Reading {
    /// Read VALUE as a string
    #[arg(long, conflicts_with_all = ["json", "expr"])]
    pub string: bool,
    /// Read VALUE as JSON
    #[arg(long, visible_alias = "from-json", conflicts_with = "expr")]
    pub json: bool,
    /// Read VALUE as a Nix expression; dynix evaluates it when it applies
    #[arg(long)]
    pub expr: bool,
}

/// Elements of a list.
#[derive(Clone, Copy, Debug, Args)]
pub struct Elements {
    /// Add VALUE to the list at PATH, as its last element
    #[arg(long, conflicts_with_all = ["remove", "secret_file"])]
    pub add: bool,
    /// Remove VALUE from the list at PATH
    #[arg(long, conflicts_with = "secret_file")]
    pub remove: bool,
}

impl Elements {
    /// The edit, if it is one.
    #[must_use]
    pub fn edit(self) -> Option<ListEdit> {
        if self.add { Some(ListEdit::Add) } else { self.remove.then_some(ListEdit::Remove) }
    }
}

/// `dynix set`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(after_help = "\
VALUE is read by the option's type. `-` reads it from standard input, and `@FILE` from a file; with --string it is that \
text. Several values become one record: all of them are checked first, and they hold together or not at all.

Examples:
  dynix set services.harmonia.settings.workers 20 --apply
  dynix set services.harmonia.settings.workers=20 services.harmonia.settings.priority=10
  dynix set services.gotosocial.settings.port --string 8080 --message 'the balancer moves'
  dynix set services.harmonia.settings.workers --expr '2 * 8'
  dynix set services.distccd.allowedClients @clients.json --ask
  dynix set services.harmonia.settings.workers 20 --apply --if-different      as often as you like
  dynix set services.example.settings.password --secret-file /run/secrets/example")]
pub struct Set {
    /// The option path, possibly below an option, and the value; names with special characters need quotes, as in Nix
    #[arg(value_names = ["PATH VALUE|PATH=VALUE"], required = true, allow_negative_numbers = true)]
    #[arg(add = ArgValueCompleter::new(offers::assignments))]
    pub words: Vec<String>,
    /// Take the value of a secret option from FILE; the log holds only the file name
    #[arg(long, value_name = "FILE", conflicts_with_all = ["string", "from_json", "expr"])]
    pub secret_file: Option<Utf8PathBuf>,
    /// Read VALUE as a string
    #[arg(long, conflicts_with_all = ["from_json", "expr"])]
    pub string: bool,
    /// Read VALUE as JSON
    #[arg(long, conflicts_with = "expr")]
    pub from_json: bool,
    /// Read VALUE as a Nix expression; dynix evaluates it when it applies
    #[arg(long)]
    pub expr: bool,
    /// What becomes of a list.
    #[command(flatten)]
    pub list: Elements,
    /// Replace the whole value, dropping all attributes of the built one
    #[arg(long, conflicts_with_all = ["add", "remove"])]
    pub replace: bool,
    /// End the override after DURATION (`30min`, `1h`, `2days`)
    #[arg(long = "for", value_name = "DURATION", value_parser = |text: &str| HOLDS.read(text))]
    pub duration: Option<Duration>,
    /// Do nothing if the values are recorded already, and with --apply also in effect
    #[arg(long, conflicts_with = "duration")]
    pub if_different: bool,
    /// Let Nix build or download what an option of no service needs
    #[arg(long)]
    pub build: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix append`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix append services.gotosocial.settings.application-name 'yay!'
  dynix append services.harmonia.settings.workers 20 --apply
  dynix append services.distccd.allowedClients '[\"127.0.0.1\", \"10.0.0.0/8\"]'
  dynix append services.gotosocial.settings.port --string 8080
  dynix append services.harmonia.settings.workers --expr '2 * 8'
  dynix append services.example.settings.password --secret-file /run/secrets/example")]
pub struct Append {
    /// The option path, possibly below an option; names with special characters need quotes, as in Nix
    #[arg(add = ArgValueCompleter::new(offers::paths))]
    pub path: String,
    /// The value, read by the option's type: where that is open, as JSON if it parses, else as a string
    #[arg(allow_hyphen_values = true, required_unless_present = "secret_file")]
    #[arg(add = ArgValueCompleter::new(offers::values))]
    pub value: Option<String>,
    /// Take the value of a secret option from FILE; the log holds only the file name
    #[arg(long, value_name = "FILE", conflicts_with_all = ["value", "string", "json", "expr"])]
    pub secret_file: Option<Utf8PathBuf>,
    /// How the value is taken.
    #[command(flatten)]
    pub reading: Reading,
    /// What becomes of a list.
    #[command(flatten)]
    pub list: Elements,
    /// Replace the whole value, dropping all attributes of the built one
    #[arg(long, conflicts_with_all = ["add", "remove"])]
    pub replace: bool,
    /// End the override after DURATION (`30min`, `1h`, `2days`)
    #[arg(long = "for", value_name = "DURATION", value_parser = |text: &str| HOLDS.read(text))]
    pub duration: Option<Duration>,
    /// Let Nix build or download what an option of no service needs
    #[arg(long)]
    pub build: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix import`
#[derive(Debug, Args)]
#[command(after_help = "\
The settings are a set from the top (`services`...), or from --at. All of them become one record: they are checked first, \
and they hold together or not at all. Of Nix, plain values are read, in a set, as definitions or as a module.

Examples:
  dynix import settings.toml --at services.harmonia.settings --ask
  dynix export --format module > tuned.nix      on one machine, and on another:
  dynix import tuned.nix
  curl https://intern/limits.json | dynix import --format json --apply")]
pub struct Import {
    /// The settings [default: standard input, as is `-`]
    pub file: Option<Utf8PathBuf>,
    /// How they are written [default: by the end of the file's name, else Nix]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ImportFormat>,
    /// The path that they are below
    #[arg(long, value_name = "PATH", add = ArgValueCompleter::new(offers::paths))]
    pub at: Option<String>,
    /// End the overrides after DURATION (`30min`, `1h`, `2days`)
    #[arg(long = "for", value_name = "DURATION", value_parser = |text: &str| HOLDS.read(text))]
    pub duration: Option<Duration>,
    /// Do nothing if the values are recorded already, and with --apply also in effect
    #[arg(long, conflicts_with = "duration")]
    pub if_different: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How they are recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// How settings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Nix.
    Nix,
    /// JSON.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// `dynix layer`
#[derive(Debug, Args)]
#[command(after_help = "\
A source is one of dynamicism.sources. Its values are below those of this host, unless it is configured otherwise. What it
does not say any more is over. All of it is taken, or nothing. dynix-agent does the same for a source of its own.

Examples:
  dynix layer fleet settings.toml --revision 2026-11-30 --apply
  dynix layer fleet --revision none --apply < /dev/null                  the source says nothing
  git show main:hosts/web3.nix | dynix layer fleet --revision \"$(git rev-parse main)\" --apply")]
pub struct Layer {
    /// The source
    #[arg(add = ArgValueCompleter::new(offers::sources))]
    pub source: String,
    /// The settings [default: standard input, as is `-`]
    pub file: Option<Utf8PathBuf>,
    /// What the source calls this state of its values
    #[arg(long)]
    pub revision: Option<String>,
    /// Who says it
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// How they are written [default: by the end of the file's name, else Nix]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ImportFormat>,
    /// Apply at once to the services concerned
    #[arg(long)]
    pub apply: bool,
    /// Wait until the changed units are not watched any more, or for DURATION
    #[arg(long, value_name = "DURATION", requires = "apply", value_parser = wait)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub wait: Option<Wait>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// What is said about it, and whether it is only looked at.
    #[command(flatten)]
    pub telling: Telling,
}

/// `dynix edit`
#[derive(Debug, Args)]
#[command(after_help = "\
Opens $VISUAL or $EDITOR. What differs when it is closed becomes one record, and a line that is taken out ends its override.

Examples:
  dynix edit harmonia --ask
  EDITOR=nano dynix edit services.gotosocial.settings --apply")]
pub struct Edit {
    /// A service, or a path: all settings at and below it
    #[arg(value_name = "SERVICE|PATH", add = ArgValueCompleter::new(offers::services_and_paths))]
    pub about: String,
    /// End the overrides after DURATION (`30min`, `1h`, `2days`)
    #[arg(long = "for", value_name = "DURATION", value_parser = |text: &str| HOLDS.read(text))]
    pub duration: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How they are recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix unset`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix unset services.harmonia.settings.workers --apply
  dynix unset services.harmonia.settings.workers --previous     the override before it holds again")]
pub struct Unset {
    /// The option path; overrides below it are removed too
    #[arg(add = ArgValueCompleter::new(offers::overridden))]
    pub path: String,
    /// Return to the override before it, if there was one
    #[arg(long)]
    pub previous: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is recorded.
    #[command(flatten)]
    pub recording: Recording,
}

/// `dynix prune`
#[derive(Debug, Args)]
#[command(after_help = "\
An override that says what nixos-rebuild built changes nothing; `dynix status` shows it as built in. Recording its end \
keeps it from standing in the way of the next change of the configuration.

Example:
  dynix prune --dry-run")]
pub struct Prune {
    /// Only these services; all by default
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(offers::services))]
    pub services: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is told.
    #[command(flatten)]
    pub telling: Telling,
}
