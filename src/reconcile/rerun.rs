//! Runs dynix again later, by a timer: for changes that expire, and for trials that nobody confirmed.

use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::execution::Machine;
use super::state::{Alarm, State};
use crate::host::fs::{self, FileError, atomic};
use crate::host::paths::Paths;
use crate::host::systemd::{ManagerError, Timer, When, hardening};
use crate::host::templates::{self, TemplateError};

/// The units that a system about to boot finds.
const AT_BOOT: &str = "dynix-expiry";
/// The unit that retries what failed before the boot. On a running system, the names end in a number.
const RETRY: &str = "dynix-retry";
/// The service that tries what was postponed; there only between a boot and that.
const AFTER_BOOT: &str = "dynix-after-boot.service";

/// No timer is set for an end that is farther off: the years of systemd's calendar end at 2199.
const FARTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A way to run dynix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rerun {
    /// Program and the options of every command.
    pub command: Vec<String>,
    /// The same with the very program that runs, for what is run at once: the system's own may be another one by then.
    pub at_once: Vec<String>,
    /// Whether systemd is yet to start on this very system: unit files are written for it.
    pub before_boot: bool,
}

impl Rerun {
    pub(super) fn with(&self, words: &[&str]) -> Vec<String> {
        self.command.iter().cloned().chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    /// A command that runs dynix with `words` at once.
    #[must_use]
    pub fn now(&self, words: &[&str]) -> Vec<String> {
        self.at_once.iter().cloned().chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    /// Lets the system that is about to boot try what was postponed, once it is up. On another tree nothing boots.
    pub fn after_boot(&self, machine: &Machine<'_>) -> Result<(), AlarmError> {
        #[derive(Serialize)]
        struct Context<'c> {
            description: &'c str,
            program: &'c str,
            arguments: &'c [String],
            hardening: Vec<String>,
        }
        if !self.before_boot {
            return Ok(());
        }
        let command = self.with(&["apply", "--after-boot"]);
        let (program, arguments) = command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let description = "Tries values that are not known to work";
        let context = Context { description, program, arguments, hardening: hardening::lines() };
        let text = templates::unit(include_str!("../../templates/after-boot.service"), &context)?;
        let directory = machine.paths.runtime_units();
        atomic::write(&directory.join(AFTER_BOOT), text.as_bytes(), 0o644, atomic::Durability::Volatile)?;
        let wants = directory.join("multi-user.target.wants");
        fs::create_dir(&wants)?;
        Ok(atomic::link(&wants.join(AFTER_BOOT), &format!("../{AFTER_BOOT}"))?)
    }

    /// A timer that runs dynix with `words`.
    #[must_use]
    pub fn timer(&self, name: String, description: &str, when: Vec<When>, words: &[&str]) -> Timer {
        let (description, command) = (description.to_owned(), self.with(words));
        Timer { name, description, when, command }
    }
}

/// Notes that nothing is left to be tried after the boot.
pub(super) fn is_tried(machine: &Machine<'_>) -> Result<(), FileError> {
    let directory = machine.paths.runtime_units();
    fs::remove(&directory.join("multi-user.target.wants").join(AFTER_BOOT))?;
    fs::remove(&directory.join(AFTER_BOOT))?;
    Ok(())
}

/// Removes the timer of a retry from before the boot, if this process is that retry. Otherwise the next start of
/// timers.target (a switch does that) would start the timer again, and apply what was only recorded by then.
pub(super) fn is_retried(machine: &Machine<'_>) -> Result<(), FileError> {
    let process = machine.manager.and_then(|manager| manager.main_process(&format!("{RETRY}.service")));
    if process == Some(std::process::id()) { remove(RETRY, machine) } else { Ok(()) }
}

/// The names of the units that run dynix later.
#[must_use]
pub fn names() -> Vec<String> {
    let kinds = ["after-boot", "confirm", "expiry", "retry", "secrets", "verify", "watch"];
    kinds.iter().map(|kind| format!("dynix-{kind}")).collect()
}

/// Removes the units that a boot left for systemd to find.
pub fn remove_units(machine: &Machine<'_>) -> Result<(), FileError> {
    let directory = machine.paths.runtime_units();
    for directory in wants(&directory).iter().chain([&directory]) {
        for file in ours(directory)? {
            fs::remove(&directory.join(file))?;
        }
    }
    Ok(())
}

/// The units that a boot left for systemd to start.
pub fn units_to_start(paths: &Paths) -> Result<Vec<String>, FileError> {
    let wanted = wants(&paths.runtime_units()).iter().map(|wants| ours(wants)).collect::<Result<Vec<_>, _>>()?;
    Ok(wanted.concat())
}

/// The directories of links to what targets want.
fn wants(directory: &Utf8Path) -> [Utf8PathBuf; 3] {
    ["multi-user", "paths", "timers"].map(|target| directory.join(format!("{target}.target.wants")))
}

fn ours(directory: &Utf8Path) -> Result<Vec<String>, FileError> {
    let names = names();
    let is_ours = |file: &String| names.iter().any(|name| file.starts_with(name));
    Ok(fs::names(directory)?.into_iter().filter(is_ours).collect())
}

/// There will be no alarm.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// systemd refuses.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// The command can't be written.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Sets the timer that runs dynix at `end`, when the next override expires, or removes it if there is none. Gives
/// whether `state` changed. Without systemd on another tree, it does nothing.
pub fn set(end: Option<SystemTime>, state: &mut State, machine: &Machine<'_>) -> Result<bool, AlarmError> {
    let recall = machine.recall;
    if machine.manager.is_none() && !recall.before_boot {
        return Ok(false);
    }
    let now = machine.clock.now();
    let wanted = end.filter(|end| end.duration_since(now).unwrap_or_default() < FARTHEST).map(|end| {
        let at = crate::time::text(end);
        let seconds = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = if machine.manager.is_some() { format!("{AT_BOOT}-{seconds}") } else { AT_BOOT.to_owned() };
        let description = "Takes back overrides whose time is over";
        let when = when(end, now, machine.manager.is_some());
        let timer = recall.timer(name.clone(), description, when, &["apply", "--expired"]);
        (Alarm { name, at, command: timer.command.clone() }, timer)
    });
    let same = |old: &Alarm, new: &Alarm| old.at == new.at && old.command == new.command;
    match (&state.alarm, &wanted) {
        (None, None) => return Ok(false),
        (Some(old), Some((new, _))) if same(old, new) => return Ok(false),
        _ => {}
    }
    let old = state.alarm.take();
    match (machine.manager, &wanted) {
        (Some(manager), Some((_, timer))) => manager.start_timer(timer)?,
        (None, Some((_, timer))) => write(timer, machine)?,
        (_, None) => {}
    }
    state.alarm = wanted.map(|(alarm, _)| alarm);
    if let Some(old) = old.filter(|old| state.alarm.as_ref().is_none_or(|new| new.name != old.name)) {
        if let Some(manager) = machine.manager {
            manager.stop_timer(&old.name)?;
        }
        if old.name == AT_BOOT {
            remove(AT_BOOT, machine)?;
        }
    }
    Ok(true)
}

/// Lets `services` be tried again, soon and ever later, until it is not for the machine's sake that they fail (see
/// [`Timer`]). Gives whether that could be arranged: on another tree it can't. `record`: the last one.
pub fn retry(services: &[String], record: u64, machine: &Machine<'_>) -> Result<bool, AlarmError> {
    let recall = machine.recall;
    if machine.manager.is_none() && !recall.before_boot {
        return Ok(false);
    }
    let words: Vec<&str> = ["apply", "--retry"].into_iter().chain(services.iter().map(String::as_str)).collect();
    let description = "Tries again what failed for the machine's sake";
    let timer = |name: String| recall.timer(name, description, vec![When::In(Duration::from_secs(1))], &words);
    match machine.manager {
        // One of the same record may be waiting for its next try.
        Some(manager) => {
            let name = format!("{RETRY}-{record}-{}", machine.clock.monotonic().as_millis());
            manager.start_timer(&timer(name))?;
        }
        None => write(&timer(RETRY.to_owned()), machine)?,
    }
    Ok(true)
}

/// A calendar time that has passed when systemd starts the timer would never come. So if that can happen, the timer
/// also has the delay. The same holds before a boot, whose clock may not be right yet.
fn when(end: SystemTime, now: SystemTime, live: bool) -> Vec<When> {
    const SOON: Duration = Duration::from_secs(10);
    const WITHIN_A_BOOT: Duration = Duration::from_secs(600);
    let left = end.duration_since(now).unwrap_or_default();
    let delay = When::In(left.max(Duration::from_millis(100)));
    match live {
        true if left < SOON => vec![delay],
        false if left < WITHIN_A_BOOT => vec![When::At(end), delay],
        _ => vec![When::At(end)],
    }
}

fn write(timer: &Timer, machine: &Machine<'_>) -> Result<(), AlarmError> {
    let directory = machine.paths.runtime_units();
    let (timer_text, service_text) = timer.files()?;
    for (unit, text) in [(timer.service(), service_text), (timer.unit(), timer_text)] {
        atomic::write(&directory.join(unit), text.as_bytes(), 0o644, atomic::Durability::Volatile)?;
    }
    let wants = directory.join("timers.target.wants");
    fs::create_dir(&wants)?;
    Ok(atomic::link(&wants.join(timer.unit()), &format!("../{}", timer.unit()))?)
}

fn remove(timer: &str, machine: &Machine<'_>) -> Result<(), FileError> {
    let directory = machine.paths.runtime_units();
    for name in [format!("timers.target.wants/{timer}.timer"), format!("{timer}.timer"), format!("{timer}.service")] {
        fs::remove(&directory.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_may_have_passed_is_not_waited_for_in_vain() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let hour = now + Duration::from_secs(3600);
        assert_eq!(when(hour, now, true), [When::At(hour)]);
        assert_eq!(when(hour, now, false), [When::At(hour)]);
        let (soon, delay) = (now + Duration::from_secs(2), When::In(Duration::from_secs(2)));
        assert_eq!(when(soon, now, true), [delay]);
        assert_eq!(when(soon, now, false), [When::At(soon), delay]);
        assert_eq!(when(now, hour, true), [When::In(Duration::from_millis(100))]);
    }
}
