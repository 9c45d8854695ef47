//! `dynix diff`: the configuration in effect beside the built one, or what an apply would change.

use std::collections::BTreeMap;

use serde::Serialize;

use super::session::Session;
use super::{place, screen};
use crate::cli::arguments::Diff;
use crate::exit::Exit;
use crate::host::fs::{self, generation};
use crate::host::messages;
use crate::host::paths::Paths;
use crate::plan::Service;
use crate::reconcile::state::State;
use crate::reconcile::view::{View, view};
use crate::render::{render, static_values};

/// Two texts of one file or drop-in.
#[derive(Debug, Serialize)]
struct Pair {
    service: String,
    name: String,
    old: String,
    new: String,
}

/// A service's texts by file name, and by unit for drop-ins.
type Texts = BTreeMap<String, String>;

/// Prints the differences.
pub fn run(arguments: &Diff, session: &Session) -> anyhow::Result<Exit> {
    let (plan, paths) = session.load()?;
    let only = place::services(&plan, &arguments.services)?;
    let state = State::load(&paths.state())?;
    let View { desired, folded, .. } =
        view(&plan, &paths, &session.log(&plan, &paths), &state.on_trial(), only.as_ref())?;
    folded.unevaluated.iter().for_each(|one| messages::warn(format!("left out: {one}")));
    let mut pairs = Vec::new();
    for (name, service) in
        plan.services.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only.contains(*name)))
    {
        let built = texts(name, service, &static_values(service))?;
        let present = in_effect(name, service, &state, &paths, &built)?;
        let (old, new) = if arguments.pending {
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
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        for file in names {
            let text = |texts: &Texts| texts.get(file).cloned().unwrap_or_default();
            let (mut old, mut new) = (text(&old), text(&new));
            if old == new {
                continue;
            }
            if service.files.get(file).is_some_and(|file| file.holds_secret(service)) {
                "(holds a secret, not shown)\n".clone_into(&mut old);
                "(holds a secret, not shown; it differs)\n".clone_into(&mut new);
            }
            pairs.push(Pair { service: name.clone(), name: file.clone(), old, new });
        }
    }
    if arguments.json {
        return super::print_json(&pairs);
    }
    let labels = if arguments.pending { ("in effect", "after an apply") } else { ("built", "in effect") };
    let coloured = screen::colours(session.global.color);
    let shown = pairs.iter().map(|pair| {
        let name = format!("{}/{}", pair.service, pair.name);
        screen::diff(&name, (labels.0, &pair.old), (labels.1, &pair.new), coloured)
    });
    super::print(shown.collect::<String>().as_bytes())
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
