//! `dynix evaluator`: keeps a Nix evaluator warm for changes of options of no service (`crate::evaluated`).
//!
//! It evaluates the system that runs, and answers only as long as that system runs and nothing that was read has changed
//! ([`Basis`]). After a change it waits for a while of quiet and begins anew. It answers root alone, one question after
//! the other; systemd starts it when somebody asks, and it ends when nobody has asked for long.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::evaluated::evaluation::{self, CHANGE};
use crate::evaluated::{self, Wanted};
use crate::exit::Exit;
use crate::host::evaluator::Evaluator;
use crate::host::fs;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::warm::repl::Repl;
use crate::host::warm::sources::Sources;
use crate::host::warm::{self, Answer, LARGEST, Question, Warm};
use crate::system::session::Session;
use crate::verify::evaluation::{BUILDS_NOTHING, call};

/// How long nobody has to ask before it evaluates: until then, the one who got no answer evaluates.
const QUIET: Duration = Duration::from_secs(5);
/// How long an asker may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that an evaluation is made of: an answer is true for the one that it was evaluated of.
#[derive(Clone, Debug, PartialEq)]
struct Basis {
    evaluator: Evaluator,
    system: Utf8PathBuf,
    directory: Utf8PathBuf,
    sources: Sources,
}

impl Basis {
    /// MiB that the evaluator may come to.
    fn memory(&self) -> u64 {
        self.evaluator.warm.as_ref().map_or(0, |warm| warm.memory)
    }
}

/// A repl that has evaluated the system of a basis.
#[derive(Debug)]
struct Ready {
    repl: Repl,
    basis: Basis,
}

/// What there is.
#[derive(Debug, Default)]
enum State {
    /// Nothing yet.
    #[default]
    Cold,
    /// An evaluator.
    Warm(Box<Ready>),
    /// No evaluator, and why; as long as nothing changes, if it was known what it would have been made of.
    Failed(Option<Box<Basis>>, String),
}

/// Answers until nobody asks any more.
pub fn run(session: &Session, listener: &UnixListener) -> anyhow::Result<Exit> {
    let spec = session.open()?.plan.evaluator.and_then(|evaluator| evaluator.warm);
    let spec = spec.context("this system's plan has no warm evaluator (dynamicism.warmEvaluator)")?;
    // A value that is too large for a Duration means for ever.
    let idle = Duration::try_from_secs_f64(spec.idle).unwrap_or(Duration::MAX);
    let mut state = State::Cold;
    let mut asked = Instant::now();
    loop {
        let is_cold = matches!(state, State::Cold);
        match next(listener, if is_cold { QUIET } else { idle.saturating_sub(asked.elapsed()) })? {
            Some(stream) => {
                asked = Instant::now();
                if let Err(error) = converse(stream, session, &mut state) {
                    messages::warn(format!("a question was not answered: {}", messages::chain(&error)));
                }
            }
            None if is_cold => state = warmed(session),
            None => return Ok(Exit::Done),
        }
    }
}

/// The next connection, if there is one in time.
fn next(listener: &UnixListener, patience: Duration) -> anyhow::Result<Option<UnixStream>> {
    let timeout = Timespec::try_from(patience).ok();
    match poll(&mut [PollFd::new(listener, PollFlags::IN)], timeout.as_ref()) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(listener.accept()?.0)),
        Err(rustix::io::Errno::INTR) => next(listener, patience),
        Err(error) => Err(error).context("cannot wait for questions"),
    }
}

/// Reads one question and answers it.
fn converse(mut stream: UnixStream, session: &Session, state: &mut State) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = Vec::new();
    (&mut stream).take(LARGEST).read_to_end(&mut text)?;
    let question: Question = serde_json::from_slice(&text)?;
    let answer = answer(&question, session, state);
    match stream.write_all(&serde_json::to_vec(&answer)?) {
        // The asker has gone.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        done => done?,
    }
    drop(stream);
    if matches!(&*state, State::Warm(ready) if ready.repl.memory() > ready.basis.memory()) {
        *state = State::Cold;
    }
    Ok(())
}

fn answer(question: &Question, session: &Session, state: &mut State) -> Answer {
    let basis = match basis(session) {
        Ok(basis) => basis,
        Err(error) => return Answer::Nothing(messages::chain(&error)),
    };
    if warm::name(&basis.evaluator) != question.evaluator || basis.directory != question.directory {
        return Answer::Nothing("it is another one's".to_owned());
    }
    let made_of = match &*state {
        State::Cold => None,
        State::Warm(ready) => Some(&ready.basis),
        State::Failed(failed, _) => failed.as_deref(),
    };
    if made_of != Some(&basis) {
        *state = State::Cold;
    }
    if question.call.is_none() && matches!(state, State::Cold) {
        *state = warmed(session);
    }
    let ready = match state {
        State::Warm(ready) => ready,
        State::Cold => return Answer::Nothing("it has not evaluated the system yet".to_owned()),
        State::Failed(_, why) => return Answer::Nothing(why.clone()),
    };
    let Some(call) = &question.call else { return Answer::Value(Value::Null) };
    match ask(&mut ready.repl, &basis, &call.function, &call.argument) {
        Ok(value) if is_there(&value) => Answer::Value(value),
        answered => {
            // What was evaluated before may be to blame.
            *state = State::Cold;
            let collected = || "what it evaluated is not in the store any more".to_owned();
            Answer::Nothing(answered.err().map_or_else(collected, |error| messages::chain(&error)))
        }
    }
}

/// Whether all that a change set names is in the store: Nix may have collected what was evaluated long ago.
fn is_there(changes: &Value) -> bool {
    let named = changes["context"].as_object().into_iter().flatten();
    named.map(|(path, _)| fs::exists(path.as_str().into())).all(|there| there.unwrap_or(false))
}

/// Evaluates the system as it is now.
fn warmed(session: &Session) -> State {
    let failed = |basis: Option<Basis>, error: &anyhow::Error| {
        let why = messages::chain(error);
        messages::warn(format!("the evaluator stays cold: {why}"));
        State::Failed(basis.map(Box::new), why)
    };
    match basis(session) {
        Ok(basis) => match evaluated(session, &basis) {
            Ok(repl) => State::Warm(Box::new(Ready { repl, basis })),
            Err(error) => failed(Some(basis), &error),
        },
        Err(error) => failed(None, &error),
    }
}

/// Evaluates the system without overrides, with everything that a change is compared with.
fn evaluated(session: &Session, now: &Basis) -> anyhow::Result<Repl> {
    let Basis { evaluator, system, directory, .. } = now;
    let command: Vec<String> =
        spec(evaluator)?.command.iter().cloned().chain(BUILDS_NOTHING.map(str::to_owned)).collect();
    let scope = format!("{{ system = {}; }}", evaluator.arguments);
    let directory = if directory.is_dir() { directory } else { camino::Utf8Path::new("/") };
    let mut repl = Repl::start(&command, &scope, directory, &own(session)?, now.memory())
        .with_context(|| format!("cannot run {}", command.join(" ")))?;
    let value = ask(&mut repl, now, CHANGE, &evaluation::argument(&Wanted::default(), None))?;
    let evaluated = evaluation::read(value)?.changes.system;
    if evaluated != *system {
        bail!("the configuration is another one than was switched to: it is {evaluated}")
    }
    if basis(session)? != *now {
        bail!("the configuration changed meanwhile")
    }
    let (taken, limit) = (repl.memory(), now.memory());
    if taken > limit {
        bail!("it takes {taken} MiB, and may take {limit} (dynamicism.warmEvaluator.memory)")
    }
    Ok(repl)
}

/// Calls a function of the system's.
fn ask(repl: &mut Repl, basis: &Basis, function: &str, argument: &Value) -> anyhow::Result<Value> {
    // It may be longer than a line, and nobody else may read it.
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(argument.to_string().as_bytes())?;
    let path = crate::nix::quoted(&file.path().to_string_lossy());
    let deadline = Duration::from_secs_f64(basis.evaluator.whole_system());
    Ok(repl.ask(&call(function, &path), deadline)?)
}

/// Looks at everything that an evaluation would be made of now.
fn basis(session: &Session) -> anyhow::Result<Basis> {
    let system = session.open()?;
    let evaluator = system.plan.evaluator.context("the system has no evaluator")?;
    let directory = system.paths.expressions().to_owned();
    let sources = Sources::look(&spec(&evaluator)?.sources, system.paths.overrides())?;
    Ok(Basis { system: evaluated::running(&system.paths)?, evaluator, directory, sources })
}

fn spec(evaluator: &Evaluator) -> anyhow::Result<&Warm> {
    evaluator.warm.as_ref().context("the system's evaluator is not kept warm")
}

/// The directory of the repl's own files.
fn own(session: &Session) -> anyhow::Result<Utf8PathBuf> {
    let directory = Paths::evaluator(&session.open()?.paths);
    fs::create_dir(&directory)?;
    Ok(directory)
}
