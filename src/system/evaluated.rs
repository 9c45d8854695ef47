//! Options of no service: puts their overrides into effect besides the services, or shows what that would do.
//!
//! Services come first, because they take milliseconds. If the changes of a rebuild can't be put into effect, none of
//! them is, and the records are rejected with the reason.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8Path;

use super::exclusive::Exclusive;
use super::verify::is_switched_to;
use super::{Refused, System};
use crate::evaluated::stand_in::{StandIn, Unmade};
use crate::evaluated::{self, Observed, SYSTEM, Turn, Wanted};
use crate::host::fs::lock::Patience;
use crate::host::messages;
use crate::host::systemd::background::Background;
use crate::overrides::{Draft, LogFile};
use crate::plan::{Plan, allowed};
use crate::reconcile::report::{Difference, Outcome, Report};
use crate::reconcile::state::State;
use crate::reconcile::trial::{self, confirmation};
use crate::reconcile::view::view;
use crate::reconcile::{Occasion, Request, locks};

/// Until what is put into effect again after a switch is given up.
const REAPPLY: Duration = Duration::from_secs(60 * 60);

/// The work of an apply besides its services.
pub(super) struct Pending {
    turn: Turn,
    wanted: Wanted,
    observed: Observed,
}

impl Pending {
    /// Whether anything is to change.
    pub fn is_any(&self) -> bool {
        let is_known = self.observed.stand_in.as_ref().map(|one| one.about.digest.clone())
            == (!self.wanted.overrides.is_empty()).then(|| self.wanted.digest());
        !is_known || self.observed.is_unfinished
    }
}

/// Whether an apply is about options of no service.
fn is_concerned(plan: &Plan, request: &Request) -> bool {
    let is_asked = request.services.as_ref().is_none_or(|services| services.contains(SYSTEM));
    let occasion = match request.occasion {
        Occasion::Asked | Occasion::Reset | Occasion::Retry => is_asked,
        Occasion::Expiry | Occasion::AfterBoot => true,
        Occasion::Boot | Occasion::Switch { .. } => false,
    };
    allowed::any(plan) && occasion
}

/// The records that make a trial count.
fn preview(state: &State, start: Option<&trial::Start>) -> Vec<Draft> {
    let begun = state.on_trial();
    if begun.is_empty() {
        start.map(|start| confirmation(&start.marks, "confirmed")).unwrap_or_default()
    } else {
        begun
    }
}

impl System<'_> {
    /// Waits for its turn and observes; `None` if nothing could change, or if dynix may change none of it.
    pub(super) fn pending(&self, request: &Request, activating: bool) -> anyhow::Result<Option<Pending>> {
        if activating || !is_concerned(&self.plan, request) || self.session.manager_to_ask().is_none() {
            return Ok(None);
        }
        let turn = self.evaluated_turn()?;
        let preview = preview(&self.state()?, request.trial.as_ref());
        let wanted = self.wanted(&self.log().trying_again(), &preview)?;
        Ok(Some(Pending { turn, wanted, observed: evaluated::observe(&self.paths)? }))
    }

    fn evaluated_turn(&self) -> anyhow::Result<Turn> {
        let is_over = || self.session.is_ending();
        Ok(Turn::take(&self.paths, Patience::until(locks::PATIENCE, &is_over), self.waits())?)
    }

    fn wanted(&self, log: &LogFile, changes: &[Draft]) -> anyhow::Result<Wanted> {
        let view = view(&self.plan, &self.paths, log, changes, Some(&BTreeSet::new()))?;
        Ok(Wanted::new(&self.plan, &view.folded.overlay))
    }

    /// Puts into effect what is wanted, after the services had theirs.
    pub(super) fn apply_evaluated(
        &self,
        request: &Request,
        pending: Option<Pending>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let Some(Pending { turn, observed: before, .. }) = pending else { return Ok(()) };
        // The apply of the services may have waited for a switch, and may have recorded something.
        let switched = self.session.open_if_switched(&self.paths)?;
        let system = switched.as_ref().unwrap_or(self);
        let state = system.state()?;
        if let Some(trial) = &state.trial
            && trial.back.contains_key(SYSTEM)
            && request.occasion != Occasion::Reset
            && request.trial.is_none()
        {
            if request.occasion != Occasion::Expiry {
                let reason = trial.awaiting().to_string();
                report.services.entry(SYSTEM.to_owned()).or_insert(Outcome::Failed { reason });
            }
            return Ok(());
        }
        let log = system.log();
        let wanted = system.wanted(&log, &preview(&state, request.trial.as_ref()))?;
        if request.services.is_some() {
            report.left_out.extend(wanted.left_out.iter().cloned());
        }
        let observed = evaluated::observe(&system.paths)?;
        if observed.system != before.system {
            report.warnings.push("the system was switched meanwhile; what is recorded is for the new one".to_owned());
        }
        let target = match evaluated::prepare(&system.plan, &system.paths, &wanted, request.build, &turn) {
            Ok(target) => target,
            Err(unmade) => {
                let outcome = match unmade {
                    Unmade::Refused(why) => {
                        let reason = why.join("; ");
                        system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                        Outcome::Refused { reason }
                    }
                    Unmade::Failed(error) => Outcome::Failed { reason: messages::chain(&error) },
                };
                report.services.insert(SYSTEM.to_owned(), outcome);
                return system.let_go(request);
            }
        };
        if evaluated::is_in_effect(&observed, target.as_ref()) {
            return system.let_go(request);
        }
        if let Some(start) = &request.trial {
            let turn = Exclusive::take(system, Occasion::Asked, locks::PATIENCE)?;
            report.awaiting = Some(turn.system().with_machine(false, |machine| {
                Ok(trial::begin_for(SYSTEM, start, &request.by, machine, &turn.locks)?)
            })?);
        }
        report.warnings.extend(target.iter().flat_map(|one| one.about.notes.iter().cloned()));
        let outcome = match evaluated::switch(&system.paths, &observed, target.as_ref(), &turn) {
            Ok(evaluated::SwitchResult::Done(said)) => {
                report.switched = said;
                report.differences = differences(observed.stand_in.as_ref(), target.as_ref());
                Outcome::Applied
            }
            Ok(evaluated::SwitchResult::WentBack(reason)) => {
                system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                Outcome::RolledBack { reason }
            }
            Ok(evaluated::SwitchResult::Stuck(reason)) => {
                system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                Outcome::RollbackFailed { reason }
            }
            Err(error) => Outcome::Failed { reason: messages::chain(&error) },
        };
        if outcome != Outcome::Applied {
            report.awaiting = None;
            system.let_go(request)?;
        }
        report.services.insert(SYSTEM.to_owned(), outcome);
        if request.trial.is_none() {
            evaluated::keep(&system.paths)?;
        }
        let now = evaluated::observe(&system.paths)?;
        evaluated::stand_in::prune(now.stand_in.as_ref(), now.system.as_str(), &system.paths)
    }

    /// Rejects the records of what was not in effect before. Those of a trial are rejected already.
    fn reject_evaluated(
        &self,
        (wanted, observed): (&Wanted, &Observed),
        reason: &str,
        request: &Request,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        if request.trial.is_some() {
            return Ok(());
        }
        let had = observed.stand_in.as_ref().map(|one| one.about.values.as_slice()).unwrap_or_default();
        let is_new = |path: &str, value: &serde_json::Value| !had.iter().any(|(one, old)| one == path && old == value);
        let new = wanted.overrides.iter().filter(|(path, value, _)| is_new(&path.to_string(), value));
        let ids: BTreeSet<u64> = new.map(|(_, _, id)| *id).collect();
        let changes: Vec<Draft> = ids.iter().map(|id| Draft::Reject { id: *id, reason: reason.to_owned() }).collect();
        if !changes.is_empty() {
            self.log().append(&changes, &request.by, None, self.waits())?;
            report.rejected.extend(ids);
        }
        Ok(())
    }

    /// Ends a trial that did not come to touch anything of this.
    fn let_go(&self, request: &Request) -> anyhow::Result<()> {
        if request.trial.is_none() {
            return Ok(());
        }
        let turn = Exclusive::take(self, Occasion::Asked, locks::PATIENCE)?;
        turn.system().with_machine(false, |machine| Ok(trial::let_go_of(SYSTEM, machine, &turn.locks)?))
    }

    /// A trial is over: what the log says is in effect, and what is in effect is kept for the next boot.
    pub(super) fn after_trial(&self, report: &mut Report) -> anyhow::Result<()> {
        let request = self.request(None);
        let pending = self.pending(&request, false)?;
        self.apply_evaluated(&request, pending, report)?;
        if allowed::any(&self.plan) && self.session.manager_to_ask().is_some() {
            evaluated::keep(&self.paths)?;
        }
        Ok(())
    }

    /// The differences that an apply would make, with `changes` recorded first.
    pub(super) fn dry_run_evaluated(
        &self,
        request: &Request,
        changes: &[Draft],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let Some(Pending { turn, observed, .. }) = self.pending(request, false)? else { return Ok(()) };
        let mut first = self.state()?.on_trial();
        first.extend_from_slice(changes);
        let wanted = self.wanted(&self.log().trying_again(), &first)?;
        let target = match evaluated::prepare(&self.plan, &self.paths, &wanted, request.build, &turn) {
            Ok(target) => target,
            Err(Unmade::Refused(why)) => {
                report.services.insert(SYSTEM.to_owned(), Outcome::Refused { reason: why.join("; ") });
                return Ok(());
            }
            Err(Unmade::Failed(error)) => return Err(error),
        };
        if !evaluated::is_in_effect(&observed, target.as_ref()) {
            report.differences = differences(observed.stand_in.as_ref(), target.as_ref());
            report.switched = evaluated::dry_run(&self.paths, &observed, target.as_ref(), &turn)?;
            report.services.insert(SYSTEM.to_owned(), Outcome::Applied);
        }
        Ok(())
    }

    /// Checks whether the fold of the log with `changes` could be put into effect: an error says why not. With `build`,
    /// Nix may build and download what that needs.
    pub(super) fn try_out(&self, changes: &[Draft], build: bool) -> anyhow::Result<Option<StandIn>> {
        let turn = self.evaluated_turn()?;
        let mut all = self.state()?.on_trial();
        all.extend_from_slice(changes);
        let wanted = self.wanted(&self.log(), &all)?;
        evaluated::prepare(&self.plan, &self.paths, &wanted, build, &turn).map_err(|unmade| match unmade {
            Unmade::Refused(why) => Refused(why.join("; ")).into(),
            Unmade::Failed(error) => error,
        })
    }

    /// The part of an activation: before systemd starts, what was kept takes effect. Everything else that is wanted
    /// takes effect after the system is up, or after the switch.
    pub(super) fn activate_evaluated(&self, request: &Request, report: &mut Report) -> anyhow::Result<()> {
        if !allowed::any(&self.plan) || self.session.is_elsewhere() {
            return Ok(());
        }
        let wanted = self.wanted(&self.log(), &[])?;
        if wanted.overrides.is_empty() {
            return Ok(());
        }
        let recall = self.session.recall(true)?;
        let activated = self.paths.activated();
        let system = activated.map_or_else(|| evaluated::running(&self.paths), |system| Ok(system.to_owned()))?;
        if request.occasion == Occasion::Boot {
            let is_all = evaluated::restore(&self.paths, &wanted, &system).unwrap_or_else(|error| {
                report.warnings.push(format!("{SYSTEM}: it starts as built: {}", messages::chain(&error)));
                false
            });
            if !is_all {
                recall.after_boot(&self.machine(&recall, &|_| ()))?;
            }
            return Ok(());
        }
        let background = Background {
            unit: format!("dynix-reapply-{}.service", std::process::id()),
            description: "Put options of no service into effect after a switch".to_owned(),
            command: recall.now(&["apply", SYSTEM, "--switched", system.as_str()]),
            deadline: REAPPLY,
        };
        Ok(background.start()?)
    }

    /// Waits until `system` is the running one; `false` if that does not happen.
    pub fn awaits_switch_to(&self, system: &Utf8Path) -> anyhow::Result<bool> {
        is_switched_to(system, &self.paths)
    }
}

/// The differences between two states of the system, without the texts that both have.
fn differences(from: Option<&StandIn>, to: Option<&StandIn>) -> Vec<Difference> {
    let of = |one: Option<&StandIn>| one.map(|one| one.about.differences.clone()).unwrap_or_default();
    let (old, new) = (of(from), of(to));
    let back = old.iter().filter(|one| !new.iter().any(|other| other.name == one.name));
    let back = back.map(|one| Difference { name: one.name.clone(), old: one.new.clone(), new: one.old.clone() });
    let on = new.iter().filter_map(|one| {
        let present = old.iter().find(|other| other.name == one.name).map_or(&one.old, |other| &other.new);
        (*present != one.new).then(|| Difference { old: present.clone(), ..one.clone() })
    });
    back.chain(on).collect()
}
