//! `dynamicism.verify = "complete"`: what a rebuild would also change because of the values of services is put into
//! effect as well.
//!
//! An apply takes milliseconds and waits for no evaluation. The verification in the background evaluates, and puts into
//! effect what it finds. The way back needs no evaluation, so it is a part of the apply that goes back.

use std::collections::BTreeSet;

use super::System;
use super::evaluated::Pending;
use crate::attr_path::AttrPath;
use crate::evaluated::{self, SYSTEM, Wanted};
use crate::host::messages;
use crate::overrides::{Draft, LogFile};
use crate::plan::Verify;
use crate::plan::options::OptionIndex;
use crate::reconcile::report::{Outcome, Report};
use crate::reconcile::view::{View, view};
use crate::reconcile::{Occasion, Request};
use crate::render::secrets::Secrets;
use crate::verify::verdict::Verdict;

/// Findings about the values themselves, which nothing but another value makes right.
const OF_VALUES: [&str; 3] = ["assertion", "evaluation", "value"];

impl System<'_> {
    /// The overrides of the log with `changes` that take effect by an evaluation.
    pub(super) fn wanted(&self, log: &LogFile, changes: &[Draft]) -> anyhow::Result<Wanted> {
        let none = BTreeSet::new();
        let services = if self.plan.verify == Verify::Complete { None } else { Some(&none) };
        self.wanted_of(&view(&self.plan, &self.paths, log, changes, services)?)
    }

    /// The same of a view of all services.
    pub(super) fn wanted_of(&self, view: &View) -> anyhow::Result<Wanted> {
        let overlay = &view.folded.overlay;
        let mut wanted = Wanted::new(&self.plan, overlay);
        if self.plan.verify != Verify::Complete || overlay.is_empty() {
            return Ok(wanted);
        }
        let proof = self.kept_proof()?;
        let (places, secrets) = (OptionIndex::new(&self.plan), Secrets::new(&self.plan));
        let is_left_out = |path: &AttrPath| view.desired.left_out.iter().any(|one| path.starts_with(&one.path));
        let is_free = |path: &AttrPath| proof.as_ref().is_some_and(|proof| self.is_free(&places, proof, path));
        let leaves = overlay.leaves().into_iter();
        wanted.completed = leaves
            .filter(|(path, _)| places.find(path).is_some())
            .filter(|(path, _)| !secrets.concern(path) && !is_left_out(path) && !is_free(path))
            .map(|(path, one)| (path, one.value.clone(), one.id))
            .collect();
        if !wanted.completed.is_empty() {
            wanted.effective.clone_from(&view.desired.services);
        }
        Ok(wanted)
    }

    /// Whether what a rebuild would also change is in effect.
    pub(super) fn is_complete(&self, wanted: &Wanted) -> anyhow::Result<bool> {
        let observed = evaluated::observe(&self.paths)?;
        if wanted.is_empty() {
            return Ok(evaluated::is_in_effect(&observed, None));
        }
        let known = evaluated::known(&self.paths, wanted)?;
        let target = known.as_ref().filter(|one| one.about.etc.is_some());
        Ok(known.is_some() && evaluated::is_in_effect(&observed, target))
    }

    /// After an apply of services: takes back what followed from values that they do not have any more, if no
    /// evaluation is needed for it. Everything else is left to the background, but for what a rejected layer said of no
    /// service, which goes back with the rest of the layer.
    pub(super) fn follow(&self, request: &Request, report: &mut Report) -> anyhow::Result<()> {
        let is_now = matches!(request.occasion, Occasion::Boot | Occasion::Switch { .. });
        if !evaluated::is_used(&self.plan) || is_now || self.session.manager_to_ask().is_none() {
            return Ok(());
        }
        let is_whole = self.rejected_a_layer(report)?;
        if !is_whole && self.plan.verify != Verify::Complete {
            return Ok(());
        }
        let observed = evaluated::observe(&self.paths)?;
        if !is_whole && observed.stand_in.is_none() && !observed.is_unfinished {
            return Ok(());
        }
        let wanted = self.wanted_now(request)?;
        let is_known = is_whole || wanted.is_empty() || evaluated::known(&self.paths, &wanted)?.is_some();
        if !is_known || self.is_complete(&wanted)? {
            return Ok(());
        }
        let turn = self.evaluated_turn()?;
        let observed = evaluated::observe(&self.paths)?;
        self.apply_evaluated(request, Some(Pending { turn, wanted, observed }), report).map(drop)
    }

    /// In the background: puts into effect what a rebuild would also change. Gives what was done, and why something was
    /// not.
    pub(super) fn complete(&self) -> anyhow::Result<(Report, Option<String>)> {
        let mut report = Report::default();
        let request = self.request(Some([SYSTEM.to_owned()].into()));
        let pending = self.pending(&request, false)?;
        let left = self.apply_evaluated(&request, pending, &mut report)?;
        let failed = match report.services.get(SYSTEM) {
            None | Some(Outcome::Applied) => None,
            Some(
                Outcome::Failed { reason }
                | Outcome::Refused { reason }
                | Outcome::RolledBack { reason }
                | Outcome::Unseen { reason }
                | Outcome::RollbackFailed { reason },
            ) => Some(reason.clone()),
        };
        Ok((report, left.or(failed)))
    }

    /// A verdict without what is in effect besides the services.
    pub(super) fn without_completed(&self, verdict: Verdict) -> anyhow::Result<Verdict> {
        if self.plan.verify != Verify::Complete || verdict.judgement.findings.is_empty() {
            return Ok(verdict);
        }
        let view = self.view(None)?;
        let wanted = self.wanted_of(&view)?;
        if wanted.completed.is_empty() || view.last_id != verdict.record || !self.is_complete(&wanted)? {
            return Ok(verdict);
        }
        let mut judgement = verdict.judgement;
        let is_of_a_value = |kind: &str| OF_VALUES.contains(&kind);
        let (left, done): (Vec<_>, Vec<_>) =
            judgement.findings.into_iter().partition(|finding| is_of_a_value(&finding.kind));
        judgement.notes.extend(done.iter().map(|finding| format!("{finding} (dynix changed it, too)")));
        judgement.findings = left;
        Ok(Verdict::judged(verdict.record, judgement))
    }

    /// The same as [`System::complete`], for a verification: the verdict tells why something is left.
    pub(super) fn completed(&self, verdict: Verdict) -> anyhow::Result<(Option<Report>, Verdict)> {
        let (report, left) = match self.complete() {
            Ok(done) => done,
            Err(error) => (Report::default(), Some(messages::chain(&error))),
        };
        let mut verdict = self.without_completed(verdict)?;
        if let Some(why) = left {
            verdict.judgement.notes.push(format!("what a rebuild would also change was not put into effect: {why}"));
        }
        Ok((Some(report).filter(|report| !report.services.is_empty()), verdict))
    }
}
