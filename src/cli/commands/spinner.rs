//! Says on a terminal what is waited for, once it takes more than half a second; elsewhere nothing.

use std::io::{IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::host::messages;
use crate::reconcile::action::Action;
use crate::system::progress::{Messages, Progress};

/// What takes less is not worth a look.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it turns.
const TURN: Duration = Duration::from_millis(100);
const SIGNS: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// What is waited for, and whether the terminal shows it.
struct State {
    what: Option<String>,
    since: Instant,
    is_drawn: bool,
}

static STATE: OnceLock<(Mutex<State>, Condvar)> = OnceLock::new();

/// The progress of a command, on standard error.
#[derive(Clone, Copy, Debug)]
pub struct Spinner {
    messages: Messages,
    is_terminal: bool,
}

impl Spinner {
    /// One that prints every step if that is wanted.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { messages: Messages { verbose }, is_terminal: std::io::stderr().is_terminal() && !dumb }
    }

    fn shows(self, what: String) {
        if !self.is_terminal {
            return;
        }
        let is_new = STATE.get().is_none();
        let (state, changed) = STATE
            .get_or_init(|| (Mutex::new(State { what: None, since: Instant::now(), is_drawn: false }), Condvar::new()));
        if is_new {
            messages::before(erase);
            std::thread::spawn(turn);
        }
        let mut state = locked(state);
        if state.what.replace(what).is_none() {
            state.since = Instant::now();
        }
        changed.notify_all();
    }
}

impl Progress for Spinner {
    fn warn(&self, message: &str) {
        self.messages.warn(message);
    }

    fn inform(&self, message: &str) {
        self.messages.inform(message);
    }

    fn waits_for(&self, holder: &str) {
        self.inform(&format!("waiting for {holder}"));
        self.shows(format!("waiting for {holder}"));
    }

    fn step(&self, action: &Action) {
        self.messages.step(action);
        self.shows(action.to_string());
    }

    fn busy(&self, what: &str) {
        self.shows(what.to_owned());
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is waited for any more: what comes now is the result.
pub fn over() {
    if let Some((state, _)) = STATE.get() {
        locked(state).what = None;
    }
    erase();
}

/// Takes the line away; it comes again if the wait goes on.
fn erase() {
    let Some((state, _)) = STATE.get() else { return };
    let mut state = locked(state);
    if std::mem::take(&mut state.is_drawn) {
        draw("\r\x1b[K");
    }
}

fn draw(text: &str) {
    let mut out = std::io::stderr().lock();
    // A terminal that is gone is told nothing.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn turn() {
    let Some((shared, changed)) = STATE.get() else { return };
    let mut signs = SIGNS.iter().cycle();
    let mut state = locked(shared);
    loop {
        state = if state.what.is_some() {
            changed.wait_timeout(state, TURN).map_or_else(|error| error.into_inner().0, |(state, _)| state)
        } else {
            changed.wait(state).unwrap_or_else(PoisonError::into_inner)
        };
        let took = state.since.elapsed();
        if let (Some(what), Some(sign)) = (&state.what, signs.next())
            && took >= PATIENCE
        {
            // One line: what is longer would stay behind.
            let what: String = messages::visible(what).chars().filter(|ch| *ch != '\n').take(70).collect();
            draw(&format!("\r\x1b[K{sign} {what} ({} s)", took.as_secs()));
            state.is_drawn = true;
        }
    }
}
