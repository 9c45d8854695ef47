//! What is static, what is overridden by whom and when, what is in effect, and what is only recorded.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::System;
use super::session::Session;
use crate::attr_path::AttrPath;
use crate::evaluated::{self, SYSTEM, Wanted};
use crate::host::fs;
use crate::host::paths::Paths;
use crate::host::systemd::ManagerError;
use crate::overrides::{Kind, Layer, Record};
use crate::plan::Plan;
use crate::plan::options::{OptionIndex, OptionRef};
use crate::reconcile::desired::LeftOut;
use crate::reconcile::difference::difference;
use crate::reconcile::observed::files;
use crate::reconcile::state::{LastFailure, Trial};
use crate::reconcile::trial::Awaiting;
use crate::reconcile::view::{View, view};
use crate::render::secrets::{Awaited, Secrets};
use crate::time::clock::{Clock, SystemClock};
use crate::verify::verdict::Verdict;

/// The status of the whole system.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The override log.
    pub log: String,
    /// By name.
    pub services: BTreeMap<String, ServiceStatus>,
    /// The trial, which rolls back unless it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// Overrides that are recorded and do not hold.
    pub left_out: Vec<LeftOut>,
    /// Secrets that can't be used now, by the service that waits for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub awaited: BTreeMap<String, Vec<Awaited>>,
    /// The last verdict on the values in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verdict>,
}

impl Status {
    /// Whether anything is overridden, recorded and not in effect, or failed.
    #[must_use]
    pub fn is_any(&self) -> bool {
        let is_any = |service: &ServiceStatus| {
            service.generation.is_some()
                || service.pending
                || service.postponed
                || service.last_failure.is_some()
                || !service.overrides.is_empty()
                || !service.changes.is_empty()
        };
        let is_unsound = |verdict: &Verdict| verdict.verdict == crate::verify::verdict::Soundness::Unsound;
        self.services.values().any(is_any)
            || !self.left_out.is_empty()
            || !self.awaited.is_empty()
            || self.awaiting.is_some()
            || self.verified.as_ref().is_some_and(is_unsound)
    }
}

/// One service.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// `null` on the static files.
    pub generation: Option<u64>,
    /// Units with a drop-in of ours.
    pub drop_ins: Vec<String>,
    /// Whether an apply would change anything.
    pub pending: bool,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// The status of its units, by name; empty if systemd can't be asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, String>,
    /// For how many seconds more its units are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched: Option<f64>,
    /// Whether its newest values wait to be tried until the boot is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub postponed: bool,
    /// The overrides.
    pub overrides: Vec<Override>,
    /// The changes of the system, if options of no service are in effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// One override.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The option, and names below it.
    pub path: String,
    /// The recorded value.
    pub value: Value,
    /// The built value.
    pub r#static: Option<Value>,
    /// The record that it is from.
    pub record: u64,
    /// The user who recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// When it ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What the user said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The source that it is from, if it is not the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the source calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the build has this value by now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub built_in: bool,
    /// Whether the service has it.
    pub applied: bool,
}

fn layer_of(record: &Record) -> Option<&Layer> {
    if let Kind::Layer(layer) = &record.kind { Some(layer) } else { None }
}

/// Options of no service, if some are overridden or in effect.
fn of_no_service(
    plan: &Plan,
    paths: &Paths,
    wanted: &Wanted,
    records: &BTreeMap<u64, Record>,
) -> anyhow::Result<Option<ServiceStatus>> {
    if !evaluated::is_used(plan) || !fs::exists(&paths.current_system())? {
        return Ok(None);
    }
    let observed = evaluated::observe(paths)?;
    if wanted.overrides.is_empty() && observed.stand_in.is_none() && !observed.is_unfinished {
        return Ok(None);
    }
    let standing = evaluated::standing(paths, wanted, &observed)?;
    let about = observed.stand_in.as_ref().map(|one| &one.about);
    let overrides = wanted.overrides.iter().map(|(path, value, id)| {
        let record = records.get(id);
        let layer = record.and_then(layer_of);
        Override {
            path: path.to_string(),
            value: value.clone(),
            r#static: None,
            record: *id,
            by: record.and_then(|record| record.by.clone()),
            time: record.and_then(|record| record.time.clone()),
            until: record.and_then(|record| record.until.clone()),
            message: record.and_then(|record| record.message.clone()),
            source: layer.map(|layer| layer.source.clone()),
            revision: layer.and_then(|layer| layer.revision.clone()),
            built_in: false,
            applied: standing.has(path, value),
        }
    });
    let changes = about.map(evaluated::stand_in::About::changed).unwrap_or_default();
    Ok(Some(ServiceStatus {
        pending: standing.pending,
        overrides: overrides.collect(),
        changes,
        ..ServiceStatus::default()
    }))
}

impl System<'_> {
    /// Finds the status, and what a person should know of the log.
    pub fn status(&self) -> anyhow::Result<(Status, Vec<String>)> {
        let System { plan, paths, session } = self;
        let log = self.log();
        let state = self.state()?;
        let view = view(plan, paths, &log, &state.on_trial(), None)?;
        let wanted = self.wanted_of(&view)?;
        let View { folded, desired, .. } = view;
        let difference = difference(plan, &desired, &state, paths, |_| true)?;
        let records = log.behind(&folded.overlay)?;
        let mut services: BTreeMap<String, ServiceStatus> = BTreeMap::new();
        for name in plan.services.keys() {
            let in_effect = state.services.get(name).map(|one| one.in_effect.clone()).unwrap_or_default();
            let pending =
                difference.changes.iter().any(|change| change.name == name) || difference.faults.contains_key(name);
            let drop_ins = in_effect.drop_ins.into_keys().collect();
            let known = state.services.get(name);
            let status = ServiceStatus {
                generation: in_effect.generation,
                drop_ins,
                pending,
                last_failure: known.and_then(|one| one.last_failure.clone()),
                watched: known
                    .and_then(|one| one.watch.as_ref())
                    .map(|watch| watch.left(SystemClock.monotonic().as_secs_f64())),
                postponed: state.postponed.contains(name),
                ..ServiceStatus::default()
            };
            services.insert(name.clone(), status);
        }
        let mut warnings = folded.warnings.clone();
        match units(plan, session) {
            Ok(units) => {
                for (service, unit, state) in units {
                    services.entry(service).or_default().units.insert(unit, state);
                }
            }
            Err(error) => warnings.push(format!("how the units are is not known: {error}")),
        }
        let secrets = Secrets::new(plan);
        let places = OptionIndex::new(plan);
        for (path, one) in folded.overlay.leaves() {
            let Some(place) = places.find(&path) else { continue };
            let record = records.get(&one.id);
            let layer = record.and_then(layer_of);
            let shown = Override {
                path: path.to_string(),
                value: secrets.shown(&path, one.value),
                r#static: static_value(place, &path).map(|value| secrets.shown(&path, &value)),
                record: one.id,
                by: record.and_then(|record| record.by.clone()),
                time: record.and_then(|record| record.time.clone()),
                until: record.and_then(|record| record.until.clone()),
                message: record.and_then(|record| record.message.clone()),
                source: layer.map(|layer| layer.source.clone()),
                revision: layer.and_then(|layer| layer.revision.clone()),
                built_in: static_value(place, &path).as_ref() == Some(one.value),
                applied: one.id <= state.log_id(place.service_name)
                    && files::is_intact(place.service_name, place.service, &state, paths)?,
            };
            services.entry(place.service_name.to_owned()).or_default().overrides.push(shown);
        }
        if let Some(system) = of_no_service(plan, paths, &wanted, &records)? {
            services.insert(SYSTEM.to_owned(), system);
        }
        let awaiting = state.trial.as_ref().map(Trial::awaiting);
        let verified = self.known_verdict()?;
        let log = paths.overrides().to_string();
        Ok((
            Status { log, services, awaiting, left_out: desired.left_out, awaited: desired.awaited, verified },
            warnings,
        ))
    }
}

/// How each unit is that dynix acts on, by service.
fn units(plan: &Plan, session: &Session) -> Result<Vec<(String, String, String)>, ManagerError> {
    let Some(manager) = session.manager_to_ask() else { return Ok(Vec::new()) };
    let units = plan.services.iter().flat_map(|(name, service)| service.units.keys().map(move |unit| (name, unit)));
    let (services, units): (Vec<String>, Vec<String>) = units.map(|(name, unit)| (name.clone(), unit.clone())).unzip();
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let statuses = manager.status(&units)?.into_iter().map(|status| {
        let stopped = if status.was_stopped { " (stopped)" } else { "" };
        match status.load_state.as_str() {
            "loaded" => format!("{}{stopped}", status.active_state),
            other => other.to_owned(),
        }
    });
    Ok(services.into_iter().zip(units).zip(statuses).map(|((service, unit), state)| (service, unit, state)).collect())
}

fn static_value(place: &OptionRef<'_>, path: &AttrPath) -> Option<Value> {
    place.below(path).within(&place.option.static_value).cloned()
}
