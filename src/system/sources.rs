//! The sources of overrides outside of the host, and what each of them says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::System;
use super::record::layer::newest;
use crate::attr_path::AttrPath;
use crate::overrides::{Folded, Kind, Record, leaves_at, tree};
use crate::plan::allowed;
use crate::plan::options::{self, OptionIndex};
use crate::reconcile::observed::files;
use crate::render::secrets::Secrets;

/// What one source says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Whether its values count over those of the host.
    pub over_host: bool,
    /// The record of what it says; missing if it never said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// What the source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When it was recorded here (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its values, as a tree, without secrets.
    pub values: Value,
    /// Whether all of them have been applied.
    pub applied: bool,
    /// The newest that it said, if that was refused here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedLayer>,
}

impl Source {
    /// Its values, by their paths.
    #[must_use]
    pub fn leaves(&self) -> Vec<(AttrPath, Value)> {
        leaves_at(AttrPath::default(), self.values.clone())
    }
}

/// What a source said that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedLayer {
    /// Its record.
    pub id: u64,
    /// What the source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When it was recorded here (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Why.
    pub reason: String,
}

impl System<'_> {
    /// The source whose value counts at a path or below it, if one's does.
    #[must_use]
    pub fn saying(&self, path: &AttrPath, folded: &Folded) -> Option<String> {
        let is_there = |name: &str| {
            let layer = folded.layers.of(name)?;
            let leaves = layer.overlay.leaves();
            leaves
                .iter()
                .any(|(leaf, one)| leaf.starts_with(path) && folded.overlay.at(leaf) == Some(*one))
                .then_some(())
        };
        let names = self.plan.sources.iter().map(|one| one.name.as_str());
        names.rev().find(|name| is_there(name).is_some()).map(str::to_owned)
    }

    /// The values of a service's options that are from sources: their paths, and the source of each.
    #[must_use]
    pub(super) fn said(&self, service: &str, folded: &Folded) -> Vec<(AttrPath, String)> {
        if folded.layers.is_empty() {
            return Vec::new();
        }
        let places = OptionIndex::new(&self.plan);
        let leaves = folded.overlay.leaves().into_iter();
        let ours = leaves.filter(|(leaf, _)| places.find(leaf).is_some_and(|place| place.service_name == service));
        ours.filter_map(|(leaf, _)| Some((leaf.clone(), self.saying(&leaf, folded)?))).collect()
    }

    /// The sources that the configuration has, the lowest first.
    pub fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let log = self.log();
        let folded = log.fold()?;
        let state = self.state()?;
        let secrets = Secrets::new(&self.plan);
        let said: BTreeSet<u64> =
            self.plan.sources.iter().filter_map(|spec| Some(folded.layers.of(&spec.name)?.id)).collect();
        let records = if said.is_empty() { Vec::new() } else { log.find(|id| said.contains(&id))? };
        let mut records: BTreeMap<u64, Record> = records.into_iter().map(|record| (record.id, record)).collect();
        let mut newest = if self.plan.sources.is_empty() { BTreeMap::new() } else { newest(&log)? };
        let mut standing = None;
        let mut sources = Vec::new();
        for spec in &self.plan.sources {
            let mut source = Source {
                name: spec.name.clone(),
                over_host: spec.over_host,
                id: None,
                revision: None,
                time: None,
                by: None,
                message: None,
                values: Value::Object(serde_json::Map::new()),
                applied: true,
                refused: None,
            };
            if let Some(said) = folded.layers.of(&spec.name) {
                let leaves = said.overlay.leaves();
                let shown: Vec<_> =
                    leaves.iter().map(|(path, one)| (path.clone(), secrets.shown(path, one.value))).collect();
                source.values = tree(&shown);
                source.id = Some(said.id);
                if let Some(Record { time, by, message, kind: Kind::Layer(layer), .. }) = records.remove(&said.id) {
                    (source.time, source.by, source.message, source.revision) = (time, by, message, layer.revision);
                }
                for (path, one) in leaves {
                    let Some(place) = options::find(&self.plan, &path) else {
                        let counts = folded.overlay.at(&path) == Some(one) && allowed::is_evaluated(&self.plan, &path);
                        if counts && self.session.manager_to_ask().is_some() {
                            standing = Some(standing.map_or_else(|| self.standing(), Ok)?);
                            source.applied &= standing.as_ref().is_some_and(|standing| standing.has(&path, one.value));
                        }
                        continue;
                    };
                    source.applied &= one.id <= state.log_id(place.service_name)
                        && files::is_intact(place.service_name, place.service, &state, &self.paths)?;
                }
            }
            source.refused = newest.remove(&spec.name).and_then(|newest| {
                let (id, time, revision) = (newest.id, newest.time, newest.layer.revision);
                newest.rejected.map(|reason| RefusedLayer { id, revision, time, reason })
            });
            sources.push(source);
        }
        Ok(sources)
    }
}
