//! The command line's types, and nothing else: completions and man pages are generated from them too.

use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

pub use super::lazy::Lazy;
use super::verb;
use crate::cli::commands::offers;
use crate::system::request::{ListEdit, Wait};
use crate::system::session::Location;
use crate::time::duration::{AWAITS, HOLDS};
use crate::time::when::when;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  Raise a limit now:
    dynix set services.harmonia.settings.workers 20 --apply
  Change an address, and roll back if that cuts me off:
    dynix set services.gotosocial.settings.bind-address 10.0.0.7 --apply --confirm 60s
    dynix confirm
  Enable debug logging for an hour:
    dynix set services.distccd.logLevel debug --for 1h --apply
  See what is overridden, by whom, and what is in effect:
    dynix status
  See what an apply would do:
    dynix apply --dry-run
  Take back the last change, and leave the others:
    dynix undo --apply
  Go back to what nixos-rebuild built:
    dynix reset

Exit codes:
  0 done  1 failed  2 usage  3 value refused  4 a unit failed and was rolled back  5 rollback failed
  6 a rebuild would change more (verify)  7 a unit runs on values other than those in place
  8 there is what --exit-code asks about";

/// Change a running NixOS system's settings in milliseconds, without a rebuild
///
/// dynix records overrides in /etc/nixos/dynamic.nix, an append-only log. `dynix apply` renders the configuration of the
/// services concerned, swaps it in, and restarts or reloads only the units that read what changed. `nixos-rebuild switch`
/// returns to the built configuration.
#[derive(Debug, Parser)]
#[command(name = "dynix", version, after_help = EXAMPLES, styles = STYLES, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Verbs of other tools, each with what to run here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("modify", "dynix set PATH VALUE --apply, or dynix edit SERVICE"),
    ("revert", "dynix undo, dynix rollback, dynix reset, or dynix confirm --revert"),
    ("remove", "dynix unset PATH"),
    ("delete", "dynix unset PATH"),
    ("list", "dynix status, dynix services, or dynix options SERVICE"),
    ("show", "dynix get PATH, or dynix status"),
    ("switch", "dynix apply"),
    ("reload", "dynix apply"),
];

/// Reads the command line; ends the program where it is wrong, or asks for help.
#[must_use]
pub fn parse() -> Cli {
    let words: Vec<OsString> = std::env::args_os().collect();
    verb::read(&words).unwrap_or_else(|| Cli::try_parse_from(words).unwrap_or_else(|error| with_tip(error).exit()))
}

/// Adds what to run to an error about a verb that only other tools have.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    if let Some((_, here)) = ELSEWHERE.iter().find(|(name, _)| name == verb) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![format!("run {here}").into()]));
    }
    error
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work on the file system tree at DIR, without a service manager
    #[arg(long, global = true, value_name = "DIR", env = "DYNIX_ROOT")]
    pub root: Option<Utf8PathBuf>,
    /// The compiled plan [default: /etc/dynix/plan.json]
    #[arg(long, global = true, value_name = "FILE", env = "DYNIX_PLAN")]
    pub plan: Option<Utf8PathBuf>,
    /// The override log [default: /etc/nixos/dynamic.nix, or /var/lib/dynix/dynamic.nix where /etc/nixos can't keep it]
    #[arg(long, global = true, value_name = "FILE", env = "DYNIX_OVERRIDES")]
    pub overrides: Option<Utf8PathBuf>,
    /// Send the request to the daemon at this socket; for `dynix daemon`, listen here [default for users other than
    /// root: /run/dynix/dynix.sock, if it exists]
    #[arg(long, global = true, value_name = "FILE", env = "DYNIX_SOCKET")]
    pub socket: Option<Utf8PathBuf>,
    /// Show long output as it is, without a pager
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// What the output is: for people, or JSON for programs; --json is the same, but prints a list as it is
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
    /// Print every step
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Global {
    /// Where the system is.
    #[must_use]
    pub fn location(&self) -> Location {
        Location { root: self.root.clone(), plan: self.plan.clone(), overrides: self.overrides.clone() }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record values for options, all of them or none
    Set(Lazy<Set>),
    /// Record a value for an option
    Append(Lazy<Append>),
    /// Record settings that are written down: Nix, JSON, TOML or YAML
    Import(Lazy<Import>),
    /// Record all that a source outside of this host says by now
    Layer(Lazy<Layer>),
    /// Open the present values in an editor, and record what is changed
    Edit(Lazy<Edit>),
    /// Remove an override
    Unset(Lazy<Unset>),
    /// Take back one record, and leave later ones
    Undo(Lazy<Undo>),
    /// Bring back a record that was taken back
    Redo(Lazy<Redo>),
    /// Take back one record for a reason
    Reject(Lazy<Reject>),
    /// Return to the overrides of an earlier record
    Rollback(Lazy<Rollback>),
    /// Remove overrides that say what is built by now
    Prune(Lazy<Prune>),
    /// Remove all overrides and apply the built values
    Reset(Lazy<Reset>),
    /// Reconcile running services with the override log
    Apply(Lazy<Apply>),
    /// Keep a change that was applied with --confirm
    Confirm(Lazy<Confirm>),
    /// Show an option's value
    Get(Lazy<Get>),
    /// Show what is overridden and what is in effect
    Status(Lazy<Status>),
    /// List the sources outside of this host, and what each says
    #[command(after_help = "Example:\n  dynix sources --json | jq '.sources[] | select(.refused)'")]
    Sources(Lazy<Read>),
    /// Set, watch and roll out overrides of a whole fleet, by way of etcd
    #[command(disable_help_flag = true)]
    Fleet(Lazy<Fleet>),
    /// List services that are dynamic, that could be, and that cannot
    #[command(after_help = "Example:\n  dynix services --json | jq '.candidates'")]
    Services(Lazy<Read>),
    /// List a service's settings with types, values and what they are for
    Options(Lazy<Options>),
    /// Show the recorded overrides, oldest first
    Log(Lazy<Log>),
    /// Show which override held from when to when, who set it, and what ended it
    History(Lazy<History>),
    /// Show how the configuration in effect differs from the built one, or any two moments
    Diff(Lazy<Diff>),
    /// Print the overrides as configuration
    Export(Lazy<Export>),
    /// Print metrics in Prometheus text format
    #[command(after_help = "Example:\n  dynix metrics > /var/lib/node-exporter/dynix.prom")]
    Metrics,
    /// Check whether a rebuild with the recorded values would change anything else
    ///
    /// Evaluates the whole configuration with and without the recorded values, which takes seconds. Names every unit,
    /// file and setting that a rebuild would make different from the running system. Builds and changes nothing. Exits
    /// with 6 if there is a difference.
    Verify(Lazy<Verify>),
    /// Find out what else in the system depends on the values of each dynamic service
    ///
    /// Evaluates the whole configuration with all overridable values made unreadable. Whatever still evaluates does not
    /// depend on them. dynix keeps the result for this system: most changes then need no other check, and `dynix append`
    /// prints what else depends on a value.
    #[command(after_help = "Example:\n  dynix prove --json | jq '.services.harmonia.flows'")]
    Prove(Lazy<Read>),
    /// Compile a description of services (build time)
    Generate(Lazy<Generate>),
    /// Run the activation of a system (what its activation script calls)
    #[command(hide = true)]
    Activate(Lazy<Activate>),
    /// Withdraw what is in effect (what systemd calls when a system without dynix is switched to)
    #[command(hide = true)]
    Withdraw,
    /// Roll back from values on which a unit fails (what an apply leaves running)
    #[command(hide = true)]
    Watch,
    /// Render JSON in a configuration format
    Render(Lazy<Render>),
    /// Detect which format and dialect produced a file
    Recognise(Lazy<Recognise>),
    /// Serve other programs over a Varlink socket
    ///
    /// systemd starts the daemon when a program connects (dynix.socket). `varlinkctl introspect /run/dynix/dynix.sock`
    /// shows the interface.
    Daemon(Lazy<Daemon>),
    /// Demonstrate dynix in a temporary directory
    Demo(Lazy<Demo>),
    /// Print a shell completion script
    Completions(Lazy<Completions>),
    /// Write the man pages
    Man(Lazy<Man>),
}

impl Command {
    /// Whether a verb that only reads prints JSON (`--json`, which `--output json` is for all verbs).
    pub fn json_of_reading(&mut self) -> Option<&mut bool> {
        match self {
            Self::Get(Lazy(one)) => Some(&mut one.json),
            Self::Status(Lazy(one)) => Some(&mut one.json),
            Self::Services(Lazy(one)) | Self::Sources(Lazy(one)) | Self::Prove(Lazy(one)) => Some(&mut one.json),
            Self::Options(Lazy(one)) => Some(&mut one.json),
            Self::Log(Lazy(one)) => Some(&mut one.json),
            Self::History(Lazy(one)) => Some(&mut one.json),
            Self::Diff(Lazy(one)) => Some(&mut one.json),
            Self::Verify(Lazy(one)) => Some(&mut one.json),
            Self::Render(Lazy(one)) => Some(&mut one.json).filter(|_| one.list),
            Self::Recognise(Lazy(one)) => Some(&mut one.json),
            _ => None,
        }
    }
}

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

fn wait(text: &str) -> Result<Wait, String> {
    match text {
        "" => Ok(Wait::ToTheEnd),
        text => humantime::parse_duration(text).map(Wait::For).map_err(|error| error.to_string()),
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

/// `dynix fleet`
#[derive(Debug, Args)]
pub struct Fleet {
    /// What dynix-fleet(1) takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    pub words: Vec<OsString>,
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

/// `dynix apply`
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix apply                        put into effect what is recorded
  dynix apply harmonia --dry-run     see what that would do to a service
  dynix apply --confirm 60s          roll back after a minute unless `dynix confirm` runs
  dynix apply --wait                 wait until the units have stayed up")]
pub struct Apply {
    /// Only these services; all by default
    #[arg(value_name = "SERVICE", add = ArgValueCompleter::new(offers::services))]
    pub services: Vec<String>,
    /// Only end overrides whose time is over
    #[arg(long, hide = true, conflicts_with_all = ["services", "confirm"])]
    pub expired: bool,
    /// Another try of what failed for the machine's sake
    #[arg(long, hide = true, conflicts_with_all = ["expired", "confirm"])]
    pub retry: bool,
    /// Only try what was postponed at the boot
    #[arg(long, hide = true, conflicts_with_all = ["services", "confirm", "expired", "retry"])]
    pub after_boot: bool,
    /// Let Nix build or download what options of no service need
    #[arg(long)]
    pub build: bool,
    /// Wait until this system is the one that runs
    #[arg(long, hide = true, value_name = "SYSTEM")]
    pub switched: Option<Utf8PathBuf>,
    /// A part of the boot: the services' units start only after this
    #[arg(long, hide = true, conflicts_with_all = ["confirm", "expired", "retry", "after_boot"])]
    pub before_units: bool,
    /// Show what it would do, then ask
    #[arg(long, conflicts_with = "dry_run")]
    pub ask: bool,
    /// With --dry-run: exit with 8 if there is something to do
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
    /// How it is applied.
    #[command(flatten)]
    pub applying: Applying,
}

/// How an apply runs.
#[derive(Clone, Debug, Args)]
pub struct Applying {
    /// Print what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Roll back after DURATION unless `dynix confirm` runs first
    #[arg(long, value_name = "DURATION", conflicts_with = "dry_run", value_parser = |text: &str| AWAITS.read(text))]
    pub confirm: Option<Duration>,
    /// Wait until the units have stayed up for as long as they are watched, at most DURATION, and exit with 4 if one did not
    #[arg(long, value_name = "DURATION", conflicts_with = "dry_run", value_parser = wait)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub wait: Option<Wait>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix confirm`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dynix append services.gotosocial.settings.bind-address 10.0.0.7 --apply --confirm 60s
  dynix confirm            the host still answers: keep the change")]
pub struct Confirm {
    /// Roll back now instead
    #[arg(long)]
    pub revert: bool,
    /// Roll back only the change that this timer belongs to
    #[arg(long, hide = true, requires = "revert", value_name = "TIMER")]
    pub of: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix daemon`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  varlinkctl call /run/dynix/dynix.sock io.dynix.Settings.Append \\
    '{\"path\": \"services.harmonia.settings.workers\", \"value\": 20, \"apply\": true}'
  varlinkctl --more call /run/dynix/dynix.sock io.dynix.Settings.Monitor '{}'")]
pub struct Daemon {
    /// How long to wait for more requests before one apply [default: from the plan, 20ms]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub window: Option<Duration>,
    /// Exit after DURATION without clients [default: from the plan, 1min; with --socket, never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub idle: Option<Duration>,
}

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

/// `dynix generate`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dynix generate --description description.json --out result")]
pub struct Generate {
    /// The description of the dynamic-enabled services (JSON)
    #[arg(long, value_name = "FILE")]
    pub description: Utf8PathBuf,
    /// Where the plan, drop-ins and scripts go; must not exist yet, or be an earlier output
    #[arg(long, value_name = "DIR")]
    pub out: Utf8PathBuf,
    /// Find the static files below DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub static_root: Utf8PathBuf,
    /// The dynix that the scripts call [default: this one]
    #[arg(long, value_name = "PROGRAM")]
    pub dynix: Option<Utf8PathBuf>,
    /// Where the scripts find the plan
    #[arg(long, value_name = "FILE", default_value = "/etc/dynix/plan.json")]
    pub installed_plan: Utf8PathBuf,
}

/// `dynix activate`
#[derive(Debug, Args)]
pub struct Activate {
    /// The system that is being activated
    #[arg(long, value_name = "DIRECTORY")]
    pub system: Option<Utf8PathBuf>,
    /// As a unit, and not in an activation script
    #[arg(long, hide = true, conflicts_with = "system")]
    pub in_unit: bool,
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

/// `dynix render`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo '{\"workers\": 4}' | dynix render --format toml
  dynix render --format yaml_1_1 --dialect pyyaml settings.json
  dynix render --format keyValue --parameters '{\"separator\": \" = \"}' settings.json")]
pub struct Render {
    /// The format, as in nixpkgs' `pkgs.formats`
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    pub format: Option<String>,
    /// The generator whose output to match
    #[arg(long, value_name = "NAME", requires = "format")]
    pub dialect: Option<String>,
    /// The format's parameters
    #[arg(long, value_name = "JSON", requires = "format")]
    pub parameters: Option<String>,
    /// List the formats, or --format alone, with their dialects and parameters
    #[arg(long, conflicts_with_all = ["dialect", "parameters", "file"])]
    pub list: bool,
    /// Print the list as JSON
    #[arg(long, requires = "list")]
    pub json: bool,
    /// The value (JSON) [default: standard input]
    pub file: Option<Utf8PathBuf>,
}

/// `dynix recognise`
#[derive(Debug, Args)]
#[command(after_help = "\
Tries every format, dialect and parameter. Exits with 1, and shows how the nearest differs, if none writes the file.

Examples:
  dynix recognise /etc/harmonia.toml --value '{\"workers\": 4}'
  nix eval --json .#settings | dynix recognise /etc/radicale.conf")]
pub struct Recognise {
    /// The file that Nix wrote
    pub file: Utf8PathBuf,
    /// The value in the file [default: JSON from standard input]
    #[arg(long, value_name = "JSON")]
    pub value: Option<String>,
    /// Only this format
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Only this dialect
    #[arg(long, value_name = "NAME", requires = "format")]
    pub dialect: Option<String>,
    /// Parameters that are known
    #[arg(long, value_name = "JSON", requires = "format")]
    pub parameters: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `dynix demo`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dynix demo --keep")]
pub struct Demo {
    /// Keep the temporary directory
    #[arg(long)]
    pub keep: bool,
}

/// `dynix completions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(dynix completions bash)
  dynix completions fish | source")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `dynix man`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dynix man | man -l -
  dynix man share/man/man1")]
pub struct Man {
    /// Write dynix.1 and a page for each command to DIR [default: dynix.1 to standard output]
    pub directory: Option<Utf8PathBuf>,
}
