//! Checks whether a rebuild with the recorded values would change more than dynix did: on request, and in the
//! background after each apply.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use camino::Utf8Path;

use super::System;
use crate::attr_path::AttrPath;
use crate::evaluated::Wanted;
use crate::host::fs;
use crate::host::fs::lock::{self, LockError};
use crate::host::messages;
use crate::host::paths::Paths;
use crate::host::systemd::background::Background;
use crate::host::systemd::booted;
use crate::host::systemd::scope::Scope;
use crate::overrides::{Draft, Overlay};
use crate::plan::options::OptionIndex;
use crate::plan::{self, allowed};
use crate::reconcile::report::Report;
use crate::reconcile::trial::Which;
use crate::reconcile::view::View;
use crate::render::secrets::Secrets;
use crate::telemetry::journal::Entry;
use crate::verify::evaluation::{self, Evaluated};
use crate::verify::proof::Proof;
use crate::verify::verdict::{self, Soundness, Verdict};
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

impl System<'_> {
    /// Evaluates and judges.
    pub fn verify(&self) -> anyhow::Result<Verdict> {
        self.without_completed(self.found(None, &[])?)
    }

    /// The stored verdict on the values in effect on the running system; `None` if the plan asks for no verification.
    pub fn known_verdict(&self) -> anyhow::Result<Option<Verdict>> {
        if self.plan.verify == plan::Verify::Off {
            return Ok(None);
        }
        let Some(verdict) = verdict::load(&self.paths.verdict())? else { return Ok(None) };
        Ok(Some(verdict).filter(|verdict| self.identity().is_ok_and(|system| system == verdict.system)))
    }

    /// After an apply: sound by the proof, or to be found out in the background. Never delays or fails the apply.
    pub fn verify_soon(&self) {
        if self.plan.verify == plan::Verify::Off || self.session.is_elsewhere() {
            return;
        }
        if let Err(error) = self.begin_to_verify() {
            let problem = messages::chain(&error);
            self.session.progress().warn(&format!("whether a rebuild would change more is not verified: {problem}"));
        }
    }

    fn begin_to_verify(&self) -> anyhow::Result<()> {
        // The apply may have waited for a switch.
        let switched = self.session.open_if_switched(&self.paths)?;
        let system = switched.as_ref().unwrap_or(self);
        let known = match &system.kept_proof()? {
            Some(_) if !system.is_completed()? => None,
            Some(proof) => system.by_proof(proof)?,
            None if system.plan.evaluator.is_none() => {
                system.plan.services.require_all()?;
                Some(system.found(None, &[])?)
            }
            None => None,
        };
        if let Some(verdict) = known {
            let before = verdict::load(&system.paths.verdict())?.map(|before| before.verdict);
            if before != Some(verdict.verdict) {
                Entry::verified(&verdict).send();
            }
            return system.keep(verdict);
        }
        if !system.session.reaches_systemd() {
            return Ok(());
        }
        match system.paths.activated() {
            Some(activated) => system.verify_after_switch(activated),
            None => system.start_to_verify(),
        }
    }

    /// The command that runs this dynix again, for the same files.
    fn again(&self) -> anyhow::Result<Vec<String>> {
        let program = std::env::current_exe().context("cannot find the dynix that runs")?;
        let mut command = vec![program.to_string_lossy().into_owned()];
        let location = self.session.location();
        for (name, path) in [("--plan", &location.plan), ("--overrides", &location.overrides)] {
            command.extend(path.iter().flat_map(|path| [name.to_owned(), path.to_string()]));
        }
        command.extend(["verify", "--background"].map(str::to_owned));
        Ok(command)
    }

    fn start_to_verify(&self) -> anyhow::Result<()> {
        let background = Background {
            unit: unit_name("verify", "service"),
            description: "Find out whether a rebuild would change more than dynix did".to_owned(),
            command: self.again()?,
            deadline: DEADLINE,
        };
        Ok(background.start()?)
    }

    /// Lets a process start the verification of a system that is being activated, when the switch to it is over.
    fn verify_after_switch(&self, activated: &Utf8Path) -> anyhow::Result<()> {
        let mut command = self.again()?;
        command.extend(["--system".to_owned(), activated.to_string()]);
        let scope = Scope {
            unit: unit_name("verify-after-switch", "scope"),
            description: "Waits until a switch is over, and starts the verification".to_owned(),
            command,
            deadline: SWITCHING + PATIENCE,
        };
        Ok(scope.start()?)
    }

    /// The background verification that an apply starts. It proves if there is no proof, verifies, stores the verdict,
    /// and does what the plan asks for. Gives the outcome of the records that it rejected. `activated`: only start it,
    /// after this system runs.
    ///
    /// At most one runs and one waits. Any other leaves the work to the one that waits, which reads the log only when
    /// its turn comes. So many applies in a row cost two evaluations, and the last one is always verified.
    pub fn verify_in_background(&self, activated: Option<&Utf8Path>) -> anyhow::Result<Option<Report>> {
        if let Some(system) = activated {
            if !is_switched_to(system, &self.paths)? {
                let message = format!("{system} is not the system that runs: nothing is verified of it");
                self.session.progress().inform(&message);
                return Ok(None);
            }
            if !self.session.is_elsewhere() && booted::is_ours() {
                self.start_to_verify()?;
                return Ok(None);
            }
        }
        let run = self.paths.run();
        let turn = match lock::acquire(&run.join("verify-next.lock"), Duration::ZERO, |_| ()) {
            Ok(turn) => turn,
            Err(LockError::Held { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let running = lock::acquire(&run.join("verify.lock"), PATIENCE, |_| ())?;
        drop(turn);
        let proof = match self.kept_proof()? {
            Some(proof) => Some(proof),
            // What is to be put into effect does not wait for a proof.
            None if self.plan.verify == plan::Verify::Complete => None,
            None => self.prove().map_err(|error| self.warn_unproven(&error)).ok(),
        };
        let mut verdict = self.found(proof.as_ref(), &[])?;
        let mut report = None;
        if !self.session.is_elsewhere() && !verdict.judgement.stale && !self.is_completed()? {
            self.session.heed_signals()?;
            (report, verdict) = self.completed(verdict)?;
        } else {
            verdict = self.without_completed(verdict)?;
        }
        if !self.session.is_elsewhere() {
            Entry::verified(&verdict).send();
        }
        let unsound = verdict.verdict == Soundness::Unsound;
        let take_back = unsound && self.plan.verify == plan::Verify::Rollback && !verdict.judgement.stale;
        let before = self.sound_until()?;
        self.keep(verdict.clone())?;
        if take_back {
            return self.take_back(before, &verdict, proof.as_ref());
        }
        if report.as_ref().is_some_and(|report| !report.rejected.is_empty()) {
            // What is in effect now is not what this was about.
            self.verify_soon();
        }
        drop(running);
        if let Err(error) = self.keep_built() {
            self.session.progress().warn(&format!("the built system is not kept: {}", messages::chain(&error)));
        }
        if proof.is_none() && self.plan.verify == plan::Verify::Complete && self.log().fold()?.overlay.is_empty() {
            self.prove_beside()?;
        }
        Ok(report)
    }

    /// Proves while others verify; nothing if another process does.
    fn prove_beside(&self) -> anyhow::Result<()> {
        let turn = match lock::acquire(&self.paths.run().join("prove.lock"), Duration::ZERO, |_| ()) {
            Ok(turn) => turn,
            Err(LockError::Held { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if let Err(error) = self.prove() {
            self.warn_unproven(&error);
        }
        drop(turn);
        Ok(())
    }

    /// Whether nothing is left to put into effect besides the services, where the plan asks for that.
    fn is_completed(&self) -> anyhow::Result<bool> {
        if self.plan.verify != plan::Verify::Complete {
            return Ok(true);
        }
        self.is_complete(&self.wanted_of(&self.view(None)?)?)
    }

    fn warn_unproven(&self, error: &anyhow::Error) {
        self.session.progress().warn(&format!("nothing is proven: {}", messages::chain(error)));
    }

    /// Rejects the records since the last sound state, except those that are proven sound or are sound by themselves.
    fn take_back(&self, sound_until: u64, verdict: &Verdict, proof: Option<&Proof>) -> anyhow::Result<Option<Report>> {
        self.session.heed_signals()?;
        let warn = |message: &str| self.session.progress().warn(message);
        if let Some(trial) = self.state()?.trial.filter(|trial| !trial.is_overdue()) {
            // Whether what came before it is sound is found out next.
            let mut report = self.revert(Which::Of(&trial.timer), &verdict.reasons(), &self.session.user())?;
            self.after_trial(&mut report)?;
            warn("went back from the change on trial, which a rebuild would not agree with");
            self.count_unsound(trial.marks.len());
            self.verify_soon();
            return Ok(Some(report));
        }
        let suspects = self.suspects(sound_until, verdict, proof)?;
        let changes = to_blame(&suspects, verdict, |others| self.found(proof, others))?;
        if changes.is_empty() {
            return Ok(None);
        }
        self.log().append(&changes, &self.session.user(), None, self.waits())?;
        warn(&format!("took back {} records that a rebuild would not agree with", changes.len()));
        self.count_unsound(changes.len());
        let report = self.apply(&self.request(None))?;
        self.verify_soon();
        Ok(Some(report))
    }

    /// The records since the last sound state whose values other things may depend on, as far as the proof knows.
    fn suspects(&self, sound_until: u64, verdict: &Verdict, proof: Option<&Proof>) -> anyhow::Result<Vec<u64>> {
        let records = self.log().find_holding(|id| id > sound_until && id <= verdict.record)?;
        let places = OptionIndex::new(&self.plan);
        let is_free = |path: &AttrPath| proof.is_some_and(|proof| self.is_free(&places, proof, path));
        let suspects =
            records.iter().filter(|record| record.paths().is_empty() || !record.paths().into_iter().all(is_free));
        Ok(suspects.map(|record| record.id).collect())
    }

    fn count_unsound(&self, records: usize) {
        self.unless_written(self.count(|counters| counters.unsound += records as u64));
    }

    fn keep(&self, verdict: Verdict) -> anyhow::Result<()> {
        let system = self.identity()?;
        let sound_until = match verdict.verdict {
            Soundness::Sound => verdict.record,
            _ => self.sound_until()?,
        };
        verdict::save(&self.paths.verdict(), &Verdict { sound_until, system, ..verdict })?;
        self.refresh_metrics();
        Ok(())
    }

    /// The record up to which everything was sound on this system. A verdict on another system does not count.
    fn sound_until(&self) -> anyhow::Result<u64> {
        let system = self.identity()?;
        let before = verdict::load(&self.paths.verdict())?.filter(|before| before.system == system);
        Ok(before.map_or(0, |before| before.sound_until))
    }

    /// A sound verdict from the proof, if it covers every value in effect.
    fn by_proof(&self, proof: &Proof) -> anyhow::Result<Option<Verdict>> {
        Ok(self.judged_by_proof(&self.view(None)?, proof))
    }

    fn judged_by_proof(&self, view: &View, proof: &Proof) -> Option<Verdict> {
        let overlay = &view.folded.overlay;
        let places = OptionIndex::new(&self.plan);
        let is_free = |path: &AttrPath| allowed::is_evaluated(&self.plan, path) || self.is_free(&places, proof, path);
        let sound = overlay.leaves().iter().all(|(path, _)| is_free(path));
        sound.then(|| Verdict { by_proof: !overlay.is_empty(), ..Verdict::judged(view.last_id, Judgement::default()) })
    }

    /// Whether it is proven that nothing else depends on a value.
    pub(super) fn is_free(&self, places: &OptionIndex<'_>, proof: &Proof, path: &AttrPath) -> bool {
        let flows = places.find(path).and_then(|place| proof.flows(&self.plan, place.service_name, path));
        flows.is_some_and(|flows| flows.is_empty())
    }

    /// The verdict on the values in effect; with `more`, on the values that these changes would give.
    fn found(&self, proof: Option<&Proof>, more: &[Draft]) -> anyhow::Result<Verdict> {
        let System { plan, paths, .. } = self;
        let view = self.view_with(more, None)?;
        if let Some(proof) = proof
            && let Some(verdict) = self.judged_by_proof(&view, proof)
        {
            return Ok(verdict);
        }
        let View { folded, desired, last_id, .. } = view;
        let mut overlay: Overlay = folded.overlay;
        // Evaluated overrides take effect as in a rebuild, so they count as sound.
        for (path, _, _) in Wanted::new(plan, &overlay).overrides {
            overlay.unset(&path);
        }
        let secrets = Secrets::new(plan);
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
        let directory = paths.expressions();
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
}

/// The name of a unit. One that was started just now may still run; they wait for each other.
fn unit_name(kind: &str, suffix: &str) -> String {
    format!("dynix-{kind}-{}-{}.{suffix}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed))
}

/// Rejects each of `suspects` that a rebuild would differ with by itself. If there is none, several of them together
/// are to blame, and which can't be known. `judged`: the verdict with changes.
fn to_blame(
    suspects: &[u64],
    verdict: &Verdict,
    judged: impl Fn(&[Draft]) -> anyhow::Result<Verdict>,
) -> anyhow::Result<Vec<Draft>> {
    // Each needs an evaluation.
    const MOST: usize = 8;
    let reject = |id: u64, reason: String| Draft::Reject { id, reason };
    if let [only] = suspects {
        return Ok(vec![reject(*only, verdict.reasons())]);
    }
    let mut to_blame = Vec::new();
    for &id in suspects.iter().filter(|_| suspects.len() <= MOST) {
        let others = suspects.iter().filter(|other| **other != id);
        let alone = judged(&others.map(|other| reject(*other, String::new())).collect::<Vec<_>>())?;
        if alone.verdict == Soundness::Unsound {
            to_blame.push(reject(id, alone.reasons()));
        }
    }
    if to_blame.is_empty() {
        let ids: Vec<String> = suspects.iter().map(u64::to_string).collect();
        let reason =
            format!("one of the records {} or several of them together: {}", ids.join(", "), verdict.reasons());
        to_blame.extend(suspects.iter().map(|id| reject(*id, reason.clone())));
    }
    Ok(to_blame)
}

/// Waits until a system that is being activated is the one that runs and its switch is over, which nothing here is to slow
/// down; `false` if that does not come.
pub(super) fn is_switched_to(system: &Utf8Path, paths: &Paths) -> anyhow::Result<bool> {
    let begin = Instant::now();
    while fs::read_link(&paths.current_system())?.as_deref() != Some(system.as_str()) {
        if begin.elapsed() > SWITCHING {
            return Ok(false);
        }
        std::thread::sleep(RETRY);
    }
    // A user who runs the activation script directly takes no lock.
    if fs::exists(&paths.switch_lock())? {
        match lock::acquire(&paths.switch_lock(), SWITCHING.saturating_sub(begin.elapsed()), |_| ()) {
            // A holder that keeps the lock this long is not delayed by the verification.
            Ok(_) | Err(LockError::Held { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsound(name: &str) -> Verdict {
        let finding = Finding { kind: "etc".to_owned(), name: name.to_owned(), changes: vec!["1 -> 2".to_owned()] };
        Verdict::judged(9, Judgement { findings: vec![finding], ..Judgement::default() })
    }

    fn rejected(changes: Vec<Draft>) -> Vec<(u64, String)> {
        let one = |change| match change {
            Draft::Reject { id, reason } => (id, reason),
            other => panic!("{other:?}"),
        };
        changes.into_iter().map(one).collect()
    }

    #[test]
    fn each_record_is_rejected_for_what_it_does_itself() {
        // Of 1, 2 and 3, the second is sound by itself.
        let judged = |others: &[Draft]| {
            let others: Vec<u64> = rejected(others.to_vec()).into_iter().map(|(id, _)| id).collect();
            Ok(match others.as_slice() {
                [2, 3] => unsound("a"),
                [1, 3] => Verdict::judged(9, Judgement::default()),
                [1, 2] => unsound("b"),
                other => panic!("{other:?}"),
            })
        };
        let found = rejected(to_blame(&[1, 2, 3], &unsound("all"), judged).unwrap());
        assert_eq!(found, [(1, unsound("a").reasons()), (3, unsound("b").reasons())]);
    }

    #[test]
    fn several_records_together_are_rejected_together() {
        let sound = |_: &[Draft]| Ok(Verdict::judged(9, Judgement::default()));
        let reason = format!("one of the records 4, 5 or several of them together: {}", unsound("all").reasons());
        let found = rejected(to_blame(&[4, 5], &unsound("all"), sound).unwrap());
        assert_eq!(found, [(4, reason.clone()), (5, reason)]);
        assert_eq!(rejected(to_blame(&[4], &unsound("all"), sound).unwrap()), [(4, unsound("all").reasons())]);
        assert!(to_blame(&[], &unsound("all"), sound).unwrap().is_empty());
    }

    #[test]
    fn too_many_are_not_looked_at_one_by_one() {
        let judged = |_: &[Draft]| -> anyhow::Result<Verdict> { panic!("an evaluation for each of them") };
        assert_eq!(to_blame(&(1..=9).collect::<Vec<u64>>(), &unsound("all"), judged).unwrap().len(), 9);
    }
}
