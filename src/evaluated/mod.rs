//! Options of no service: puts the effects of a rebuild with their values into effect, without a rebuild.
//!
//! Takes the overrides of paths that `dynamicism.options` names and no service has. In order: one [`evaluation`] with
//! them gives the change set (`lib/evaluated`). The [`judge`] says whether it can be put into effect on the running
//! system. A [`stand_in`] for that system is made of it ([`units`], [`etc`], [`activation`]: pure; [`needs`]: what Nix
//! has to make for it, only texts and links). NixOS's own switch-to-configuration runs for the stand-in
//! ([`switching`]): it stops, starts, reloads and restarts the units that it would for a rebuild. /run/current-system
//! stays the real system. A rollback switches to the real system in the same way.
//!
//! With `dynamicism.verify = "complete"`, what else a rebuild would change because of the values of services is put into
//! effect in the same way and with the same stand-in ([`completion`]).
//!
//! The state is observed, not stored: /etc/static leads to the stand-in. A stand-in that works is kept below /var. At a
//! boot of the same system it takes effect before systemd starts, without an evaluation.

pub mod activation;
pub mod built;
pub mod change_set;
pub mod completion;
pub mod derivation;
pub mod etc;
pub mod evaluation;
pub mod judge;
pub mod kernel;
pub mod live;
pub mod needs;
pub mod show;
pub mod stand_in;
pub mod store;
pub mod switching;
pub mod units;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::host::digest;
use crate::host::evaluator::Evaluator;
use crate::host::fs;
use crate::host::fs::lock::{self, Lock, LockError, Patience};
use crate::host::fs::tree::{self, Node};
use crate::host::paths::Paths;
use crate::host::process;
use crate::host::timings;
use crate::overrides::Overlay;
use crate::plan::{Plan, Verify, allowed};
use crate::reconcile::desired::LeftOut;
use crate::verify::Values;
use change_set::ChangeSet;
use evaluation::Asked;
use stand_in::{About, StandIn, Unmade};
use store::NixStore;
use switching::{Switched, What};

/// The name of all options of no service, beside the names of services.
pub const SYSTEM: &str = "system";

/// Until an activation at a boot is given up.
const ACTIVATION: Duration = Duration::from_secs(120);

/// A file that says that a switch is under way, or was when the machine failed.
const UNFINISHED: &str = "unfinished";

/// Overrides to put into effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Path, value and record of each, in the order of paths.
    pub overrides: Vec<(AttrPath, Value, u64)>,
    /// The same of services' values whose other effects are wanted as well.
    pub completed: Vec<(AttrPath, Value, u64)>,
    /// All values of the services that have overrides, where [`Wanted::completed`] has some.
    pub effective: Values,
    /// Those of options that may not change.
    pub left_out: Vec<LeftOut>,
}

impl Wanted {
    /// Those of an overlay that are of no service.
    #[must_use]
    pub fn new(plan: &Plan, overlay: &Overlay) -> Self {
        let mut wanted = Self::default();
        if !allowed::any(plan) {
            return wanted;
        }
        let places = crate::plan::options::OptionIndex::new(plan);
        for (path, one) in overlay.leaves() {
            if places.find(&path).is_some() {
                continue;
            }
            match allowed::check(plan, &path) {
                Ok(()) => wanted.overrides.push((path, one.value.clone(), one.id)),
                Err(refusal) => wanted.left_out.push(LeftOut { path, id: one.id, reason: refusal.to_string() }),
            }
        }
        wanted
    }

    /// All overrides that are evaluated.
    pub fn all(&self) -> impl Iterator<Item = &(AttrPath, Value, u64)> {
        self.overrides.iter().chain(&self.completed)
    }

    /// Whether the system is to be as it is built.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overrides.is_empty() && self.completed.is_empty()
    }

    /// The same without the effects of services' values.
    #[must_use]
    pub fn without_completed(&self) -> Self {
        Self { completed: Vec::new(), effective: Values::new(), ..self.clone() }
    }

    /// Whether the overrides of no service are those of a stand-in, whatever it has of services' values.
    #[must_use]
    pub fn is_settled(&self, in_effect: Option<&StandIn>) -> bool {
        let values = in_effect.map(|one| one.about.values.as_slice()).unwrap_or_default();
        *values == named(&self.overrides)
    }

    /// Identifies these overrides. Recording the same values again makes no difference, unless their order changes.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut ranks: Vec<u64> = self.all().map(|(_, _, id)| *id).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let rank = |id: &u64| ranks.binary_search(id).unwrap_or_default();
        let said = |all: &[(AttrPath, Value, u64)]| {
            let all = all.iter().map(|(path, value, id)| (path.clone(), value.clone(), rank(id)));
            serde_json::to_string(&all.collect::<Vec<_>>()).unwrap_or_default()
        };
        let completed = if self.completed.is_empty() { String::new() } else { said(&self.completed) };
        digest::sha256((said(&self.overrides) + &completed).as_bytes())
    }
}

/// Paths and values as a stand-in has them.
fn named(overrides: &[(AttrPath, Value, u64)]) -> Vec<(String, Value)> {
    overrides.iter().map(|(path, value, _)| (path.to_string(), value.clone())).collect()
}

/// Whether anything of this system takes effect by an evaluation.
#[must_use]
pub fn is_used(plan: &Plan) -> bool {
    allowed::any(plan) || plan.verify == Verify::Complete
}

/// A lock: until it is dropped, nobody else evaluates or switches to a stand-in. It comes before the locks of a switch
/// and of an apply ([`crate::reconcile::locks`]). Neither of these is held during the switch to a stand-in:
/// switch-to-configuration takes its own.
#[derive(Debug)]
pub struct Turn {
    _lock: Lock,
}

impl Turn {
    /// Waits for it.
    pub fn take(paths: &Paths, patience: Patience<'_>, waiting: impl FnOnce(&str)) -> Result<Self, LockError> {
        Ok(Self { _lock: lock::acquire(&paths.evaluated_lock(), patience, waiting)? })
    }
}

/// The system that runs.
pub fn running(paths: &Paths) -> anyhow::Result<Utf8PathBuf> {
    let system = fs::read_link(&paths.current_system())?;
    system.map(Utf8PathBuf::from).with_context(|| format!("no system runs: there is no {}", paths.current_system()))
}

/// The observed state, and whether a switch stopped half-way.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The system that runs.
    pub system: Utf8PathBuf,
    /// The stand-in in effect, if there is one.
    pub stand_in: Option<StandIn>,
    /// Whether a switch to or from it did not come to its end.
    pub is_unfinished: bool,
}

/// Looks.
pub fn observe(paths: &Paths) -> anyhow::Result<Observed> {
    let system = running(paths)?;
    let stand_in = stand_in::in_effect(paths)?.filter(|one| one.about.system == system);
    let is_unfinished = fs::exists(&paths.evaluated().join(UNFINISHED))?;
    Ok(Observed { system, stand_in, is_unfinished })
}

/// What of the wanted overrides is in effect.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether an apply would change something.
    pub pending: bool,
    /// Whether all that is wanted is in effect.
    is_all: bool,
    /// What was wanted of what is in effect.
    values: Vec<(String, Value)>,
}

impl Standing {
    /// Whether a wanted value is in effect.
    #[must_use]
    pub fn has(&self, path: &AttrPath, value: &Value) -> bool {
        self.is_all || self.values.iter().any(|(one, said)| *one == path.to_string() && said == value)
    }

    /// Whether something else than what is built is in effect at one of these paths.
    #[must_use]
    pub fn has_any(&self, paths: &BTreeSet<AttrPath>) -> bool {
        self.values.iter().any(|(one, _)| paths.iter().any(|path| path.to_string() == *one))
    }
}

/// Compares what is wanted with what is in effect.
pub fn standing(paths: &Paths, wanted: &Wanted, observed: &Observed) -> anyhow::Result<Standing> {
    let known = known(paths, wanted)?;
    let pending = match &known {
        Some(known) => !is_in_effect(observed, Some(known).filter(|one| one.about.etc.is_some())),
        // What follows from values of services is found out in the background.
        None if !wanted.completed.is_empty() => !wanted.is_settled(observed.stand_in.as_ref()),
        None => !wanted.overrides.is_empty() || !is_in_effect(observed, None),
    };
    let values = observed.stand_in.as_ref().map(|one| one.about.values.clone()).unwrap_or_default();
    Ok(Standing { pending, is_all: known.is_some() && !pending, values })
}

/// The existing stand-in for the wanted overrides.
pub fn known(paths: &Paths, wanted: &Wanted) -> anyhow::Result<Option<StandIn>> {
    let (system, digest) = (running(paths)?, wanted.digest());
    let is_it = |one: &StandIn| one.about.digest == digest && one.about.system == system;
    Ok(stand_in::all(paths)?.into_iter().rev().find(is_it))
}

/// The stand-in for the wanted overrides: an existing one, or a new one. `None` if nothing is wanted, or if the result
/// is what is built.
pub fn prepare(
    plan: &Plan,
    paths: &Paths,
    wanted: &Wanted,
    build: bool,
    _turn: &Turn,
) -> Result<Option<StandIn>, Unmade> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let (system, digest) = (running(paths)?, wanted.digest());
    let evaluator = plan.evaluator.as_ref();
    let evaluator =
        evaluator.context("this system's plan has no evaluator (dynamicism.evaluator), which these options need")?;
    let store = NixStore::new(evaluator);
    let known = known(paths, wanted)?.filter(|one| stand_in::is_there(&store, one));
    let stand_in = if let Some(known) = known {
        known
    } else {
        let changes = change_set(plan, paths, wanted, (evaluator, &system))?;
        timings::mark("evaluation");
        if changes.system != system {
            // The overrides are not at fault.
            return Err(Unmade::Failed(anyhow::anyhow!(
                "the configuration is another one than was switched to, and would come into effect with it: run \
                 `nixos-rebuild switch` (or `test`) first"
            )));
        }
        let obstacles = judge::obstacles(&changes);
        if !obstacles.is_empty() {
            return Err(Unmade::Refused(obstacles));
        }
        let about = About {
            version: 1,
            system: system.to_string(),
            digest,
            values: named(&wanted.overrides),
            completed: named(&wanted.completed),
            etc: None,
            activation: std::collections::BTreeSet::new(),
            differences: Vec::new(),
            realised: Vec::new(),
            notes: changes.warnings.iter().map(|text| format!("a rebuild would warn: {text}")).collect(),
        };
        let made = stand_in::make(&changes, about, &store, build, paths)?;
        timings::mark("stand-in");
        made
    };
    Ok(Some(stand_in).filter(|one| one.about.etc.is_some()))
}

/// Evaluates, with what is kept of the system that runs.
fn change_set(
    plan: &Plan,
    paths: &Paths,
    wanted: &Wanted,
    (evaluator, system): (&Evaluator, &Utf8Path),
) -> Result<ChangeSet, Unmade> {
    let asked = Asked { evaluator, directory: paths.expressions(), system };
    let place = built::place(paths, system, evaluator);
    if let Some(kept) = built::find(&place) {
        let (changes, _) = evaluation::change_set(asked, plan, wanted, Some(kept))?;
        if changes.system == system {
            return Ok(changes);
        }
        // The configuration is another one, or what is kept is not of it: a whole evaluation knows.
        fs::remove(&place).map_err(anyhow::Error::from)?;
    }
    let (changes, side) = evaluation::change_set(asked, plan, wanted, None)?;
    if let Some(side) = side.filter(|_| changes.system == system) {
        built::keep(&place, &side)?;
    }
    Ok(changes)
}

/// Evaluates the system that runs without overrides, for the first evaluation with some; nothing if that was done.
pub fn keep_built(plan: &Plan, paths: &Paths, _turn: &Turn) -> anyhow::Result<()> {
    let (Some(evaluator), system) = (&plan.evaluator, running(paths)?) else { return Ok(()) };
    evaluation::warm_up(evaluator, paths.expressions());
    if built::find(&built::place(paths, &system, evaluator)).is_none() {
        change_set(plan, paths, &Wanted::default(), (evaluator, &system))?;
    }
    Ok(())
}

/// Whether it is in effect already.
#[must_use]
pub fn is_in_effect(observed: &Observed, target: Option<&StandIn>) -> bool {
    let made = |one: &StandIn| (one.about.etc.clone(), one.about.activation.clone());
    let is_same = match (&observed.stand_in, target) {
        (Some(now), Some(target)) => {
            // What runs parts of the activation script runs them again.
            now.directory == target.directory || made(now) == made(target) && target.about.activation.is_empty()
        }
        (now, target) => now.is_none() && target.is_none(),
    };
    !observed.is_unfinished && is_same
}

/// Keeps what is in effect for the next boot; nothing, if that is as built.
pub fn keep(paths: &Paths) -> anyhow::Result<()> {
    stand_in::keep(observe(paths)?.stand_in.as_ref(), paths)
}

/// Restores the kept stand-in of `system` before systemd starts, if it is the wanted one. Gives whether nothing is left
/// to do.
pub fn restore(paths: &Paths, wanted: &Wanted, system: &Utf8Path) -> anyhow::Result<bool> {
    let Some(kept) = stand_in::kept(paths)?.filter(|one| one.about.system == system) else { return Ok(false) };
    if kept.about.digest != wanted.digest() {
        return Ok(false);
    }
    let restored = stand_in::restore(&kept, paths)?;
    let directory = stand_in::ready(None, Some(&restored), system, paths)?;
    kernel::note(paths, &system.join("etc"), &directory.join("etc"))?;
    let output = process::run(&[directory.join("activate").to_string()], ACTIVATION)?;
    if !output.status.success() {
        bail!("the activation of what was kept failed: {}", output.words())
    }
    // Parts of the system's own activation may come later, and undo those that differ.
    if restored.about.activation.is_empty() {
        return Ok(true);
    }
    note_unfinished(paths, &directory)?;
    Ok(false)
}

fn note_unfinished(paths: &Paths, directory: &Utf8Path) -> Result<(), fs::FileError> {
    let file = paths.evaluated().join(UNFINISHED);
    fs::atomic::write(&file, directory.as_str().as_bytes(), 0o644, fs::atomic::Durability::Volatile)
}

/// The result of a switch.
#[derive(Clone, Debug)]
pub enum SwitchResult {
    /// It is in effect.
    Done(Vec<String>),
    /// Units did not come up, or a check refused it, and what was before is in effect (again).
    WentBack(String),
    /// Units did not come up, and going back failed too.
    Stuck(String),
}

/// Switches to `target`, a stand-in for the running system or that system itself. It rolls back if units do not come
/// up.
pub fn switch(
    paths: &Paths,
    observed: &Observed,
    target: Option<&StandIn>,
    _turn: &Turn,
) -> anyhow::Result<SwitchResult> {
    if let Some(units) = live_units(observed, target)? {
        return go_live(paths, observed, target, &units);
    }
    let before = switching::failing_units()?;
    // The system itself was checked when it was switched to. The way back to it is never barred.
    let gone = go(paths, observed, observed.stand_in.as_ref(), target, target.is_some())?;
    timings::mark("switch");
    let Err(reason) = verdict(&gone, &before) else { return Ok(SwitchResult::Done(gone.said)) };
    if gone.is_refused {
        return Ok(SwitchResult::WentBack(reason));
    }
    let back = go(paths, observed, target, observed.stand_in.as_ref(), false);
    let back = back.and_then(|gone| verdict(&gone, &before).map_err(anyhow::Error::msg));
    Ok(match back {
        Ok(()) => SwitchResult::WentBack(reason),
        Err(error) => SwitchResult::Stuck(format!("{reason}; going back: {error:#}")),
    })
}

/// The output of a dry run of switch-to-configuration.
pub fn dry_run(
    paths: &Paths,
    observed: &Observed,
    target: Option<&StandIn>,
    _turn: &Turn,
) -> anyhow::Result<Vec<String>> {
    if let Some(units) = live_units(observed, target)? {
        return Ok(vec![format!("would change, without a restart, the following units: {}", named_units(&units))]);
    }
    let directory = stand_in::ready(observed.stand_in.as_ref(), target, &observed.system, paths)?;
    Ok(switching::run(&directory, What::DryActivate, target.is_some(), &|| Ok(()))?.said)
}

/// The units that change, if a reload of systemd is all that the switch to `target` takes.
fn live_units(observed: &Observed, target: Option<&StandIn>) -> anyhow::Result<Option<BTreeSet<String>>> {
    let runs_parts = |one: &StandIn| !one.about.activation.is_empty();
    if observed.is_unfinished || observed.stand_in.as_ref().is_some_and(runs_parts) || target.is_some_and(runs_parts) {
        return Ok(None);
    }
    let (from, to) = (etc_of(observed.stand_in.as_ref(), &observed.system)?, etc_of(target, &observed.system)?);
    if !live::is_of_units(&tree::read(&from)?, &tree::read(&to)?) {
        return Ok(None);
    }
    let (from, to) = (tree::read(&from.join(live::UNITS))?, tree::read(&to.join(live::UNITS))?);
    let units = live::changed(&from, &to, &|node| match node {
        Node::File { bytes, .. } => String::from_utf8(bytes.clone()).ok(),
        Node::Link(target) => {
            let target = Utf8Path::new(target);
            let bytes = target.is_absolute().then(|| fs::read_limited(target, fs::OWN).ok()).flatten()??;
            String::from_utf8(bytes).ok()
        }
    });
    Ok(units.filter(|units| !units.is_empty()))
}

/// What /etc/static leads to with a stand-in, or with the system itself.
fn etc_of(stand_in: Option<&StandIn>, system: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
    match stand_in.and_then(|one| one.about.etc.as_ref()) {
        Some(etc) => Ok(etc.into()),
        None => Ok(fs::read_link(&system.join("etc"))?.context("the system has no /etc")?.into()),
    }
}

/// Puts files of units into effect that need no restart.
fn go_live(
    paths: &Paths,
    observed: &Observed,
    target: Option<&StandIn>,
    units: &BTreeSet<String>,
) -> anyhow::Result<SwitchResult> {
    let _switch = lock::acquire(&paths.switch_lock(), switching::PATIENCE, |_| ())?;
    if running(paths)? != observed.system {
        bail!("the system was switched meanwhile, and nothing was done: run `dynix apply`")
    }
    // The way back to the system itself is never barred.
    if let Some(target) = target
        && let Some(refusal) = switching::refused_before(&observed.system, target)?
    {
        return Ok(SwitchResult::WentBack(complaint(&refusal)));
    }
    let to = etc_of(target, &observed.system)?;
    note_unfinished(paths, &to)?;
    let go = |etc: &Utf8Path| -> anyhow::Result<()> {
        fs::atomic::link(&paths.etc_static(), etc.as_str())?;
        switching::reload_systemd()
    };
    if let Err(error) = go(&to) {
        let reason = format!("{error:#}");
        return Ok(match go(&etc_of(observed.stand_in.as_ref(), &observed.system)?) {
            Ok(()) => {
                fs::remove(&paths.evaluated().join(UNFINISHED))?;
                SwitchResult::WentBack(reason)
            }
            Err(error) => SwitchResult::Stuck(format!("{reason}; going back: {error:#}")),
        });
    }
    fs::remove(&paths.evaluated().join(UNFINISHED))?;
    timings::mark("switch");
    Ok(SwitchResult::Done(vec![format!("changing, without a restart, the following units: {}", named_units(units))]))
}

fn named_units(units: &BTreeSet<String>) -> String {
    units.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn go(
    paths: &Paths,
    observed: &Observed,
    from: Option<&StandIn>,
    to: Option<&StandIn>,
    is_checked: bool,
) -> anyhow::Result<Switched> {
    let directory = stand_in::ready(from, to, &observed.system, paths)?;
    let unfinished = paths.evaluated().join(UNFINISHED);
    let is_same = || {
        if running(paths)? == observed.system {
            Ok(())
        } else {
            bail!("the system was switched meanwhile, and nothing was done: run `dynix apply`")
        }
    };
    is_same()?;
    note_unfinished(paths, &directory)?;
    kernel::note(paths, &observed.system.join("etc"), &directory.join("etc"))?;
    let mut switched = switching::run(&directory, What::Test, is_checked, &is_same)?;
    switched.said.extend(kernel::give_back(paths, &directory.join("etc"))?);
    fs::remove(&unfinished)?;
    Ok(switched)
}

/// The verdict on a switch.
fn verdict(gone: &Switched, before: &[String]) -> Result<(), String> {
    if gone.is_well {
        return Ok(());
    }
    judged(gone, before, &switching::failed_units().map_err(|error| format!("{error:#}"))?)
}

/// Units that had failed before are not its fault: switch-to-configuration names all that are in a failed state.
fn judged(gone: &Switched, before: &[String], after: &[String]) -> Result<(), String> {
    let is_new = |unit: &&String| !before.contains(unit) && !switching::is_own(unit);
    let new: Vec<&str> = after.iter().filter(is_new).map(String::as_str).collect();
    if !new.is_empty() {
        return Err(format!("{} failed", new.join(", ")));
    }
    match &gone.failed {
        Some(failed) if !failed.is_empty() && failed.iter().all(|unit| before.contains(unit)) => Ok(()),
        _ => Err(complaint(&gone.said)),
    }
}

/// The errors in the output of switch-to-configuration. It also shows the status of each unit that failed, which is
/// left out.
fn complaint(said: &[String]) -> String {
    const FAILED: [&str; 3] = ["the following units failed: ", "error", "pre-switch check '"];
    let is_one = |line: &&String| FAILED.iter().any(|words| line.to_lowercase().contains(words));
    let found: Vec<&str> =
        said.iter().filter(is_one).map(|line| line.trim_start_matches("warning: ")).take(4).collect();
    if found.is_empty() { said.last().cloned().unwrap_or_default() } else { found.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(overrides: &[(&str, Value, u64)]) -> Wanted {
        let overrides = overrides.iter().map(|(path, value, id)| (AttrPath::parse(path).unwrap(), value.clone(), *id));
        Wanted { overrides: overrides.collect(), ..Wanted::default() }
    }

    #[test]
    fn a_digest_tells_values_and_their_order() {
        let one = wanted(&[("a.b", json!(1), 3), ("c", json!(2), 7)]);
        assert_eq!(one.digest(), wanted(&[("a.b", json!(1), 30), ("c", json!(2), 70)]).digest());
        assert_ne!(one.digest(), wanted(&[("a.b", json!(1), 7), ("c", json!(2), 3)]).digest());
        assert_ne!(one.digest(), wanted(&[("a.b", json!(2), 3), ("c", json!(2), 7)]).digest());
        let completed = |ids: &[u64; 2]| {
            let all = wanted(&[("a.b", json!(1), ids[0]), ("c", json!(2), ids[1])]);
            let (own, of_a_service) = all.overrides.split_at(1);
            Wanted { overrides: own.to_vec(), completed: of_a_service.to_vec(), ..Wanted::default() }
        };
        assert_eq!(completed(&[3, 7]).digest(), completed(&[4, 9]).digest());
        assert_ne!(completed(&[3, 7]).digest(), completed(&[7, 3]).digest());
        assert_ne!(completed(&[3, 7]).digest(), one.digest());
        assert_eq!(completed(&[3, 7]).without_completed().digest(), wanted(&[("a.b", json!(1), 3)]).digest());
    }

    #[test]
    fn what_went_wrong_is_told_without_the_status_of_units() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let said =
            lines("activating...\nwarning: the following units failed: a.service\n* a.service - A\n  Loaded: loaded");
        assert_eq!(complaint(&said), "the following units failed: a.service");
        let said =
            lines("Checking switch inhibitors... done\nPre-switch check 'disk' failed\nPre-switch checks failed");
        assert_eq!(complaint(&said), "Pre-switch check 'disk' failed");
        assert_eq!(complaint(&lines("one\ntwo")), "two");
        assert_eq!(complaint(&[]), "");
    }

    #[test]
    fn units_that_had_failed_before_are_not_its_fault() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let gone = |failed: Option<&[&str]>| Switched {
            is_well: false,
            failed: failed.map(names),
            is_refused: false,
            said: names(&["warning: something"]),
        };
        let (old, both) = (names(&["old.service"]), names(&["new.service", "old.service"]));
        assert_eq!(judged(&gone(Some(&["old.service"])), &old, &old), Ok(()));
        // The unit that switch-to-configuration ran in ends with its exit code.
        let own = names(&["dynix-switch-7.service", "old.service"]);
        assert_eq!(judged(&gone(Some(&["old.service"])), &old, &own), Ok(()));
        // One that is started over and over is in no failed state just then.
        assert_eq!(judged(&gone(Some(&["old.service"])), &old, &[]), Ok(()));
        assert_eq!(judged(&gone(Some(&["new.service", "old.service"])), &old, &both), Err("new.service failed".into()));
        let complaint = Err("warning: something".to_owned());
        assert_eq!(judged(&gone(Some(&["new.service"])), &old, &old), complaint);
        // More is wrong than units.
        assert_eq!(judged(&gone(Some(&[])), &old, &old), complaint);
        assert_eq!(judged(&gone(None), &old, &old), complaint);
    }

    #[test]
    fn overrides_are_told_apart_from_those_of_services() {
        let plan: Plan =
            serde_json::from_value(json!({"version": 1, "options": ["networking"], "services": {}})).unwrap();
        let mut overlay = Overlay::default();
        overlay.put(&["networking", "domain"], json!("x"), 1);
        overlay.put(&["other"], json!("x"), 2);
        let wanted = Wanted::new(&plan, &overlay);
        assert_eq!(wanted.overrides, [(AttrPath::parse("networking.domain").unwrap(), json!("x"), 1)]);
        assert_eq!(wanted.left_out[0].id, 2);
        let none: Plan = serde_json::from_value(json!({"version": 1, "services": {}})).unwrap();
        assert_eq!(Wanted::new(&none, &overlay), Wanted::default());
    }
}
