//! An option's value in effect, its source, and any other recorded value.

use serde::Serialize;
use serde_json::Value;

use super::{System, effective, lookup};
use crate::attr_path::AttrPath;
use crate::overrides::Draft;
use crate::reconcile::observed::files;
use crate::reconcile::view::{View, view};
use crate::render::secrets::Secrets;

/// One value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The path.
    pub path: String,
    /// The option that the path belongs to.
    #[serde(skip)]
    pub option: String,
    /// The recorded value: in effect after the next apply.
    pub value: Option<Value>,
    /// The value that the service has now.
    pub in_effect: Option<Value>,
    /// The built value.
    pub r#static: Option<Value>,
    /// The ids of the records that the value, or part of it, comes from.
    pub records: Vec<u64>,
    /// Whether the service has applied them.
    pub applied: bool,
    /// The service.
    #[serde(skip)]
    pub service: String,
    /// Whether the files that it reads are still those that were written.
    #[serde(skip)]
    pub is_intact: bool,
}

impl System<'_> {
    /// Finds a value.
    pub fn value(&self, path: &str) -> anyhow::Result<Found> {
        let System { plan, paths, session } = self;
        let path = lookup::parse(path)?;
        let place = lookup::find(plan, &path)?;
        let only = Some([place.service_name.to_owned()].into());
        let state = self.state()?;
        let log = self.log();
        let look = |changes: &[Draft]| view(plan, paths, &log, changes, only.as_ref());
        let View { folded, last_id, .. } = look(&state.on_trial())?;
        let is_about = |one: &AttrPath| one.starts_with(&path) || path.starts_with(one);
        for one in folded.unevaluated.iter().filter(|one| one.paths.iter().any(is_about)) {
            session.progress().warn(&format!("left out: {one}"));
        }
        let whole = effective(&place, &folded.overlay)?;
        let applied_up_to = state.log_id(place.service_name);
        let in_effect = if last_id <= applied_up_to {
            whole.clone()
        } else {
            let applied = [vec![Draft::Rollback(applied_up_to)], state.on_trial()].concat();
            match look(&applied) {
                Ok(View { folded, .. }) => effective(&place, &folded.overlay)?,
                // A log that was edited no longer says what was applied.
                Err(_) => whole.clone(),
            }
        };
        let at = |value: &Value| place.below(&path).within(value).cloned();
        let secrets = Secrets::new(plan);
        let shown = |value: Option<Value>| value.map(|value| secrets.shown(&path, &value));
        let is_intact = files::is_intact(place.service_name, place.service, &state, paths)?;
        let records: Vec<u64> = folded
            .overlay
            .leaves()
            .into_iter()
            .filter(|(leaf, _)| leaf.starts_with(&path) || path.starts_with(leaf))
            .map(|(_, one)| one.id)
            .collect();
        Ok(Found {
            path: path.to_string(),
            option: place.path.to_string(),
            value: shown(at(&whole)),
            in_effect: shown(at(&in_effect)),
            service: place.service_name.to_owned(),
            r#static: shown(at(&place.option.static_value)),
            applied: is_intact && records.iter().all(|id| *id <= applied_up_to),
            records,
            is_intact,
        })
    }
}
