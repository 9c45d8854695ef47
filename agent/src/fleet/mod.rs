//! The command line for people, `dynix-fleet`: changes keys of etcd by comparison, and shows what hosts report.

pub mod arguments;
mod changes;
mod follow;
mod looks;
mod reached;
mod rollouts;

use anyhow::Context;
use clap::CommandFactory as _;
use dynix::exit::Exit;

use arguments::{Cli, Command};
use reached::Reached;

/// Runs a command.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "dynix-fleet", &mut std::io::stdout());
            return Ok(Exit::Done);
        }
        Command::Man { directory } => {
            std::fs::create_dir_all(directory).with_context(|| format!("cannot make {directory}"))?;
            clap_mangen::generate_to(Cli::command(), directory).context("cannot write man pages")?;
            return Ok(Exit::Done);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot begin")?;
    runtime.block_on(async {
        let fleet = Reached::new(&cli.global)?;
        match cli.command {
            Command::Set(set) => changes::set(&fleet, set).await,
            Command::Unset(unset) => changes::unset(&fleet, unset).await,
            Command::Undo(undo) => changes::undo(&fleet, undo).await,
            Command::Get(get) => looks::get(&fleet, get).await,
            Command::Status(status) => looks::status(&fleet, &status).await,
            Command::Log(log) => looks::log(&fleet, &log).await,
            Command::Diff(diff) => looks::diff(&fleet, &diff).await,
            Command::Watch(watch) => follow::watch(&fleet, watch.rollout.as_deref()).await,
            Command::Pause(which) => rollouts::pause(&fleet, which).await,
            Command::Resume(which) => rollouts::resume(&fleet, which).await,
            Command::Abort(which) => rollouts::abort(&fleet, which).await,
            Command::Forget(forget) => changes::forget(&fleet, &forget.host).await,
            Command::Drive => rollouts::drive(&fleet).await,
            // Done above, without a fleet.
            Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Done),
        }
    })
}
