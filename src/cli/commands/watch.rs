//! `dynix watch`: what an apply leaves running, to go back from values on which a unit fails. And how a command waits for
//! what comes of it (`--wait`).

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;

use super::session::Session;
use super::turn::Turn;
use super::{apply, notice, verify};
use crate::cli::arguments::Wait;
use crate::daemon::watch::Watch;
use crate::exit::Exit;
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::systemd::ManagerError;
use crate::host::systemd::changes::Listener;
use crate::plan::Plan;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::state::{State, Went};
use crate::reconcile::{Occasion, locks, trial, watching};
use crate::time::clock::{Clock, SystemClock};

/// How long a look may be put off where nothing seems to change.
const PATIENCE: Duration = Duration::from_secs(5);
/// Changes that come within this time are looked at once.
const GLANCE: Duration = Duration::from_millis(20);
/// How long there may be no bus.
const RETURN: Duration = Duration::from_secs(20);
/// How often a command that waits looks for what came of it.
const INTERVAL: Duration = Duration::from_millis(25);
/// How long after the end of a watch there may be nothing known yet: a unit may still change, a switch may be under way.
const GRACE: f64 = 120.0;

/// Why there may be something new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Changed,
    /// systemd can't be heard any more.
    Lost,
    /// It is told to end.
    End,
}

/// Watches until nothing is to be watched any more, or somebody wants it to end.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    let ending = Arc::new(AtomicBool::new(false));
    let watched = watch(session, &ending);
    if watched.is_err() {
        // The bus may have ended first, because the system shuts down.
        std::thread::sleep(INTERVAL * 40);
    }
    if !ending.load(Ordering::SeqCst) {
        return watched.map(|()| Exit::Done);
    }
    // What is to be done needs no bus.
    let (_, paths) = session.load()?;
    let (recall, observer) = (session.recall(false)?, session.observer());
    let locks = locks::take(&paths, Occasion::Asked, Duration::ZERO.into(), |_| ())?;
    watching::leave(&session.machine(&paths, &recall, &observer), &locks)?;
    Ok(Exit::Done)
}

fn watch(session: &Session, ending: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let (calls, called) = mpsc::channel();
    heed_the_end(calls.clone(), Arc::clone(ending))?;
    let mut listener = listen(&calls)?;
    let (_, paths) = session.load()?;
    look_at_the_state(&paths, calls.clone())?;
    let mut listened_for = BTreeSet::new();
    loop {
        let (plan, paths) = session.load()?;
        let (recall, observer) = (session.recall(false)?, session.observer());
        let glance = watching::glance(&plan, &session.machine(&paths, &recall, &observer))?;
        if glance.units != listened_for {
            // What changed before they were listened for is only seen by another look.
            listener.listen_for(glance.units.iter());
            listened_for = glance.units;
            continue;
        }
        // What goes down with the system is left alone, and is due all the same.
        if glance.is_due && settle(&plan, &paths, session)? {
            continue;
        }
        let Some(next) = glance.next else {
            let turn = Turn::take((&plan, &paths), Occasion::Asked, trial::PATIENCE, session)?;
            let (_, paths) = turn.system();
            if watching::end(&session.machine(paths, &recall, &observer), &turn.locks)? {
                return Ok(());
            }
            continue;
        };
        let next = if glance.is_due { now() + 1.0 } else { next };
        let left = Duration::from_secs_f64((next - now()).clamp(0.0, PATIENCE.as_secs_f64()));
        match wait(&called, left) {
            Call::Changed => {}
            Call::Lost => {
                let Some(again) = listen_again(&calls, &called)? else { return Ok(()) };
                (listener, listened_for) = (again, BTreeSet::new());
            }
            Call::End => return Ok(()),
        }
    }
}

/// Calls when units change.
fn listen(calls: &Sender<Call>) -> Result<Listener, ManagerError> {
    let (changed, lost) = (calls.clone(), calls.clone());
    Listener::start(
        move || changed.send(Call::Changed).unwrap_or_default(),
        move || lost.send(Call::Lost).unwrap_or_default(),
    )
}

/// The same once there is a bus again; `None` where it is told to end.
fn listen_again(calls: &Sender<Call>, called: &Receiver<Call>) -> anyhow::Result<Option<Listener>> {
    let start = Instant::now();
    loop {
        match listen(calls) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if !error.is_lost || start.elapsed() > RETURN => return Err(error.into()),
            Err(_) => {}
        }
        if called.recv_timeout(INTERVAL * 2) == Ok(Call::End) {
            return Ok(None);
        }
    }
}

/// Does what is to be done, and says what came of it. Gives whether that was anything.
fn settle(plan: &Plan, paths: &Paths, session: &Session) -> anyhow::Result<bool> {
    let turn = Turn::take((plan, paths), Occasion::Asked, trial::PATIENCE, session)?;
    let (plan, paths) = turn.system();
    let (log, observer, recall) = (session.log(plan, paths), session.observer(), session.recall(false)?);
    let (start, before) = (Instant::now(), State::load(&paths.state())?);
    let report = watching::settle(plan, &log, &session.machine(paths, &recall, &observer), &turn.locks)?;
    if !report.services.is_empty() || !report.warnings.is_empty() {
        notice::tell(plan, paths, session, &session.user(), (&before, &report, start.elapsed()));
        apply::show(&report, &[], false, false)?;
        verify::after_apply(plan, paths, session);
    }
    Ok(before != State::load(&paths.state())?)
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
            std::thread::sleep(GLANCE);
            called.try_iter().find(|call| *call != Call::Changed).unwrap_or(Call::Changed)
        }
        Ok(call) => call,
    }
}

/// Calls when the state file changes: an apply may have begun to watch something else.
fn look_at_the_state(paths: &Paths, calls: Sender<Call>) -> anyhow::Result<()> {
    let watch = Watch::new(paths);
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

/// Waits until it is known whether the services that an apply changed work on their values, and puts that into `report`.
pub fn await_verdict(
    report: &mut Report,
    limit: Wait,
    paths: &Paths,
    interrupted: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let watched: Vec<String> = report.watched.keys().cloned().collect();
    if watched.is_empty() {
        return Ok(());
    }
    messages::info(format!("waiting for what becomes of {}", watched.join(", ")));
    loop {
        let state = State::load(&paths.state())?;
        let mut is_open = false;
        for service in &watched {
            let entry = state.services.get(service);
            // An apply that goes well leaves none.
            if let Some(setback) = entry.and_then(|one| one.setback.clone()) {
                let reason = setback.reason;
                let outcome = match setback.result {
                    Went::RolledBack => Outcome::RolledBack { reason },
                    Went::RollbackFailed => Outcome::RollbackFailed { reason },
                    Went::NotConfirmed => Outcome::Failed { reason },
                    Went::Unseen => Outcome::Unseen { reason },
                };
                report.services.insert(service.clone(), outcome);
                report.watched.remove(service);
                continue;
            }
            match entry.and_then(|one| one.watch.as_ref()) {
                None => drop(report.watched.remove(service)),
                Some(watch) if now() > watch.end + GRACE => {
                    bail!("nobody watches {service} any more, so what becomes of it is not known; see `dynix status`")
                }
                Some(_) => is_open = true,
            }
        }
        let is_over = matches!(limit, Wait::For(limit) if start.elapsed() >= limit);
        if !is_open || is_over || interrupted() {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}
