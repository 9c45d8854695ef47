//! The process that an apply leaves running: it watches the changed units, and rolls back values on which one fails.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;

use super::System;
use super::exclusive::Exclusive;
use super::session::Session;
use crate::host::fs::notify::Notify;
use crate::host::interruption;
use crate::host::paths::Paths;
use crate::host::systemd::ManagerError;
use crate::host::systemd::changes::Listener;
use crate::reconcile::report::Report;
use crate::reconcile::watch::upkeep;
use crate::reconcile::{Occasion, Request, apply, locks, trial};
use crate::time::clock::{Clock, SystemClock};

/// The longest time between two observations if nothing seems to change.
const PATIENCE: Duration = Duration::from_secs(5);
/// Changes that come within this time are looked at once.
const TOGETHER: Duration = Duration::from_millis(20);
/// How often it is looked whether an apply that is under way was killed, in seconds.
const FINISH: f64 = 0.5;
/// How long there may be no bus.
const RETURN: Duration = Duration::from_secs(20);
/// How often it is looked for.
const RETRY: Duration = Duration::from_millis(50);
/// How long the bus may be gone before it is known why: it may have ended first, because the system shuts down.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Why there may be something new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Changed,
    /// systemd can't be heard any more.
    Lost,
    /// The watch was asked to end.
    End,
}

impl Session {
    /// Watches until nothing is to be watched any more, or until it is asked to end. `tell` gets the report of each
    /// observation that changed something.
    pub fn watch(&self, mut tell: impl FnMut(&Report) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let ending = Arc::new(AtomicBool::new(false));
        let watched = watch(self, &ending, &mut tell);
        if watched.is_err() {
            std::thread::sleep(SHUTDOWN);
        }
        if !ending.load(Ordering::SeqCst) {
            return watched;
        }
        // The work that is due needs no bus.
        let system = self.open()?;
        let locks = locks::take(&system.paths, Occasion::Asked, Duration::ZERO.into(), |_| ())?;
        system.with_machine(false, |machine| Ok(upkeep::leave(machine, &locks).map(drop)?))
    }
}

fn watch(
    session: &Session,
    ending: &Arc<AtomicBool>,
    tell: &mut dyn FnMut(&Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (calls, called) = mpsc::channel();
    heed_the_end(calls.clone(), Arc::clone(ending))?;
    let mut listener = listen(session, &calls)?;
    look_at_the_state(&session.open()?.paths, calls.clone())?;
    let mut listened_for = BTreeSet::new();
    loop {
        let system = session.open()?;
        let inspection = system.with_machine(false, |machine| Ok(upkeep::inspect(&system.plan, machine)?))?;
        if inspection.units != listened_for {
            // A change before the listener started shows only in another observation.
            listener.listen_for(inspection.units.iter());
            listened_for = inspection.units;
            continue;
        }
        // Units that stop with the system are left alone, although they are due.
        if inspection.is_due && system.settle(tell)? {
            continue;
        }
        let is_free = || locks::take(&system.paths, Occasion::Asked, Duration::ZERO.into(), |_| ()).is_ok();
        if inspection.is_under_way && is_free() {
            system.finish(tell)?;
            continue;
        }
        let soon = inspection.is_under_way.then(|| now() + FINISH);
        let Some(next) = [inspection.next, soon].into_iter().flatten().reduce(f64::min) else {
            let turn = Exclusive::take(&system, Occasion::Asked, trial::PATIENCE)?;
            let is_over = turn.system().with_machine(false, |machine| Ok(upkeep::end(machine, &turn.locks)?))?;
            if is_over {
                return Ok(());
            }
            continue;
        };
        let next = if inspection.is_due { now() + 1.0 } else { next };
        let left = Duration::from_secs_f64((next - now()).clamp(0.0, PATIENCE.as_secs_f64()));
        match wait(&called, left) {
            Call::Changed => {}
            Call::Lost => {
                let Some(again) = listen_again(session, &calls, &called)? else { return Ok(()) };
                (listener, listened_for) = (again, BTreeSet::new());
            }
            Call::End => return Ok(()),
        }
    }
}

/// Calls when units change.
fn listen(session: &Session, calls: &Sender<Call>) -> Result<Listener, ManagerError> {
    let (changed, lost) = (calls.clone(), calls.clone());
    Listener::start(
        session.reach(),
        move || changed.send(Call::Changed).unwrap_or_default(),
        move || lost.send(Call::Lost).unwrap_or_default(),
    )
}

/// The same after the bus is back; `None` if the watch was asked to end.
fn listen_again(session: &Session, calls: &Sender<Call>, called: &Receiver<Call>) -> anyhow::Result<Option<Listener>> {
    let start = Instant::now();
    loop {
        match listen(session, calls) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if !error.is_lost || start.elapsed() > RETURN => return Err(error.into()),
            Err(_) => {}
        }
        if called.recv_timeout(RETRY) == Ok(Call::End) {
            return Ok(None);
        }
    }
}

impl System<'_> {
    /// Finishes an apply that was killed, unless another process did that already.
    fn finish(&self, tell: &mut dyn FnMut(&Report) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let turn = Exclusive::take(self, Occasion::Asked, trial::PATIENCE)?;
        let system = turn.system();
        let (log, by) = (system.log(), system.session.user());
        let (start, before) = (Instant::now(), system.state()?);
        system.with_machine(false, |machine| {
            let services = upkeep::unfinished(machine, &turn.locks)?;
            if !services.is_empty() {
                let request = Request { services: Some(services), by: by.clone(), ..Request::default() };
                let report = apply(&system.plan, &log, &request, machine, &turn.locks, system.waits())?;
                system.tell(&by, (&before, &report, start.elapsed()));
                tell(&report)?;
            }
            Ok(upkeep::is_finished(machine, &turn.locks)?)
        })
    }

    /// Does what is due, and reports it. Gives whether anything was due.
    fn settle(&self, tell: &mut dyn FnMut(&Report) -> anyhow::Result<()>) -> anyhow::Result<bool> {
        let turn = Exclusive::take(self, Occasion::Asked, trial::PATIENCE)?;
        let system = turn.system();
        let log = system.log();
        let (start, before) = (Instant::now(), system.state()?);
        let mut report =
            system.with_machine(false, |machine| Ok(upkeep::settle(&system.plan, &log, machine, &turn.locks)?))?;
        let is_changed = before != system.state()?;
        if !report.services.is_empty() || !report.warnings.is_empty() {
            system.tell(&system.session.user(), (&before, &report, start.elapsed()));
            drop(turn);
            // What followed from values that rolled back goes back, too.
            self.follow(&self.request(None), &mut report)?;
            tell(&report)?;
            self.verify_soon();
        }
        Ok(is_changed)
    }
}

/// Seconds of the monotonic clock.
fn now() -> f64 {
    SystemClock.monotonic().as_secs_f64()
}

/// Waits for a call, or until the time is over.
fn wait(called: &Receiver<Call>, left: Duration) -> Call {
    match called.recv_timeout(left) {
        Err(RecvTimeoutError::Disconnected) => Call::Lost,
        Err(RecvTimeoutError::Timeout) => Call::Changed,
        Ok(Call::Changed) => {
            std::thread::sleep(TOGETHER);
            called.try_iter().find(|call| *call != Call::Changed).unwrap_or(Call::Changed)
        }
        Ok(call) => call,
    }
}

/// Sends a call when the state file changes: an apply may have begun to watch something else.
fn look_at_the_state(paths: &Paths, calls: Sender<Call>) -> anyhow::Result<()> {
    let watch = Notify::new(paths);
    let look = move || {
        while let Some(socket) = watch.socket() {
            if poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).is_err() || calls.send(Call::Changed).is_err() {
                break;
            }
            watch.drain();
        }
    };
    std::thread::Builder::new().name("state".to_owned()).spawn(look).context("cannot watch the state file")?;
    Ok(())
}

/// Calls when a signal asks for the end.
fn heed_the_end(calls: Sender<Call>, ending: Arc<AtomicBool>) -> anyhow::Result<()> {
    let (mut told, tell) = UnixStream::pair().context("cannot catch signals")?;
    interruption::handled_elsewhere(&[SIGTERM]);
    pipe::register(SIGTERM, tell).context("cannot catch signals")?;
    let heed = move || {
        if told.read(&mut [0]).is_ok() {
            ending.store(true, Ordering::SeqCst);
            calls.send(Call::End).unwrap_or_default();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(heed).context("cannot catch signals")?;
    Ok(())
}
