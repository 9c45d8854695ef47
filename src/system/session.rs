//! The place of a system and the ways to reach it: its files, systemd, the caller, and the receiver of progress.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::System;
use super::log_location::{self, LogLocation};
use super::progress::Progress;
use super::signals::Heeded;
use crate::host::accounts::Database;
use crate::host::fs;
use crate::host::home::Home;
use crate::host::interruption::{Interrupted, Interruption, Uninterrupted};
use crate::host::paths::Paths;
use crate::host::process;
use crate::host::systemd::reach::Reach;
use crate::host::systemd::{Managers, ServiceManager, booted};
use crate::plan::{self, Plan, PlanError, Scope};
use crate::reconcile::rerun::Rerun;

/// The system's dynix, whichever it is (environment.systemPackages in NixOS).
const SYSTEM_PROGRAM: &str = "/run/current-system/sw/bin/dynix";

/// A way to read a plan.
type Read = fn(&Utf8Path) -> Result<Option<Plan>, PlanError>;

/// The place of a system, as a user gives it.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// Another file system tree than `/`, which has no service manager.
    pub root: Option<Utf8PathBuf>,
    /// Another plan than /etc/dynix/plan.json.
    pub plan: Option<Utf8PathBuf>,
    /// Another log than the plan names.
    pub overrides: Option<Utf8PathBuf>,
    /// The user whose own services it is about; `None` for those of the system.
    pub home: Option<Home>,
}

impl Location {
    /// The same with absolute paths: processes that dynix starts later (timers, the verification in the background)
    /// have another working directory.
    pub fn absolute(mut self) -> anyhow::Result<Self> {
        let Self { root, plan, overrides, home: _ } = &mut self;
        for path in [root, plan, overrides].into_iter().flatten() {
            *path = absolute(path)?;
        }
        Ok(self)
    }
}

/// The path from the root directory.
pub fn absolute(path: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
    let found = std::path::absolute(path).with_context(|| format!("cannot tell where {path:?} is"))?;
    Ok(Utf8PathBuf::try_from(found)?)
}

/// A service manager in the place of systemd.
#[derive(Clone)]
pub struct Given(pub Arc<dyn ServiceManager + Send + Sync>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given")
    }
}

/// One run of the program, on one system.
#[derive(Debug)]
pub struct Session {
    location: Location,
    progress: Arc<dyn Progress>,
    manager: Managers,
    given: Option<Given>,
    ending: Option<Arc<AtomicBool>>,
    signals: OnceLock<Heeded>,
    before_bus: OnceLock<()>,
}

impl Session {
    /// On a system whose paths are absolute (see [`Location::absolute`]).
    #[must_use]
    pub fn new(location: Location, progress: Arc<dyn Progress>) -> Self {
        let main = location.home.as_ref().map_or(Reach::System, |home| Reach::User(home.manager()));
        let manager = Managers::of(main);
        Self {
            location,
            progress,
            manager,
            given: None,
            ending: None,
            signals: OnceLock::new(),
            before_bus: OnceLock::new(),
        }
    }

    /// The place of the system.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether it is another file system tree than the one that runs.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.location.root.is_some()
    }

    /// Reports progress to this receiver.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }

    /// For a process that others may end: it stops waiting as soon as `ending` is true.
    #[must_use]
    pub fn ending(self, ending: Arc<AtomicBool>) -> Self {
        Self { ending: Some(ending), ..self }
    }

    /// Uses this service manager, if one is given, instead of systemd. It applies to another tree, too.
    #[must_use]
    pub fn managed_by(self, given: Option<Given>) -> Self {
        Self { given, ..self }
    }

    /// Whether this process was asked to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.load(Ordering::Relaxed))
    }

    fn root(&self) -> &Utf8Path {
        self.location.root.as_deref().unwrap_or(Utf8Path::new("/"))
    }

    /// Reads the plan of the system, and finds its paths. dynix follows links on the way to the plan and to the log's
    /// directory here, and nowhere later. Every request begins with this, so nothing that an earlier one read is used.
    pub fn open(&self) -> anyhow::Result<System<'_>> {
        self.open_with(plan::load)
    }

    /// The same, with only those services of the plan that are required later ([`plan::Services`]).
    pub fn open_in_part(&self) -> anyhow::Result<System<'_>> {
        self.open_with(plan::open)
    }

    fn open_with(&self, read: Read) -> anyhow::Result<System<'_>> {
        let (plan, path, root) = self.load_plan(read)?;
        if self.location.home.is_some() {
            let log = self.location.overrides.as_deref().map(|file| named_log(Utf8Path::new("/"), file)).transpose()?;
            let paths = self.usual(&root, Some(path), log)?;
            return Ok(System { plan, paths, session: self });
        }
        let LogLocation { path: overrides, warning } = match (&self.location.overrides, &plan.overrides_file) {
            (Some(file), _) => named_log(Utf8Path::new("/"), file)?.into(),
            (None, Some(file)) => log_location::resolved(&root, &below(&root, file))?.into(),
            (None, None) => log_location::find(&root)?,
        };
        if let Some(warning) = warning {
            self.progress.warn(&warning);
        }
        let paths = Paths::new(&root, Some(path), Some(overrides));
        Ok(System { plan, paths, session: self })
    }

    /// Whether nothing was ever recorded on this system, and nothing is in effect: then it does not matter whether a log
    /// could be kept.
    pub fn nothing_recorded(&self) -> anyhow::Result<bool> {
        let (plan, _, root) = self.load_plan(plan::open)?;
        let usual = self.usual(&root, None, None)?;
        let logs = match (&self.location.overrides, &plan.overrides_file) {
            (Some(file), _) => vec![file.clone()],
            (None, Some(file)) => vec![below(&root, file)],
            (None, None) => vec![usual.overrides().to_owned(), usual.state_log()],
        };
        for path in logs.iter().chain([&usual.state()]) {
            if fs::exists(path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The plan, its path, and the root.
    fn load_plan(&self, read: Read) -> anyhow::Result<(Plan, Utf8PathBuf, Utf8PathBuf)> {
        fs::directory_cache::forget();
        let host = Utf8Path::new("/");
        let root = fs::resolve(host, self.root())?;
        let given = self.usual(&root, None, None)?;
        let path = self.plan_place(&root)?;
        let named = self.location.plan.as_deref().unwrap_or(given.plan());
        let plan = match read(&path) {
            Ok(Some(plan)) => plan,
            Ok(None) if self.location.home.is_some() => bail!(
                "there is no plan at {named}: none of your services is dynamic-enabled \
                 (dynamicism.for.<service>.enable in home-manager's configuration), or it was not switched to yet"
            ),
            Ok(None) => bail!(
                "there is no plan at {named}: no service is dynamic-enabled \
                 (dynamicism.for.<service>.enable), or the configuration was not switched to yet"
            ),
            Err(PlanError::File(error)) => return Err(error.into()),
            Err(error) => return Err(error).with_context(|| format!("cannot use the plan {named}")),
        };
        match (plan.scope, &self.location.home) {
            (Scope::User, None) => bail!("the plan {named} is about a user's own services; say --user"),
            (Scope::System, Some(_)) => {
                bail!("the plan {named} is about the services of the system, which --user is not about")
            }
            _ => Ok((plan, path, root)),
        }
    }

    /// Opens the running system, if these paths are those of another one.
    pub(super) fn open_if_switched(&self, paths: &Paths) -> anyhow::Result<Option<System<'_>>> {
        let usual = self.usual(paths.root(), None, None)?;
        let named = self.location.plan.as_deref().unwrap_or(usual.plan());
        // This test is faster than following the links one by one.
        if fs::is_same_file(named, paths.plan()) || self.plan_place(paths.root())? == paths.plan() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    /// The usual paths of what this session is about, with those that are given.
    fn usual(
        &self,
        root: &Utf8Path,
        plan: Option<Utf8PathBuf>,
        overrides: Option<Utf8PathBuf>,
    ) -> Result<Paths, fs::FileError> {
        match &self.location.home {
            Some(home) => Ok(Paths::at_home(home.resolved()?, plan, overrides)),
            None => Ok(Paths::new(root, plan, overrides)),
        }
    }

    /// The path of the plan, with all links followed.
    fn plan_place(&self, root: &Utf8Path) -> Result<Utf8PathBuf, fs::FileError> {
        match &self.location.plan {
            Some(plan) => fs::resolve(Utf8Path::new("/"), plan),
            None => fs::resolve(root, self.usual(root, None, None)?.plan()),
        }
    }

    /// systemd, if it manages this system: `None` for another tree (`--root`), if it does not run, or if it is that of
    /// an outer system.
    pub fn manager(&self) -> Option<&dyn ServiceManager> {
        if let Some(Given(manager)) = &self.given {
            return Some(manager.as_ref());
        }
        if self.location.root.is_some() {
            return None;
        }
        if !self.reaches_systemd() {
            if self.before_bus.get().is_none() {
                let whose = if self.location.home.is_some() { "systemd --user" } else { "systemd" };
                self.progress.warn(&format!("{whose} does not run here: files are changed, units are left alone"));
            }
            return None;
        }
        Some(&self.manager)
    }

    /// The service manager that units without a user belong to.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        self.manager.main()
    }

    /// Whether the session of the user whose services these are is starting.
    pub(super) fn is_starting(&self) -> anyhow::Result<bool> {
        Ok(self.reaches_systemd() && self.manager.is_starting()?)
    }

    /// From now on this counts as before the boot: systemd runs, but its bus does not yet.
    pub(super) fn is_before_bus(&self) {
        self.before_bus.get_or_init(|| ());
    }

    /// Whether there is a systemd that manages this system, and can be talked to.
    pub(super) fn reaches_systemd(&self) -> bool {
        match &self.location.home {
            Some(home) => home.manager().is_there(),
            None => booted::is_ours() && self.before_bus.get().is_none(),
        }
    }

    /// The same for verbs that only look: without a service manager they have nothing to report of it.
    pub fn manager_to_ask(&self) -> Option<&dyn ServiceManager> {
        (self.location.root.is_none() && self.reaches_systemd()).then_some(&self.manager)
    }

    /// From now on, an apply handles signals: it survives its terminal, and rolls back before it ends.
    pub fn heed_signals(&self) -> anyhow::Result<()> {
        if self.signals.get().is_none() {
            let heeded = Heeded::catch(Arc::clone(&self.progress)).context("cannot catch signals")?;
            self.signals.get_or_init(|| heeded);
        }
        Ok(())
    }

    pub(super) fn interruption(&self) -> &dyn Interruption {
        match self.signals.get() {
            Some(heeded) => heeded,
            None => &Uninterrupted,
        }
    }

    /// The end that a signal asked for.
    #[must_use]
    pub fn interrupted(&self) -> Option<Interrupted> {
        self.signals.get().and_then(Heeded::wanted).map(Interrupted)
    }

    /// How dynix is run again later. Everything that it names has to exist then, after any switch or garbage collection
    /// in between. So it names the system's own dynix and plan, by the names that always lead to those in use.
    /// `activating`: the system that is being activated is the next one.
    pub fn recall(&self, activating: bool) -> anyhow::Result<Rerun> {
        let program = process::this_program()?;
        let in_system = Utf8Path::new(SYSTEM_PROGRAM);
        let in_store = program.starts_with("/nix/store");
        let later = if in_store && (activating || fs::exists(in_system)?) { in_system } else { &program };
        if self.location.home.is_some() {
            return Ok(self.recall_own(&program));
        }
        let mut options: Vec<String> = Vec::new();
        let usual = Paths::new(Utf8Path::new("/"), None, None);
        let usual = usual.plan().canonicalize_utf8().ok();
        let is_usual = |plan: &Utf8Path| usual.is_some() && plan.canonicalize_utf8().ok() == usual;
        if let Some(plan) = self.location.plan.as_ref().filter(|plan| !activating && !is_usual(plan)) {
            options.extend(["--plan".to_owned(), plan.to_string()]);
        }
        if let Some(overrides) = &self.location.overrides {
            options.extend(["--overrides".to_owned(), overrides.to_string()]);
        }
        let before_boot = self.location.root.is_none() && !self.reaches_systemd();
        let with = |program: &Utf8Path| [program.to_string()].into_iter().chain(options.iter().cloned()).collect();
        Ok(Rerun { command: with(later), at_once: with(&program), before_boot })
    }

    /// The same for a user's own services. home-manager has dynix in the user's profile, where a switch keeps it.
    fn recall_own(&self, program: &Utf8Path) -> Rerun {
        let own = format!("/etc/profiles/per-user/{}/bin/dynix", self.user());
        let profiles =
            [self.location.home.as_ref().map(|home| home.state.join("nix/profile/bin/dynix")), Some(own.into())];
        let is_in_store = program.starts_with("/nix/store");
        let kept = profiles.into_iter().flatten().find(|place| is_in_store && fs::exists(place).unwrap_or_default());
        let mut options = vec!["--user".to_owned()];
        for (name, path) in [("--plan", &self.location.plan), ("--overrides", &self.location.overrides)] {
            options.extend(path.iter().flat_map(|path| [name.to_owned(), path.to_string()]));
        }
        let with = |program: &Utf8Path| [program.to_string()].into_iter().chain(options.iter().cloned()).collect();
        let command = with(kept.as_deref().unwrap_or(program));
        Rerun { command, at_once: with(program), before_boot: false }
    }

    /// The name of the caller: the user behind sudo, or the one that runs dynix.
    #[must_use]
    pub fn user(&self) -> String {
        let us = rustix::process::geteuid();
        if us.is_root() {
            // Root is known without a look into the databases, which may be far away (nsswitch.conf(5)).
            let is_name =
                |name: &String| !name.is_empty() && !name.contains(|ch: char| ch.is_control() || ch.is_whitespace());
            let behind = std::env::var("SUDO_USER").ok().filter(is_name);
            return behind.unwrap_or_else(|| "root".to_owned());
        }
        Database::Users.name_of(us.as_raw()).unwrap_or_else(|| us.as_raw().to_string())
    }
}

/// A path of the plan on the system below `root`.
fn below(root: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    Paths::new(root, None, None).below_root(path)
}

/// The path of a log that the user names. Its directory has to exist, so that a misspelt name does not make one.
fn named_log(host: &Utf8Path, path: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
    let place = log_location::resolved(host, path)?;
    match place.parent() {
        Some(parent) if !fs::exists(parent)? => bail!("--overrides {path}: there is no directory {parent}"),
        _ => Ok(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::progress::Messages;

    #[test]
    fn what_is_run_later_needs_no_working_directory() {
        let location =
            Location { plan: Some("a/plan.json".into()), overrides: Some("../log.nix".into()), ..Location::default() };
        let session = Session::new(location.absolute().unwrap(), Arc::new(Messages::default()));
        let command = session.recall(false).unwrap().command;
        assert_eq!((command[1].as_str(), command[3].as_str()), ("--plan", "--overrides"));
        for path in [&command[2], &command[4]] {
            assert!(
                path.starts_with('/') && (path.ends_with("/a/plan.json") || path.ends_with("/../log.nix")),
                "{path}"
            );
        }
        let empty = Location { plan: Some("".into()), ..Location::default() };
        assert!(empty.absolute().unwrap_err().to_string().contains("cannot tell where \"\" is"));
    }
}
