//! Compares what a description says that a unit has for the static values with the unit's text: variables, and the words of
//! its command. Nothing else proves these, because Nix writes no file of them.

use std::collections::BTreeMap;

use crate::build::find::unit::{Setting, settings};
use crate::host::systemd::written;
use crate::plan::Attach;

/// Why the unit with this text has something else; `None` also where systemd would expand the text.
#[must_use]
pub fn differs(attach: &Attach, text: &str) -> Option<String> {
    let settings = settings(text);
    match attach {
        Attach::Environment { built: Some(words), .. } => {
            let commands = last_of(&settings, "ExecStart");
            // Without a command, the text only adds to a unit file of another package.
            let theirs = match commands.as_slice() {
                [] => return None,
                [one] => written::words(one)?,
                several => return Some(format!("the unit has {} ExecStart=, and words can be of one", several.len())),
            };
            (theirs != *words).then(|| {
                let (theirs, words) = (theirs.join(" "), words.join(" "));
                format!("the unit's ExecStart= has other words: {theirs}, not {words}")
            })
        }
        Attach::Variables { built, .. } => {
            let theirs: BTreeMap<_, _> =
                last_of(&settings, "Environment").iter().filter_map(|value| written::assignment(value)).collect();
            let (name, value) = built.iter().find(|(name, value)| theirs.get(*name) != Some(*value))?;
            let theirs = theirs.get(name).map_or("nothing".to_owned(), |value| format!("{value:?}"));
            Some(format!("the unit sets {name} to {theirs}, not {value:?}"))
        }
        _ => None,
    }
}

/// The values of a setting; an empty one takes back those before it.
fn last_of<'s>(settings: &'s [Setting], key: &str) -> Vec<&'s str> {
    let mut values = Vec::new();
    for setting in settings.iter().filter(|setting| setting.key == key) {
        if setting.value.is_empty() {
            values.clear();
        } else {
            values.push(setting.value.as_str());
        }
    }
    values
}
