//! The `dynix` binary: reads the command line, runs it, and is the only place that exits.

use dynix::cli::arguments;
use dynix::cli::commands;
use dynix::exit::Exit;
use dynix::host::environment;
use dynix::host::interruption::Interrupted;
use dynix::host::messages;
use dynix::host::timings;

fn main() -> Exit {
    timings::start();
    let exit = run();
    timings::tell();
    exit
}

fn run() -> Exit {
    if let Err(error) = environment::settle() {
        messages::error(error);
        return Exit::Failed;
    }
    commands::completions::answer();
    let cli = arguments::parse();
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
