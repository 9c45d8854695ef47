//! An option's value in effect, its source, and any other recorded value.

use serde::Serialize;
use serde_json::Value;

use super::moment::Moment;
use super::{Refused, System, effective, lookup};
use crate::attr_path::AttrPath;
use crate::overrides::{Draft, Overlay};
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
    /// The source that the value, or part of it, comes from, if it is not all the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The service.
    #[serde(skip)]
    pub service: String,
    /// Whether the files that it reads are still those that were written.
    #[serde(skip)]
    pub is_intact: bool,
}

/// One value at an earlier moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundThen {
    /// The path.
    pub path: String,
    /// The option that the path belongs to.
    #[serde(skip)]
    pub option: String,
    /// The last record then; 0 for none.
    pub at: u64,
    /// The recorded value then.
    pub value: Option<Value>,
    /// The value that is built now.
    pub r#static: Option<Value>,
    /// The ids of the records that the value, or part of it, comes from.
    pub records: Vec<u64>,
    /// The source that the value, or part of it, came from, if it was not all the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl System<'_> {
    /// Finds what was recorded for a path at a moment.
    pub fn value_then(&self, path: &str, moment: Moment) -> anyhow::Result<FoundThen> {
        let path = lookup::parse(path)?;
        let place = lookup::find(&self.plan, &path)?;
        let Some(then) = self.then(moment)? else {
            return Err(Refused("`dynix get` without --at says what is in effect".to_owned()).into());
        };
        let whole = effective(&place, &then.folded.overlay)?;
        let secrets = Secrets::new(&self.plan);
        let shown = |value: &Value| place.below(&path).within(value).map(|value| secrets.shown(&path, value));
        Ok(FoundThen {
            path: path.to_string(),
            option: place.path.to_string(),
            at: then.record,
            value: shown(&whole),
            r#static: shown(&place.option.static_value),
            records: records(&then.folded.overlay, &path),
            source: self.saying(&path, &then.folded),
        })
    }

    /// Finds a value.
    pub fn value(&self, path: &str) -> anyhow::Result<Found> {
        let System { plan, paths, .. } = self;
        let path = lookup::parse(path)?;
        let place = lookup::find(plan, &path)?;
        let only = Some([place.service_name.to_owned()].into());
        let state = self.state()?;
        let log = self.log();
        let look = |changes: &[Draft]| view(plan, paths, &log, changes, only.as_ref());
        let View { folded, last_id, .. } = look(&state.on_trial())?;
        let is_about = |one: &AttrPath| one.starts_with(&path) || path.starts_with(one);
        self.warn_of_unevaluated(&folded, is_about);
        let whole = effective(&place, &folded.overlay)?;
        let applied_up_to = state.log_id(place.service_name);
        let in_effect = if last_id <= applied_up_to {
            whole.clone()
        } else {
            let applied = [vec![Draft::Rollback(applied_up_to)], state.on_trial()].concat();
            let then = match plan.sources.as_slice() {
                [] => look(&applied).map(|view| view.folded),
                // No rollback returns to what a source said.
                _ => log.fold_at(applied_up_to).map_err(Into::into),
            };
            match then {
                Ok(folded) => effective(&place, &folded.overlay)?,
                // A log that was edited no longer says what was applied.
                Err(_) => whole.clone(),
            }
        };
        let at = |value: &Value| place.below(&path).within(value).cloned();
        let secrets = Secrets::new(plan);
        let shown = |value: Option<Value>| value.map(|value| secrets.shown(&path, &value));
        let is_intact = files::is_intact(place.service_name, place.service, &state, paths)?;
        let records = records(&folded.overlay, &path);
        Ok(Found {
            path: path.to_string(),
            option: place.path.to_string(),
            value: shown(at(&whole)),
            in_effect: shown(at(&in_effect)),
            service: place.service_name.to_owned(),
            r#static: shown(at(&place.option.static_value)),
            source: self.saying(&path, &folded),
            applied: is_intact && records.iter().all(|id| *id <= applied_up_to),
            records,
            is_intact,
        })
    }
}

/// The records that the value at a path, or part of it, comes from.
fn records(overlay: &Overlay, path: &AttrPath) -> Vec<u64> {
    let leaves = overlay.leaves().into_iter();
    leaves.filter(|(leaf, _)| leaf.starts_with(path) || path.starts_with(leaf)).map(|(_, one)| one.id).collect()
}
