//! The command line's types, and nothing else: completions and man pages are generated from them too.

mod applying;
mod looking;
mod recording;
mod returning;
mod system;
mod tools;

use std::ffi::OsString;

use camino::Utf8PathBuf;
use clap::builder::styling::{AnsiColor, Styles};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

pub use super::lazy::Lazy;
use super::verb;
use crate::host::home::{Home, Homeless};
use crate::system::session::Location;

pub use applying::{Apply, Applying, Confirm};
pub use looking::{Diff, Export, ExportFormat, Fleet, Get, History, Log, Options, Read, Status, Verify};
pub use recording::{
    Append, Edit, Elements, Import, ImportFormat, Layer, Prune, Reading, Recording, Set, Telling, Unset,
};
pub use returning::{Redo, Reject, Reset, Rollback, Undo};
pub use system::{Activate, Daemon, Generate};
pub use tools::{Completions, Demo, Man, Recognise, Render};

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
    /// Work on your own services, those of your service manager (systemd --user), without root
    #[arg(long, global = true, conflicts_with_all = ["root", "socket"])]
    pub user: bool,
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
    pub fn location(&self) -> Result<Location, Homeless> {
        let home = if self.user { Some(Home::own()?) } else { None };
        Ok(Location { root: self.root.clone(), plan: self.plan.clone(), overrides: self.overrides.clone(), home })
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
    /// Keep the configuration evaluated (what dynix-evaluator.service runs)
    #[command(hide = true)]
    Evaluator,
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
