//! `dynix set` and `dynix append`: new values for options, checked before they are recorded.
//!
//! Several values become one record, so they hold together or not at all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::changed;
use super::check::check;
use super::elements::ListPath;
use super::value::{Asked, change, not_dynamic};
use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::host::timings;
use crate::overrides::{Draft, Folded, LogFile, Text, written};
use crate::plan::options::{self, OptionRef};
use crate::plan::{Plan, allowed};
use crate::render::secrets::{SecretFiles, Secrets};
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::{Assignment, Set};
use crate::system::{Refused, System};
use crate::time::duration::HOLDS;
use crate::types::read_json;
use crate::verify::proof;

/// Records the values.
pub fn record(request: &Set, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let paths =
        request.changes.iter().map(|one| Ok(ListPath::parse(&one.path)?.path)).collect::<Result<Vec<_>, Refused>>()?;
    if paths.is_empty() {
        return Err(Refused("there is nothing to record; give a path and a value".to_owned()).into());
    }
    let evaluated = paths.iter().filter(|path| is_evaluated(&system.plan, path).unwrap_or_default()).count();
    if evaluated == 0 {
        return of_services(request, &paths, system, caller);
    }
    if evaluated < paths.len() {
        return Err(Refused(
            "some of the paths are of services and some are of none; a record is about one of these: record them apart"
                .to_owned(),
        )
        .into());
    }
    if let Some(path) =
        request.changes.iter().find(|one| one.list.is_some() || one.path.contains('[')).map(|one| &one.path)
    {
        return Err(Refused(format!("{path}: of an option of no service only the whole list can be given")).into());
    }
    of_no_service(request, &paths, system, caller)
}

/// Whether the path is of no service, and may be overridden.
pub(super) fn is_evaluated(plan: &Plan, path: &AttrPath) -> Result<bool, Refused> {
    if options::find(plan, path).is_some() {
        return Ok(false);
    }
    match allowed::check(plan, path) {
        Ok(()) => Ok(true),
        Err(allowed::Refusal::NotAllowed) => Ok(false),
        Err(refusal) => Err(Refused(refusal.to_string())),
    }
}

fn of_services(
    request: &Set,
    paths: &[AttrPath],
    system: &System<'_>,
    caller: &Caller<'_>,
) -> anyhow::Result<Recorded> {
    let places = paths.iter().map(|path| place(system, path)).collect::<anyhow::Result<Vec<_>>>()?;
    let services: BTreeSet<String> = places.iter().map(|place| place.service_name.to_owned()).collect();
    let until = request.duration.map(end).transpose()?;
    let mut recorded = Recorded::default();
    recorded.notes.extend(places.iter().zip(paths).filter_map(|(place, path)| flows(system, place, path)));
    let mut trial = trial::start(request.confirm, system)?;
    let (secrets, files) = (Secrets::new(&system.plan), SecretFiles::new(&system.paths));
    // Folded once, for what the values are read by and for what they are checked in.
    let present = RefCell::new(Folded::default());
    let mut told = Vec::new();
    let decide = |log: &LogFile| {
        drop(present.replace(log.fold()?));
        told.clear();
        let mut drafts = Vec::new();
        for (one, asked) in request.changes.iter().zip(asked(paths, &places, log, &secrets)) {
            let mut planned = change(one, &present.borrow(), &asked)?;
            told.append(&mut planned.notes);
            drafts.push(planned.change);
        }
        Ok(together(drafts)?)
    };
    let mut notes = Vec::new();
    let check = |log: &LogFile, drafts: &[Draft]| {
        let before = present.borrow();
        let checked = check(drafts, &before, &asked(paths, &places, log, &secrets), &files)?;
        notes = checked.notes;
        let given: Vec<_> = drafts.iter().flat_map(Draft::paths).collect();
        Ok(changed::between(system, &before.overlay, &checked.overlay, &given))
    };
    let made = trial::record_checked((system, caller), &mut trial, until, decide, check)?;
    recorded.notes.append(&mut told);
    if !request.apply {
        // An apply reports these notes itself.
        recorded.notes.append(&mut notes);
    }
    timings::mark("append to the log");
    recorded.what = what(paths);
    Ok(recorded.then(made, request.apply, Some(services), trial, caller))
}

pub(super) fn asked<'a>(
    paths: &'a [AttrPath],
    places: &'a [OptionRef<'a>],
    log: &'a LogFile,
    secrets: &'a Secrets,
) -> Vec<Asked<'a>> {
    paths.iter().zip(places).map(|(path, place)| Asked { path, place, log, secrets }).collect()
}

/// The same for options of no service: their own types judge the values, in an evaluation of the whole configuration.
fn of_no_service(
    request: &Set,
    paths: &[AttrPath],
    system: &System<'_>,
    caller: &Caller<'_>,
) -> anyhow::Result<Recorded> {
    let each = request.changes.iter().zip(paths);
    let changes = together(each.map(|(one, path)| evaluated_change(one, path)).collect::<Result<Vec<_>, _>>()?)?;
    let mut trial = trial::start(request.confirm, system)?;
    if !caller.only_looks {
        (caller.judge)(&system.log(), &changes)?;
        // It is found out before anything is recorded.
        system.try_out(&changes, request.build)?;
    }
    // It begins once that is known.
    let until = request.duration.map(end).transpose()?;
    let decide = |_: &LogFile| Ok(changes.clone());
    let check = |log: &LogFile, drafts: &[Draft]| trial::compared(system, log, drafts);
    let made = trial::record_checked((system, caller), &mut trial, until, decide, check)?;
    let recorded = Recorded { what: what(paths), ..Recorded::default() };
    let mut recorded = recorded.then(made, request.apply, Some([SYSTEM.to_owned()].into()), trial, caller);
    recorded.apply.iter_mut().for_each(|apply| apply.build = request.build);
    Ok(recorded)
}

/// One record of several values.
fn together(mut drafts: Vec<Draft>) -> Result<Vec<Draft>, Refused> {
    if drafts.len() == 1 {
        return Ok(drafts);
    }
    let unset: Vec<Draft> = drafts.extract_if(.., |draft| matches!(draft, Draft::Unset(_))).collect();
    let mut values = Vec::new();
    for draft in drafts {
        match draft {
            Draft::Set(path, value) => values.push((path, value)),
            other => {
                let path = other.paths().into_iter().map(ToString::to_string).collect::<String>();
                return Err(Refused(format!(
                    "{path}: an expression, a secret and a value that replaces a whole set are each a record of their \
                     own; record it by itself"
                )));
            }
        }
    }
    Ok(unset.into_iter().chain(Draft::of_values(values)).collect())
}

/// The option of a path that may be overridden.
pub(super) fn place<'p>(system: &'p System<'_>, path: &AttrPath) -> anyhow::Result<OptionRef<'p>> {
    is_evaluated(&system.plan, path)?;
    let place = lookup::find(&system.plan, path)?;
    if place.option.may_change(place.below(path).names()) { Ok(place) } else { Err(not_dynamic(path, &place).into()) }
}

fn what(paths: &[AttrPath]) -> String {
    match paths {
        [path] => path.to_string(),
        paths => format!("{} values", paths.len()),
    }
}

fn evaluated_change(request: &Assignment, path: &AttrPath) -> Result<Draft, Refused> {
    let refuse = |problem: &str| Refused(format!("{path}: {problem}"));
    if request.secret_file.is_some() {
        return Err(refuse("only an option of a dynamic service can be a secret"));
    }
    if request.unset {
        return Ok(Draft::Unset(path.clone()));
    }
    let value = match (&request.text, &request.value, request.expression.as_deref().map(written)) {
        (Some(text), None, None) => read_json(text).unwrap_or_else(|_| serde_json::Value::String(text.clone())),
        (None, Some(value), None) => value.clone(),
        (None, None, Some(Text::Literal(value))) => value,
        (None, None, Some(Text::Wrong(problem))) => return Err(refuse(&problem)),
        (None, None, Some(Text::Code(_))) => {
            let text = request.expression.clone().unwrap_or_default();
            return Ok(Draft::Expression { path: path.clone(), text, replace: request.replace });
        }
        _ => return Err(refuse("give exactly one of value, text and expression")),
    };
    let set = if request.replace { Draft::Replace } else { Draft::Set };
    Ok(set(path.clone(), value))
}

/// When something ends that holds from now on for so long.
fn end(duration: Duration) -> Result<SystemTime, Refused> {
    let checked = HOLDS.check(duration).map_err(|problem| {
        Refused(format!("--for (durationUSec): {problem}. Leave it out for an override without an end"))
    })?;
    let end = SystemTime::now().checked_add(checked);
    end.ok_or_else(|| Refused("the clock is too far off for an override that ends; set it".to_owned()))
}

/// The other things that the value decides, as far as they are known.
fn flows(system: &System<'_>, place: &OptionRef<'_>, path: &AttrPath) -> Option<String> {
    // Without a proof there is no note. Verbs that need the proof report that it can't be read.
    let proof = system.kept_proof().ok()??;
    let flows = proof.flows(&system.plan, place.service_name, path).unwrap_or_default();
    (!flows.is_empty()).then(|| format!("{path} also decides {}", proof::named(&flows).join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_values_are_one_record_unless_one_needs_its_own() {
        let path = |text: &str| AttrPath::parse(text).unwrap();
        let set = |at: &str| Draft::Set(path(at), json!(1));
        assert_eq!(together(vec![set("a")]).unwrap(), [set("a")]);
        let both = Draft::SetAll(vec![(path("a"), json!(1)), (path("b"), json!(1))]);
        assert_eq!(together(vec![set("a"), set("b")]).unwrap(), [both]);
        let unset = Draft::Unset(path("c"));
        assert_eq!(together(vec![set("a"), unset.clone()]).unwrap(), [unset, set("a")]);
        let whole = Draft::Replace(path("b"), json!({}));
        assert!(together(vec![set("a"), whole]).unwrap_err().to_string().starts_with("b: an expression"));
    }
}
