//! Finds the files that each unit leads to, and how: from its text through scripts, links, directories and lists of
//! files.
//!
//! Takes the texts of units and the files below /etc; gives every text file that can be reached, with the ways that
//! lead to it. A file below /etc is its source in the store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use camino::{Utf8Path, Utf8PathBuf};

use super::mentions::{etc_files, store_paths};
use super::store::{Entry, Store};
use super::unit::{Reader, Setting, settings};
use crate::host::fs::FileError;
use crate::plan::Find;

/// How far from a unit its configuration is looked for: the unit, a start script, a wrapper, a list, an include, a link.
const STEPS: usize = 6;

/// How many files one unit is followed into. What a unit reads comes early; what comes late belongs to its programs.
const FILES: usize = 1000;

/// A file of text.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The content.
    pub text: Rc<str>,
    /// How it is reached, the shortest way from each setting of each unit.
    pub ways: Vec<Way>,
    /// The paths under /etc.
    pub etc: Vec<Utf8PathBuf>,
}

/// One way to a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The unit at the beginning.
    pub unit: String,
    /// The setting of the unit.
    pub key: String,
    /// Who sees the first path of the way.
    pub reader: Reader,
    /// The paths that are followed, the file's last.
    pub through: Vec<Utf8PathBuf>,
}

/// Everything that was reached, by its path once links are followed.
#[derive(Debug, Default)]
pub struct Reach {
    /// The files.
    pub files: BTreeMap<Utf8PathBuf, Reached>,
    /// Paths with nothing there.
    pub absent: BTreeSet<Utf8PathBuf>,
}

/// Follows every unit.
pub fn reach(find: &Find, store: &Store<'_>) -> Result<Reach, FileError> {
    let etc: BTreeMap<Utf8PathBuf, &Utf8Path> =
        find.etc.values().map(|file| (Utf8Path::new("/etc").join(&file.target), file.source.as_path())).collect();
    let mut reach = Reach::default();
    for (unit, text) in &find.units {
        for setting in settings(text) {
            follow(unit, &setting, &etc, store, &mut reach)?;
        }
    }
    for (target, source) in &etc {
        for (path, text) in texts(source, store)? {
            let place = path
                .strip_prefix(source)
                .ok()
                .filter(|below| *below != "")
                .map_or_else(|| target.clone(), |below| target.join(below));
            if let Entry::Text(real, _) = store.at(&path)? {
                let file =
                    reach.files.entry(real).or_insert_with(|| Reached { text, ways: Vec::new(), etc: Vec::new() });
                file.etc.push(place);
            }
        }
    }
    Ok(reach)
}

/// The texts at a path and, if it is a directory, below it.
fn texts(path: &Utf8Path, store: &Store<'_>) -> Result<Vec<(Utf8PathBuf, Rc<str>)>, FileError> {
    let mut found = Vec::new();
    let mut left = vec![(path.to_owned(), 0)];
    while let Some((path, depth)) = left.pop() {
        match store.at(&path)? {
            Entry::Text(_, text) => found.push((path, text)),
            Entry::Directory(entries) if depth < STEPS => {
                left.extend(entries.into_iter().map(|path| (path, depth + 1)));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn follow(
    unit: &str,
    setting: &Setting,
    etc: &BTreeMap<Utf8PathBuf, &Utf8Path>,
    store: &Store<'_>,
    reach: &mut Reach,
) -> Result<(), FileError> {
    let reader = setting.reader();
    if reader == Reader::Nobody {
        return Ok(());
    }
    let mut seen: BTreeSet<Utf8PathBuf> = BTreeSet::new();
    let mut left: VecDeque<Vec<Utf8PathBuf>> = next(&setting.value, &[], etc, store).into();
    while let Some(through) = left.pop_front() {
        let Some(path) = through.last().cloned() else { continue };
        if !seen.insert(path.clone()) || seen.len() > FILES {
            continue;
        }
        // A path under /etc is replaced by its source in the store.
        let place = etc.get(&path).copied().unwrap_or(&path);
        match store.at(place)? {
            Entry::Absent => drop(reach.absent.insert(place.to_owned())),
            Entry::Other => {}
            Entry::Directory(entries) => {
                if through.len() < STEPS {
                    left.extend(entries.into_iter().map(|entry| [through.clone(), vec![entry]].concat()));
                }
            }
            Entry::Text(real, text) => {
                if through.len() < STEPS {
                    left.extend(next(&text, &through, etc, store));
                }
                let file =
                    reach.files.entry(real).or_insert_with(|| Reached { text, ways: Vec::new(), etc: Vec::new() });
                file.ways.push(Way { unit: unit.to_owned(), key: setting.key.clone(), reader, through });
            }
        }
    }
    Ok(())
}

/// The ways one step on from `through`, by what its end says.
fn next(
    text: &str,
    through: &[Utf8PathBuf],
    etc: &BTreeMap<Utf8PathBuf, &Utf8Path>,
    store: &Store<'_>,
) -> Vec<Vec<Utf8PathBuf>> {
    let named = store_paths(text, &store.place).into_iter();
    let under_etc = etc_files(text, etc).into_iter().map(Utf8Path::to_owned);
    named.chain(under_etc).map(|path| [through, &[path]].concat()).collect()
}
