//! The `dynix-fleet` binary: reads the command line, runs it, and is the only place that exits.

use clap::Parser;
use dynix::exit::Exit;
use dynix::host::messages;
use dynix_agent::fleet;

fn main() -> Exit {
    match fleet::run(fleet::arguments::Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            messages::error(messages::chain(&error));
            Exit::Failed
        }
    }
}
