//! `dynix layer`: all that a source says by now, checked and recorded as a whole.
//!
//! A layer is refused whole where any part of it is. A refused revision is not tried again until another one was.
//!
//! Where it changes options of no service, they are evaluated before it is recorded. What the evaluation refuses is recorded
//! as rejected: an evaluation takes seconds, and is not made again for the same revision.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::changed::{self, Changed};
use super::check::check;
use super::set::{asked, is_evaluated, place};
use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::overrides::{Draft, Folded, Kind, Layer, LogError, LogFile, Marking};
use crate::plan::{allowed, options};
use crate::render::secrets::{SecretFiles, Secrets};
use crate::system::caller::{Caller, by_source};
use crate::system::request::SetLayer;
use crate::system::{Refused, System};

/// Records it.
pub fn record(request: &SetLayer, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let SetLayer { source, revision, .. } = request;
    known(system, source)?;
    let by = request.by.as_deref().map(|by| by_source(by, source)).transpose().map_err(Refused)?;
    let caller = &Caller { by: by.as_deref().unwrap_or(caller.by), ..*caller };
    let values = leaves(&request.values)?;
    let mut paths = Vec::new();
    let mut services = BTreeSet::new();
    for (path, _) in &values {
        if is_evaluated(&system.plan, path)? {
            services.insert(SYSTEM.to_owned());
        } else {
            paths.push(path.clone());
        }
    }
    let places = paths.iter().map(|path| place(system, path)).collect::<anyhow::Result<Vec<_>>>()?;
    services.extend(places.iter().map(|place| place.service_name.to_owned()));
    let layer = Layer { source: source.clone(), revision: revision.clone(), values };
    let (secrets, files) = (Secrets::new(&system.plan), SecretFiles::new(&system.paths));
    let mut gone = BTreeSet::new();
    let decide = |log: &LogFile| {
        let folded = log.fold()?;
        gone = missing(log, &layer)?;
        if is_said(&folded, &layer) {
            return Ok(Vec::new());
        }
        not_refused(log, &layer)?;
        Ok(vec![Draft::Layer(layer.clone())])
    };
    let mut notes = Vec::new();
    let checks = |log: &LogFile, drafts: &[Draft]| {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let before = log.fold()?;
        let checked = check(drafts, &before, &asked(&paths, &places, log, &secrets), &files)?;
        let after = if paths.is_empty() { log.preview(drafts)?.overlay } else { checked.overlay };
        notes = checked.notes;
        Ok(changed::between(system, &before.overlay, &after, &[]))
    };
    if !caller.only_looks {
        evaluate(system, &layer, caller, |log, drafts| {
            check(drafts, &log.fold()?, &asked(&paths, &places, log, &secrets), &files).map(drop)
        })?;
    }
    let made = trial::record_checked((system, caller), &mut None, None, decide, checks)?;
    let mut recorded = Recorded::default();
    if made.drafts.is_empty() {
        recorded.notes.push(format!("{source} said the same before"));
    } else {
        let revision = revision.as_deref().map(|revision| format!(", {revision}")).unwrap_or_default();
        recorded.what = format!("what {source} says{revision}");
    }
    if !request.apply {
        recorded.notes.append(&mut notes);
    }
    services.extend(Changed::services(&made.changed));
    services.extend(gone.iter().filter_map(|path| Some(options::find(&system.plan, path)?.service_name.to_owned())));
    if !services.contains(SYSTEM) && !gone.is_empty() && system.standing()?.has_any(&gone) {
        services.insert(SYSTEM.to_owned());
    }
    let applies = request.apply && !services.is_empty();
    Ok(recorded.then(made, applies, Some(services), None, caller))
}

/// Finds out whether the options of no service can have what the layer says, if it changes any. What can't be is recorded as
/// rejected.
fn evaluate(
    system: &System<'_>,
    layer: &Layer,
    caller: &Caller<'_>,
    check: impl FnOnce(&LogFile, &[Draft]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let log = system.log();
    let drafts = [Draft::Layer(layer.clone())];
    let on_trial = system.state()?.on_trial();
    let [before, after] =
        [log.preview(&on_trial)?, log.preview(&[on_trial.as_slice(), &drafts].concat())?].map(|one| one.overlay);
    let is_of_no_service = |path: &AttrPath| allowed::is_evaluated(&system.plan, path);
    let [was, is] = [&before, &after].map(|overlay| {
        let leaves = overlay.leaves().into_iter().filter(|(path, _)| is_of_no_service(path));
        leaves.map(|(path, one)| (path, one.value.clone())).collect::<Vec<_>>()
    });
    if was == is || is_said(&log.fold()?, layer) {
        return Ok(());
    }
    not_refused(&log, layer)?;
    (caller.judge)(&log, &drafts)?;
    // That takes no time.
    check(&log, &drafts)?;
    let Err(error) = system.try_out(&drafts, false) else { return Ok(()) };
    if let Some(Refused(reason)) = error.downcast_ref::<Refused>() {
        let marking = Marking { by: caller.by, until: None, message: caller.message, rejected: Some(reason) };
        let decide = |log: &LogFile| {
            not_refused(log, layer)?;
            anyhow::Ok(drafts.to_vec())
        };
        system.log().decide(&marking, system.waits(), decide)?;
    }
    Err(error)
}

/// An error if this revision was refused here before, and the source said nothing else since.
fn not_refused(log: &LogFile, layer: &Layer) -> anyhow::Result<()> {
    let Layer { source, revision, .. } = layer;
    let Some((id, reason)) = refused(log, source, revision.as_deref())? else { return Ok(()) };
    let revision = revision.as_deref().unwrap_or("without a revision");
    Err(Refused(format!("{revision} of {source} was refused here before (record {id}): {reason}")).into())
}

/// Whether the configuration has the source.
pub fn known(system: &System<'_>, source: &str) -> Result<(), Refused> {
    let sources = &system.plan.sources;
    if sources.iter().any(|one| one.name == source) {
        return Ok(());
    }
    let names: Vec<&str> = sources.iter().map(|one| one.name.as_str()).collect();
    let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    Err(Refused(format!("{source} is no source of this system; {known} (dynamicism.sources)")))
}

/// The values of a tree, by their paths. A set without any is none.
fn leaves(tree: &Map<String, Value>) -> Result<Vec<(AttrPath, Value)>, Refused> {
    let mut leaves = Vec::new();
    collect(&AttrPath::default(), tree, &mut leaves)?;
    Ok(leaves)
}

fn collect(above: &AttrPath, tree: &Map<String, Value>, leaves: &mut Vec<(AttrPath, Value)>) -> Result<(), Refused> {
    if above.names().len() > crate::nix::MAX_DEPTH {
        return Err(Refused(format!("the values nest deeper than {} levels", crate::nix::MAX_DEPTH)));
    }
    for (name, value) in tree {
        let path = above.child(name);
        match value {
            Value::Object(below) => collect(&path, below, leaves)?,
            value => leaves.push((path, value.clone())),
        }
    }
    Ok(())
}

/// Whether the source says just this already.
fn is_said(folded: &Folded, layer: &Layer) -> bool {
    let Some(said) = folded.layers.of(&layer.source) else { return layer.values.is_empty() };
    let said = said.overlay.leaves();
    let mut values: Vec<(&AttrPath, Value)> =
        layer.values.iter().map(|(path, value)| (path, crate::nix::normalized(value.clone()))).collect();
    values.sort_by(|one, other| one.0.cmp(other.0));
    said.len() == values.len()
        && said.iter().zip(&values).all(|((path, one), (other, value))| path == *other && one.value == value)
}

/// The paths that the source spoke of at any time and does not any more. Whoever recorded the layers before may have ended
/// before they were applied, so it is not enough to look at the last one.
fn missing(log: &LogFile, layer: &Layer) -> Result<BTreeSet<AttrPath>, LogError> {
    let mut spoken = BTreeSet::new();
    log.each(|record, _| {
        if let Kind::Layer(said) = record.kind
            && said.source == layer.source
        {
            spoken.extend(said.values.into_iter().map(|(path, _)| path));
        }
        ControlFlow::Continue(())
    })?;
    spoken.retain(|path| !layer.values.iter().any(|(one, _)| one == path));
    Ok(spoken)
}

/// The record of the newest layer of a source and why it was rejected, if it was and is of this revision.
pub(in crate::system) fn refused(
    log: &LogFile,
    source: &str,
    revision: Option<&str>,
) -> Result<Option<(u64, String)>, LogError> {
    let newest = newest(log)?.remove(source);
    Ok(newest.filter(|one| one.layer.revision.as_deref() == revision).and_then(|one| Some((one.id, one.rejected?))))
}

/// The newest layer of a source, whether it counts or not.
pub(in crate::system) struct Newest {
    pub id: u64,
    pub time: Option<String>,
    pub layer: Layer,
    pub rejected: Option<String>,
}

/// The newest layer of each source, in one reading of the log.
pub(in crate::system) fn newest(log: &LogFile) -> Result<BTreeMap<String, Newest>, LogError> {
    let mut newest = BTreeMap::new();
    log.each(|record, fate| {
        if let Kind::Layer(layer) = record.kind {
            let rejected = fate.rejected.map(str::to_owned);
            newest.insert(layer.source.clone(), Newest { id: record.id, time: record.time, layer, rejected });
        }
        ControlFlow::Continue(())
    })?;
    Ok(newest)
}
