//! The `dynix` binary: reads the command line, runs it, and is the only place that exits.

use clap::Parser;
use dynix::cli::Cli;
use dynix::exit::Exit;
use dynix::{commands, messages, surroundings};

fn main() -> Exit {
    if let Err(error) = surroundings::settle() {
        messages::error(error);
        return Exit::Failed;
    }
    match commands::run(Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            messages::error(messages::chain(&error));
            commands::exit_of(&error)
        }
    }
}
