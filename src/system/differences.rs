//! Compares the configuration in effect with the built one, or with what an apply would make of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::moment::Moment;
use super::{System, lookup};
use crate::evaluated::{self, SYSTEM};
use crate::host::fs::{self, generation};
use crate::host::paths::Paths;
use crate::overrides::Draft;
use crate::plan::Service;
use crate::reconcile::desired::{Desired, desired};
use crate::reconcile::report::Difference;
use crate::reconcile::state::State;
use crate::reconcile::view::View;
use crate::render::secrets::SecretFiles;
use crate::render::{render, static_values};

/// Two texts of one file or drop-in.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// The service.
    pub service: String,
    /// The file, or the drop-in.
    pub name: String,
    /// The present text; in a comparison with the built one, the built text.
    pub old: String,
    /// The text after an apply; in a comparison with the built one, the present text.
    pub new: String,
}

/// A service's texts by file name, and by unit for drop-ins.
type Texts = BTreeMap<String, String>;

impl System<'_> {
    /// The texts that differ, of these services or of all. `pending`: what is in effect and what an apply would give,
    /// instead of what is built and what is in effect.
    pub fn differences(&self, services: &[String], pending: bool) -> anyhow::Result<Vec<Pair>> {
        let only = lookup::services(&self.plan, services)?;
        self.differences_with(&[], only.as_ref(), pending)
    }

    /// The same with `changes` recorded first.
    pub(super) fn differences_with(
        &self,
        changes: &[Draft],
        only: Option<&BTreeSet<String>>,
        pending: bool,
    ) -> anyhow::Result<Vec<Pair>> {
        let System { plan, paths, session } = self;
        let state = self.state()?;
        let View { desired, folded, .. } = self.view_with(changes, only)?;
        folded.unevaluated.iter().for_each(|one| session.progress().warn(&format!("left out: {one}")));
        let mut pairs = Vec::new();
        let taken = plan.services.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(*name)));
        for (name, service) in taken {
            let built = texts(name, service, &static_values(service))?;
            let present = in_effect(name, service, &state, paths, &built)?;
            let (old, new) = if pending {
                let wanted = match desired.services.get(name) {
                    Some(values) => texts(name, service, values)?,
                    // It waits for a secret.
                    None if desired.awaited.contains_key(name) => present.clone(),
                    None => built,
                };
                (present, wanted)
            } else {
                (built, present)
            };
            pairs.extend(differing(name, service, &old, &new));
        }
        if !pending && only.is_none_or(|only| only.contains(SYSTEM)) {
            pairs.extend(self.of_no_service()?);
        }
        Ok(pairs)
    }

    /// The texts that differ between two moments, of these services or of all; and what both are called.
    pub fn differences_between(
        &self,
        services: &[String],
        (from, to): (Moment, Moment),
    ) -> anyhow::Result<(Vec<Pair>, (String, String))> {
        let only = lookup::services(&self.plan, services)?;
        let (old, old_label) = self.texts_at(from, only.as_ref())?;
        let (new, new_label) = self.texts_at(to, only.as_ref())?;
        let mut pairs = Vec::new();
        let none = Texts::new();
        for (name, service) in &self.plan.services {
            let side = |texts: &'_ BTreeMap<String, Texts>| texts.get(name).cloned().unwrap_or_else(|| none.clone());
            pairs.extend(differing(name, service, &side(&old), &side(&new)));
        }
        Ok((pairs, (old_label, new_label)))
    }

    /// Each service's texts at a moment, and what that is called.
    fn texts_at(
        &self,
        moment: Moment,
        only: Option<&BTreeSet<String>>,
    ) -> anyhow::Result<(BTreeMap<String, Texts>, String)> {
        let System { plan, paths, session } = self;
        let then = self.then(moment)?;
        let desired = match &then {
            Some(then) => desired(plan, &then.overlay, only, &SecretFiles::new(paths)),
            None => Desired::default(),
        };
        for one in desired.left_out.iter().chain(&desired.strangers) {
            session.progress().warn(&format!("left out: {} (record {}): {}", one.path, one.id, one.reason));
        }
        let state = self.state()?;
        let mut all = BTreeMap::new();
        for (name, service) in plan.services.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(*name))) {
            let built = texts(name, service, &static_values(service))?;
            let found = match &then {
                None => in_effect(name, service, &state, paths, &built)?,
                Some(_) => match desired.services.get(name) {
                    Some(values) => texts(name, service, values)?,
                    None => built,
                },
            };
            all.insert(name.clone(), found);
        }
        Ok((all, then.map_or_else(|| "in effect".to_owned(), |then| then.label)))
    }

    /// The same of options of no service that are in effect.
    fn of_no_service(&self) -> anyhow::Result<Vec<Pair>> {
        if !evaluated::is_used(&self.plan) || self.session.is_elsewhere() {
            return Ok(Vec::new());
        }
        let differences = evaluated::observe(&self.paths)?.stand_in.map(|one| one.about.differences);
        let pair = |one: Difference| Pair { service: SYSTEM.to_owned(), name: one.name, old: one.old, new: one.new };
        Ok(differences.into_iter().flatten().map(pair).collect())
    }
}

fn differing(name: &str, service: &Service, old: &Texts, new: &Texts) -> Vec<Pair> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let pair = |file: &String| {
        let text = |texts: &Texts| texts.get(file).cloned().unwrap_or_default();
        let (mut old, mut new) = (text(old), text(new));
        if old == new {
            return None;
        }
        if service.files.get(file).is_some_and(|file| file.holds_secret(service)) {
            "(holds a secret, not shown)\n".clone_into(&mut old);
            "(holds a secret, not shown; it differs)\n".clone_into(&mut new);
        }
        Some(Pair { service: name.to_owned(), name: file.clone(), old, new })
    };
    names.into_iter().filter_map(pair).collect()
}

fn texts(name: &str, service: &Service, values: &BTreeMap<String, serde_json::Value>) -> anyhow::Result<Texts> {
    let rendered = render(name, service, values)?;
    let files = rendered.files.into_iter().map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()));
    let drop_ins = rendered.drop_ins.into_iter().map(|(unit, text)| (drop_in_name(&unit), text));
    Ok(files.chain(drop_ins).collect())
}

fn drop_in_name(unit: &str) -> String {
    format!("{unit}.d/50-dynix.conf")
}

fn in_effect(
    name: &str,
    service: &Service,
    state: &State,
    paths: &Paths,
    built: &Texts,
) -> Result<Texts, fs::FileError> {
    let directory = paths.service(name);
    let mut texts = built.clone();
    if let Some(number) = generation::current(&directory)? {
        for file in service.files.keys() {
            if let Some(bytes) = generation::read(&directory, number, file)? {
                texts.insert(file.clone(), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let drop_ins = state.services.get(name).map(|one| one.in_effect.drop_ins.clone()).unwrap_or_default();
    texts.extend(drop_ins.into_iter().map(|(unit, text)| (drop_in_name(&unit), text)));
    Ok(texts)
}
