//! The verbs: each loads what it needs, calls pure code, and applies or prints.

pub mod activate;
pub mod append;
pub mod apply;
pub mod change;
pub mod completions;
pub mod confirm;
pub mod demo;
pub mod diff;
pub mod edit;
pub mod export;
pub mod generate;
pub mod get;
pub mod history;
pub mod import;
pub mod layer;
pub mod log;
pub mod man;
pub mod metrics;
pub mod offers;
pub mod options;
pub mod prove;
pub mod recognise;
pub mod render;
pub mod rollback;
pub mod services;
pub mod set;
pub mod sources;
pub mod status;
pub mod verify;
pub mod watch;
pub mod withdraw;

mod input;
mod pager;
mod screen;
mod spinner;
mod terminal;

use std::io::Write;

use anyhow::Context;

use crate::cli::arguments::{self, Cli, Command, Lazy, Output};
use crate::exit::Exit;
use crate::host::process;
use crate::system::request::{self, Request};
use crate::system::session::{self, Session};
use crate::varlink::client::{Ask, SOCKET};
use change::{Look, Manner};
use screen::Screen;
use spinner::Spinner;

/// Runs what the command line says.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { global, mut command } = cli;
    let session = session(&global)?;
    let ask = Ask { socket: global.socket.as_deref().map(session::absolute).transpose()? };
    let output = global.output;
    let screen = Screen { color: global.color, paged: !global.no_pager };
    let shown = Shown { json: output == Output::Json, color: global.color };
    if let (true, Some(json)) = (shown.json, command.json_of_reading()) {
        *json = true;
    }
    match command {
        command @ (Command::Set(_)
        | Command::Append(_)
        | Command::Import(_)
        | Command::Layer(_)
        | Command::Edit(_)
        | Command::Unset(_)
        | Command::Undo(_)
        | Command::Redo(_)
        | Command::Reject(_)
        | Command::Rollback(_)
        | Command::Prune(_)
        | Command::Reset(_)) => record(command, &shown, &ask, &session),
        Command::Apply(Lazy(arguments::Apply {
            services,
            expired,
            retry,
            after_boot,
            before_units,
            build,
            switched,
            ask: asks,
            exit_code,
            applying,
        })) => {
            if let Some(system) = switched
                && !session.open()?.awaits_switch_to(&system)?
            {
                return Ok(Exit::Done);
            }
            let arguments::Applying { dry_run, confirm, wait, json } = applying;
            let telling = arguments::Telling { message: None, dry_run, ask: asks };
            let manner = Manner { wait, exit_code, ..shown.told(json, &telling) };
            let request = request::Apply { services, expired, retry, after_boot, before_units, build, confirm };
            change::run(&Request::Apply(request), manner, &ask, &session)
        }
        Command::Confirm(Lazy(arguments::Confirm { revert, of, json })) => {
            change::run(&Request::Confirm(request::Confirm { revert, of }), shown.plainly(json), &ask, &session)
        }
        Command::Get(Lazy(arguments)) => get::run(&arguments, &session),
        Command::Status(Lazy(arguments)) => status::run(&arguments, screen, &session),
        Command::Sources(Lazy(arguments)) => sources::run(&arguments, screen, &session),
        Command::Fleet(Lazy(arguments::Fleet { words })) => Err(process::become_own("dynix-fleet", &words))
            .context("cannot run dynix-fleet, which comes with the agent"),
        Command::Services(Lazy(arguments)) => services::run(&arguments, screen, &session),
        Command::Options(Lazy(arguments)) => options::run(&arguments, output, screen, &session),
        Command::Log(Lazy(arguments)) => log::run(&arguments, output, screen, &session),
        Command::History(Lazy(arguments)) => history::run(&arguments, screen, &session),
        Command::Metrics => metrics::run(&session),
        Command::Diff(Lazy(arguments)) => diff::run(&arguments, output, screen, &session),
        Command::Export(Lazy(arguments)) => export::run(&arguments, output, &session),
        Command::Prove(Lazy(arguments)) => prove::run(&arguments, screen, &session),
        Command::Verify(Lazy(arguments)) => verify::run(&arguments, screen, &session),
        Command::Generate(Lazy(arguments)) => generate::run(&arguments),
        Command::Daemon(_) | Command::Evaluator => anyhow::bail!("the program itself serves"),
        Command::Demo(Lazy(arguments)) => demo::run(&arguments),
        Command::Activate(Lazy(arguments)) => activate::run(arguments, &session),
        Command::Withdraw => withdraw::run(&session),
        Command::Watch => watch::run(&session),
        Command::Render(Lazy(arguments)) => render::run(&arguments, output, screen),
        Command::Recognise(Lazy(arguments)) => recognise::run(&arguments),
        Command::Completions(Lazy(arguments)) => print(&completions::script(&arguments)?),
        Command::Man(Lazy(arguments)) => man::run(&arguments),
    }
}

/// Runs a verb that records something.
fn record(command: Command, shown: &Shown, ask: &Ask, session: &Session) -> anyhow::Result<Exit> {
    let (request, manner) = match command {
        Command::Set(Lazy(arguments)) => {
            let manner = shown.manner(arguments.json, &arguments.recording);
            let manner = Manner { if_different: arguments.if_different, ..manner };
            (Request::Set(set::request(&arguments)?), manner)
        }
        Command::Import(Lazy(arguments)) => {
            let manner = shown.manner(arguments.json, &arguments.recording);
            let manner = Manner { if_different: arguments.if_different, ..manner };
            (Request::Set(import::request(&arguments)?), manner)
        }
        Command::Layer(Lazy(arguments)) => {
            let manner = Manner { wait: arguments.wait, ..shown.told(arguments.json, &arguments.telling) };
            (Request::SetLayer(layer::request(arguments)?), manner)
        }
        Command::Edit(Lazy(arguments)) => {
            let manner = shown.manner(arguments.json, &arguments.recording);
            let Some(request) = edit::request(&arguments, session)? else { return Ok(Exit::Done) };
            (Request::Set(request), manner)
        }
        Command::Append(Lazy(arguments)) => {
            let manner = shown.manner(false, &arguments.recording);
            (Request::Append(append::request(&arguments)?), manner)
        }
        Command::Unset(Lazy(arguments::Unset { path, previous, json, recording })) => {
            let manner = shown.manner(json, &recording);
            let arguments::Recording { apply, confirm, telling, .. } = recording;
            let request = request::Unset { path, previous, apply, confirm, message: telling.message };
            (Request::Unset(request), manner)
        }
        Command::Undo(Lazy(arguments::Undo { id, json, recording })) => {
            let manner = shown.manner(json, &recording);
            let arguments::Recording { apply, confirm, telling, .. } = recording;
            let request = request::Undo { id, apply, confirm, message: telling.message };
            (Request::Undo(request), manner)
        }
        Command::Redo(Lazy(arguments::Redo { id, json, recording })) => {
            let manner = shown.manner(json, &recording);
            let arguments::Recording { apply, confirm, telling, .. } = recording;
            let request = request::Redo { id, apply, confirm, message: telling.message };
            (Request::Redo(request), manner)
        }
        Command::Reject(Lazy(arguments::Reject { id, json, recording })) => {
            let manner = shown.manner(json, &recording);
            let arguments::Recording { apply, confirm, telling, .. } = recording;
            let message = telling.message.unwrap_or_else(|| "rejected".to_owned());
            let request = request::Reject { id, apply, confirm, message };
            (Request::Reject(request), manner)
        }
        Command::Rollback(Lazy(arguments::Rollback { id, yes, json, recording })) => {
            let manner = shown.manner(json, &recording);
            let arguments::Recording { apply, confirm, telling, .. } = recording;
            let request = request::Rollback { id, apply, confirm, message: telling.message };
            return rollback::run(request, yes, manner, ask, session);
        }
        Command::Prune(Lazy(arguments::Prune { services, json, telling })) => {
            let manner = shown.told(json, &telling);
            let request = request::Prune { services, message: telling.message };
            (Request::Prune(request), manner)
        }
        Command::Reset(Lazy(arguments::Reset {
            services,
            message,
            ask: asks,
            applying: arguments::Applying { dry_run, confirm, wait, json },
        })) => {
            let telling = arguments::Telling { message: None, dry_run, ask: asks };
            let manner = Manner { wait, ..shown.told(json, &telling) };
            (Request::Reset(request::Reset { services, confirm, message }), manner)
        }
        _ => anyhow::bail!("this verb records nothing"),
    };
    change::run(&request, manner, ask, session)
}

/// The options of every command that say how results are shown.
struct Shown {
    json: bool,
    color: clap::ColorChoice,
}

impl Shown {
    fn plainly(&self, json: bool) -> Manner {
        Manner { json: json || self.json, color: self.color, ..Manner::default() }
    }

    fn told(&self, json: bool, telling: &arguments::Telling) -> Manner {
        let look = match (telling.dry_run, telling.ask) {
            (true, _) => Look::Only,
            (false, true) => Look::First,
            (false, false) => Look::Not,
        };
        Manner { look, ..self.plainly(json) }
    }

    fn manner(&self, json: bool, recording: &arguments::Recording) -> Manner {
        Manner { wait: recording.wait, ..self.told(json, &recording.telling) }
    }
}

/// The version of the JSON that verbs print (docs/output.schema.json).
pub const VERSION: u32 = 1;

/// An answer with its version.
#[derive(serde::Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    answer: &'a T,
}

/// The session of one run, with a terminal.
pub fn session(global: &arguments::Global) -> anyhow::Result<Session> {
    let progress = Spinner::new(global.verbose);
    Ok(Session::new(global.location()?.absolute()?, std::sync::Arc::new(progress)))
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
    spinner::over();
    printed(std::io::stdout().lock().write_all(bytes))
}

fn printed(written: std::io::Result<()>) -> anyhow::Result<Exit> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        result => result.map(|()| Exit::Done).context("cannot write to standard output"),
    }
}

/// Writes an answer, an object, as JSON for programs.
fn print_json(answer: &impl serde::Serialize) -> anyhow::Result<Exit> {
    print_as_is(&Versioned { version: VERSION, answer })
}

/// Writes an answer that is a list: with `--output json` an object, as all answers are; with `--json` the list alone, as it
/// has always been.
fn print_list<T: serde::Serialize>(output: Output, name: &str, list: &[T]) -> anyhow::Result<Exit> {
    match output {
        Output::Json => print_json(&std::collections::BTreeMap::from([(name, list)])),
        Output::Text => print_as_is(&list),
    }
}

/// Writes a value as JSON, without a version or with its own.
fn print_as_is(value: &impl serde::Serialize) -> anyhow::Result<Exit> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(text.as_bytes())
}
