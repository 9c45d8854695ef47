//! `dynix append`: a new value for an option, checked before it is recorded.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use super::near;
use super::text;
use super::text::For;
use super::{Recorded, trial};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::host::timings;
use crate::overrides::{Conflict, Draft, Folded, LogFile, Text, written};
use crate::plan::allowed;
use crate::plan::options::{self, OptionRef, nearest};
use crate::reconcile;
use crate::reconcile::report::Report;
use crate::render;
use crate::render::secrets::{self, SecretFiles, Secrets};
use crate::system::System;
use crate::system::caller::Caller;
use crate::system::lookup;
use crate::system::request::Append;
use crate::system::{Refused, effective};
use crate::time::duration::HOLDS;
use crate::types::{Below, Type, brief, read_json};
use crate::verify::proof;

/// Records a value.
pub fn record(request: &Append, system: &System<'_>, caller: &Caller<'_>) -> anyhow::Result<Recorded> {
    let System { plan, paths, .. } = system;
    let path = lookup::parse(&request.path)?;
    if options::find(plan, &path).is_none() {
        match allowed::check(plan, &path) {
            Ok(()) => return record_evaluated(request, &path, system, caller),
            Err(allowed::Refusal::NotAllowed) => {}
            Err(refusal) => return Err(Refused(refusal.to_string()).into()),
        }
    }
    let place = lookup::find(plan, &path)?;
    if !place.option.may_change(place.below(&path).names()) {
        return Err(not_dynamic(&path, &place).into());
    }
    let until = request.duration.map(end).transpose()?;
    let mut recorded = Recorded::default();
    recorded.notes.extend(flows(system, &place, &path));
    let mut trial = trial::start(request.confirm, system)?;
    let (secrets, files) = (Secrets::new(plan), SecretFiles::new(paths));
    let mut told = Vec::new();
    // Folded once, for what the value is read by and for what it is checked in.
    let present = RefCell::new(Folded::default());
    let decide = |log: &LogFile| {
        drop(present.replace(log.fold()?));
        let (folded, asked) = (present.borrow(), Asked { path: &path, place: &place, log, secrets: &secrets });
        let planned = change(request, &folded, &asked)?;
        told = planned.notes;
        Ok(vec![planned.change])
    };
    let mut notes = Vec::new();
    let check = |log: &LogFile, changes: &[Draft]| {
        let (folded, asked) = (present.borrow(), Asked { path: &path, place: &place, log, secrets: &secrets });
        notes.clear();
        changes.iter().try_for_each(|one| check(one, &folded, &asked, &files).map(|mut said| notes.append(&mut said)))
    };
    recorded.records = trial::record_checked((system, caller), &mut trial, until, decide, check)?;
    recorded.notes.append(&mut told);
    if !request.apply {
        // An apply reports these notes itself.
        recorded.notes.append(&mut notes);
    }
    timings::mark("append to the log");
    recorded.what = path.to_string();
    if request.apply {
        let mut apply = caller.apply(Some([place.service_name.to_owned()].into()));
        apply.trial = trial;
        apply.records.clone_from(&recorded.records);
        recorded.apply = Some(apply);
    } else {
        recorded.next = Some(format!("dynix apply {}", place.service_name));
    }
    Ok(recorded)
}

/// The same for an option of no service: its own type judges the value, in an evaluation of the whole configuration.
fn record_evaluated(
    request: &Append,
    path: &AttrPath,
    system: &System<'_>,
    caller: &Caller<'_>,
) -> anyhow::Result<Recorded> {
    let changes = vec![evaluated_change(request, path)?];
    let mut trial = trial::start(request.confirm, system)?;
    (caller.judge)(&system.log(), &changes)?;
    // It is found out before anything is recorded.
    system.try_out(&changes, request.build)?;
    // It begins once that is known.
    let until = request.duration.map(end).transpose()?;
    let decide = |_: &LogFile| Ok(changes.clone());
    let records = trial::record_checked((system, caller), &mut trial, until, decide, |_, _| Ok(()))?;
    let mut recorded = Recorded { records, what: path.to_string(), ..Recorded::default() };
    if request.apply {
        let mut apply = caller.apply(Some([SYSTEM.to_owned()].into()));
        apply.build = request.build;
        apply.trial = trial;
        apply.records.clone_from(&recorded.records);
        recorded.apply = Some(apply);
    } else {
        recorded.next = Some(format!("dynix apply {SYSTEM}"));
    }
    Ok(recorded)
}

impl System<'_> {
    /// The effects of recording a value and applying it.
    pub fn dry_run_of_append(&self, request: &Append) -> anyhow::Result<Report> {
        let path = lookup::parse(&request.path)?;
        let (service, draft) = if allowed::is_evaluated(&self.plan, &path) {
            (SYSTEM, evaluated_change(request, &path)?)
        } else {
            let place = lookup::find(&self.plan, &path)?;
            if !place.option.may_change(place.below(&path).names()) {
                return Err(not_dynamic(&path, &place).into());
            }
            let (secrets, files, log) = (Secrets::new(&self.plan), SecretFiles::new(&self.paths), self.log());
            let asked = Asked { path: &path, place: &place, log: &log, secrets: &secrets };
            let present = log.fold()?;
            let draft = change(request, &present, &asked)?.change;
            check(&draft, &present, &asked, &files)?;
            (place.service_name, draft)
        };
        let asked = reconcile::Request { build: request.build, ..self.request(Some([service.to_owned()].into())) };
        let drafts = [draft];
        let mut report = self.dry_run(&asked, &drafts)?;
        self.dry_run_evaluated(&asked, &drafts, &mut report)?;
        Ok(report)
    }
}

fn evaluated_change(request: &Append, path: &AttrPath) -> Result<Draft, Refused> {
    let refuse = |problem: &str| Refused(format!("{path}: {problem}"));
    if request.secret_file.is_some() {
        return Err(refuse("only an option of a dynamic service can be a secret"));
    }
    let value = match (&request.text, &request.value, request.expression.as_deref().map(written)) {
        (Some(text), None, None) => read_json(text).unwrap_or_else(|_| Value::String(text.clone())),
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

fn not_dynamic(path: &AttrPath, place: &OptionRef<'_>) -> Refused {
    let allowed = place.option.dynamic.iter().flatten().map(|below| place.path.join(below).to_string());
    Refused(format!(
        "{path} may not change at run time: {} marks only these: {}",
        place.option_name,
        allowed.collect::<Vec<_>>().join(", ")
    ))
}

/// The subject of the command.
struct Asked<'a> {
    path: &'a AttrPath,
    place: &'a OptionRef<'a>,
    log: &'a LogFile,
    secrets: &'a Secrets,
}

/// A change to record, and the notes about it.
struct Planned {
    change: Draft,
    notes: Vec<String>,
}

impl Planned {
    fn new(change: Draft) -> Self {
        Self { change, notes: Vec::new() }
    }
}

/// The change to record: the value, parsed by the option's type, or the path of a secret.
fn change(request: &Append, folded: &Folded, asked: &Asked<'_>) -> anyhow::Result<Planned> {
    let Asked { path, place, .. } = *asked;
    let below = place.below(path);
    let given = [request.text.is_some(), request.value.is_some(), request.expression.is_some()];
    if given.into_iter().chain([request.secret_file.is_some()]).filter(|given| *given).count() != 1 {
        return Err(Refused(format!("{path}: give exactly one of value, text, expression and secretFile")).into());
    }
    if let Some(file) = &request.secret_file {
        if !place.option.is_secret(&below) {
            return Err(Refused(format!(
                "{path} is not marked as secret, so what it is made into may be for everybody; mark it \
                 (dynamicism.for.{}.secret), or give its value",
                place.service_name
            ))
            .into());
        }
        if !file.is_absolute() {
            return Err(Refused(format!("{file} is not an absolute path, and the log is read from anywhere")).into());
        }
        return Ok(Planned::new(Draft::Replace(path.clone(), secrets::reference(file))));
    }
    if place.option.is_secret(&below) || request.expression.is_some() && place.option.concerns_secret(&below) {
        return Err(Refused(format!(
            "{path} is marked as secret, and everybody can read the log: put the value into a file that others can't \
             read, and say --secret-file FILE"
        ))
        .into());
    }
    // An expression that is literal needs no evaluator.
    let evident = match request.expression.as_deref().map(written) {
        Some(Text::Literal(value)) => Some(value),
        Some(Text::Wrong(problem)) => return Err(Refused(format!("{path}: {problem}")).into()),
        _ => None,
    };
    if let (Some(text), None) = (request.expression.clone(), &evident) {
        return Ok(Planned::new(Draft::Expression { path: path.clone(), text, replace: request.replace }));
    }
    let part = match kind(place)?.below(below.names()) {
        Below::Part(part) => part,
        Below::NoSuchName { name, known } => {
            let hint = match nearest(&name, known.into_iter()).as_slice() {
                [] => "it has nothing below it".to_owned(),
                names => format!("the nearest names are {}", names.join(", ")),
            };
            return Err(Refused(format!("{path}: {} has no {name}; {hint}", place.option_name)).into());
        }
    };
    let built = below.within(&place.option.static_value);
    let mut notes = Vec::new();
    let value = match (request.value.as_ref().or(evident.as_ref()), &request.text) {
        (Some(value), None) => value.clone(),
        (None, Some(text)) => {
            let whole = effective(place, &folded.overlay).ok();
            let present = whole.as_ref().and_then(|whole| below.within(whole));
            let read = text::read(text, &For { part: &part, built, present }).map_err(|error| {
                if place.option.concerns_secret(&below) {
                    // The text may have one in it.
                    return Refused(format!("{path}: {}", error.problem));
                }
                let instead = error.instead.map(|instead| format!("; write {instead}")).unwrap_or_default();
                Refused(format!("{path} = {text:?}: {}{instead}{}", error.problem, standing(asked)))
            })?;
            notes.extend(read.note.map(|note| format!("{path} = {text:?}: {note}")));
            read.value
        }
        _ => return Err(Refused(format!("{path}: there is no value")).into()),
    };
    notes.extend(near::unknown(&place.option.static_value, &below, &value).map(|(given, near)| {
        format!(
            "warning: the built settings have no {}; did you mean {}? `dynix unset {path}` takes it back",
            place.path.join(&given),
            place.path.join(&near)
        )
    }));
    let change = if request.replace { Draft::Replace(path.clone(), value) } else { Draft::Set(path.clone(), value) };
    Ok(Planned { change, notes })
}

/// Checks the change: the whole option has to have its type, and the option's files have to be able to hold it.
fn check(change: &Draft, folded: &Folded, asked: &Asked<'_>, files: &SecretFiles) -> anyhow::Result<Vec<String>> {
    let Asked { path, place, log, .. } = *asked;
    timings::mark("value");
    let overlay = match folded.with(change)? {
        Some(overlay) => overlay,
        None => log.preview(std::slice::from_ref(change))?.overlay,
    };
    timings::mark("fold");
    let refuse = |problem: String| Refused(format!("{path}: {problem}{}", standing(asked)));
    let value = effective(place, &overlay).map_err(|error| {
        let given = asked.secrets.shown(&error.path, &error.given);
        refuse(Conflict { given, ..error }.to_string())
    })?;
    let value = secrets::reveal(place.option, value, files)
        .map_err(|error| Refused(format!("{}: {error}", place.path.join(&error.path))))?;
    let below = place.below(path);
    let concerns = |fault: &AttrPath| fault.starts_with(&below) || below.starts_with(fault);
    if let Some(fault) = kind(place)?
        .mismatches(&value, Some(&place.option.static_value))
        .into_iter()
        .find(|fault| concerns(&fault.path))
    {
        let problem = if place.option.secret.is_empty() {
            format!("{} is refused: {}; expected {}", brief(&fault.given), fault.fault, fault.allowed)
        } else {
            format!("it is refused; expected {}", fault.allowed)
        };
        return Err(Refused(format!("{}: {problem}{}", place.path.join(&fault.path), standing(asked))).into());
    }
    timings::mark("type");
    let mut values = render::static_values(place.service);
    values.insert(place.option_name.to_owned(), value);
    let rendered = render::render(place.service_name, place.service, &values);
    timings::mark("render");
    Ok(rendered.map_err(|error| refuse(error.to_string()))?.notes)
}

/// The option's type.
fn kind<'p>(place: &OptionRef<'p>) -> anyhow::Result<&'p Type> {
    let kind = place.option.schema.kind().map_err(Clone::clone);
    kind.with_context(|| format!("the plan says no type of {}; build the system again", place.option_name))
}

/// The present value at a path, for messages.
fn standing(asked: &Asked<'_>) -> String {
    let Asked { path, place, log, secrets } = *asked;
    let below = place.below(path);
    let at = |value: &Value| match below.within(value) {
        Some(value) => brief(&secrets.shown(path, value)),
        None => "not set".to_owned(),
    };
    let mut lines = vec![format!("built value:   {}", at(&place.option.static_value))];
    let present = log.fold().ok().and_then(|folded| effective(place, &folded.overlay).ok());
    lines.extend(present.map(|present| format!("present value: {}", at(&present))));
    if !place.option.defined_in.is_empty() {
        lines.push(format!("defined in:    {}", place.option.defined_in.join(", ")));
    }
    lines.push(format!("see `dynix get {path}`"));
    format!("\n  {}", lines.join("\n  "))
}
