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
pub mod transition;
pub mod units;
pub mod wanted;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::attr_path::AttrPath;
use crate::host::evaluator::Evaluator;
use crate::host::fs;
use crate::host::fs::lock::{self, Lock, LockError, Patience};
use crate::host::paths::Paths;
use crate::host::process;
use crate::host::timings;
use crate::plan::{Plan, Verify, allowed};
use change_set::ChangeSet;
use evaluation::Asked;
use stand_in::{About, StandIn, Unmade};
use store::NixStore;
pub use transition::{SwitchResult, dry_run, switch};
use transition::{UNFINISHED, note_unfinished};
pub use wanted::Wanted;
use wanted::named;

/// The name of all options of no service, beside the names of services.
pub const SYSTEM: &str = "system";

/// Until an activation at a boot is given up.
const ACTIVATION: Duration = Duration::from_secs(120);

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
