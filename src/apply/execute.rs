//! Runs [`Action`]s: the only part of an apply that changes anything.
//!
//! A step that fails stops its own service only; the others go on. What failed is told per service, and what to do about
//! it is decided by the caller.

use std::collections::BTreeMap;

use super::action::Action;
use super::change::Change;
use super::probe;
use super::recall::Recall;
use crate::fs::generation::{self, StagedFile};
use crate::fs::{self, atomic};
use crate::paths::Paths;
use crate::systemd::{Job, ServiceManager};

/// What an apply works on.
pub struct Machine<'m> {
    /// Where everything is.
    pub paths: &'m Paths,
    /// systemd; `None` to leave units alone.
    pub manager: Option<&'m dyn ServiceManager>,
    /// Told of every step before it runs.
    pub observer: &'m (dyn Fn(&Action) + Sync),
    /// How dynix is run again later.
    pub recall: &'m Recall,
}

/// Why a service was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file operation or systemd itself failed.
    Broken(String),
    /// The service's own check refused the files.
    Refused(String),
    /// A unit did not come up well.
    Unit(String),
}

impl Fault {
    /// In words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Broken(reason) | Self::Refused(reason) | Self::Unit(reason) => reason,
        }
    }
}

/// The services that were stopped, with the first reason of each.
pub type Faults = BTreeMap<String, Fault>;

/// What the steps need to know besides themselves.
pub struct Material<'a, 'p> {
    /// The changes that the actions are of.
    pub changes: &'a [Change<'p>],
    /// The files to stage, by service.
    pub files: &'a BTreeMap<String, Vec<StagedFile>>,
}

impl Material<'_, '_> {
    fn change(&self, service: &str) -> Option<&Change<'_>> {
        self.changes.iter().find(|change| change.name == service)
    }
}

/// Runs `actions` in order.
#[must_use]
pub fn run(actions: &[Action], material: &Material<'_, '_>, machine: &Machine<'_>) -> Faults {
    let mut faults = Faults::new();
    let mut rest = actions;
    while let Some(first) = rest.first() {
        let alike = rest.iter().take_while(|action| runs_together(first, action)).count().max(1);
        let (batch, others) = rest.split_at(alike);
        rest = others;
        let batch: Vec<&Action> = batch
            .iter()
            .filter(|action| action.service().is_none_or(|service| !faults.contains_key(service)))
            .collect();
        for action in &batch {
            (machine.observer)(action);
        }
        let found = match first {
            Action::Check { .. } | Action::Probe { .. } => judge(&batch, material),
            Action::Restart { .. } | Action::Reload { .. } => act(&batch, material, machine),
            Action::ReloadConfiguration => reload_configuration(material, machine),
            _ => batch.iter().filter_map(|action| perform(action, material, machine)).collect(),
        };
        for (service, fault) in found {
            faults.entry(service).or_insert(fault);
        }
    }
    faults
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
fn act(batch: &[&Action], material: &Material<'_, '_>, machine: &Machine<'_>) -> Faults {
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
    match manager.run(&jobs) {
        Ok(results) => services
            .into_iter()
            .zip(jobs)
            .zip(results)
            .filter_map(|((service, job), result)| {
                Some((service, Fault::Unit(format!("{}: {}", job.unit, result.err()?))))
            })
            .collect(),
        Err(error) => services.into_iter().map(|service| (service, Fault::Broken(error.to_string()))).collect(),
    }
}

/// Checks and probes, each in its own thread: one that hangs holds up no other.
fn judge(batch: &[&Action], material: &Material<'_, '_>) -> Faults {
    std::thread::scope(|scope| {
        let running: Vec<_> = batch
            .iter()
            .filter_map(|action| {
                let service = action.service()?;
                let spec = material.change(service)?.service?;
                Some((service, scope.spawn(move || verdict(action, spec))))
            })
            .collect();
        running
            .into_iter()
            .filter_map(|(service, thread)| {
                let verdict = thread.join().unwrap_or_else(|_| Err(Fault::Broken("its check broke down".to_owned())));
                Some((service.to_owned(), verdict.err()?))
            })
            .collect()
    })
}

fn verdict(action: &Action, spec: &crate::plan::Service) -> Result<(), Fault> {
    let verdict = judgement(action, spec);
    if !spec.has_secrets() {
        return verdict;
    }
    // A program may say what it read, and a reason is recorded.
    let unsaid = "what it said is not shown, because the service has secrets; run it by hand";
    verdict.map_err(|fault| match fault {
        Fault::Refused(_) => Fault::Refused(format!("its check refused the files; {unsaid}")),
        Fault::Unit(_) => Fault::Unit(format!("it is not healthy in time; {unsaid}")),
        Fault::Broken(reason) => Fault::Broken(reason),
    })
}

fn judgement(action: &Action, spec: &crate::plan::Service) -> Result<(), Fault> {
    match (action, &spec.check, &spec.health) {
        (Action::Check { command, .. }, Some(check), _) => {
            probe::check(command, check.deadline).map_err(Fault::Refused)
        }
        (Action::Probe { .. }, _, Some(health)) => probe::await_health(health).map_err(Fault::Unit),
        _ => Ok(()),
    }
}
