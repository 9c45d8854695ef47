//! A service's files and drop-ins for given option values: pure.

pub mod key;
pub mod secrets;
pub mod undecided;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::format;
use crate::format::environment;
use crate::host::digest::sha256;
use crate::host::templates;
use crate::plan::{Attach, File, Service};
use key::Key;

/// The rendered files and drop-ins of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Content of each file, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Text of each drop-in that differs from the one for the static values, by unit.
    pub drop_ins: BTreeMap<String, String>,
    /// Notes for people.
    pub notes: Vec<String>,
}

/// Values that a service's files can't express.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Unrenderable {
    /// Which file or drop-in.
    pub place: String,
    /// In the format's own terms.
    pub problem: String,
}

/// Renders a service, by name. `values` has every option of the service by its full name.
pub fn render(name: &str, service: &Service, values: &BTreeMap<String, Value>) -> Result<Rendered, Unrenderable> {
    let rendered = render_all(service, values).map_err(|error| {
        if !service.has_secrets() {
            return error;
        }
        // The messages of formats quote the values.
        let problem = "it can't hold these values; they are not shown, for some are secret".to_owned();
        Unrenderable { problem, ..error }
    });
    settled(name, service, values, rendered)
}

/// Refuses what depends on what the built values do not show.
fn settled(
    name: &str,
    service: &Service,
    values: &BTreeMap<String, Value>,
    rendered: Result<Rendered, Unrenderable>,
) -> Result<Rendered, Unrenderable> {
    let is_open = |file: &File| file.proof.as_ref().is_some_and(|proof| !proof.undecided.is_empty());
    if !service.files.values().any(is_open) {
        return rendered;
    }
    let built = static_values(service);
    let mut notes = Vec::new();
    for (file_name, file) in service.files.iter().filter(|(_, file)| is_open(file)) {
        let subject = undecided::Subject {
            service: name,
            name: file_name,
            file,
            built: &built,
            values,
            is_secret: service.has_secrets(),
        };
        let found = undecided::check(subject);
        let found = found.map_err(|problem| Unrenderable { place: file_name.clone(), problem })?;
        notes.extend(found.into_iter().map(|note| format!("{file_name}: {note}")));
    }
    rendered.map(|rendered| Rendered { notes, ..rendered })
}

fn render_all(service: &Service, values: &BTreeMap<String, Value>) -> Result<Rendered, Unrenderable> {
    let mut rendered = Rendered::default();
    let as_built = LazyCell::new(|| static_values(service));
    for (name, file) in &service.files {
        let unrenderable = |problem: String| Unrenderable { place: name.clone(), problem };
        let value = file.value.evaluate(values).map_err(|error| unrenderable(error.to_string()))?;
        if let Attach::Variables { built, .. } = &file.attach {
            kept(&file.format.parameters, &value, built).map_err(unrenderable)?;
        }
        let bytes = format::render(&file.format, &value).map_err(|error| unrenderable(error.to_string()))?;
        if format::has_ambiguities(&file.format, &value).map_err(|error| unrenderable(error.to_string()))? {
            let unchanged = file.value.evaluate(&as_built).map_err(|error| unrenderable(error.to_string()))?;
            format::ambiguities(&file.format, &unchanged, &value).map_err(|error| unrenderable(error.to_string()))?;
        }
        let bytes = match &file.around {
            Some(around) => around.put(bytes),
            None => bytes,
        };
        rendered.files.insert(name.clone(), bytes);
    }
    for (unit, template) in &service.drop_ins {
        let unrenderable = |error: templates::TemplateError| Unrenderable {
            place: format!("drop-in of {unit}"),
            problem: error.to_string(),
        };
        let text = templates::drop_in(template, values).map_err(unrenderable)?;
        if text != templates::drop_in(template, &as_built).map_err(unrenderable)? {
            rendered.drop_ins.insert(unit.clone(), text);
        }
    }
    Ok(rendered)
}

/// Variables of a file come on top of those that the unit sets; one that is left out of the file is still there.
fn kept(
    parameters: &serde_json::Map<String, Value>,
    value: &Value,
    built: &BTreeMap<String, String>,
) -> Result<(), String> {
    let variables = environment::variables(parameters, value).map_err(|error| error.to_string())?;
    match built.keys().find(|name| !variables.contains_key(*name)) {
        Some(name) => {
            Err(format!("the unit itself sets {name}, so only a rebuild takes it away; give it another value"))
        }
        None => Ok(()),
    }
}

/// The built values of a service's options, by full name.
#[must_use]
pub fn static_values(service: &Service) -> BTreeMap<String, Value> {
    service.options.iter().map(|(name, option)| (name.clone(), option.static_value.clone())).collect()
}

/// The identity of a file for a unit that reads it: content, mode, owner and group. The built content is no secret, and
/// has the digest that the proof has.
#[must_use]
pub fn identity(service: &Service, file: &File, bytes: &[u8], key: &Key) -> String {
    let digest = sha256(bytes);
    let is_built = file.proof.as_ref().is_some_and(|proof| proof.rendered == digest);
    let is_private = !is_built && file.holds_secret(service);
    of_digest(file, &if is_private { key.digest(bytes) } else { digest })
}

fn of_digest(file: &File, digest: &str) -> String {
    format!("{digest} {} {} {}", file.mode, file.owner, file.group)
}

/// Identities of the files that the build wrote, by name.
pub fn identities_as_built(service: &Service) -> Result<BTreeMap<String, String>, Unrenderable> {
    if service.files.values().any(|file| file.proof.is_none()) {
        return Ok(identities(service, &render_all(service, &static_values(service))?, &Key::default()));
    }
    let proven = service.files.iter().filter_map(|(name, file)| Some((name, file, file.proof.as_ref()?)));
    Ok(proven.map(|(name, file, proof)| (name.clone(), of_digest(file, &proof.rendered))).collect())
}

/// Identities of rendered files, by name.
#[must_use]
pub fn identities(service: &Service, rendered: &Rendered, key: &Key) -> BTreeMap<String, String> {
    let files = service.files.iter().filter_map(|(name, file)| Some((name, file, rendered.files.get(name)?)));
    files.map(|(name, file, bytes)| (name.clone(), identity(service, file, bytes, key))).collect()
}
