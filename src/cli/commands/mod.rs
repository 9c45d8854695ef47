//! The verbs: each loads what it needs, calls pure code, and applies or prints.

pub mod activate;
pub mod append;
pub mod apply;
pub mod change;
pub mod completions;
pub mod confirm;
pub mod demo;
pub mod diff;
pub mod generate;
pub mod get;
pub mod log;
pub mod man;
pub mod metrics;
pub mod options;
pub mod prove;
pub mod recognise;
pub mod render;
pub mod services;
pub mod status;
pub mod verify;
pub mod watch;
pub mod withdraw;

mod input;
mod screen;

use std::io::Write;

use anyhow::Context;

use crate::cli::arguments::{self, Cli, Command, Lazy};
use crate::exit::Exit;
use crate::system::progress::Messages;
use crate::system::request::{self, Request};
use crate::system::session::{self, Session};
use crate::varlink::client::{Ask, SOCKET};
use change::Manner;

/// Runs what the command line says.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    let session = session(&global)?;
    let ask = Ask { socket: global.socket.as_deref().map(session::absolute).transpose()? };
    match command {
        Command::Append(Lazy(arguments)) => {
            let manner = Manner { json: false, wait: arguments.recording.wait };
            let request = append::request(&arguments)?;
            if arguments.dry_run {
                return apply::show_dry(&session.open()?.dry_run_of_append(&request)?, (false, global.color));
            }
            change::run(&Request::Append(request), manner, &ask, &session)
        }
        Command::Unset(Lazy(arguments::Unset { path, recording: arguments::Recording { apply, confirm, wait } })) => {
            let manner = Manner { json: false, wait };
            change::run(&Request::Unset(request::Unset { path, apply, confirm }), manner, &ask, &session)
        }
        Command::Rollback(Lazy(arguments::Rollback {
            id,
            recording: arguments::Recording { apply, confirm, wait },
        })) => {
            let manner = Manner { json: false, wait };
            change::run(&Request::Rollback(request::Rollback { id, apply, confirm }), manner, &ask, &session)
        }
        Command::Reset(Lazy(arguments::Reset {
            services,
            applying: arguments::Applying { dry_run, confirm, wait, json },
        })) => {
            if dry_run {
                return apply::dry_run(&services, true, (json, global.color), &session);
            }
            change::run(&Request::Reset(request::Reset { services, confirm }), Manner { json, wait }, &ask, &session)
        }
        Command::Apply(Lazy(arguments::Apply {
            services,
            expired,
            retry,
            after_boot,
            before_units,
            build,
            switched,
            applying,
        })) => {
            if let Some(system) = switched
                && !session.open()?.awaits_switch_to(&system)?
            {
                return Ok(Exit::Done);
            }
            let arguments::Applying { dry_run, confirm, wait, json } = applying;
            if dry_run {
                return apply::dry_run(&services, false, (json, global.color), &session);
            }
            let request = request::Apply { services, expired, retry, after_boot, before_units, build, confirm };
            change::run(&Request::Apply(request), Manner { json, wait }, &ask, &session)
        }
        Command::Confirm(Lazy(arguments::Confirm { revert, of, json })) => {
            change::run(&Request::Confirm(request::Confirm { revert, of }), Manner { json, wait: None }, &ask, &session)
        }
        Command::Get(Lazy(arguments)) => get::run(&arguments, &session),
        Command::Status(Lazy(arguments)) => status::run(&arguments, &session),
        Command::Services(Lazy(arguments)) => services::run(&arguments, &session),
        Command::Options(Lazy(arguments)) => options::run(&arguments, &session),
        Command::Log(Lazy(arguments)) => log::run(&arguments, &session),
        Command::Metrics => metrics::run(&session),
        Command::Diff(Lazy(arguments)) => diff::run(&arguments, global.color, &session),
        Command::Prove(Lazy(arguments)) => prove::run(&arguments, &session),
        Command::Verify(Lazy(arguments)) => verify::run(&arguments, &session),
        Command::Generate(Lazy(arguments)) => generate::run(&arguments),
        Command::Daemon(_) => anyhow::bail!("the daemon is run by the program itself"),
        Command::Demo(Lazy(arguments)) => demo::run(&arguments),
        Command::Activate(Lazy(arguments)) => activate::run(arguments, &session),
        Command::Withdraw => withdraw::run(&session),
        Command::Watch => watch::run(&session),
        Command::Render(Lazy(arguments)) => render::run(&arguments),
        Command::Recognise(Lazy(arguments)) => recognise::run(&arguments),
        Command::Completions(Lazy(arguments)) => print(&completions::script(&arguments)?),
        Command::Man(Lazy(arguments)) => man::run(&arguments),
    }
}

/// The session of one run, with a terminal.
pub fn session(global: &arguments::Global) -> anyhow::Result<Session> {
    let progress = Messages { verbose: global.verbose };
    Ok(Session::new(global.location().absolute()?, std::sync::Arc::new(progress)))
}

/// The error, with advice if rights are missing.
#[must_use]
pub fn with_hint(error: anyhow::Error) -> anyhow::Error {
    let denied = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(|cause| {
        // Other errors have their own advice.
        cause.raw_os_error().is_some_and(|number| {
            [rustix::io::Errno::ACCESS.raw_os_error(), rustix::io::Errno::PERM.raw_os_error()].contains(&number)
        })
    });
    if !denied || rustix::process::geteuid().is_root() {
        return error;
    }
    let problem = crate::host::messages::chain(&error);
    anyhow::anyhow!(
        "{problem}; run it as root (sudo dynix ...), or let root enable the daemon for others \
         (dynamicism.daemon.enable; it does not listen at {SOCKET})"
    )
}

/// Writes data to standard output. A reader that has seen enough (`dynix log | head`) is no error.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    printed(std::io::stdout().lock().write_all(bytes))
}

fn printed(written: std::io::Result<()>) -> anyhow::Result<Exit> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        result => result.map(|()| Exit::Done).context("cannot write to standard output"),
    }
}

/// Writes a value as JSON for programs.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<Exit> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(text.as_bytes())
}
