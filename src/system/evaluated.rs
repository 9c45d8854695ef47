//! Options of no service: puts their overrides into effect besides the services, or shows what that would do.
//!
//! Services come first, because they take milliseconds. If the changes of a rebuild can't be put into effect, none of
//! them is, and the records are rejected with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use camino::Utf8Path;

use super::exclusive::Exclusive;
use super::verify::is_switched_to;
use super::{Refused, System};
use crate::attr_path::AttrPath;
use crate::evaluated::stand_in::{StandIn, Unmade};
use crate::evaluated::{self, Observed, SYSTEM, Standing, Turn, Wanted};
use crate::host::fs::lock::{self, Patience};
use crate::host::messages;
use crate::host::systemd::background::Background;
use crate::overrides::{Draft, Kind, Layer, LogError, LogFile};
use crate::plan::options::OptionIndex;
use crate::plan::{Plan, allowed};
use crate::reconcile::report::{Difference, Outcome, Report};
use crate::reconcile::state::State;
use crate::reconcile::trial::{self, Which, confirmation};
use crate::reconcile::{Occasion, Request, links, locks};

/// Until what is put into effect again after a switch is given up.
const REAPPLY: Duration = Duration::from_secs(60 * 60);

/// The work of an apply besides its services.
pub(super) struct Pending {
    pub turn: Turn,
    pub wanted: Wanted,
    pub observed: Observed,
}

impl Pending {
    /// Whether anything is to change.
    pub fn is_any(&self) -> bool {
        let is_known = self.observed.stand_in.as_ref().map(|one| one.about.digest.clone())
            == (!self.wanted.is_empty()).then(|| self.wanted.digest());
        !is_known || self.observed.is_unfinished
    }
}

/// The services that have to go back because of what was of no service.
#[derive(Default)]
struct Back {
    /// Those whose values led to it.
    of_values: BTreeSet<String>,
    /// Those of which layers say something that were rejected for it.
    of_layers: BTreeSet<String>,
}

/// Whether an apply is about options of no service.
fn is_concerned(plan: &Plan, request: &Request) -> bool {
    let is_asked = request.services.as_ref().map_or(allowed::any(plan), |services| services.contains(SYSTEM));
    let occasion = match request.occasion {
        Occasion::Asked | Occasion::Reset | Occasion::Retry => is_asked,
        Occasion::Expiry => allowed::any(plan),
        Occasion::AfterBoot => true,
        Occasion::Boot | Occasion::Switch { .. } => false,
    };
    evaluated::is_used(plan) && occasion
}

/// Whether an apply evaluates what follows from values of services. Others leave it to the background.
fn completes(request: &Request) -> bool {
    let is_named = request.services.as_ref().is_some_and(|services| services.contains(SYSTEM));
    is_named || request.occasion == Occasion::AfterBoot
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

    /// What is wanted in the present state of the log and of a trial.
    pub(super) fn wanted_now(&self, request: &Request) -> anyhow::Result<Wanted> {
        self.wanted(&self.log(), &preview(&self.state()?, request.trial.as_ref()))
    }

    /// Puts into effect what is of no service, after the services had theirs.
    pub(super) fn apply_rest(
        &self,
        request: &Request,
        pending: Option<Pending>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        if pending.is_none() {
            return self.follow(request, report);
        }
        if let Some(why) = self.apply_evaluated(request, pending, report)? {
            report.warnings.push(format!("what follows from the values of services is not in effect: {why}"));
        }
        Ok(())
    }

    /// What of the overrides of no service is in effect.
    pub(super) fn standing(&self) -> anyhow::Result<Standing> {
        if !evaluated::is_used(&self.plan) || self.session.manager_to_ask().is_none() {
            return Ok(Standing::default());
        }
        let wanted = self.wanted(&self.log(), &self.state()?.on_trial())?;
        evaluated::standing(&self.paths, &wanted, &evaluated::observe(&self.paths)?)
    }

    pub(super) fn evaluated_turn(&self) -> anyhow::Result<Turn> {
        let is_over = || self.session.is_ending();
        Ok(Turn::take(&self.paths, Patience::until(locks::PATIENCE, &is_over), self.waits())?)
    }

    /// Waits until no switch is under way: it makes the configuration that is evaluated the one that runs.
    fn outlast_switch(&self) -> anyhow::Result<()> {
        let is_over = || self.session.is_ending();
        let patience = Patience::until(locks::PATIENCE, &is_over);
        lock::acquire(&self.paths.switch_lock(), patience, self.waits())?;
        Ok(())
    }

    /// Puts into effect what is wanted. Gives why what follows from values of services is not, if that is so.
    pub(super) fn apply_evaluated(
        &self,
        request: &Request,
        pending: Option<Pending>,
        report: &mut Report,
    ) -> anyhow::Result<Option<String>> {
        let Some(Pending { turn, observed: before, .. }) = pending else { return Ok(None) };
        self.outlast_switch()?;
        // The apply of the services may have recorded something.
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
            return Ok(None);
        }
        let mut wanted = system.wanted_now(request)?;
        if request.services.is_some() {
            report.left_out.extend(wanted.left_out.iter().cloned());
        }
        let observed = evaluated::observe(&system.paths)?;
        if observed.system != before.system {
            report.warnings.push("the system was switched meanwhile; what is recorded is for the new one".to_owned());
        }
        if wanted.is_settled(observed.stand_in.as_ref())
            && !wanted.completed.is_empty()
            && !completes(request)
            && evaluated::known(&system.paths, &wanted)?.is_none()
        {
            system.let_go(request)?;
            return Ok(None);
        }
        let (target, left) = match system.prepare(&mut wanted, request, &turn) {
            Ok(prepared) => prepared,
            Err(unmade) => {
                let outcome = match unmade {
                    Unmade::Refused(why) => {
                        let reason = why.join("; ");
                        let back = system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                        system.take_layers_back(back.of_layers, report)?;
                        Outcome::Refused { reason }
                    }
                    Unmade::Failed(error) => {
                        report.interrupted |= self.session.interrupted().is_some();
                        Outcome::Failed { reason: messages::chain(&error) }
                    }
                };
                report.services.insert(SYSTEM.to_owned(), outcome);
                system.let_go(request)?;
                return Ok(None);
            }
        };
        if evaluated::is_in_effect(&observed, target.as_ref()) {
            system.let_go(request)?;
            return Ok(left);
        }
        if let Some(start) = &request.trial {
            let turn = Exclusive::take(system, Occasion::Asked, locks::PATIENCE)?;
            report.awaiting = Some(turn.system().with_machine(false, |machine| {
                Ok(trial::begin_for(SYSTEM, start, &request.by, machine, &turn.locks)?)
            })?);
        }
        report.warnings.extend(target.iter().flat_map(|one| one.about.notes.iter().cloned()));
        let mut back = Back::default();
        let switched = evaluated::switch(&system.paths, &observed, target.as_ref(), &turn);
        system.restore_links(report);
        let outcome = match switched {
            Ok(evaluated::SwitchResult::Done(said)) => {
                report.switched = said;
                report.differences = differences(observed.stand_in.as_ref(), target.as_ref());
                Outcome::Applied
            }
            Ok(evaluated::SwitchResult::WentBack(reason)) => {
                back = system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                Outcome::RolledBack { reason }
            }
            Ok(evaluated::SwitchResult::Stuck(reason)) => {
                back = system.reject_evaluated((&wanted, &observed), &reason, request, report)?;
                Outcome::RollbackFailed { reason }
            }
            Err(error) => Outcome::Failed { reason: messages::chain(&error) },
        };
        if outcome != Outcome::Applied {
            report.awaiting = None;
            system.let_go(request)?;
        }
        report.services.insert(SYSTEM.to_owned(), outcome);
        if !back.of_values.is_empty() {
            system.take_services_back(&back.of_values, report)?;
        }
        system.take_layers_back(back.of_layers, report)?;
        if request.trial.is_none() && system.state()?.trial.is_none() {
            evaluated::keep(&system.paths)?;
        }
        let now = evaluated::observe(&system.paths)?;
        evaluated::stand_in::prune(now.stand_in.as_ref(), now.system.as_str(), &system.paths)?;
        Ok(left)
    }

    /// Prepares what is wanted. If what follows from values of services can't be put into effect, the rest is, and the
    /// reason is given.
    fn prepare(
        &self,
        wanted: &mut Wanted,
        request: &Request,
        turn: &Turn,
    ) -> Result<(Option<StandIn>, Option<String>), Unmade> {
        let prepare = |wanted: &Wanted| evaluated::prepare(&self.plan, &self.paths, wanted, request.build, turn);
        match prepare(wanted) {
            Ok(target) => Ok((target, None)),
            Err(unmade) if wanted.completed.is_empty() => Err(unmade),
            Err(unmade) => {
                *wanted = wanted.without_completed();
                Ok((prepare(wanted)?, Some(unmade.to_string())))
            }
        }
    }

    /// The services whose values led to a change that did not work go back, too: their records are rejected.
    fn take_services_back(&self, services: &BTreeSet<String>, report: &mut Report) -> anyhow::Result<()> {
        let by = self.session.user();
        if let Some(trial) = self.state()?.trial.filter(|trial| !trial.is_overdue()) {
            let again = self.revert(Which::Of(&trial.timer), "what follows from it did not work", &by)?;
            report.services.extend(again.services);
            return Ok(());
        }
        self.apply_again(services.clone(), by, report)
    }

    /// The services of layers that were rejected have what they had before those.
    fn take_layers_back(&self, services: BTreeSet<String>, report: &mut Report) -> anyhow::Result<()> {
        if services.is_empty() { Ok(()) } else { self.apply_again(services, self.session.user(), report) }
    }

    fn apply_again(&self, services: BTreeSet<String>, by: String, report: &mut Report) -> anyhow::Result<()> {
        let request = Request { services: Some(services), by, follows: true, ..Request::default() };
        let again = self.apply_services(&request, false)?;
        report.actions.extend(again.actions);
        report.warnings.extend(again.warnings);
        report.services.extend(again.services);
        Ok(())
    }

    /// Rejects the records of what was not in effect before. Those of a trial are rejected already. Gives the services
    /// that have to go back for it.
    fn reject_evaluated(
        &self,
        (wanted, observed): (&Wanted, &Observed),
        reason: &str,
        request: &Request,
        report: &mut Report,
    ) -> anyhow::Result<Back> {
        if request.trial.is_some() {
            return Ok(Back::default());
        }
        let had = observed.stand_in.as_ref().map(|one| (&one.about.values, &one.about.completed));
        let had: Vec<&(String, serde_json::Value)> =
            had.into_iter().flat_map(|(values, completed)| values.iter().chain(completed)).collect();
        let is_new = |path: &str, value: &serde_json::Value| !had.iter().any(|(one, old)| one == path && old == value);
        let mut ids: BTreeSet<u64> = BTreeSet::new();
        let mut services = BTreeSet::new();
        let places = OptionIndex::new(&self.plan);
        for (path, _, id) in wanted.all().filter(|(path, value, _)| is_new(&path.to_string(), value)) {
            ids.insert(*id);
            services.extend(places.find(path).map(|place| place.service_name.to_owned()));
        }
        let gone = had.iter().filter(|(path, _)| !wanted.all().any(|(one, ..)| one.to_string() == *path));
        let gone: BTreeSet<AttrPath> = gone.filter_map(|(path, _)| AttrPath::parse(path).ok()).collect();
        let log = self.log();
        if !gone.is_empty() {
            ids.extend(taking_away(&log, &gone)?);
        }
        if let Some(trial) = self.state()?.trial {
            ids.retain(|id| !trial.marks.iter().any(|mark| mark.record == *id));
        }
        let changes: Vec<Draft> = ids.iter().map(|id| Draft::Reject { id: *id, reason: reason.to_owned() }).collect();
        let of_layers = self.services_of_layers(&log, &ids)?;
        if !changes.is_empty() {
            log.append(&changes, &request.by, None, self.waits())?;
            report.rejected.extend(ids);
        }
        Ok(Back { of_values: services, of_layers })
    }

    /// The services of which these records, as far as they are layers, or the layers before them say something.
    fn services_of_layers(&self, log: &LogFile, ids: &BTreeSet<u64>) -> anyhow::Result<BTreeSet<String>> {
        let mut said: BTreeMap<String, Layer> = BTreeMap::new();
        let mut paths: BTreeSet<AttrPath> = BTreeSet::new();
        log.each(|record, fate| {
            if let Kind::Layer(layer) = record.kind {
                let is_rejected = ids.contains(&record.id);
                let before = said.get(&layer.source).filter(|_| is_rejected);
                let both = before.into_iter().chain(is_rejected.then_some(&layer));
                paths.extend(both.flat_map(|one| one.values.iter().map(|(path, _)| path.clone())));
                if fate.counts {
                    said.insert(layer.source.clone(), layer);
                }
            }
            ControlFlow::Continue(())
        })?;
        let places = OptionIndex::new(&self.plan);
        Ok(paths.iter().filter_map(|path| Some(places.find(path)?.service_name.to_owned())).collect())
    }

    /// Whether layers that an apply rejected say, or took away, something of no service.
    pub(super) fn rejected_a_layer(&self, report: &Report) -> anyhow::Result<bool> {
        if report.rejected.is_empty() || !allowed::any(&self.plan) {
            return Ok(false);
        }
        let (mut spoken, mut is_rejected) = (BTreeSet::new(), false);
        self.log().each(|record, _| {
            if let Kind::Layer(layer) = record.kind {
                if layer.values.iter().any(|(path, _)| allowed::is_evaluated(&self.plan, path)) {
                    spoken.insert(layer.source.clone());
                }
                is_rejected |= report.rejected.contains(&record.id) && spoken.contains(&layer.source);
            }
            ControlFlow::Continue(())
        })?;
        Ok(is_rejected)
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
        self.apply_rest(&request, pending, report)?;
        if evaluated::is_used(&self.plan) && self.session.manager_to_ask().is_some() {
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
        let mut wanted = self.wanted(&self.log().trying_again(), &first)?;
        let target = match self.prepare(&mut wanted, request, &turn) {
            Ok((target, _)) => target,
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
        self.outlast_switch()?;
        let switched = self.session.open_if_switched(&self.paths)?;
        let system = switched.as_ref().unwrap_or(self);
        let mut all = system.state()?.on_trial();
        all.extend_from_slice(changes);
        let mut wanted = system.wanted(&system.log(), &all)?;
        let request = Request { build, ..Request::default() };
        system.prepare(&mut wanted, &request, &turn).map(|(target, _)| target).map_err(|unmade| match unmade {
            Unmade::Refused(why) => Refused(why.join("; ")).into(),
            Unmade::Failed(error) => error,
        })
    }

    /// NixOS's activation has set the links under /etc to what was built: those of services lead to their files again.
    fn restore_links(&self, report: &mut Report) {
        let restored = links::restore(&self.plan, &self.paths);
        report.warnings.extend(restored.err().map(|error| error.to_string()));
    }

    /// The part of an activation: before systemd starts, what was kept takes effect. Everything else that is wanted
    /// takes effect after the system is up, or after the switch.
    pub(super) fn activate_evaluated(&self, request: &Request, report: &mut Report) -> anyhow::Result<()> {
        if self.session.is_elsewhere() {
            return Ok(());
        }
        let activated = self.paths.activated();
        let system = || activated.map_or_else(|| evaluated::running(&self.paths), |system| Ok(system.to_owned()));
        if request.occasion != Occasion::Boot {
            // What was in effect is not any more, and the switch goes on without it.
            report.warnings.extend(evaluated::kernel::give_back(&self.paths, &system()?.join("etc"))?);
        }
        if !evaluated::is_used(&self.plan) {
            return Ok(());
        }
        let wanted = self.wanted(&self.log(), &[])?;
        // After a switch, what follows from values of services is found out with their verification.
        if wanted.is_empty() || request.occasion != Occasion::Boot && wanted.overrides.is_empty() {
            return Ok(());
        }
        let recall = self.session.recall(true)?;
        let system = system()?;
        if request.occasion == Occasion::Boot {
            let is_all = evaluated::restore(&self.paths, &wanted, &system).unwrap_or_else(|error| {
                report.warnings.push(format!("{SYSTEM}: it starts as built: {}", messages::chain(&error)));
                false
            });
            self.restore_links(report);
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

    /// Evaluates what is built in advance, once for each system: the first change does not have to.
    pub(super) fn keep_built(&self) -> anyhow::Result<()> {
        if !evaluated::is_used(&self.plan) || self.session.manager_to_ask().is_none() {
            return Ok(());
        }
        evaluated::keep_built(&self.plan, &self.paths, &self.evaluated_turn()?)
    }

    /// Waits until `system` is the running one; `false` if that does not happen.
    pub fn awaits_switch_to(&self, system: &Utf8Path) -> anyhow::Result<bool> {
        is_switched_to(system, &self.paths)
    }
}

/// The newest layers of sources that do not say something any more that they said before.
fn taking_away(log: &LogFile, gone: &BTreeSet<AttrPath>) -> Result<Vec<u64>, LogError> {
    let mut newest: BTreeMap<String, (u64, bool)> = BTreeMap::new();
    log.each(|record, fate| {
        if let (Kind::Layer(layer), true) = (record.kind, fate.counts) {
            let says = layer.values.iter().any(|(path, _)| gone.contains(path));
            let said = newest.get(&layer.source).is_some_and(|(_, said)| *said);
            newest.insert(layer.source, (record.id, says || said));
        }
        ControlFlow::Continue(())
    })?;
    Ok(newest.into_values().filter(|(_, said)| *said).map(|(id, _)| id).collect())
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
