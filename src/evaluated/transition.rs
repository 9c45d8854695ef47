//! Switches between the running system and its stand-ins.
//!
//! NixOS's own switch-to-configuration does it ([`switching`]), and what does not come up goes back. Where only resource
//! properties of units differ ([`live`]), a reload of systemd is enough.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::stand_in::{self, StandIn};
use super::switching::{self, Switched, What};
use super::{Observed, Turn, kernel, live, running};
use crate::host::fs;
use crate::host::fs::lock;
use crate::host::fs::tree::{self, Node};
use crate::host::paths::Paths;
use crate::host::timings;

/// A file that says that a switch is under way, or was when the machine failed.
pub(super) const UNFINISHED: &str = "unfinished";

/// Writes that file.
pub(super) fn note_unfinished(paths: &Paths, directory: &Utf8Path) -> Result<(), fs::FileError> {
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
    use super::*;

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
}
