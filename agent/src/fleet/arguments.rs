//! The command line of `dynix-fleet`.

#![allow(missing_docs)]

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dynix::time::duration::HOLDS;

use crate::etcd::keys::Target;
use crate::rollout::state::Size;

/// Change the settings of a fleet, and see what became of it
#[derive(Debug, Parser)]
#[command(
    version,
    name = "dynix-fleet",
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  a host refused the values (--wait)
  4  the rollout stopped, or a host rolled back (--wait)
  8  there is what --exit-code asks about";

/// Where the fleet is
#[derive(Args, Debug)]
pub struct Global {
    /// URLs of etcd's members; without any, those of this host's agent
    #[arg(long = "endpoint", value_name = "URL", global = true, env = "DYNIX_FLEET_ENDPOINTS", value_delimiter = ',')]
    pub endpoints: Vec<String>,
    /// The fleet's name
    #[arg(long, value_name = "NAME", global = true, env = "DYNIX_FLEET")]
    pub fleet: Option<String>,
    /// Who vouches for etcd's certificates (PEM)
    #[arg(long, value_name = "FILE", global = true, env = "DYNIX_FLEET_CA")]
    pub ca: Option<Utf8PathBuf>,
    /// Your certificate (PEM)
    #[arg(long, value_name = "FILE", global = true, env = "DYNIX_FLEET_CERT")]
    pub cert: Option<Utf8PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", global = true, env = "DYNIX_FLEET_KEY")]
    pub key: Option<Utf8PathBuf>,
    /// The file with your name as a user of etcd
    #[arg(long, value_name = "FILE", global = true, env = "DYNIX_FLEET_USER_FILE")]
    pub user_file: Option<Utf8PathBuf>,
    /// The file with your password
    #[arg(long, value_name = "FILE", global = true, env = "DYNIX_FLEET_PASSWORD_FILE")]
    pub password_file: Option<Utf8PathBuf>,
    /// The file of this host's agent, which says all of that
    #[arg(long, value_name = "FILE", global = true, default_value = crate::config::FILE, env = "DYNIX_AGENT_CONFIG")]
    pub config: Utf8PathBuf,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How to print
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set values, at once or wave by wave
    Set(Set),
    /// Remove values, at once or wave by wave
    Unset(Unset),
    /// Print what a path has, and where
    Get(Get),
    /// Print the hosts, and how the rollouts go
    Status(Status),
    /// Follow hosts and rollouts
    Watch(Watch),
    /// Print what was done, newest first
    Log(Log),
    /// Compare what two hosts have
    Diff(Diff),
    /// Let a rollout stay where it is
    Pause(Which),
    /// Let a rollout go on
    Resume(Which),
    /// End a rollout, and take its values back
    Abort(Which),
    /// Bring back what there was before a change
    Undo(Undo),
    /// Forget a host that is gone for good
    Forget(Forget),
    /// Drive rollouts, as agents do
    Drive,
    /// Print completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write man pages
    #[command(hide = true)]
    Man {
        /// Where to
        directory: Utf8PathBuf,
    },
}

/// Where values are for
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Where {
    /// All hosts
    #[arg(long)]
    pub all: bool,
    /// The hosts of a group
    #[arg(long, value_name = "NAME", value_parser = named)]
    pub group: Option<String>,
    /// One host
    #[arg(long, value_name = "NAME", value_parser = named)]
    pub host: Option<String>,
}

fn named(text: &str) -> Result<String, String> {
    if crate::etcd::keys::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has no slash, and is not empty".into())
    }
}

impl Where {
    /// The target.
    #[must_use]
    pub fn target(&self) -> Target {
        match (&self.group, &self.host) {
            (Some(group), _) => Target::Group(group.clone()),
            (None, Some(host)) => Target::Host(host.clone()),
            (None, None) => Target::All,
        }
    }
}

/// What is said about a change, and how it gets to the hosts
#[derive(Args, Debug)]
pub struct How {
    /// What you say about it; log and hosts show it
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Who you are, if not the user
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Wave by wave: so many hosts (1), or such a share of them (10%), with those before; at last all
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    pub waves: Vec<Size>,
    /// For how long all hosts of a wave have to be well before the next one
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s", requires = "waves")]
    pub hold: Duration,
    /// How many hosts may fail
    #[arg(long, value_name = "N", default_value_t = 0, requires = "waves")]
    pub budget: u32,
    /// After how long a host that says nothing has failed
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10m")]
    pub deadline: Duration,
    /// Wait for what becomes of it
    #[arg(long)]
    pub wait: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    HOLDS.read(text)
}

#[derive(Args, Debug)]
pub struct Set {
    /// Paths and values in turn: JSON, or else a text
    #[arg(value_name = "PATH VALUE", required = true, num_args = 2..)]
    pub assignments: Vec<String>,
    #[command(flatten)]
    pub place: Where,
    /// Every value is a text, whatever it looks like
    #[arg(long)]
    pub string: bool,
    /// End it after this time
    #[arg(long = "for", value_name = "TIME", value_parser = time, conflicts_with = "waves")]
    pub duration: Option<Duration>,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args, Debug)]
pub struct Unset {
    /// The paths
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub how: How,
}

#[derive(Args, Debug)]
pub struct Get {
    /// A path; without one, everything
    pub path: Option<String>,
    /// What this host has of it, of all targets together
    #[arg(long, value_name = "NAME", value_parser = named)]
    pub host: Option<String>,
}

#[derive(Args, Debug)]
pub struct Status {
    /// Exit with 8 if a host is gone, or is not well on what it was given
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Args, Debug)]
pub struct Watch {
    /// A rollout; the command ends with it
    pub rollout: Option<String>,
}

#[derive(Args, Debug)]
pub struct Log {
    /// How many at most
    #[arg(short, value_name = "N", default_value_t = 20)]
    pub n: usize,
}

#[derive(Args, Debug)]
pub struct Diff {
    /// A host
    #[arg(value_parser = named)]
    pub one: String,
    /// Another one
    #[arg(value_parser = named)]
    pub other: String,
    /// Exit with 8 if they differ
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Args, Debug)]
pub struct Which {
    /// The rollout; without one, the only one that is under way
    pub rollout: Option<String>,
    /// What you say about it
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
}

#[derive(Args, Debug)]
pub struct Undo {
    /// What `dynix-fleet log` calls it; without one, the last change that is not undone
    pub id: Option<String>,
    /// What you say about it
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Who you are, if not the user
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Args, Debug)]
pub struct Forget {
    /// The host
    #[arg(value_parser = named)]
    pub host: String,
}
