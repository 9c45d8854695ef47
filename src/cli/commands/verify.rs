//! `dynix verify`: whether a rebuild with the recorded values would change more than dynix did. By hand, and in the
//! background after each apply.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use camino::Utf8Path;

use super::apply::Task;
use super::session::Session;
use super::turn::Turn;
use super::{metrics, notice, prove};
use crate::attr_path::AttrPath;
use crate::cli::arguments::Verify;
use crate::exit::Exit;
use crate::host::fs;
use crate::host::fs::lock::{self, LockError};
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::systemd::background::Background;
use crate::host::systemd::booted;
use crate::overrides::{Change, Overlay};
use crate::plan::places::Places;
use crate::plan::{self, Plan};
use crate::reconcile::Occasion;
use crate::reconcile::state::State;
use crate::reconcile::trial;
use crate::reconcile::view::{View, view};
use crate::render::secrets::Secrets;
use crate::telemetry::journal::Entry;
use crate::verify::evaluation::{self, Evaluated};
use crate::verify::proof::Proof;
use crate::verify::verdict::{self, Outcome, Verdict};
use crate::verify::{Finding, Judgement, judge};

/// Until what runs in the background is killed: a proof and a comparison, each with a deadline of its own.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How many this process has started: the daemon starts many.
static STARTED: AtomicU64 = AtomicU64::new(0);
/// How long one that runs is waited for.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How long a switch may take until what it led to is verified beside it.
const SWITCHING: Duration = Duration::from_secs(10 * 60);
/// How long a system is waited for before it is looked at again.
const RETRY: Duration = Duration::from_millis(100);

/// Evaluates, judges and prints; in the background it keeps what it found, and does what the plan says.
pub fn run(arguments: &Verify, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    if arguments.background {
        return in_background(arguments, &plan, &paths, session);
    }
    let verdict = found(&plan, &paths, session, None)?;
    let exit = match verdict.verdict {
        Outcome::Sound => Exit::Done,
        Outcome::Unsound => Exit::Unsound,
        Outcome::Unverified => Exit::Failed,
    };
    if arguments.json {
        super::print_json(&verdict)?
    } else {
        super::print(messages::visible(&verdict.text()).as_bytes())?
    };
    Ok(exit)
}

/// What is known of the values in effect on the system that runs; nothing where nobody looks.
pub fn known(plan: &Plan, paths: &Paths) -> anyhow::Result<Option<Verdict>> {
    if plan.verify == plan::Verify::Off {
        return Ok(None);
    }
    let Some(verdict) = verdict::load(&paths.verdict())? else { return Ok(None) };
    Ok(Some(verdict).filter(|verdict| prove::identity(paths).is_ok_and(|system| system == verdict.system)))
}

/// After an apply: sound by the proof, or to be found out in the background. Never delays or fails the apply.
pub fn after_apply(plan: &Plan, paths: &Paths, session: &Session) {
    if plan.verify == plan::Verify::Off || session.global.root.is_some() {
        return;
    }
    if let Err(error) = begin(plan, paths, session) {
        messages::warn(format!("whether a rebuild would change more is not verified: {}", messages::chain(&error)));
    }
}

fn begin(plan: &Plan, paths: &Paths, session: &Session) -> anyhow::Result<()> {
    // The apply may have waited for a switch.
    let switched = session.load_if_switched(paths)?;
    let (plan, paths) = switched.as_ref().map_or((plan, paths), |(plan, paths)| (plan, paths));
    let proof = prove::kept(paths)?;
    let known = match &proof {
        Some(proof) => by_proof(plan, paths, session, proof)?,
        None if plan.evaluator.is_none() => Some(found(plan, paths, session, None)?),
        None => None,
    };
    if let Some(verdict) = known {
        let before = verdict::load(&paths.verdict())?.map(|before| before.verdict);
        if before != Some(verdict.verdict) {
            Entry::verified(&verdict).send();
        }
        return keep(plan, paths, session, verdict);
    }
    if !booted::is_ours() {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot find the dynix that runs")?;
    let mut command = vec![program.to_string_lossy().into_owned()];
    for (name, path) in [("--plan", &session.global.plan), ("--overrides", &session.global.overrides)] {
        command.extend(path.iter().flat_map(|path| [name.to_owned(), path.to_string()]));
    }
    command.extend(["verify", "--background"].map(str::to_owned));
    command.extend(paths.activated().into_iter().flat_map(|system| ["--system".to_owned(), system.to_string()]));
    let background = Background {
        // One that was started just now may still run; they wait for each other (see `in_background`).
        unit: format!("dynix-verify-{}-{}.service", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed)),
        description: "Find out whether a rebuild would change more than dynix did".to_owned(),
        command,
        deadline: DEADLINE,
    };
    Ok(background.start()?)
}

/// One runs and one waits at most: whoever comes while one waits leaves it to that one, which reads the log only when its
/// turn has come. So many applies in a row cost two evaluations, and the last one is always looked at.
fn in_background(arguments: &Verify, plan: &Plan, paths: &Paths, session: &mut Session) -> anyhow::Result<Exit> {
    if let Some(system) = &arguments.system
        && !is_switched_to(system, paths)?
    {
        messages::info(format!("{system} is not the system that runs: nothing is verified of it"));
        return Ok(Exit::Done);
    }
    let turn = match lock::acquire(&paths.run().join("verify-next.lock"), Duration::ZERO, |_| ()) {
        Ok(turn) => turn,
        Err(LockError::Held { .. }) => return Ok(Exit::Done),
        Err(error) => return Err(error.into()),
    };
    let _running = lock::acquire(&paths.run().join("verify.lock"), PATIENCE, |_| ())?;
    drop(turn);
    let proof = match prove::kept(paths)? {
        Some(proof) => Some(proof),
        None => prove::prove(plan, paths)
            .map_err(|error| messages::warn(format!("nothing is proven: {}", messages::chain(&error))))
            .ok(),
    };
    let verdict = found(plan, paths, session, proof.as_ref())?;
    if session.global.root.is_none() {
        Entry::verified(&verdict).send();
    }
    let unsound = verdict.verdict == Outcome::Unsound;
    let take_back = unsound && plan.verify == plan::Verify::Rollback && !verdict.judgement.stale;
    let before = sound_until(paths)?;
    keep(plan, paths, session, verdict.clone())?;
    if take_back {
        return reject(plan, paths, session, before, &verdict, proof.as_ref());
    }
    Ok(Exit::Done)
}

/// Takes back what came into effect since all was sound, but for what is proven to be sound. Which one of several it was
/// can't be known.
fn reject(
    plan: &Plan,
    paths: &Paths,
    session: &mut Session,
    sound_until: u64,
    verdict: &Verdict,
    proof: Option<&Proof>,
) -> anyhow::Result<Exit> {
    let log = session.log(plan, paths);
    if let Some(trial) = State::load(&paths.state())?.trial.filter(|trial| !trial.is_overdue()) {
        // Whether what came before it is sound is found out next.
        session.heed_signals()?;
        let turn = Turn::take((plan, paths), Occasion::Asked, trial::PATIENCE, session)?;
        let report = {
            let (plan, paths) = turn.system();
            let log = session.log(plan, paths);
            let (recall, observer) = (session.recall(false)?, session.observer());
            let machine = session.machine(paths, &recall, &observer);
            trial::revert(plan, &log, Some(&trial.timer), &verdict.reasons(), &machine, &turn.locks)?
        };
        drop(turn);
        messages::warn("went back from the change on trial, which a rebuild would not agree with");
        count_unsound(plan, paths, session, trial.marks.len());
        let exit = super::apply::show(&report, &[], false, false)?;
        after_apply(plan, paths, session);
        return Ok(exit);
    }
    let records = log.find_holding(|id| id > sound_until && id <= verdict.record)?;
    let places = Places::of(plan);
    let is_free = |path: &AttrPath| proof.is_some_and(|proof| is_free(plan, &places, proof, path));
    let suspects: Vec<u64> = records
        .iter()
        .filter(|record| record.paths().is_empty() || !record.paths().into_iter().all(is_free))
        .map(|record| record.id)
        .collect();
    let reason = match suspects.as_slice() {
        [_, _, ..] => {
            let ids: Vec<String> = suspects.iter().map(u64::to_string).collect();
            format!("one of the records {} or several of them together: {}", ids.join(", "), verdict.reasons())
        }
        _ => verdict.reasons(),
    };
    let changes: Vec<Change> = suspects.into_iter().map(|id| Change::Reject { id, reason: reason.clone() }).collect();
    if changes.is_empty() {
        return Ok(Exit::Done);
    }
    log.append(&changes, &session.user(), None, super::waiting)?;
    messages::warn(format!("took back {} records that a rebuild would not agree with", changes.len()));
    count_unsound(plan, paths, session, changes.len());
    Task::new(plan, paths, None, session).run(&[], session)
}

/// Waits until a system that is being activated is the one that runs and its switch is over, which nothing here is to slow
/// down; `false` if that does not come.
fn is_switched_to(system: &Utf8Path, paths: &Paths) -> anyhow::Result<bool> {
    let begin = Instant::now();
    while fs::read_link(&paths.current_system())?.as_deref() != Some(system.as_str()) {
        if begin.elapsed() > SWITCHING {
            return Ok(false);
        }
        std::thread::sleep(RETRY);
    }
    // Who runs the activation script by itself takes no lock.
    if fs::exists(&paths.switch_lock())? {
        match lock::acquire(&paths.switch_lock(), SWITCHING.saturating_sub(begin.elapsed()), |_| ()) {
            // Whatever takes so long is in nobody's way if this is not.
            Ok(_) | Err(LockError::Held { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn count_unsound(plan: &Plan, paths: &Paths, session: &Session, records: usize) {
    let counted = metrics::count(plan, paths, session, |counters| counters.unsound += records as u64);
    notice::unless_written(counted);
}

fn keep(plan: &Plan, paths: &Paths, session: &Session, verdict: Verdict) -> anyhow::Result<()> {
    let system = prove::identity(paths)?;
    let sound_until = match verdict.verdict {
        Outcome::Sound => verdict.record,
        _ => sound_until(paths)?,
    };
    verdict::save(&paths.verdict(), &Verdict { sound_until, system, ..verdict })?;
    notice::unless_written(metrics::refresh(plan, paths, session));
    Ok(())
}

/// The record up to which all was found sound on this system. What was sound on another one says nothing of it.
fn sound_until(paths: &Paths) -> anyhow::Result<u64> {
    let system = prove::identity(paths)?;
    let before = verdict::load(&paths.verdict())?.filter(|before| before.system == system);
    Ok(before.map_or(0, |before| before.sound_until))
}

/// Sound by the proof, where it speaks of every value in effect.
fn by_proof(plan: &Plan, paths: &Paths, session: &Session, proof: &Proof) -> anyhow::Result<Option<Verdict>> {
    let View { folded, last_id, .. } = in_effect(plan, paths, session)?;
    let places = Places::of(plan);
    let sound = folded.overlay.leaves().iter().all(|(path, _)| is_free(plan, &places, proof, path));
    Ok(sound
        .then(|| Verdict { by_proof: !folded.overlay.is_empty(), ..Verdict::judged(last_id, Judgement::default()) }))
}

/// Whether it is proven that nothing else depends on a value.
fn is_free(plan: &Plan, places: &Places<'_>, proof: &Proof, path: &AttrPath) -> bool {
    let flows = places.find(path).and_then(|place| proof.flows(plan, place.service_name, path));
    flows.is_some_and(|flows| flows.is_empty())
}

/// What the log comes to, with a change on trial.
fn in_effect(plan: &Plan, paths: &Paths, session: &Session) -> anyhow::Result<View> {
    let on_trial = State::load(&paths.state())?.on_trial();
    Ok(view(plan, paths, &session.log(plan, paths), &on_trial, None)?)
}

fn found(plan: &Plan, paths: &Paths, session: &Session, proof: Option<&Proof>) -> anyhow::Result<Verdict> {
    if let Some(proof) = proof
        && let Some(verdict) = by_proof(plan, paths, session, proof)?
    {
        return Ok(verdict);
    }
    let View { folded, desired, last_id, .. } = in_effect(plan, paths, session)?;
    let mut overlay: Overlay = folded.overlay;
    let secrets = Secrets::of(plan);
    let mut judgement = Judgement::default();
    let leaves: Vec<AttrPath> = overlay.leaves().into_iter().map(|(path, _)| path).collect();
    for path in leaves.iter().filter(|path| secrets.concern(path)) {
        overlay.unset(path);
        judgement.notes.push(format!("{path} holds a secret, which no build may have, and was left out"));
    }
    for left_out in &desired.left_out {
        // One that may be of anything is in nothing.
        if !left_out.path.names().is_empty() {
            overlay.unset(&left_out.path);
        }
        judgement.notes.push(format!("{} does not hold and was left out", left_out.path));
    }
    if overlay.is_empty() {
        return Ok(Verdict::judged(last_id, judgement));
    }
    let Some(evaluator) = &plan.evaluator else {
        let reason = "this system's plan has no evaluator (dynamicism.evaluator)".to_owned();
        return Ok(Verdict::unverified(last_id, reason));
    };
    let directory = paths.overrides().parent().unwrap_or(Utf8Path::new("/"));
    match evaluation::compare(evaluator, plan, &overlay, directory) {
        Ok(Evaluated::Compared(comparison)) => {
            let judged = judge(plan, &desired.services, &comparison);
            judgement.notes.extend(judged.notes);
            judgement = Judgement { notes: judgement.notes, ..judged };
        }
        Ok(Evaluated::FailsWithOverrides(words)) => {
            let finding = Finding { kind: "evaluation".to_owned(), name: String::new(), changes: vec![words] };
            judgement.findings.push(finding);
        }
        Err(error) => return Ok(Verdict::unverified(last_id, messages::chain(&error))),
    }
    Ok(Verdict::judged(last_id, judgement))
}
