//! Settings that are flags of a unit's command, as `lib.cli` writes them (lib/cli.nix): in `ExecStart=` itself, or in
//! the start script that it names.
//!
//! All flags of the settings have to be there, in the order of their names. Flags between them are the module's own
//! (`lib.recursiveUpdate settings { blueprint-file = ...; }`).

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};

use super::store::{Entry, Store};
use super::unit::settings;
use super::{Found, agrees, free_name};
use crate::build::checks::names;
use crate::build::script::{self, Script};
use crate::format::flags;
use crate::host::fs::FileError;
use crate::host::systemd::written;
use crate::plan::{Attach, File, Find, FormatSpec, OnChange, Unit, ValueSpec};

/// The variable of the words.
const VARIABLE: &str = "DYNIX_FLAGS";

/// A unit whose command has the flags of an option.
#[derive(Clone, Debug)]
pub struct Flags {
    unit: String,
    started: Started,
    place: Spot,
}

/// The command of a unit, and the file that it is in.
#[derive(Clone, Debug)]
struct Started {
    script: Script,
    /// The start script, or the unit itself.
    said_in: Utf8PathBuf,
    is_of_the_unit: bool,
}

/// The place of the flags among the words, and their spelling.
#[derive(Clone, Debug, PartialEq)]
struct Spot {
    parameters: Map<String, Value>,
    begin: usize,
    end: usize,
    /// Flags of the module's own between them.
    others: Map<String, Value>,
}

/// The units whose command has every attribute of `value` as a flag.
pub fn find(value: &Value, find: &Find, store: &Store<'_>) -> Result<Vec<Flags>, FileError> {
    let Value::Object(attributes) = value else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (unit, text) in find.units.iter().filter(|(unit, _)| unit.ends_with(".service") && names::unit(unit).is_ok()) {
        let Some(started) = started(unit, text, store)? else { continue };
        if let Some(place) = spot(&started.script.words, attributes, &find.parameters) {
            found.push(Flags { unit: unit.clone(), started, place });
        }
    }
    Ok(found)
}

impl Flags {
    /// Puts the file of words, and the unit, into a service.
    pub fn attach(self, value: ValueSpec, files: &mut BTreeMap<String, File>, units: &mut BTreeMap<String, Unit>) {
        let Script { environment, words } = self.started.script;
        let of = if self.place.others.is_empty() {
            value
        } else {
            ValueSpec::Merge(vec![value, ValueSpec::Literal(Value::Object(self.place.others))])
        };
        let item = ValueSpec::Attrs(BTreeMap::from([("flags".to_owned(), of)]));
        let after = words[self.place.end..].iter().map(|word| ValueSpec::Literal(word.as_str().into()));
        let how =
            if self.started.is_of_the_unit { String::new() } else { format!(", through {}", self.started.said_in) };
        let file = Found {
            format: FormatSpec { name: "flags".to_owned(), dialect: None, parameters: self.place.parameters },
            value: ValueSpec::List(std::iter::once(item).chain(after).collect()),
            static_file: self.started.said_in,
            attach: Attach::Environment {
                variable: VARIABLE.to_owned(),
                command: words[..self.place.begin].to_vec(),
                environment,
                built: self.started.is_of_the_unit.then_some(words),
            },
            around: None,
            how: format!("flags in ExecStart of {}{how}", self.unit),
            units: vec![self.unit.clone()],
        };
        units.entry(self.unit).or_insert_with(|| Unit::with(OnChange::Restart));
        files.insert(free_name(Utf8Path::new("flags"), files), file.file());
    }
}

/// The command of a unit, if it is a single command that can be parsed.
fn started(unit: &str, text: &str, store: &Store<'_>) -> Result<Option<Started>, FileError> {
    let settings = settings(text);
    let mut commands = settings.iter().filter(|setting| setting.key == "ExecStart");
    let (Some(one), None) = (commands.next(), commands.next()) else { return Ok(None) };
    let Some(words) = written::words(&one.value) else { return Ok(None) };
    if let [program] = words.as_slice()
        && program.starts_with(&store.place)
        && let Entry::Text(path, text) = store.at(Utf8Path::new(program))?
    {
        let read = script::read(text.as_bytes()).ok();
        return Ok(read.map(|script| Started { script, said_in: path, is_of_the_unit: false }));
    }
    let said_in = Utf8Path::new("/etc/systemd/system").join(unit);
    let script = Script { environment: BTreeMap::new(), words };
    Ok(Some(Started { script, said_in, is_of_the_unit: true }))
}

/// The default of a parameter that a convention leaves out.
fn default(parameter: &str) -> Value {
    match parameter {
        "dashes" => "gnu".into(),
        "separator" => " ".into(),
        "booleans" => flags::BARE.into(),
        _ => Value::Null,
    }
}

/// How flags may be spelled, the commonest first: `lib.cli.toCommandLineGNU`, `toGNUCommandLine`, Go's, ...
fn conventions() -> impl Iterator<Item = Map<String, Value>> {
    let spellings = [("gnu", "gnu"), ("gnu", " "), ("gnu", "="), ("-", "="), ("-", " "), ("--", "="), ("--", " ")];
    let booleans = std::iter::once(None).chain(flags::SPELLINGS.iter().copied().map(Some));
    booleans.flat_map(move |booleans| {
        [None, Some(","), Some(" ")].into_iter().flat_map(move |join| {
            spellings.into_iter().map(move |(dashes, separator)| {
                let given = [
                    ("dashes", Some(dashes).filter(|dashes| *dashes != "gnu")),
                    ("separator", Some(separator).filter(|separator| *separator != " ")),
                    ("booleans", booleans),
                    ("join", join),
                ];
                given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
            })
        })
    })
}

/// The place of the flags of all attributes, in the first convention that has one.
fn spot(words: &[String], attributes: &Map<String, Value>, known: &Map<String, Value>) -> Option<Spot> {
    conventions().filter(|parameters| agrees(parameters, known, default)).find_map(|parameters| {
        let each: Vec<(&str, Vec<String>)> = attributes
            .iter()
            .map(|(name, value)| Some((name.as_str(), of_one(&parameters, name, value)?)))
            .collect::<Option<_>>()?;
        let shown: Vec<_> = each.into_iter().filter(|(_, words)| !words.is_empty()).collect();
        if shown.is_empty() {
            return None;
        }
        let mut spots = (1..words.len()).filter_map(|begin| from(words, begin, &shown, attributes, &parameters));
        // In two places, it can't be known which is theirs.
        let (Some(spot), None) = (spots.next(), spots.next()) else { return None };
        Some(spot)
    })
}

/// The words of one flag; `None` if it can't be written.
fn of_one(parameters: &Map<String, Value>, name: &str, value: &Value) -> Option<Vec<String>> {
    flags::words(parameters, &json!([{ "flags": { name: value } }])).ok()
}

/// The flags from the word at `begin` on, if all are there.
fn from(
    words: &[String],
    begin: usize,
    shown: &[(&str, Vec<String>)],
    attributes: &Map<String, Value>,
    parameters: &Map<String, Value>,
) -> Option<Spot> {
    let mut others = Map::new();
    let mut end = begin;
    let mut before: Option<&str> = None;
    for (name, theirs) in shown {
        while !words[end..].starts_with(theirs) {
            // Flags of the module count only between those of the settings.
            let other = other(words.get(end)?, parameters)?;
            let is_between = before? < other.0.as_str()
                && other.0.as_str() < *name
                && others.keys().next_back().is_none_or(|last: &String| *last < other.0);
            if !is_between || attributes.contains_key(&other.0) {
                return None;
            }
            others.extend([other]);
            end += 1;
        }
        end += theirs.len();
        before = Some(name);
    }
    Some(Spot { parameters: parameters.clone(), begin, end, others })
}

/// The name and value of a flag of the module's own, if the convention puts both into one word.
fn other(word: &str, parameters: &Map<String, Value>) -> Option<(String, Value)> {
    let (name, value) = match word.split_once('=') {
        Some((flag, value)) => (flag.trim_start_matches('-'), Value::from(value)),
        None => (word.trim_start_matches('-'), Value::Bool(true)),
    };
    // The flag counts only if it is written as it is read.
    let is_written = of_one(parameters, name, &value)?;
    (is_written.as_slice() == [word]).then(|| (name.to_owned(), value))
}
