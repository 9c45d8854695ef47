//! The values with which services were last seen to work, kept across boots: /var/lib/dynix/known-good.json.
//!
//! Overrides of a service are known good after its units stayed up on them for as long as they are watched. dynix
//! stores them together with the system that they worked on: the service's part of the plan, and the texts of its
//! units. At a boot each service gets its recorded values if those are known good on the system that boots. Otherwise
//! it gets the newest values that are, or else the built ones ([`choose`]). The recorded values beyond that are tried
//! after the system is up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::desired::desired;
use super::view::View;
use crate::attr_path::AttrPath;
use crate::host::digest::{hex, sha256};
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::{self, FileError};
use crate::host::paths::Paths;
use crate::overrides::{Folded, LogError, LogFile, Overlay};
use crate::plan::Plan;
use crate::render::secrets::SecretFiles;

/// The only version that this dynix reads and writes.
pub const VERSION: u64 = 1;
/// How many sightings of a service are kept.
const MOST: usize = 8;
/// How many earlier states of the log are looked at for one service.
const LOOKS: usize = 3;
/// How often values are tried after a boot. If the machine goes down each time, the values are the cause.
pub const TRIES: u32 = 2;
/// The directories of the system's units.
const UNITS: [&str; 2] = ["/etc/systemd/system", "/usr/lib/systemd/system"];

/// `known-good.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownGood {
    version: u64,
    services: BTreeMap<String, Known>,
}

/// The known-good values of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Known {
    /// Newest first.
    #[serde(default)]
    good: Vec<Sighting>,
    /// The values that are being tried after a boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trying: Option<Trying>,
}

/// Values that worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sighting {
    /// The digest of the system that they worked on ([`system`]).
    pub system: String,
    /// Their digest ([`digest`]).
    pub values: String,
    /// The last record of the log that they are from.
    pub record: u64,
}

/// Values that are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trying {
    values: String,
    times: u32,
}

/// It can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KnownGoodError {
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not one of dynix, or is of a newer dynix.
    #[error("{path} says nothing of what is known to work: {problem}; it is written anew when values are seen to work")]
    Malformed {
        /// The file.
        path: String,
        /// The problem with the file.
        problem: String,
    },
}

impl Default for KnownGood {
    fn default() -> Self {
        Self { version: VERSION, services: BTreeMap::new() }
    }
}

impl KnownGood {
    /// Reads the file; a missing file gives nothing known.
    pub fn load(paths: &Paths) -> Result<Self, KnownGoodError> {
        let path = paths.known_good();
        let Some(bytes) = fs::read_trusted(&path, fs::OWN)? else { return Ok(Self::default()) };
        let malformed = |problem: String| KnownGoodError::Malformed { path: path.to_string(), problem };
        let read: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        match read.get("version").and_then(Value::as_u64) {
            Some(VERSION) => serde_json::from_value(read).map_err(|error| malformed(error.to_string())),
            Some(version) => {
                Err(malformed(format!("it has version {version}, and this dynix reads version {VERSION}")))
            }
            None => Err(malformed("it has no version".to_owned())),
        }
    }

    /// Writes it, whole or not at all; when this returns it survives a power cut.
    pub fn save(&self, paths: &Paths) -> Result<(), KnownGoodError> {
        let path = paths.known_good();
        if let Some(directory) = path.parent() {
            atomic::create_dir(directory)?;
        }
        let mut text = serde_json::to_vec(self)
            .map_err(|error| KnownGoodError::Malformed { path: path.to_string(), problem: error.to_string() })?;
        text.push(b'\n');
        Ok(atomic::write(&path, &text, 0o644, Durability::Durable)?)
    }

    /// Whether these values work on this system.
    #[must_use]
    pub fn is_good(&self, service: &str, system: &str, values: &str) -> bool {
        self.good(service, system).any(|one| one.values == values)
    }

    /// The sightings that are good on this system, newest first.
    fn good<'k>(&'k self, service: &str, system: &'k str) -> impl Iterator<Item = &'k Sighting> {
        let known = self.services.get(service).into_iter().flat_map(|known| &known.good);
        known.filter(move |one| one.system == system)
    }

    /// The last record of the newest values besides these that work on this system; 0 for what was built.
    #[must_use]
    pub fn before(&self, service: &str, system: &str, values: Option<&str>) -> u64 {
        self.good(service, system).find(|one| Some(one.values.as_str()) != values).map_or(0, |one| one.record)
    }

    /// Notes that values work.
    pub fn note(&mut self, service: &str, sighting: Sighting) {
        let known = self.services.entry(service.to_owned()).or_default();
        known.good.retain(|one| (&one.system, &one.values) != (&sighting.system, &sighting.values));
        known.good.insert(0, sighting);
        known.good.truncate(MOST);
        known.trying = None;
    }

    /// Forgets that values are being tried.
    pub fn tried(&mut self, service: &str) -> bool {
        self.services.get_mut(service).is_some_and(|known| known.trying.take().is_some())
    }

    /// Notes that values are about to be tried after a boot; `false` if they were already tried too often.
    pub fn may_try(&mut self, service: &str, values: &str) -> bool {
        let known = self.services.entry(service.to_owned()).or_default();
        let times = known.trying.as_ref().filter(|trying| trying.values == values).map_or(0, |trying| trying.times);
        if times < TRIES {
            known.trying = Some(Trying { values: values.to_owned(), times: times + 1 });
        }
        times < TRIES
    }

    /// Forgets services that the plan does not have.
    pub fn keep_to(&mut self, plan: &Plan) {
        self.services.retain(|name, _| plan.services.contains_key(name));
    }
}

/// The digest of a service's overrides, as they are recorded; `None` without any. The contents of secrets are not part
/// of it, nor is whether the overrides hold.
#[must_use]
pub fn digest(plan: &Plan, service: &str, overlay: &Overlay) -> Option<String> {
    let mut digest = Sha256::new();
    let mut is_any = false;
    for option in options(plan, service) {
        for (path, one) in overlay.below(&option).leaves() {
            is_any = true;
            // A line of JSON has only one reading.
            let line = serde_json::to_vec(&(option.join(&path).names(), one.value)).unwrap_or_default();
            digest.update(line);
            digest.update(b"\n");
        }
    }
    is_any.then(|| hex(&digest.finalize()))
}

fn options(plan: &Plan, service: &str) -> impl Iterator<Item = AttrPath> {
    let options = plan.services.get(service).into_iter().flat_map(|service| service.options.keys());
    options.filter_map(|option| AttrPath::parse(option).ok())
}

/// The digest of what a service is on this system: its part of the plan, and its units' texts, which name the programs.
pub fn system(plan: &Plan, service: &str, paths: &Paths) -> Result<String, FileError> {
    let Some(spec) = plan.services.get(service) else { return Ok(String::new()) };
    let mut text = serde_json::to_vec(spec).unwrap_or_default();
    for unit in spec.units.keys() {
        for (name, content) in unit_files(unit, paths)? {
            text.extend_from_slice(format!("\n{name}\n{}\n", sha256(&content)).as_bytes());
        }
    }
    Ok(sha256(&text))
}

/// The built text of a unit and its drop-ins, without those below /run.
fn unit_files(unit: &str, paths: &Paths) -> Result<Vec<(String, Vec<u8>)>, FileError> {
    let template = unit.split_once('@').and_then(|(name, rest)| Some(format!("{name}@.{}", rest.rsplit_once('.')?.1)));
    let names: Vec<&str> = [unit].into_iter().chain(template.as_deref()).collect();
    let mut found = Vec::new();
    for directory in UNITS.map(|directory| paths.below_root(Utf8Path::new(directory))) {
        for name in &names {
            let mut files = vec![directory.join(name)];
            let drop_ins = directory.join(format!("{name}.d"));
            let mut inside = fs::list(&drop_ins)?;
            inside.sort_unstable();
            files.extend(
                inside.into_iter().map(|file| drop_ins.join(file)).filter(|file| file.extension() == Some("conf")),
            );
            for file in files {
                if let Some(content) = fs::read_limited(&file, fs::OWN)? {
                    let name = file.strip_prefix(&directory).unwrap_or(&file).to_string();
                    found.push((name, content));
                }
            }
        }
    }
    Ok(found)
}

/// The values that a service starts on, if they are not the recorded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The last record whose values these are; 0 for what was built.
    pub record: u64,
    /// Their digest; `None` for what was built.
    pub values: Option<String>,
}

/// The services that do not start on what is recorded, each with what it starts on instead. `view` has that then.
pub fn choose(
    plan: &Plan,
    paths: &Paths,
    log: &LogFile,
    known: &KnownGood,
    view: &mut View,
) -> Result<BTreeMap<String, Start>, ChoiceError> {
    let mut chosen = BTreeMap::new();
    let mut earlier = Earlier { log, recorded: view.recorded().clone(), folds: BTreeMap::new() };
    let names: Vec<String> = view.desired.services.keys().cloned().collect();
    for service in names {
        let system = system(plan, &service, paths)?;
        let values = digest(plan, &service, view.recorded());
        if values.as_ref().is_none_or(|values| known.is_good(&service, &system, values)) {
            continue;
        }
        let mut start = Start::default();
        view.desired.services.remove(&service);
        for sighting in known.good(&service, &system).take(LOOKS) {
            let Some(overlay) = earlier.overlay(plan, &service, sighting)? else { continue };
            let only = BTreeSet::from([service.clone()]);
            let mut before = desired(plan, overlay, Some(&only), &SecretFiles::new(paths));
            // Its secret is not there.
            if before.awaited.contains_key(&service) {
                continue;
            }
            view.desired.services.extend(before.services.remove(&service).map(|values| (service.clone(), values)));
            view.desired.left_out.append(&mut before.left_out);
            start = Start { record: sighting.record, values: Some(sighting.values.clone()) };
            break;
        }
        chosen.insert(service, start);
    }
    Ok(chosen)
}

/// The values that services start on can't be found.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// The log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file system refuses.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Earlier states of the log.
struct Earlier<'l> {
    log: &'l LogFile,
    /// The overrides that are recorded now.
    recorded: Overlay,
    folds: BTreeMap<u64, Option<Folded>>,
}

impl Earlier<'_> {
    /// The overrides at a sighting, if they still have the digest of that time, and no override of the service was
    /// undone since. Another value may be in the place of one by now. But an option that is not overridden any more
    /// does not get its old override again, not even for a moment.
    fn overlay(&mut self, plan: &Plan, service: &str, sighting: &Sighting) -> Result<Option<&Overlay>, LogError> {
        if !self.folds.contains_key(&sighting.record) {
            let folded = match self.log.fold_at(sighting.record) {
                Ok(folded) => Some(folded),
                // Somebody began another log.
                Err(LogError::NoSuchRecord { .. }) => None,
                Err(error) => return Err(error),
            };
            self.folds.insert(sighting.record, folded);
        }
        let Some(Some(folded)) = self.folds.get(&sighting.record) else { return Ok(None) };
        if digest(plan, service, &folded.overlay).as_ref() != Some(&sighting.values) {
            return Ok(None);
        }
        let over = folded.expired(SystemTime::now());
        let mut ids: BTreeSet<u64> = BTreeSet::new();
        for option in options(plan, service) {
            let (before, now) = (folded.overlay.below(&option), self.recorded.below(&option));
            for (path, one) in before.leaves() {
                if over.contains(&one.id) || now.below(&path).is_empty() {
                    return Ok(None);
                }
                ids.insert(one.id);
            }
        }
        let stands = self.log.find_holding(|id| ids.contains(&id))?.len() == ids.len();
        Ok(stands.then_some(&folded.overlay))
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn sighting(system: &str, values: &str, record: u64) -> Sighting {
        Sighting { system: system.to_owned(), values: values.to_owned(), record }
    }

    #[test]
    fn what_works_is_known_by_system_and_values_and_the_newest_is_kept() {
        let mut known = KnownGood::default();
        for record in 1..=20 {
            known.note("x", sighting("a", &format!("v{record}"), record));
        }
        known.note("x", sighting("b", "v20", 21));
        assert!(known.is_good("x", "a", "v20") && known.is_good("x", "b", "v20"));
        assert!(!known.is_good("x", "b", "v19") && !known.is_good("x", "a", "v1") && !known.is_good("y", "a", "v20"));
        assert_eq!(known.services["x"].good.len(), MOST);
        // Seen again, it is the newest, and there once.
        known.note("x", sighting("a", "v15", 30));
        assert_eq!(known.good("x", "a").next(), Some(&sighting("a", "v15", 30)));
        assert_eq!(known.good("x", "a").filter(|one| one.values == "v15").count(), 1);
    }

    #[test]
    fn values_are_tried_twice_and_no_more_until_they_are_others() {
        let mut known = KnownGood::default();
        assert!(known.may_try("x", "v1") && known.may_try("x", "v1"));
        assert!(!known.may_try("x", "v1") && !known.may_try("x", "v1"));
        assert!(known.may_try("x", "v2"));
        known.note("x", sighting("a", "v2", 2));
        assert!(known.may_try("x", "v1"));
    }

    #[test]
    fn what_is_saved_is_loaded_and_what_is_none_of_ours_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        let paths = Paths::new(&root, None, None);
        assert_eq!(KnownGood::load(&paths).unwrap(), KnownGood::default());
        let mut known = KnownGood::default();
        known.note("x", sighting("a", "v1", 1));
        assert!(known.may_try("x", "v2"));
        known.save(&paths).unwrap();
        assert_eq!(KnownGood::load(&paths).unwrap(), known);
        for (text, problem) in [("{", "EOF"), ("{}", "no version"), (r#"{"version":2,"x":1}"#, "version 2")] {
            std::fs::write(paths.known_good(), text).unwrap();
            let error = KnownGood::load(&paths).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
