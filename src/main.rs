//! The `dynix` binary: reads the command line, runs it, and is the only place that exits.

use std::sync::Arc;

use dynix::cli::arguments::{self, Cli, Command, Lazy};
use dynix::cli::commands;
use dynix::daemon::sessions::Sessions;
use dynix::daemon::start;
use dynix::exit::Exit;
use dynix::host::environment;
use dynix::host::interruption::Interrupted;
use dynix::host::messages;
use dynix::host::timings;
use dynix::system::progress::Messages;
use dynix::system::session::{Session, absolute};

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
    let done = match cli {
        Cli { global, command: Command::Daemon(Lazy(daemon)) } => serve(&global, &daemon),
        Cli { global, command: Command::Evaluator } => keep_evaluated(&global),
        cli => commands::run(cli),
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
                interrupted.take_effect();
                return Exit::Failed;
            }
            let exit = dynix::system::exit_of(&error);
            messages::error(messages::chain(&commands::with_hint(error)));
            exit
        }
    }
}

fn serve(global: &arguments::Global, daemon: &arguments::Daemon) -> anyhow::Result<Exit> {
    if global.user {
        anyhow::bail!("the daemon serves the system; a user's own services need none (--user)");
    }
    let location = global.location()?.absolute()?;
    let sessions = Sessions { location, verbose: global.verbose, given: None };
    let socket = global.socket.as_deref().map(absolute).transpose()?;
    start::run(start::Options { sessions, socket, window: daemon.window, idle: daemon.idle })
}

fn keep_evaluated(global: &arguments::Global) -> anyhow::Result<Exit> {
    // First of all: it takes variables out of the environment.
    let listener = dynix::host::socket::given("dynix-evaluator.socket")?;
    let session = Session::new(global.location()?.absolute()?, Arc::new(Messages { verbose: global.verbose }));
    dynix::warm::run(&session, &listener)
}
