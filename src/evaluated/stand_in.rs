//! Stand-ins for the running system: what a rebuild would make of it, without a rebuild.
//!
//! A stand-in is a directory below /run/dynix/evaluated that looks like a system. It has the /etc and the units of the
//! system with the changes, the parts of its activation script that differ, and links to the real system for everything
//! else. NixOS's own switch-to-configuration switches to it. /etc and the units are in the store, where every unit can
//! see them, even one that has something else in the place of /run.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::activation::{self, Places};
use super::change_set::ChangeSet;
use super::needs::{self, Store as _};
use super::show::differences;
use super::store::NixStore;
use super::{etc, units};
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::tree::{self, Node, Tree};
use crate::host::fs::{self, json_file};
use crate::host::paths::Paths;
use crate::reconcile::report::Difference;

/// The version of [`About`] that this dynix writes and reads.
const VERSION: u64 = 1;
/// The file in a stand-in's directory that describes it.
const ABOUT: &str = "about.json";
/// The activation script that a rebuild would have.
const SCRIPT: &str = "script";
/// Stand-ins that are kept besides the one in effect.
const KEPT: usize = 4;
/// The directory of what is kept for the next boot.
const NEXT: &str = "next";
/// A text that is longer is not kept to be shown.
const SHOWN: u64 = 1 << 20;
/// The path of NixOS's own program.
pub const SWITCH: &str = "bin/switch-to-configuration";

/// A stand-in.
#[derive(Clone, Debug, PartialEq)]
pub struct StandIn {
    /// Its directory.
    pub directory: Utf8PathBuf,
    /// Its description.
    pub about: About,
}

/// The description of a stand-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    /// Always [`VERSION`].
    pub version: u64,
    /// The system that it stands in for.
    pub system: String,
    /// The digest of its overrides.
    pub digest: String,
    /// Those overrides.
    pub values: Vec<(String, Value)>,
    /// The values of services whose other effects it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completed: Vec<(String, Value)>,
    /// The path of its /etc; `None` if the overrides change nothing.
    pub etc: Option<String>,
    /// Parts of the activation script that differ.
    pub activation: BTreeSet<String>,
    /// Its changes.
    pub differences: Vec<Difference>,
    /// The store paths that Nix made for it.
    pub realised: Vec<String>,
    /// Notes for people.
    pub notes: Vec<String>,
}

impl About {
    /// The names of the changes.
    #[must_use]
    pub fn changed(&self) -> Vec<String> {
        let texts = self.differences.iter().map(|one| one.name.clone());
        texts.chain(self.activation.iter().map(|name| format!("activation script {name}"))).collect()
    }
}

/// Why there is no stand-in.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// The change set can't be put into effect.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The machine failed.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// All stand-ins, the newest last.
pub fn all(paths: &Paths) -> anyhow::Result<Vec<StandIn>> {
    let mut numbers = numbers(paths)?;
    numbers.sort_unstable();
    let directories = numbers.into_iter().map(|number| paths.evaluated().join(number.to_string()));
    Ok(directories.filter_map(|directory| read(&directory)).collect())
}

/// The stand-in in a directory, if it is complete.
#[must_use]
pub fn read(directory: &Utf8Path) -> Option<StandIn> {
    let about: About = json_file::load(&directory.join(ABOUT)).ok().flatten()?;
    (about.version == VERSION).then(|| StandIn { directory: directory.to_owned(), about })
}

fn numbers(paths: &Paths) -> anyhow::Result<Vec<u64>> {
    Ok(fs::names(&paths.evaluated())?.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The stand-in that is in effect: the one to which /etc leads.
pub fn in_effect(paths: &Paths) -> anyhow::Result<Option<StandIn>> {
    let Some(etc) = fs::read_link(&paths.etc_static())? else { return Ok(None) };
    Ok(all(paths)?.into_iter().rev().find(|one| one.about.etc.as_ref() == Some(&etc)))
}

/// Makes a stand-in for `system` from `changes`. With `build`, Nix may build and download.
pub fn make(
    changes: &ChangeSet,
    about: About,
    store: &NixStore,
    build: bool,
    paths: &Paths,
) -> Result<StandIn, Unmade> {
    let number = numbers(paths)?.into_iter().max().unwrap_or_default() + 1;
    let directory = paths.evaluated().join(number.to_string());
    // One that was not finished has no number of its own.
    fs::remove_tree(&directory).map_err(anyhow::Error::from)?;
    fs::create_dir(&directory).map_err(anyhow::Error::from)?;
    let made = fill(&directory, changes, about, store, build, paths);
    if made.is_err() {
        // The first failure is the one to report.
        let _ = fs::remove_tree(&directory);
    }
    made
}

fn fill(
    directory: &Utf8Path,
    changes: &ChangeSet,
    mut about: About,
    store: &NixStore,
    build: bool,
    paths: &Paths,
) -> Result<StandIn, Unmade> {
    let refuse = |why: String| Unmade::Refused(vec![why]);
    let system = Utf8PathBuf::from(&about.system);
    let script = changes.activation.replace("@out@", system.as_str());
    let running = script_of(&system)?;
    let none = BTreeSet::new();
    let places = Places { system: system.as_str(), stand_in: directory.as_str(), etc: "" };
    let activation = activation::stand_in(&script, &running, &none, places).map_err(|why| refuse(why.to_owned()))?;
    about.activation = activation.changed;

    let named = texts(changes, &activation.text);
    let needs = needs::find(&changes.context, &|path| named.contains(path), store)
        .map_err(|why| Unmade::Failed(anyhow::anyhow!(why)))?;
    if !build && !needs.builds.is_empty() {
        let why = needs
            .builds
            .values()
            .map(|name| format!("needs a build: {name} (--build lets Nix build or download it)"))
            .collect();
        return Err(Unmade::Refused(why));
    }
    let roots = roots(&about, paths);
    let wanted = needs.present.iter().chain(needs.small.keys()).chain(needs.builds.keys());
    store.realise(wanted, &roots, build)?;
    about.realised = needs.small.values().flatten().cloned().chain(needs.builds.values().cloned()).collect();

    if !changes.is_empty() || !about.activation.is_empty() {
        let etc = new_etc(&system, changes, store, directory)?;
        store.realise(std::iter::once(&etc.to_string()), &roots.join("etc"), false)?;
        about.etc = Some(etc.join("etc").to_string());
    }
    let read = |path: &str| {
        let bytes = fs::read_limited(Utf8Path::new(path), SHOWN).ok()??;
        String::from_utf8(bytes).ok()
    };
    about.differences = differences(changes, &read);
    let write = |name: &str, text: &str, mode| {
        atomic::write(&directory.join(name), text.as_bytes(), mode, Durability::Volatile).map_err(anyhow::Error::from)
    };
    let dry_running = read_script(&system.join("dry-activate"))?.unwrap_or_default();
    write(SCRIPT, &script, 0o444)?;
    write("dry-activate", &activation::dry(&changes.dry_activation, &dry_running, places), 0o555)?;
    if let Some(etc) = &about.etc {
        complete(directory, &system, etc)?;
    }
    json_file::save(&directory.join(ABOUT), &about, 0o644).map_err(anyhow::Error::from)?;
    Ok(StandIn { directory: directory.to_owned(), about })
}

/// All texts that a change set writes.
fn texts(changes: &ChangeSet, activation: &str) -> String {
    let units = changes.units.values().chain(changes.user_units.values());
    let units = units.filter_map(|sides| sides.after.as_ref()).map(|unit| unit.text.as_str());
    let files = changes.etc.values().filter_map(|sides| sides.after.as_ref()).map(|entry| entry.source.as_str());
    let directories = changes.unit_directories.values().map(String::as_str);
    units.chain(files).chain(directories).chain([activation]).collect::<Vec<_>>().join("\n")
}

/// Puts the new /etc and its units into the store.
fn new_etc(
    system: &Utf8Path,
    changes: &ChangeSet,
    store: &NixStore,
    directory: &Utf8Path,
) -> Result<Utf8PathBuf, Unmade> {
    let failed = |error: fs::FileError| Unmade::Failed(error.into());
    let names = |place: &Utf8Path| fs::list(place).map_err(|error| error.to_string());
    let old = tree::read(&system.join("etc")).map_err(failed)?;
    let mut new = etc::changed(&old, &changes.etc, &names).map_err(|why| Unmade::Refused(vec![why]))?;
    let mut whole = Tree::new();
    for (kind, units) in [("system", &changes.units), ("user", &changes.user_units)] {
        let place = Utf8PathBuf::from(format!("systemd/{kind}"));
        if let Some(made) = changes.unit_directories.get(kind) {
            new.insert(place, Node::Link(made.clone()));
            continue;
        }
        if units.is_empty() {
            continue;
        }
        let Some(Node::Link(of_system)) = old.get(&place) else {
            return Err(Unmade::Refused(vec![format!("the system's /etc/{place} is no link")]));
        };
        let units = units::changed(&tree::read(Utf8Path::new(of_system)).map_err(failed)?, units);
        let Some(units) = units else {
            return Err(Unmade::Refused(vec![
                "it takes a unit of systemd's or of a package from below one of NixOS's, which only a rebuild does"
                    .to_owned(),
            ]));
        };
        // A relative link: the final path of the directory is known only after it is written.
        new.insert(place, Node::Link(format!("../../units/{kind}")));
        whole.extend(units.into_iter().map(|(path, node)| (Utf8Path::new("units").join(kind).join(path), node)));
    }
    whole.extend(new.into_iter().map(|(path, node)| (Utf8Path::new("etc").join(path), node)));
    let place = directory.join("dynix-system");
    tree::write(&place, &whole).map_err(failed)?;
    let path = store.add(&place)?;
    fs::remove_tree(&place).map_err(failed)?;
    Ok(path)
}

/// Adds the rest of a stand-in: links to the whole system, and its switch-to-configuration for this place.
fn complete(directory: &Utf8Path, system: &Utf8Path, etc: &str) -> anyhow::Result<()> {
    for name in fs::list(system)? {
        if !["activate", "bin", "dry-activate", "etc"].contains(&name.as_str()) {
            atomic::link(&directory.join(&name), system.join(&name).as_str())?;
        }
    }
    atomic::link(&directory.join("etc"), etc)?;
    for name in fs::list(&system.join("bin"))? {
        if name != "switch-to-configuration" {
            atomic::link(&directory.join("bin").join(&name), system.join("bin").join(&name).as_str())?;
        }
    }
    let Some(program) = read_script(&system.join(SWITCH))? else { bail!("{system} has no switch-to-configuration") };
    let text = program.replace(system.as_str(), directory.as_str());
    Ok(atomic::write(&directory.join(SWITCH), text.as_bytes(), 0o555, Durability::Volatile)?)
}

fn script_of(system: &Utf8Path) -> anyhow::Result<String> {
    read_script(&system.join("activate"))?.with_context(|| format!("{system} has no activation script"))
}

fn read_script(path: &Utf8Path) -> anyhow::Result<Option<String>> {
    let Some(bytes) = fs::read_limited(path, fs::OWN)? else { return Ok(None) };
    let text = String::from_utf8(bytes).ok().filter(|text| text.is_empty() || text.starts_with("#!"));
    text.map(Some).with_context(|| format!("{path} is no script, and can't be changed for another place"))
}

/// Prepares the switch from `now` to `to`, each a stand-in for `system`, or the system itself. Gives its directory.
pub fn ready(
    now: Option<&StandIn>,
    to: Option<&StandIn>,
    system: &Utf8Path,
    paths: &Paths,
) -> anyhow::Result<Utf8PathBuf> {
    let none = BTreeSet::new();
    let also = now.map_or(&none, |one| &one.about.activation);
    let running = script_of(system)?;
    let (directory, etc, script) = if let Some(to) = to {
        let script = read_script(&to.directory.join(SCRIPT))?.context("the stand-in has no script")?;
        (to.directory.clone(), to.about.etc.clone().unwrap_or_default(), script)
    } else {
        // The system itself without dynix's part of its activation, which would undo everything else.
        let directory = paths.evaluated().join("built");
        let etc = fs::read_link(&system.join("etc"))?.context("the system has no /etc")?;
        fs::remove_tree(&directory)?;
        complete(&directory, system, &etc)?;
        (directory, etc, running.clone())
    };
    let places = Places { system: system.as_str(), stand_in: directory.as_str(), etc: &etc };
    let activation =
        activation::stand_in(&script, &running, also, places).map_err(|why| anyhow::anyhow!("{system}: {why}"))?;
    atomic::write(&directory.join("activate"), activation.text.as_bytes(), 0o555, Durability::Volatile)?;
    if !fs::exists(&directory.join("dry-activate"))? {
        let nothing = activation::dry("", "", places);
        atomic::write(&directory.join("dry-activate"), nothing.as_bytes(), 0o555, Durability::Volatile)?;
    }
    Ok(directory)
}

/// The directory of the garbage collector roots of a stand-in: below /var, because it may be needed after a boot.
fn roots(about: &About, paths: &Paths) -> Utf8PathBuf {
    paths.evaluated_for_boot().join("roots").join(about.digest.get(..16).unwrap_or_default())
}

/// The stand-in that is kept for the next boot.
pub fn kept(paths: &Paths) -> anyhow::Result<Option<StandIn>> {
    Ok(read(&paths.evaluated_for_boot().join(NEXT)).filter(|one| one.about.etc.is_some()))
}

/// Keeps a stand-in for the next boot; none, if the next boot starts as built.
pub fn keep(stand_in: Option<&StandIn>, paths: &Paths) -> anyhow::Result<()> {
    let directory = paths.evaluated_for_boot().join(NEXT);
    let Some(stand_in) = stand_in else { return Ok(fs::remove_tree(&directory)?) };
    // Its description is written last: without that, it counts as none.
    fs::remove(&directory.join(ABOUT))?;
    copy(stand_in, &directory, Durability::Durable)
}

/// Makes a stand-in from a kept one.
pub fn restore(kept: &StandIn, paths: &Paths) -> anyhow::Result<StandIn> {
    let directory = paths.evaluated().join("1");
    fs::remove_tree(&directory)?;
    copy(kept, &directory, Durability::Volatile)?;
    complete(&directory, Utf8Path::new(&kept.about.system), kept.about.etc.as_deref().unwrap_or_default())?;
    Ok(StandIn { directory, about: kept.about.clone() })
}

fn copy(stand_in: &StandIn, directory: &Utf8Path, durability: Durability) -> anyhow::Result<()> {
    for (name, mode) in [(SCRIPT, 0o444), ("dry-activate", 0o555)] {
        let text = read_script(&stand_in.directory.join(name))?.unwrap_or_default();
        atomic::write(&directory.join(name), text.as_bytes(), mode, durability)?;
    }
    let text = serde_json::to_vec(&stand_in.about)?;
    Ok(atomic::write(&directory.join(ABOUT), &text, 0o644, durability)?)
}

/// Removes stand-ins that are not needed: those of other systems, and all except the last ones.
pub fn prune(in_effect: Option<&StandIn>, system: &str, paths: &Paths) -> anyhow::Result<()> {
    let all = all(paths)?;
    let count = all.len();
    for (number, one) in all.iter().enumerate() {
        let is_in_effect = in_effect.is_some_and(|now| now.directory == one.directory);
        if !is_in_effect && (one.about.system != system || number + KEPT < count) {
            fs::remove_tree(&one.directory)?;
        }
    }
    let needed: BTreeSet<Utf8PathBuf> =
        self::all(paths)?.iter().chain(&kept(paths)?).map(|one| roots(&one.about, paths)).collect();
    let roots = paths.evaluated_for_boot().join("roots");
    for name in fs::names(&roots)? {
        if !needed.contains(&roots.join(&name)) {
            fs::remove_tree(&roots.join(&name))?;
        }
    }
    Ok(())
}

/// Whether a path is in the store.
#[must_use]
pub fn is_there(store: &NixStore, stand_in: &StandIn) -> bool {
    stand_in.about.etc.as_ref().is_none_or(|etc| store.has(etc))
}
