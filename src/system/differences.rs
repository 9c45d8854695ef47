//! Compares the configuration in effect with the built one, or with what an apply would make of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::moment::Moment;
use super::{System, lookup};
use crate::attr_path::AttrPath;
use crate::evaluated::{self, SYSTEM};
use crate::host::fs::{self, generation};
use crate::host::paths::Paths;
use crate::overrides::{Draft, Folded};
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
    /// The values of the new text that are from sources outside of the host: their paths, and the source of each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
}

/// The values that are from sources, and the source of each.
type Said = Vec<(AttrPath, String)>;

/// The texts of each service at a moment, with what sources said of its values then.
type Moments = BTreeMap<String, (Texts, Said)>;

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
        let System { plan, paths, .. } = self;
        let state = self.state()?;
        let View { desired, folded, .. } = self.view_with(changes, only)?;
        self.warn_of_unevaluated(&folded, |path| self.is_of_any(only, path));
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
            let said = if pending { self.said(name, &folded) } else { self.said_in_effect(name, &folded, &state) };
            pairs.extend(differing(name, service, (&old, &new), &said));
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
        let (mut old, old_label) = self.texts_at(from, only.as_ref())?;
        let (mut new, new_label) = self.texts_at(to, only.as_ref())?;
        let mut pairs = Vec::new();
        for (name, service) in &self.plan.services {
            let (old, _) = old.remove(name).unwrap_or_default();
            let (new, said) = new.remove(name).unwrap_or_default();
            pairs.extend(differing(name, service, (&old, &new), &said));
        }
        Ok((pairs, (old_label, new_label)))
    }

    /// What sources say of a service's values in effect.
    fn said_in_effect(&self, service: &str, folded: &Folded, state: &State) -> Said {
        let applied_up_to = state.log_id(service);
        if folded.last_id <= applied_up_to || folded.layers.is_empty() {
            return self.said(service, folded);
        }
        match self.log().fold_at(applied_up_to) {
            Ok(then) => self.said(service, &then),
            // A log that was edited no longer says what was applied.
            Err(_) => Vec::new(),
        }
    }

    /// Each service's texts at a moment, with what sources said of its values, and what that is called.
    fn texts_at(&self, moment: Moment, only: Option<&BTreeSet<String>>) -> anyhow::Result<(Moments, String)> {
        let System { plan, paths, session } = self;
        let then = self.then(moment)?;
        let desired = match &then {
            Some(then) => desired(plan, &then.folded.overlay, only, &SecretFiles::new(paths)),
            None => Desired::default(),
        };
        for one in desired.left_out.iter().chain(&desired.strangers) {
            session.progress().warn(&format!("left out: {} (record {}): {}", one.path, one.id, one.reason));
        }
        let state = self.state()?;
        let now = if then.is_none() { self.log().fold()? } else { Folded::default() };
        let mut all = Moments::new();
        for (name, service) in plan.services.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(*name))) {
            let built = texts(name, service, &static_values(service))?;
            let found = match &then {
                None => in_effect(name, service, &state, paths, &built)?,
                Some(_) => match desired.services.get(name) {
                    Some(values) => texts(name, service, values)?,
                    None => built,
                },
            };
            let said = match &then {
                None => self.said_in_effect(name, &now, &state),
                Some(then) => self.said(name, &then.folded),
            };
            all.insert(name.clone(), (found, said));
        }
        Ok((all, then.map_or_else(|| "in effect".to_owned(), |then| then.label)))
    }

    /// The same of options of no service that are in effect.
    fn of_no_service(&self) -> anyhow::Result<Vec<Pair>> {
        if !evaluated::is_used(&self.plan) || self.session.is_elsewhere() {
            return Ok(Vec::new());
        }
        let differences = evaluated::observe(&self.paths)?.stand_in.map(|one| one.about.differences);
        let pair = |one: Difference| Pair {
            service: SYSTEM.to_owned(),
            name: one.name,
            old: one.old,
            new: one.new,
            sources: BTreeMap::new(),
        };
        Ok(differences.into_iter().flatten().map(pair).collect())
    }
}

fn differing(name: &str, service: &Service, (old, new): (&Texts, &Texts), said: &[(AttrPath, String)]) -> Vec<Pair> {
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
        // A drop-in may have any of them.
        let read = service.files.get(file).map(|file| file.value.options());
        let is_read = |path: &AttrPath| {
            let is_below = |option: &str| AttrPath::parse(option).is_ok_and(|option| path.starts_with(&option));
            read.as_ref().is_none_or(|read| read.iter().any(|option| is_below(option)))
        };
        let sources = said.iter().filter(|(path, _)| is_read(path));
        let sources = sources.map(|(path, source)| (path.to_string(), source.clone())).collect();
        Some(Pair { service: name.to_owned(), name: file.clone(), old, new, sources })
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
