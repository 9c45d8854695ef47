//! Verbs that put into effect what is recorded.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::recording::wait;
use crate::cli::commands::offers;
use crate::system::request::Wait;
use crate::time::duration::AWAITS;

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
