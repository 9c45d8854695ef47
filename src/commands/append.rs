//! `dynix append`: a new value for an option, checked before it is recorded.

use std::time::SystemTime;

use anyhow::Context;
use serde_json::Value;

use super::apply::Task;
use super::place::{self, Place, nearest};
use super::session::Session;
use super::{Refused, prove, recording, screen};
use crate::apply::rendered;
use crate::attr_path::AttrPath;
use crate::cli::Append;
use crate::exit::Exit;
use crate::messages;
use crate::overrides::{Change, Conflict, Folded, LogFile};
use crate::paths::Paths;
use crate::plan::Plan;
use crate::secrets::{self, SecretFiles, Secrets};
use crate::timings;
use crate::types::{self, ReadAs, Subschemas, Type};
use crate::verify::proof;

/// Records a value, and applies it where that is asked for.
pub fn run(arguments: &Append, session: &mut Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    timings::mark("plan");
    let log = session.log(&plan, &paths);
    let path = place::parse(&arguments.path)?;
    let place = place::find(&plan, &path)?;
    if !place.option.may_change(place.below.names()) {
        return Err(not_dynamic(&path, &place).into());
    }
    let asked = Asked { path: &path, place: &place, log: &log, secrets: &Secrets::of(&plan) };
    let change = change(arguments, &asked)?;
    check(&change, &asked, &SecretFiles::of(&paths))?;
    let until = match arguments.duration {
        None => None,
        Some(duration) => Some(SystemTime::now().checked_add(duration).context("--for is too long")?),
    };
    tell_flows(&plan, &paths, &place, &path);
    let mut trial = recording::start(arguments.recording.confirm, &paths, session)?;
    let ids = recording::record(&log, &[change], &mut trial, until, session)?;
    timings::mark("append to the log");
    for id in &ids {
        messages::info(format!("recorded {id}: {path}"));
    }
    if arguments.recording.apply {
        let services = Some([place.service_name.to_owned()].into());
        let mut task = Task::new(&plan, &paths, services, session);
        task.request.trial = trial;
        return task.run(session);
    }
    Ok(Exit::Done)
}

/// What else the value decides, as far as that is known.
fn tell_flows(plan: &Plan, paths: &Paths, place: &Place<'_>, path: &AttrPath) {
    // Without a proof nothing is said; that one can't be read is for those to say who need it.
    let Ok(Some(proof)) = prove::kept(paths) else { return };
    let flows = proof.flows(plan, place.service_name, path).unwrap_or_default();
    if !flows.is_empty() {
        messages::info(format!("{path} also decides {}", proof::named(&flows).join(", ")));
    }
}

fn not_dynamic(path: &AttrPath, place: &Place<'_>) -> Refused {
    let allowed = place.option.dynamic.iter().flatten().map(|below| place.option_path.join(below).to_string());
    Refused(format!(
        "{path} may not change at run time: {} marks only these: {}",
        place.option_name,
        allowed.collect::<Vec<_>>().join(", ")
    ))
}

/// What the command is about.
struct Asked<'a> {
    path: &'a AttrPath,
    place: &'a Place<'a>,
    log: &'a LogFile,
    secrets: &'a Secrets,
}

/// What is to be recorded: the value read by the option's type, or where a secret is.
fn change(arguments: &Append, asked: &Asked<'_>) -> anyhow::Result<Change> {
    let Asked { path, place, .. } = *asked;
    if let Some(file) = &arguments.secret_file {
        if !place.option.is_secret(&place.below) {
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
        return Ok(Change::Replace(path.clone(), secrets::reference(file)));
    }
    let text = arguments.value.as_deref().unwrap_or_default();
    if place.option.is_secret(&place.below) || arguments.reading.expr && place.option.concerns_secret(&place.below) {
        return Err(Refused(format!(
            "{path} is marked as secret, and everybody can read the log: put the value into a file that others can't \
             read, and say --secret-file FILE"
        ))
        .into());
    }
    if arguments.reading.expr {
        let text = text.to_owned();
        return Ok(Change::Expression { path: path.clone(), text, replace: arguments.replace });
    }
    let read_as = match (arguments.reading.string, arguments.reading.json) {
        (true, _) => ReadAs::String,
        (_, true) => ReadAs::Json,
        _ => ReadAs::Type,
    };
    let places = types::below(&place.option.schema, place.below.names());
    if let Subschemas::NoSuchName { name, known } = &places {
        let hint = match nearest(name, known.iter().cloned()).as_slice() {
            [] => "it has nothing below it".to_owned(),
            names => format!("the nearest names are {}", names.join(", ")),
        };
        return Err(Refused(format!("{path}: {} has no {name}; {hint}", place.option_name)).into());
    }
    let value = types::read(&places, text, read_as).map_err(|error| {
        if place.option.concerns_secret(&place.below) {
            // The text may have one in it.
            return Refused(format!("{path}: {error}"));
        }
        Refused(format!("{path} = {text:?}: {error}{}", standing(asked)))
    })?;
    Ok(if arguments.replace { Change::Replace(path.clone(), value) } else { Change::Set(path.clone(), value) })
}

/// The option as a whole has to have its type with the change, and its files have to be able to say it.
fn check(change: &Change, asked: &Asked<'_>, files: &SecretFiles) -> anyhow::Result<()> {
    let Asked { path, place, log, .. } = *asked;
    timings::mark("value");
    let folded = log.preview(std::slice::from_ref(change))?;
    timings::mark("fold");
    let refuse = |problem: String| Refused(format!("{path}: {problem}{}", standing(asked)));
    let value = effective(place, &folded).map_err(|error| {
        let given = asked.secrets.shown(&error.path, &error.given);
        refuse(Conflict { given, ..error }.to_string())
    })?;
    let value = secrets::reveal(place.option, value, files)
        .map_err(|error| Refused(format!("{}: {error}", place.option_path.join(&error.path))))?;
    let kind = Type::new(&place.option.schema).with_context(|| format!("the plan's type of {}", place.option_name))?;
    let concerns = |fault: &AttrPath| fault.starts_with(&place.below) || place.below.starts_with(fault);
    if let Some(fault) = kind.mismatches(&value).into_iter().find(|fault| concerns(&fault.path)) {
        let problem = if place.option.secret.is_empty() {
            format!("{} is refused: {}; expected {}", screen::value(&fault.given), fault.problem, fault.allowed)
        } else {
            format!("it is refused; expected {}", fault.allowed)
        };
        return Err(Refused(format!("{}: {problem}{}", place.option_path.join(&fault.path), standing(asked))).into());
    }
    timings::mark("type");
    let mut values = rendered::static_values(place.service);
    values.insert(place.option_name.to_owned(), value);
    rendered::render(place.service, &values).map_err(|error| refuse(error.to_string()))?;
    timings::mark("render");
    Ok(())
}

/// The option's effective value.
pub(super) fn effective(place: &Place<'_>, folded: &Folded) -> Result<Value, crate::overrides::Conflict> {
    folded.overlay.below(&place.option_path).effective(&place.option.static_value).map_err(|mut conflict| {
        conflict.path = place.option_path.join(&conflict.path);
        conflict
    })
}

/// What stands at a path now, for messages.
fn standing(asked: &Asked<'_>) -> String {
    let Asked { path, place, log, secrets } = *asked;
    let at = |value: &Value| match place.below.names().iter().try_fold(value, |value, name| value.get(name)) {
        Some(value) => screen::value(&secrets.shown(path, value)),
        None => "not set".to_owned(),
    };
    let mut lines = vec![format!("built value:   {}", at(&place.option.static_value))];
    let present = log.fold().ok().and_then(|folded| effective(place, &folded).ok());
    lines.extend(present.map(|present| format!("present value: {}", at(&present))));
    if !place.option.defined_in.is_empty() {
        lines.push(format!("defined in:    {}", place.option.defined_in.join(", ")));
    }
    lines.push(format!("see `dynix get {path}`"));
    format!("\n  {}", lines.join("\n  "))
}
