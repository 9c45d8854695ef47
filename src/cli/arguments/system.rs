//! What the build, the system and the service manager run.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;

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
