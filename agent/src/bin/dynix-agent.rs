//! The `dynix-agent` binary: reads the command line, runs it, and is the only place that exits.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Parser, Subcommand};
use dynix::exit::Exit;
use dynix::host::messages;
use dynix_agent::config::{self, Config};
use dynix_agent::control;
use dynix_agent::etcd::floor;
use dynix_agent::run::{self, Nudges};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Bring overrides from etcd and Git to the dynix daemon of this host
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// What the NixOS module writes
    #[arg(long, value_name = "FILE", default_value = config::FILE, env = "DYNIX_AGENT_CONFIG")]
    config: Utf8PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run (what systemd starts)
    Run {
        /// The file with the id of this machine
        #[arg(long, value_name = "FILE", default_value = "/etc/machine-id", hide = true)]
        machine_id: Utf8PathBuf,
    },
    /// Make the running agent look at its Git remotes at once
    Fetch,
    /// Take a source as it is, even if it is older than before, or another one
    ///
    /// A host does not follow an etcd that was restored from a backup, or another cluster, until this is said.
    Accept {
        /// The name of the source
        source: String,
    },
}

fn main() -> Exit {
    let cli = Cli::parse();
    let done = match &cli.command {
        None => serve(&cli.config, Utf8Path::new("/etc/machine-id")),
        Some(Command::Run { machine_id }) => serve(&cli.config, machine_id),
        Some(Command::Accept { source }) => accept(&cli.config, source),
        Some(Command::Fetch) => Config::read(&cli.config).and_then(|config| control::fetch(&config.runtime_directory)),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error) => {
            messages::error(messages::chain(&error));
            Exit::Failed
        }
    }
}

fn accept(path: &Utf8Path, source: &str) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    if !config.sources.contains_key(source) {
        let names: Vec<&str> = config.sources.keys().map(String::as_str).collect();
        anyhow::bail!("there is no source {source:?}; there are: {}", names.join(", "));
    }
    let known = floor::forget(&config.identity(source).state)?;
    messages::info(if known {
        "whatever comes next is taken"
    } else {
        "nothing was known of it; it is taken as it is"
    });
    Ok(())
}

fn serve(path: &Utf8Path, machine_id: &Utf8Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot begin")?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let nudges: Arc<Nudges> = Arc::default();
        let [mut terminate, mut interrupt, mut hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal).map(Result::ok);
        let (ended, hung_up) = (cancel.clone(), nudges.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = heard(&mut terminate) => return ended.cancel(),
                    Some(()) = heard(&mut interrupt) => return ended.cancel(),
                    Some(()) = heard(&mut hangup) => hung_up.all(),
                    else => return,
                }
            }
        });
        let asked = control::listen(&config.runtime_directory)?;
        tokio::spawn(control::answer(asked, nudges.clone()));
        tell(&[NotifyState::Ready]);
        tokio::spawn(stay_alive());
        if !run::is_this_machine(&config, machine_id)? {
            let wanted = config.machine_id.as_deref().unwrap_or_default();
            let text = format!("this machine is not {wanted}, which {} is for: nothing is done", config.host);
            messages::warn(&text);
            tell(&[NotifyState::Status(&text)]);
            cancel.cancelled().await;
            return Ok(());
        }
        let status = Arc::new(|text: &str| tell(&[NotifyState::Status(text)]));
        run::run(config, nudges, status, cancel).await
    })
}

async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    signal.as_mut()?.recv().await
}

fn tell(states: &[NotifyState<'_>]) {
    // Nobody listens where it was not systemd that started it.
    let _ = sd_notify::notify(states);
}

/// Tells systemd's watchdog that tasks get their turns.
async fn stay_alive() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut turn = tokio::time::interval(patience / 2);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    turn.reset_after(Duration::ZERO);
    loop {
        turn.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
