//! The services of a plan, all of them or the required ones.
//!
//! A plan that was read whole has all of its services. A plan that was opened by its index ([`Services::behind`]) has
//! only the required services, and iteration gives only these. A service is required by its name or by an option,
//! together with the services that it comes after. If the index does not belong to the plan, the plan is read whole.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use camino::Utf8PathBuf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attr_path::AttrPath;
use crate::host::fs;
use crate::plan::index::Index;
use crate::plan::{Candidate, PlanError, Service};

/// Services by name.
#[derive(Clone, Debug)]
pub struct Services {
    /// All services, if they were read.
    whole: OnceLock<BTreeMap<String, Service>>,
    /// The plan's candidates, if it was opened by its index and read whole later.
    candidates: OnceLock<BTreeMap<String, Candidate>>,
    /// The source of the other services.
    source: Option<Arc<Source>>,
}

#[derive(Debug)]
struct Source {
    path: Utf8PathBuf,
    index: Index,
    /// By number, which is the order of the names.
    slots: Vec<OnceLock<Box<(String, Service)>>>,
}

impl Source {
    /// Reads a service, with those that it comes after; false if the index does not belong to the plan.
    fn require(&self, number: usize, is_right: impl Fn(&str, &Service) -> bool) -> bool {
        let mut open = Vec::new();
        let Some((name, service)) = self.read(number, &mut open) else { return false };
        if !is_right(name, service) {
            return false;
        }
        while let Some(after) = open.pop() {
            let Some(number) = self.index.service(after) else { continue };
            if self.read(number, &mut open).is_none_or(|(name, _)| name != after) {
                return false;
            }
        }
        true
    }

    /// Reads one service. If it was not read before, the services that it comes after go into `open`.
    fn read<'s>(&'s self, number: usize, open: &mut Vec<&'s String>) -> Option<&'s (String, Service)> {
        let slot = self.slots.get(number)?;
        if let Some(found) = slot.get() {
            return Some(found);
        }
        let found = self.index.read(number)?;
        let found = slot.get_or_init(|| Box::new(found));
        open.extend(&found.1.after);
        Some(found)
    }

    fn get(&self, name: &str) -> Option<&(String, Service)> {
        let found = self.slots.get(self.index.service(name)?)?.get()?;
        (found.0 == name).then_some(&**found)
    }
}

impl Services {
    /// The services of the plan at `path`; none is read yet.
    #[must_use]
    pub fn behind(index: Index, path: Utf8PathBuf) -> Self {
        let slots = std::iter::repeat_with(OnceLock::new).take(index.services()).collect();
        Self {
            whole: OnceLock::new(),
            candidates: OnceLock::new(),
            source: Some(Arc::new(Source { path, index, slots })),
        }
    }

    /// The source, while not all are read.
    fn source(&self) -> Option<&Source> {
        self.source.as_deref().filter(|_| self.whole.get().is_none())
    }

    /// Makes sure that these are read, those of them that the plan has.
    pub fn require<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<(), PlanError> {
        let Some(source) = self.source() else { return Ok(()) };
        let is_there = names.into_iter().all(|name| match source.index.service(name) {
            Some(number) => source.require(number, |found, _| found == name),
            None => true,
        });
        if is_there { Ok(()) } else { self.require_all() }
    }

    /// Makes sure that the services are read whose options these paths are, or are below.
    pub fn require_options<'n>(&self, paths: impl IntoIterator<Item = &'n AttrPath>) -> Result<(), PlanError> {
        let Some(source) = self.source() else { return Ok(()) };
        let is_there = paths.into_iter().all(|path| match source.index.option(path) {
            Some(number) => source.require(number, |_, service| {
                let mut options = service.options.keys().filter_map(|option| AttrPath::parse(option).ok());
                options.any(|option| path.starts_with(&option))
            }),
            None => true,
        });
        if is_there { Ok(()) } else { self.require_all() }
    }

    /// Makes sure that all are read.
    pub fn require_all(&self) -> Result<(), PlanError> {
        let Some(source) = self.source() else { return Ok(()) };
        let bytes = fs::read_trusted(&source.path, fs::OWN)?.ok_or(PlanError::Gone)?;
        let plan = crate::plan::read(&bytes)?;
        let _ = self.candidates.set(plan.candidates);
        let _ = self.whole.set(plan.services.whole.into_inner().unwrap_or_default());
        Ok(())
    }

    /// The plan's candidates, if they came with [`Services::require_all`].
    pub(super) fn candidates(&self) -> Option<&BTreeMap<String, Candidate>> {
        self.candidates.get()
    }

    /// A service, if it is read.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Service> {
        self.get_key_value(name).map(|(_, service)| service)
    }

    /// The same with its name.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &Service)> {
        match self.source() {
            Some(source) => source.get(name).map(|(name, service)| (name, service)),
            None => self.whole.get()?.get_key_value(name),
        }
    }

    /// Whether the plan has it, read or not.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        match self.source() {
            Some(source) => source.index.service(name).is_some(),
            None => self.whole.get().is_some_and(|services| services.contains_key(name)),
        }
    }

    /// How many the plan has, read or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source().map_or_else(|| self.whole.get().map_or(0, BTreeMap::len), |source| source.index.services())
    }

    /// Whether the plan has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The services that are read, in the order of their names.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match self.source() {
            Some(source) => Box::new(source.slots.iter().filter_map(OnceLock::get).map(|found| (&found.0, &found.1))),
            None => Box::new(self.whole.get().into_iter().flatten()),
        }
    }

    /// The names of what is read.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(name, _)| name)
    }

    /// The services that are read, without names.
    pub fn values(&self) -> impl Iterator<Item = &Service> {
        self.iter().map(|(_, service)| service)
    }

    /// All of a plan that was read whole, to change them.
    pub fn iter_mut(&mut self) -> std::collections::btree_map::IterMut<'_, String, Service> {
        self.whole.get_mut().map(BTreeMap::iter_mut).unwrap_or_default()
    }

    /// The same without names.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.iter_mut().map(|(_, service)| service)
    }
}

/// Goes through services.
pub type Iter<'s> = Box<dyn Iterator<Item = (&'s String, &'s Service)> + 's>;

impl<'s> IntoIterator for &'s Services {
    type Item = (&'s String, &'s Service);
    type IntoIter = Iter<'s>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'s> IntoIterator for &'s mut Services {
    type Item = (&'s String, &'s mut Service);
    type IntoIter = std::collections::btree_map::IterMut<'s, String, Service>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl PartialEq for Services {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<BTreeMap<String, Service>> for Services {
    fn from(services: BTreeMap<String, Service>) -> Self {
        Self { whole: OnceLock::from(services), candidates: OnceLock::new(), source: None }
    }
}

impl FromIterator<(String, Service)> for Services {
    fn from_iter<I: IntoIterator<Item = (String, Service)>>(services: I) -> Self {
        Self::from(BTreeMap::from_iter(services))
    }
}

impl Serialize for Services {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Services {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}
