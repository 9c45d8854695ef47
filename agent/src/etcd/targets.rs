//! The layer that a host's keys come to. Pure.

use std::collections::BTreeMap;

use dynix::attr_path::AttrPath;

use super::entry::{self, Change, Entry, Step, Wave};
use super::keys::{self, BadKey, Name};
use super::mirror::{Keys, Mirror};
use crate::layer::merged;
use crate::rollout::order::place;
use crate::sources::Layer;

/// What the keys of a host's targets come to for it.
pub fn layer(mirror: &Mirror, host: &str) -> Result<Layer, BadKey> {
    let mut newest = Newest::default();
    let layers = mirror.parts().map(|(prefix, keys)| part(prefix, keys, host, &mut newest));
    let values = merged(layers.collect::<Result<Vec<_>, _>>()?);
    if mirror.deleted() > newest.revision {
        newest = Newest { revision: mirror.deleted(), ..Newest::default() };
    }
    let Newest { revision, by, message, .. } = newest;
    Ok(Layer { revision: revision.to_string(), by, message, values })
}

fn part(
    prefix: &str,
    keys: &Keys,
    host: &str,
    newest: &mut Newest,
) -> Result<serde_json::Map<String, serde_json::Value>, BadKey> {
    let (mut values, mut wave) = (BTreeMap::new(), None);
    for (key, kept) in keys {
        let shown = String::from_utf8_lossy(key);
        match keys::name(prefix, key)? {
            Name::Change => {
                let Change { by, message } = entry::read(&shown, &kept.bytes)?;
                newest.note(kept.modified, 1, by, message);
            }
            Name::Wave => wave = Some((kept.modified, entry::read::<Wave>(&shown, &kept.bytes)?)),
            Name::Path(path) => {
                let entry: Entry = entry::read(&shown, &kept.bytes)?;
                newest.note(kept.modified, 0, entry.by, entry.message);
                values.insert(path, entry.value);
            }
        }
    }
    // A rollout's values stand for those of its target on the hosts that are in.
    if let Some((modified, wave)) = wave
        && place(&wave.rollout, host) <= wave.until
    {
        newest.note(modified, 2, wave.by, wave.message);
        for (path, step) in wave.steps {
            let bad = |reason: String| BadKey { key: format!("{prefix}{}", keys::WAVE), reason };
            let path = AttrPath::parse(&path).map_err(|error| bad(error.to_string()))?;
            match step {
                Step::Set(value) => drop(values.insert(path, value)),
                Step::Unset => drop(values.remove(&path)),
            }
        }
    }
    entry::nested(&values).map_err(|reason| BadKey { key: format!("{prefix}*"), reason })
}

/// The largest value, to be named where all of them are too much.
#[must_use]
pub fn largest(mirror: &Mirror) -> Option<(String, usize)> {
    let all = mirror.parts().flat_map(|(_, keys)| keys);
    let (key, kept) = all.max_by_key(|(_, kept)| kept.bytes.len())?;
    Some((String::from_utf8_lossy(key).into_owned(), kept.bytes.len()))
}

/// The newest of what counts for a host, and who said it. Of what was written together, a note knows it best.
#[derive(Default)]
struct Newest {
    revision: i64,
    rank: u8,
    by: Option<String>,
    message: Option<String>,
}

impl Newest {
    fn note(&mut self, revision: i64, rank: u8, by: Option<String>, message: Option<String>) {
        if (revision, rank) >= (self.revision, self.rank) {
            *self = Self { revision, rank, by, message };
        }
    }
}
