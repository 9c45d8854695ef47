//! `dynix status`: what is static, what is overridden by whom and when, what is in effect, and what is only recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use super::{screen, verify};
use crate::attr_path::AttrPath;
use crate::cli::arguments::Read;
use crate::exit::Exit;
use crate::host::messages;
use crate::host::systemd::ManagerError;
use crate::overrides::Record;
use crate::plan::Plan;
use crate::plan::places::{Place, Places};
use crate::reconcile::desired::LeftOut;
use crate::reconcile::intact;
use crate::reconcile::state::{Setback, State, Trial, Went};
use crate::reconcile::survey::survey;
use crate::reconcile::trial::{Awaiting, NOT_CONFIRMED};
use crate::reconcile::view::{View, view};
use crate::render::secrets::{Awaited, Secrets};
use crate::time::clock::{Clock, SystemClock};
use crate::verify::verdict::Verdict;

/// What there is to say of all services.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    services: BTreeMap<String, ServiceStatus>,
    /// What goes back by itself unless it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    awaiting: Option<Awaiting>,
    /// Overrides that are recorded and do not hold.
    left_out: Vec<LeftOut>,
    /// Secrets that can't be used now, by the service that waits for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    awaited: BTreeMap<String, Vec<Awaited>>,
    /// What was last found of the values in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verdict>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStatus {
    /// `null` on the static files.
    generation: Option<u64>,
    /// Units with a drop-in of ours.
    drop_ins: Vec<String>,
    /// Whether an apply would change anything.
    pending: bool,
    /// What went wrong the last time that it was to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    setback: Option<Setback>,
    /// How its units are, by name; none where systemd can't be asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    units: BTreeMap<String, String>,
    /// For how many seconds more its units are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    watched: Option<f64>,
    /// Whether its newest values wait to be tried until the boot is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    postponed: bool,
    overrides: Vec<Shown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    path: String,
    value: Value,
    r#static: Option<Value>,
    record: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    applied: bool,
}

/// Prints the status.
pub fn run(arguments: &Read, session: &Session) -> anyhow::Result<Exit> {
    let (status, warnings) = status(session)?;
    warnings.iter().for_each(messages::warn);
    if arguments.json { super::print_json(&status) } else { super::print(messages::visible(&text(&status)).as_bytes()) }
}

/// Finds the status, and what a person should know of the log.
pub fn status(session: &Session) -> anyhow::Result<(Status, Vec<String>)> {
    let (plan, paths) = session.load()?;
    let log = session.log(&plan, &paths);
    let state = State::load(&paths.state())?;
    let View { folded, desired, .. } = view(&plan, &paths, &log, &state.on_trial(), None)?;
    let survey = survey(&plan, &desired, &state, &paths, |_| true)?;
    let named: BTreeSet<u64> = folded.overlay.leaves().iter().map(|(_, one)| one.id).collect();
    let records = if named.is_empty() { Vec::new() } else { log.find(|id| named.contains(&id))? };
    let records: BTreeMap<u64, Record> = records.into_iter().map(|record| (record.id, record)).collect();
    let mut services: BTreeMap<String, ServiceStatus> = BTreeMap::new();
    for name in plan.services.keys() {
        let in_effect = state.services.get(name).map(|one| one.in_effect.clone()).unwrap_or_default();
        let pending = survey.changes.iter().any(|change| change.name == name) || survey.faults.contains_key(name);
        let drop_ins = in_effect.drop_ins.into_keys().collect();
        let known = state.services.get(name);
        let status = ServiceStatus {
            generation: in_effect.generation,
            drop_ins,
            pending,
            setback: known.and_then(|one| one.setback.clone()),
            watched: known
                .and_then(|one| one.watch.as_ref())
                .map(|watch| watch.left(SystemClock.monotonic().as_secs_f64())),
            postponed: state.postponed.contains(name),
            ..ServiceStatus::default()
        };
        services.insert(name.clone(), status);
    }
    let mut warnings = folded.warnings.clone();
    match units(&plan, session) {
        Ok(units) => {
            for (service, unit, state) in units {
                services.entry(service).or_default().units.insert(unit, state);
            }
        }
        Err(error) => warnings.push(format!("how the units are is not known: {error}")),
    }
    let secrets = Secrets::of(&plan);
    let places = Places::of(&plan);
    for (path, one) in folded.overlay.leaves() {
        let Some(place) = places.find(&path) else { continue };
        let record = records.get(&one.id);
        let shown = Shown {
            path: path.to_string(),
            value: secrets.shown(&path, one.value),
            r#static: static_value(place, &path).map(|value| secrets.shown(&path, &value)),
            record: one.id,
            by: record.and_then(|record| record.by.clone()),
            time: record.and_then(|record| record.time.clone()),
            until: record.and_then(|record| record.until.clone()),
            applied: one.id <= state.log_id(place.service_name)
                && intact::is_intact(place.service_name, place.service, &state, &paths)?,
        };
        services.entry(place.service_name.to_owned()).or_default().overrides.push(shown);
    }
    let awaiting = state.trial.as_ref().map(Trial::awaiting);
    let verified = verify::known(&plan, &paths)?;
    Ok((Status { services, awaiting, left_out: desired.left_out, awaited: desired.awaited, verified }, warnings))
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

fn static_value(place: &Place<'_>, path: &AttrPath) -> Option<Value> {
    place.below(path).names().iter().try_fold(&place.option.static_value, |value, name| value.get(name)).cloned()
}

fn text(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for (name, service) in &status.services {
        let place = match service.generation {
            Some(generation) => format!("on generation {generation}"),
            None => "on its static files".to_owned(),
        };
        let units: Vec<String> = service.units.iter().map(|(unit, state)| format!("; {unit} is {state}")).collect();
        let watched = service.watched.map(|left| format!("; watched for {} s more", left.ceil()));
        let pending = match (service.postponed, service.pending) {
            (true, _) => "; what is recorded is tried once the boot is over",
            (false, true) => "; `dynix apply` would change it",
            (false, false) => "",
        };
        let _ = writeln!(text, "{name}: {place}{}{}{pending}", units.concat(), watched.unwrap_or_default());
        if let Some(Setback { result, reason, time }) = &service.setback {
            let went = match result {
                Went::RolledBack => "it did not work on new values and went back to these",
                Went::RollbackFailed => "it worked neither on new values nor on what it had before, and went static",
                Went::NotConfirmed => "new values were not confirmed and it went back to these",
                Went::Unseen => "these are in place, and it does not run on them",
            };
            let reason = if reason == NOT_CONFIRMED { String::new() } else { format!(": {reason}") };
            let _ = writeln!(text, "  {time}: {went}{reason}");
        }
        for one in &service.overrides {
            let built = one.r#static.as_ref().map_or_else(|| "not set".to_owned(), screen::value);
            let _ = writeln!(text, "  {} = {} (built: {built})", one.path, screen::value(&one.value));
            let mut notes = vec![format!("record {}", one.record)];
            notes.extend(one.by.as_ref().map(|by| format!("by {by}")));
            notes.extend(one.time.clone());
            notes.extend(one.until.as_deref().map(screen::remaining));
            if !one.applied {
                notes.push("recorded, not applied".to_owned());
            }
            let _ = writeln!(text, "    {}", notes.join(", "));
        }
        for unit in &service.drop_ins {
            let _ = writeln!(text, "  drop-in for {unit}");
        }
    }
    if let Some(awaiting) = &status.awaiting {
        let _ = writeln!(text, "{awaiting}");
    }
    for one in &status.left_out {
        let _ = writeln!(text, "does not hold: {} (record {}): {}", one.path, one.id, one.reason);
    }
    for (service, awaited) in &status.awaited {
        for one in awaited {
            let _ = writeln!(text, "{service} stays as it is: {}: {}", one.path, one.reason);
        }
    }
    if let Some(verified) = &status.verified {
        let _ = writeln!(text, "as of record {}:", verified.record);
        verified.text().lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    text
}
