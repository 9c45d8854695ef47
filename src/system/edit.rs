//! The settings of a service, or below a path, as text for an editor; and what was changed in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::import::{self, Written};
use super::request::Assignment;
use super::settings::Setting;
use super::{Refused, System, lookup};
use crate::attr_path::AttrPath;
use crate::nix::write_value;
use crate::plan::options;
use crate::render::secrets::Secrets;
use crate::types::brief;

/// What is edited.
#[derive(Debug)]
pub struct Editable {
    /// The text for the editor.
    pub text: String,
    /// The values in it.
    values: BTreeMap<AttrPath, Value>,
    /// Those of them that are overridden.
    overridden: Vec<AttrPath>,
}

impl System<'_> {
    /// The settings of a service, or those at and below a path.
    pub fn editable(&self, about: &str) -> anyhow::Result<Editable> {
        let (service, below) = if self.plan.services.contains_key(about) {
            (about.to_owned(), AttrPath::default())
        } else {
            let path = lookup::parse(about)?;
            if path.names().len() < 2 {
                lookup::services(&self.plan, &[about.to_owned()])?;
            }
            let service = match options::find(&self.plan, &path) {
                Some(place) => place.service_name.to_owned(),
                // It may be a part of the way to options.
                None => self
                    .plan
                    .services
                    .iter()
                    .find_map(|(name, service)| {
                        let is_below =
                            |option: &String| AttrPath::parse(option).is_ok_and(|one| one.starts_with(&path));
                        service.options.keys().any(is_below).then(|| name.clone())
                    })
                    .map_or_else(|| lookup::find(&self.plan, &path).map(|place| place.service_name.to_owned()), Ok)?,
            };
            (service, path)
        };
        let settings = self.settings(&service, "")?.settings;
        let secrets = Secrets::new(&self.plan);
        let overlay = self.log().fold()?.overlay;
        let mut editable = Editable { text: header(about), values: BTreeMap::new(), overridden: Vec::new() };
        for setting in &settings {
            let path = lookup::parse(&setting.path)?;
            if !path.starts_with(&below) {
                continue;
            }
            let is_open = setting.dynamic && !secrets.concern(&path);
            line(&mut editable.text, &path, setting, is_open)?;
            if let (true, Some(value)) = (is_open, &setting.effective) {
                editable.values.insert(path.clone(), value.clone());
            }
        }
        let leaves = overlay.leaves().into_iter().map(|(path, _)| path);
        editable.overridden = leaves.collect();
        if editable.values.is_empty() && !settings.iter().any(|one| one.dynamic) {
            return Err(
                Refused(format!("{about} has no settings that may change; see `dynix options {service}`")).into()
            );
        }
        Ok(editable)
    }
}

fn header(about: &str) -> String {
    format!(
        "# The settings of {about}, as they are recorded. Change values, add lines, save and leave: only what differs is\n\
         # recorded. A line that you take out ends its override. Leave all as it is, and nothing happens.\n\n"
    )
}

fn line(text: &mut String, path: &AttrPath, setting: &Setting, is_open: bool) -> anyhow::Result<()> {
    let mut definition = path.to_string();
    let built = setting.r#static.as_ref().map(|value| format!("; built: {}", brief(value)));
    let note = one_line(&format!("{}{}", setting.r#type, built.unwrap_or_default()));
    // Writing to a String can't fail.
    let _ = writeln!(text, "# {note}");
    match &setting.effective {
        Some(value) if is_open => {
            definition.push_str(" = ");
            write_value(&mut definition, value)?;
            let _ = writeln!(text, "{definition};");
        }
        None if is_open => drop(writeln!(text, "# {definition} = ;")),
        _ => drop(writeln!(text, "# {definition} can't be edited here")),
    }
    Ok(())
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.replace(|ch: char| ch.is_control(), " ")
}

impl Editable {
    /// What the edited text changes: values to set, and overrides to end.
    pub fn changes(&self, edited: &str) -> Result<Vec<Assignment>, Refused> {
        let settings = import::read(edited, Written::Nix)?;
        let mut now = BTreeMap::new();
        flatten(settings, &AttrPath::default(), &self.values, &mut now);
        let mut changes = Vec::new();
        for (path, value) in &now {
            if self.values.get(path) != Some(value) {
                let value = Some(value.clone());
                changes.push(Assignment { path: path.to_string(), value, ..Assignment::default() });
            }
        }
        for path in self.values.keys().filter(|path| !now.contains_key(*path)) {
            // A value of another form stands in its place.
            if now.keys().any(|one| one.starts_with(path) || path.starts_with(one)) {
                continue;
            }
            if !self.overridden.iter().any(|one| path.starts_with(one)) {
                return Err(Refused(format!(
                    "{path} is built, and a line that is taken out only ends an override; give it another value"
                )));
            }
            changes.push(Assignment { path: path.to_string(), unset: true, ..Assignment::default() });
        }
        Ok(changes)
    }
}

/// The values at their paths. A set that was one value before, and an empty one, stays whole.
fn flatten(value: Value, path: &AttrPath, known: &BTreeMap<AttrPath, Value>, found: &mut BTreeMap<AttrPath, Value>) {
    match value {
        Value::Object(attributes) if !attributes.is_empty() && !known.contains_key(path) || path.names().is_empty() => {
            let Value::Object(attributes) = Value::Object(attributes) else { return };
            for (name, value) in attributes {
                flatten(value, &path.child(&name), known, found);
            }
        }
        value => drop(found.insert(path.clone(), value)),
    }
}
