//! The `dynix` binary: reads the command line, runs it, and is the only place that exits.

use dynix::cli;
use dynix::exit::Exit;
use dynix::interruption::Interrupted;
use dynix::{commands, messages, surroundings, timings};

fn main() -> Exit {
    timings::start();
    let exit = run();
    timings::tell();
    exit
}

fn run() -> Exit {
    if let Err(error) = surroundings::settle() {
        messages::error(error);
        return Exit::Failed;
    }
    commands::completions::answer();
    let cli = cli::parse();
    timings::mark("command line");
    match commands::run(cli) {
        Ok(exit) => exit,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                interrupted.take_effect();
                return Exit::Failed;
            }
            let exit = commands::exit_of(&error);
            messages::error(messages::chain(&commands::with_hint(error)));
            exit
        }
    }
}
