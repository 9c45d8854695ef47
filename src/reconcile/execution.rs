//! Runs [`Action`]s: the only part of an apply that changes anything.
//!
//! A step that fails stops only its own service; the others go on. Failures are reported per service, and the caller
//! decides what to do about them.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::change::Change;
use super::rerun::Rerun;
use crate::host::fs::etc_link::EtcLink;
use crate::host::fs::generation::{self, StagedFile};
use crate::host::fs::{self, atomic};
use crate::host::interruption::Interruption;
use crate::host::paths::Paths;
use crate::host::systemd::{Job, JobFault, ServiceManager};
use crate::plan::{Check, Service};
use crate::probe::{self, Objection};
use crate::time::clock::Clock;

/// The machine that an apply works on.
pub struct Machine<'m> {
    /// The paths of the system.
    pub paths: &'m Paths,
    /// systemd; `None` to leave units alone.
    pub manager: Option<&'m dyn ServiceManager>,
    /// Told of every step before it runs.
    pub observer: &'m (dyn Fn(&Action) + Sync),
    /// How dynix is run again later.
    pub recall: &'m Rerun,
    /// Whether the apply is to end early.
    pub interruption: &'m dyn Interruption,
    /// The time.
    pub clock: &'m dyn Clock,
}

/// Why a service was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file operation or systemd itself failed: nothing that a value could do anything about.
    Broken(String),
    /// Its check or probe gave no verdict: it did not run, or did not finish.
    Unjudged(String),
    /// The service's own check refused the files.
    Refused(String),
    /// A unit did not come up well.
    Unit(String),
    /// The units are up, and the service does not answer its probe.
    Unhealthy(String),
    /// A unit that went down with the service's own did not come up again.
    Dependent(String),
    /// Somebody stopped a unit meanwhile.
    Stopped(String),
    /// The apply is to end early.
    Interrupted,
}

impl Fault {
    /// The fault as text.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Broken(reason)
            | Self::Unjudged(reason)
            | Self::Refused(reason)
            | Self::Unit(reason)
            | Self::Unhealthy(reason)
            | Self::Dependent(reason)
            | Self::Stopped(reason) => reason,
            Self::Interrupted => "dynix was interrupted",
        }
    }

    /// Of several units of one service, the one that shows most of its values comes first.
    fn rank(&self) -> u8 {
        match self {
            Self::Unit(_) | Self::Unhealthy(_) | Self::Refused(_) | Self::Dependent(_) => 0,
            Self::Broken(_) | Self::Unjudged(_) => 1,
            Self::Interrupted => 2,
            Self::Stopped(_) => 3,
        }
    }
}

/// The services that were stopped, with the reason of each.
pub type Faults = BTreeMap<String, Fault>;

/// The result of running steps.
#[derive(Debug, Default)]
pub struct Ran {
    /// The faults, by service.
    pub faults: Faults,
    /// The units that may have been touched.
    pub touched: BTreeSet<String>,
    /// The units of which it is known that they read what they shall, or that they are down.
    pub settled: BTreeSet<String>,
    /// The units that somebody stopped meanwhile.
    pub stopped: BTreeSet<String>,
}

/// The context of the steps.
#[derive(Clone, Copy)]
pub struct Material<'a, 'p> {
    /// The changes that the actions are of.
    pub changes: &'a [Change<'p>],
    /// The files to stage, by service.
    pub files: &'a BTreeMap<String, Vec<StagedFile>>,
    /// Checks of what is in use, by service: one that refuses that too says nothing of new values.
    pub controls: &'a BTreeMap<String, Vec<String>>,
    /// Whether to stop here.
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
}

impl Material<'_, '_> {
    fn change(&self, service: &str) -> Option<&Change<'_>> {
        self.changes.iter().find(|change| change.name == service)
    }
}

/// Runs `actions` in order.
#[must_use]
pub fn run(actions: &[Action], material: &Material<'_, '_>, machine: &Machine<'_>) -> Ran {
    let mut ran = Ran::default();
    let mut rest = actions;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|action| runs_together(first, action)).count().max(1);
        let (batch, others) = rest.split_at(alike);
        if (material.interrupted)() {
            for service in rest.iter().filter_map(Action::service) {
                ran.faults.entry(service.to_owned()).or_insert(Fault::Interrupted);
            }
            break;
        }
        rest = others;
        let batch: Vec<&Action> = batch
            .iter()
            .filter(|action| action.service().is_none_or(|service| !ran.faults.contains_key(service)))
            .collect();
        for action in &batch {
            (machine.observer)(action);
        }
        let found = match first {
            Action::Check { .. } | Action::Probe { .. } => judge(&batch, material),
            Action::Restart { .. } | Action::Reload { .. } => act(&batch, material, machine, &mut ran),
            Action::ReloadConfiguration => reload_configuration(material, machine),
            _ => batch.iter().filter_map(|action| perform(action, material, machine)).collect(),
        };
        for (service, fault) in found {
            ran.faults.entry(service).or_insert(fault);
        }
    }
    ran
}

/// Checks, jobs and probes of different services don't wait for each other.
fn runs_together(first: &Action, next: &Action) -> bool {
    use Action::{Check, Probe, Reload, Restart};
    matches!(
        (first, next),
        (Check { .. }, Check { .. })
            | (Probe { .. }, Probe { .. })
            | (Restart { .. } | Reload { .. }, Restart { .. } | Reload { .. })
    )
}

/// A step of files, or one call of systemd.
fn perform(action: &Action, material: &Material<'_, '_>, machine: &Machine<'_>) -> Option<(String, Fault)> {
    let paths = machine.paths;
    let result: Result<(), String> = match action {
        Action::Stage { service, generation, .. } => {
            let files = material.files.get(service).map_or(&[][..], Vec::as_slice);
            generation::stage(&paths.service(service), *generation, files).map(drop).map_err(|error| error.to_string())
        }
        Action::Swap { service, generation } => {
            generation::swap(&paths.service(service), *generation).map_err(|error| error.to_string())
        }
        Action::Link { service, file, path, is_static } => {
            let link = EtcLink { root: paths.root(), file: path, dynamic: paths.etc_target(service, file) };
            let done = if *is_static { link.go_back() } else { link.to_dynix() };
            done.map_err(|error| error.to_string())
        }
        Action::InstallDropIn { service, unit, path } => {
            let text = material.change(service).and_then(|change| change.to.drop_ins.get(unit));
            let text = text.map_or("", String::as_str);
            atomic::write(path, text.as_bytes(), 0o644, atomic::Durability::Volatile).map_err(|error| error.to_string())
        }
        Action::RemoveDropIn { path, .. } => fs::remove(path)
            .and_then(|_| path.parent().map_or(Ok(()), fs::remove_empty_dir))
            .map_err(|error| error.to_string()),
        Action::Bind { unit, source, target, .. } => match machine.manager {
            Some(manager) => manager.bind(unit, source.as_str(), target.as_str()).map_err(|error| error.to_string()),
            None => Ok(()),
        },
        Action::Check { .. }
        | Action::Start { .. }
        | Action::Restart { .. }
        | Action::Reload { .. }
        | Action::ReloadConfiguration
        | Action::Probe { .. } => Ok(()),
    };
    Some((action.service()?.to_owned(), Fault::Broken(result.err()?)))
}

/// One reload serves all, so its failure concerns all whose drop-ins changed.
fn reload_configuration(material: &Material<'_, '_>, machine: &Machine<'_>) -> Faults {
    let Some(Err(error)) = machine.manager.map(ServiceManager::reload_configuration) else {
        return Faults::new();
    };
    let concerned = material.changes.iter().filter(|change| change.from.drop_ins != change.to.drop_ins);
    concerned.map(|change| (change.name.to_owned(), Fault::Broken(error.to_string()))).collect()
}

/// Restarts and reloads, all at once.
fn act(batch: &[&Action], material: &Material<'_, '_>, machine: &Machine<'_>, ran: &mut Ran) -> Faults {
    let Some(manager) = machine.manager else { return Faults::new() };
    let jobs: Vec<(String, Job)> = batch
        .iter()
        .filter_map(|action| match action {
            Action::Restart { service, unit } | Action::Reload { service, unit } => {
                Some((service.clone(), material.change(service)?.job(unit)?))
            }
            _ => None,
        })
        .collect();
    let (services, jobs): (Vec<String>, Vec<Job>) = jobs.into_iter().unzip();
    let results = match manager.run(&jobs, &|| (material.interrupted)()) {
        Ok(results) => results,
        Err(error) => {
            // How far it came is not known.
            ran.touched.extend(jobs.into_iter().map(|job| job.unit));
            return services.into_iter().map(|service| (service, Fault::Broken(error.to_string()))).collect();
        }
    };
    let mut faults = Faults::new();
    for ((service, Job { unit, .. }), result) in services.into_iter().zip(jobs).zip(results) {
        if !matches!(result, Err(JobFault::Refused(_))) {
            ran.touched.insert(unit.clone());
            ran.settled.insert(unit.clone());
        }
        if matches!(result, Err(JobFault::Stopped(_))) {
            // It reads its files when it is started.
            ran.settled.insert(unit.clone());
            ran.stopped.insert(unit.clone());
        }
        let Err(fault) = result else { continue };
        let fault = match fault {
            JobFault::Refused(reason) | JobFault::Hindered(reason) => Fault::Broken(format!("{unit}: {reason}")),
            JobFault::Failed(reason) => Fault::Unit(format!("{unit}: {reason}")),
            JobFault::Stopped(reason) => Fault::Stopped(reason),
            JobFault::Interrupted => Fault::Interrupted,
        };
        match faults.get(&service) {
            Some(known) if known.rank() <= fault.rank() => {}
            _ => drop(faults.insert(service, fault)),
        }
    }
    faults
}

/// Checks and probes, each in its own thread: one that hangs holds up no other.
fn judge(batch: &[&Action], material: &Material<'_, '_>) -> Faults {
    std::thread::scope(|scope| {
        let running: Vec<_> = batch
            .iter()
            .filter_map(|action| {
                let service = action.service()?;
                let spec = material.change(service)?.service?;
                Some((service, scope.spawn(move || verdict(action, spec, material))))
            })
            .collect();
        running
            .into_iter()
            .filter_map(|(service, thread)| {
                let verdict = thread.join().unwrap_or_else(|_| Err(Fault::Unjudged("its check broke down".to_owned())));
                Some((service.to_owned(), verdict.err()?))
            })
            .collect()
    })
}

fn verdict(action: &Action, spec: &Service, material: &Material<'_, '_>) -> Result<(), Fault> {
    let verdict = judgement(action, spec, material);
    if !spec.has_secrets() {
        return verdict;
    }
    // A program may print what it read, and a reason is recorded in the log.
    let unsaid = "what it said is not shown, because the service has secrets; run it by hand";
    verdict.map_err(|fault| match fault {
        Fault::Refused(_) => Fault::Refused(format!("its check refused the files; {unsaid}")),
        Fault::Unhealthy(_) => Fault::Unhealthy(format!("it is not healthy in time; {unsaid}")),
        Fault::Unjudged(_) => Fault::Unjudged(format!("its check or probe could not judge it; {unsaid}")),
        other => other,
    })
}

fn judgement(action: &Action, spec: &Service, material: &Material<'_, '_>) -> Result<(), Fault> {
    let interrupted = material.interrupted;
    match (action, &spec.check, &spec.health) {
        (Action::Check { service, command }, Some(check), _) => {
            let verdict = probe::check(command, check.deadline, interrupted).map_err(|objection| match objection {
                Objection::No(reason) => Fault::Refused(reason),
                Objection::Unable(reason) => Fault::Unjudged(reason),
                Objection::Interrupted => Fault::Interrupted,
            });
            match (verdict, material.controls.get(service)) {
                (Err(Fault::Refused(reason)), Some(control)) => controlled(reason, control, check, interrupted),
                (verdict, _) => verdict,
            }
        }
        (Action::Probe { .. }, _, Some(health)) => {
            probe::await_health(health, interrupted).map_err(|objection| match objection {
                Objection::No(reason) => Fault::Unhealthy(reason),
                Objection::Unable(reason) => Fault::Unjudged(reason),
                Objection::Interrupted => Fault::Interrupted,
            })
        }
        _ => Ok(()),
    }
}

/// A refusal counts only if the check still accepts the files in use.
fn controlled(reason: String, control: &[String], check: &Check, interrupted: &dyn Fn() -> bool) -> Result<(), Fault> {
    Err(match probe::check(control, check.deadline, interrupted) {
        Ok(()) => Fault::Refused(reason),
        Err(Objection::Interrupted) => Fault::Interrupted,
        Err(Objection::No(_) | Objection::Unable(_)) => Fault::Unjudged(format!(
            "its check refuses what is in use as well, so it says nothing of the values: {reason}"
        )),
    })
}
