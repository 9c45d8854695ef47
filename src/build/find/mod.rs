//! Finds the files of a service whose description names none.
//!
//! Takes the plan as it was read and the store; gives the plan with files and units. It searches all files that the
//! service's units lead to ([`reach`]). The right file is the one whose text the option's value gives in some format,
//! dialect and convention ([`choose`]). The file is attached to the units that lead to it ([`reading`]). If there is no
//! such file, the value may be [`variables`] of a unit or [`flags`] of its command. A found file passes the same checks
//! and the same proof as one that the description names.

mod choose;
mod family;
mod flags;
mod mentions;
mod reach;
mod reading;
mod report;
mod store;
pub(super) mod unit;
mod value;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value};

use super::checks::namespace::{Loss, is_yes, loss};
use super::problem::{Place, Problem, Problems};
use super::{kept, recognise};
use crate::format;
use crate::plan::{Around, Attach, File, Find, FormatSpec, OnChange, Plan, ProofLevel, Service, Unit, ValueSpec};
use crate::render::static_values;
use choose::{Choice, Hints, Match, choose};
use reach::{Reach, Reached, reach};
use reading::{Reading, readings};
use store::Store;

/// The undecided conventions of files that were found, by service and file: the built values do not show them.
pub type Open = BTreeMap<(String, String), Vec<&'static str>>;

/// Fills in the files and units of every service that is to be looked through.
pub fn find(plan: &mut Plan, static_root: &Utf8Path) -> Result<Open, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut open = Open::new();
    for (name, service) in &mut plan.services {
        let Some(find) = service.find.take() else { continue };
        let place = Place::top().keys(["services", name]);
        if let Err(problem) = in_service(name, service, &find, static_root) {
            problems.add(&place, problem);
        }
        for (unit, spec) in &mut service.units {
            spec.text = spec.text.take().or_else(|| find.units.get(unit).cloned());
        }
        let values = static_values(service);
        let files = service.files.iter();
        open.extend(
            files.map(|(file_name, file)| ((name.clone(), file_name.clone()), undecided(file, &find, &values))),
        );
    }
    problems.or(open)
}

fn in_service(name: &str, service: &mut Service, find: &Find, static_root: &Utf8Path) -> Result<(), String> {
    if find.units.is_empty() {
        return Err("find.units is empty: there is no unit to look at".to_owned());
    }
    let said: BTreeSet<String> = service.units.keys().cloned().collect();
    known(&find.parameters)?;
    let store = Store::new(static_root, &find.store);
    let reach = reach(find, &store).map_err(|error| error.to_string())?;
    let values = static_values(service);
    for spec in made_of(service, find) {
        let value = spec.evaluate(&values).map_err(|error| format!("find.value: {error}"))?;
        let hints = Hints {
            description: &find.type_description,
            parameters: &find.parameters,
            says_what_is_left_out: says_what_is_left_out(find),
            around: find.around.as_ref(),
        };
        let choice = if spec.has_built() {
            choose_by_their_own(&spec, &values, hints, &reach)
        } else {
            choose(&spec, &value, hints, &reach)
        };
        let attached = if is_one(&choice, &reach) {
            choice.matches.iter().try_for_each(|one| attach(one, find, &reach, &mut service.files, &mut service.units))
        } else {
            Err(report::undecided(name, &spec.options().join(", "), &value, find, &choice, &reach))
        };
        let Err(why) = attached else { continue };
        if let Some(found) = variables::find(&value, find, &store).map_err(|error| error.to_string())? {
            found.attach(spec.clone(), &mut service.files, &mut service.units);
            continue;
        }
        let found = flags::find(&value, find, &store).map_err(|error| error.to_string())?;
        if found.is_empty() {
            return Err(why);
        }
        for one in found {
            one.attach(spec.clone(), &mut service.files, &mut service.units);
        }
    }
    let mut found = service.units.iter().filter(|(unit, _)| !said.contains(*unit));
    found.try_for_each(|(unit, spec)| restartable(unit, spec, find))
}

/// Tries every file on the value with what that very file has in it.
fn choose_by_their_own(spec: &ValueSpec, values: &BTreeMap<String, Value>, hints: Hints<'_>, reach: &Reach) -> Choice {
    let mut all = Choice::default();
    for (path, file) in &reach.files {
        let Ok(spec) = kept::filled(spec, &file.text) else { continue };
        let Ok(value) = spec.evaluate(values) else { continue };
        let only = Reach { files: BTreeMap::from([(path.clone(), file.clone())]), ..Reach::default() };
        let Choice { matches, misses } = choose(&spec, &value, hints, &only);
        all.matches.extend(matches);
        all.misses.extend(misses);
    }
    all
}

/// Checks that a unit may be restarted. A unit whose module prevents a restart after a change (`restartIfChanged`,
/// nixos/lib/systemd-unit-options.nix) is not restarted for a value either, unless the description asks for it.
fn restartable(unit: &str, spec: &Unit, find: &Find) -> Result<(), String> {
    let settings = unit::settings(find.units.get(unit).map_or("", String::as_str));
    let must_not = unit::last(&settings, "X-RestartIfChanged").is_some_and(|value| !is_yes(value));
    if !must_not || spec.on_change == OnChange::Reload {
        return Ok(());
    }
    let can =
        if unit::can_reload(&settings) { "\"reload\", if that reads the file, or \"restart\"" } else { "\"restart\"" };
    Err(format!(
        "a change must not restart {unit} (restartIfChanged = false): sessions may end with it, say; what a new value means \
         for it is for you to say: units.\"{unit}\".onChange = {can}"
    ))
}

/// Whether some format has all of these parameters.
fn known(parameters: &Map<String, Value>) -> Result<(), String> {
    let takes = |format: &&format::Format| {
        let spec = FormatSpec { name: format.name.to_owned(), dialect: None, parameters: parameters.clone() };
        format::check(&spec).is_ok()
    };
    if parameters.is_empty() || format::all().iter().any(takes) {
        return Ok(());
    }
    Err(format!(
        "find.parameters: no format takes {}; `dynix render --list` lists what each has",
        Value::Object(parameters.clone())
    ))
}

/// Whether a convention is what is known. `default` gives what a parameter is that the convention leaves out.
fn agrees(convention: &Map<String, Value>, known: &Map<String, Value>, default: impl Fn(&str) -> Value) -> bool {
    known.iter().all(|(name, value)| convention.get(name).cloned().unwrap_or_else(|| default(name)) == *value)
}

/// The undecided conventions of a file that was found: the built values do not show them, and the service does not
/// state them.
fn undecided(file: &File, find: &Find, values: &BTreeMap<String, Value>) -> Vec<&'static str> {
    match &file.attach {
        Attach::Bind(_) | Attach::Credential(_) | Attach::Etc(_) => {
            let is_open = !says_what_is_left_out(find) && value::leaves_open(&file.value, values);
            if is_open { vec!["prune"] } else { Vec::new() }
        }
        Attach::Variables { .. } | Attach::Environment { .. } => {
            let (mut given, mut format) = (find.parameters.clone(), file.format.clone());
            if let Attach::Environment { variable, .. } = &file.attach {
                for parameters in [&mut given, &mut format.parameters] {
                    parameters.insert("variable".to_owned(), variable.clone().into());
                }
            }
            let given = FormatSpec { parameters: given, ..format.clone() };
            let value = file.value.evaluate(values);
            value.map(|value| recognise::undecided(&given, &format, &value)).unwrap_or_default()
        }
    }
}

/// The values to search for: that of the declared file, or one of each option.
fn made_of(service: &Service, find: &Find) -> Vec<ValueSpec> {
    match &find.value {
        // Nothing is left out: the value as it is.
        Some(ValueSpec::Prune { from, drop, .. }) if drop.is_empty() => vec![from.as_ref().clone()],
        Some(spec) => vec![spec.clone()],
        None => service.options.keys().cloned().map(ValueSpec::Option).collect(),
    }
}

fn says_what_is_left_out(find: &Find) -> bool {
    matches!(find.value, Some(ValueSpec::Prune { .. }))
}

/// Whether it is one text, however many files have it.
fn is_one(choice: &Choice, reach: &Reach) -> bool {
    let texts = choice.matches.iter().filter_map(|one| Some(&reach.files.get(&one.path)?.text));
    let mut texts: Vec<_> = texts.collect();
    texts.dedup();
    texts.len() == 1
}

fn attach(
    one: &Match,
    find: &Find,
    reach: &Reach,
    files: &mut BTreeMap<String, File>,
    units: &mut BTreeMap<String, Unit>,
) -> Result<(), String> {
    let Some(reached) = reach.files.get(&one.path) else { return Ok(()) };
    let readings = readings(find, &one.path, reached)?;
    let mut how: Vec<String> = readings.iter().map(|reading| reading.how.clone()).collect();
    how.dedup();
    if one.found.level == ProofLevel::Data {
        how.push("by its data".to_owned());
    }
    for reading in &readings {
        units.entry(reading.unit.clone()).or_insert_with(|| Unit::with(reading.on_change));
    }
    let file = Found {
        // The proof finds the rest as it was found here, and what is not shown.
        format: FormatSpec { dialect: None, ..one.found.candidate.clone() },
        value: one.value.clone(),
        static_file: one.path.clone(),
        attach: seen(one, find, reached, &readings)?,
        around: one.around.clone(),
        units: readings.into_iter().map(|reading| reading.unit).collect(),
        how: how.join("; "),
    }
    .file();
    files.insert(free_name(&one.path, files), file);
    Ok(())
}

/// The facts about a file that was found.
struct Found {
    format: FormatSpec,
    value: ValueSpec,
    static_file: Utf8PathBuf,
    attach: Attach,
    around: Option<Around>,
    units: Vec<String>,
    how: String,
}

impl Found {
    /// The file: everybody may read it, as what is in the store.
    fn file(self) -> File {
        File {
            format: self.format,
            value: self.value,
            static_file: self.static_file,
            mode: "0444".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            attach: self.attach,
            around: self.around,
            units: Some(self.units),
            found: Some(self.how),
            proof: None,
        }
    }
}

/// How the units see it.
fn seen(one: &Match, find: &Find, reached: &Reached, readings: &[Reading]) -> Result<Attach, String> {
    let mut credentials: Vec<Option<&String>> = readings.iter().map(|reading| reading.credential.as_ref()).collect();
    credentials.dedup();
    match credentials.as_slice() {
        [Some(id)] => Ok(Attach::Credential((*id).clone())),
        [None] => {
            Ok(link(find, reached, readings).map_or_else(|| Attach::Bind(place(one, find, reached)), Attach::Etc))
        }
        _ => Err(format!(
            "{} is read in several ways, each of which takes a file of its own: {}",
            one.path,
            readings.iter().map(|reading| reading.how.as_str()).collect::<Vec<_>>().join("; ")
        )),
    }
}

/// The link under /etc, for a unit that a bind would take something from: what it mounts, and what its sessions mount.
fn link(find: &Find, reached: &Reached, readings: &[Reading]) -> Option<Utf8PathBuf> {
    let is_for_others = |reading: &Reading| {
        let text = find.units.get(&reading.unit).map(String::as_str);
        matches!(loss(&reading.unit, text), Some(Loss::Purpose(_)))
    };
    let is_link = |place: &&Utf8PathBuf| {
        find.etc.values().any(|file| {
            Utf8Path::new("/etc").join(&file.target) == **place
                && matches!(file.mode.as_str(), "symlink" | "direct-symlink")
        })
    };
    reached.etc.iter().find(is_link).filter(|_| readings.iter().any(is_for_others)).cloned()
}

/// The path at which the units see it. A link under /etc leads to the store, and so does a bound store path; a copy
/// there does not.
fn place(one: &Match, find: &Find, reached: &Reached) -> Utf8PathBuf {
    let is_copied = |place: &&Utf8PathBuf| {
        find.etc.values().any(|file| {
            Utf8Path::new("/etc").join(&file.target) == **place && file.mode.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    reached.etc.iter().find(is_copied).unwrap_or(&one.path).clone()
}

/// The file's name, without the hash of its store path; numbered if the name is taken.
fn free_name(path: &Utf8Path, files: &BTreeMap<String, File>) -> String {
    let name = path.file_name().unwrap_or("file");
    let plain = name
        .split_once('-')
        .filter(|(hash, rest)| hash.len() == 32 && !rest.is_empty())
        .map_or(name, |(_, rest)| rest)
        .trim_start_matches('.');
    let mut free = plain.to_owned();
    let mut number = 2;
    while files.contains_key(&free) {
        free = format!("{number}-{plain}");
        number += 1;
    }
    free
}
