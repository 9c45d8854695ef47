//! Checks values before they are recorded: each option has to have its type with all of them, and its service's files
//! have to be able to hold them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{Asked, kind, standing};
use crate::attr_path::AttrPath;
use crate::host::timings;
use crate::overrides::{Conflict, Draft, Folded, Overlay};
use crate::render;
use crate::render::secrets::{self, SecretFiles};
use crate::system::{Refused, effective};
use crate::types::brief;

/// Values that can be recorded.
#[derive(Debug, Default)]
pub struct Checked {
    /// The overrides with them.
    pub overlay: Overlay,
    /// Notes of the formats.
    pub notes: Vec<String>,
}

/// Checks `drafts`, which are what is `asked` for.
pub fn check(drafts: &[Draft], folded: &Folded, asked: &[Asked<'_>], files: &SecretFiles) -> anyhow::Result<Checked> {
    timings::mark("value");
    let Some(first) = asked.first() else { return Ok(Checked::default()) };
    let known = match drafts {
        [one] => folded.with(one)?,
        _ => None,
    };
    let overlay = match known {
        Some(overlay) => overlay,
        None => first.log.preview(drafts)?.overlay,
    };
    timings::mark("fold");
    let mut services: BTreeMap<&str, (&Asked<'_>, BTreeMap<String, Value>)> = BTreeMap::new();
    for one in asked {
        let value = option_value(one, &overlay, files)?;
        let known = services.entry(one.place.service_name);
        let (_, values) = known.or_insert_with(|| (one, render::static_values(one.place.service)));
        values.insert(one.place.option_name.to_owned(), value);
    }
    timings::mark("type");
    let mut notes = Vec::new();
    for (name, (one, values)) in services {
        let rendered = render::render(name, one.place.service, &values);
        notes.extend(rendered.map_err(|error| refuse(one, &error.to_string()))?.notes);
    }
    timings::mark("render");
    Ok(Checked { overlay, notes })
}

fn refuse(asked: &Asked<'_>, problem: &str) -> Refused {
    Refused(format!("{}: {problem}{}", asked.path, standing(asked)))
}

/// The whole option's value, which has its type.
fn option_value(asked: &Asked<'_>, overlay: &Overlay, files: &SecretFiles) -> anyhow::Result<Value> {
    let Asked { path, place, secrets, .. } = *asked;
    let value = effective(place, overlay).map_err(|error| {
        let given = secrets.shown(&error.path, &error.given);
        refuse(asked, &Conflict { given, ..error }.to_string())
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
    Ok(value)
}
