//! One value of a request: read by its option's type, and checked before it is recorded.

use anyhow::Context as _;
use serde_json::Value;

use super::elements::ListPath;
use super::near;
use super::text;
use super::text::For;
use crate::attr_path::AttrPath;
use crate::overrides::{Draft, Folded, LogFile, Text, written};
use crate::plan::options::{OptionRef, nearest};
use crate::render::secrets::{self, Secrets};
use crate::system::request::Assignment;
use crate::system::{Refused, effective};
use crate::types::{Below, Type, brief};

/// The refusal of a path that may not change.
pub fn not_dynamic(path: &AttrPath, place: &OptionRef<'_>) -> Refused {
    let allowed = place.option.dynamic.iter().flatten().map(|below| place.path.join(below).to_string());
    Refused(format!(
        "{path} may not change at run time: {} marks only these: {}",
        place.option_name,
        allowed.collect::<Vec<_>>().join(", ")
    ))
}

/// A value that is asked for, and where it belongs.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The path.
    pub path: &'a AttrPath,
    /// Its option.
    pub place: &'a OptionRef<'a>,
    /// The log.
    pub log: &'a LogFile,
    /// Which values are secret.
    pub secrets: &'a Secrets,
}

/// A change to record, and the notes about it.
pub struct Planned {
    /// The change.
    pub change: Draft,
    /// The notes.
    pub notes: Vec<String>,
}

impl Planned {
    fn new(change: Draft) -> Self {
        Self { change, notes: Vec::new() }
    }
}

/// The change to record: the value, parsed by the option's type, or the path of a secret.
pub fn change(request: &Assignment, folded: &Folded, asked: &Asked<'_>) -> anyhow::Result<Planned> {
    let Asked { path, place, .. } = *asked;
    let below = place.below(path);
    let list = ListPath::parse(&request.path)?;
    let is_of_list = request.list.is_some() || list.is_within_a_list();
    let given = [request.text.is_some(), request.value.is_some(), request.expression.is_some(), request.unset];
    if given.into_iter().chain([request.secret_file.is_some()]).filter(|given| *given).count() != 1 {
        return Err(Refused(format!("{path}: give exactly one of value, text, expression and secretFile")).into());
    }
    if is_of_list {
        return element(request, &list, folded, asked);
    }
    if request.unset {
        return Ok(Planned::new(Draft::Unset(path.clone())));
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
                Refused(format!("{path} = {}: {}{instead}{}", as_given(text), error.problem, standing(asked)))
            })?;
            notes.extend(read.note.map(|note| format!("{path} = {}: {note}", as_given(text))));
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

/// The change of a list: what is recorded is all of it.
fn element(request: &Assignment, list: &ListPath, folded: &Folded, asked: &Asked<'_>) -> anyhow::Result<Planned> {
    let Asked { path, place, .. } = *asked;
    let below = place.below(path);
    let refuse = |problem: &str| Refused(format!("{}: {problem}{}", request.path, standing(asked)));
    if request.unset || request.secret_file.is_some() || request.replace {
        return Err(Refused(format!(
            "{}: of an element, only the value can be given; `dynix unset {path}` ends the override of the list",
            request.path
        ))
        .into());
    }
    if place.option.concerns_secret(&below) || place.option.is_secret(&below) {
        return Err(Refused(format!("{}: the list has secrets, so give it as a whole", request.path)).into());
    }
    let whole = effective(place, &folded.overlay).map_err(|error| refuse(&error.to_string()))?;
    let present = below.within(&whole).unwrap_or(&Value::Null);
    let Below::Part(part) = kind(place)?.below(&list.names(&below, request.list)) else {
        return Err(refuse("its type has no such element").into());
    };
    let mut notes = Vec::new();
    let value = match (&request.value, &request.text, request.expression.as_deref().map(written)) {
        (Some(value), ..) => value.clone(),
        (_, Some(text), _) => {
            let present = if request.list.is_some() { None } else { list.present(present) };
            let read = text::read(text, &For { part: &part, built: None, present }).map_err(|error| {
                let instead = error.instead.map(|instead| format!("; write {instead}")).unwrap_or_default();
                refuse(&format!("{}: {}{instead}", as_given(text), error.problem))
            })?;
            notes.extend(read.note.map(|note| format!("{} = {}: {note}", request.path, as_given(text))));
            read.value
        }
        (_, _, Some(Text::Literal(value))) => value,
        (_, _, Some(Text::Wrong(problem))) => return Err(refuse(&problem).into()),
        _ => return Err(refuse("an element can't be an expression; give the whole list so").into()),
    };
    let changed = list.changed(present, value, request.list).map_err(|problem| refuse(&problem))?;
    Ok(Planned { change: Draft::Set(path.clone(), changed), notes })
}

/// A value as somebody wrote it, for messages: a number is no text.
fn as_given(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::String(_)) | Err(_) => format!("{text:?}"),
        Ok(_) => text.trim().to_owned(),
    }
}

/// The option's type.
pub fn kind<'p>(place: &OptionRef<'p>) -> anyhow::Result<&'p Type> {
    let kind = place.option.schema.kind().map_err(Clone::clone);
    kind.with_context(|| format!("the plan says no type of {}; build the system again", place.option_name))
}

/// The present value at a path, for messages.
pub fn standing(asked: &Asked<'_>) -> String {
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
