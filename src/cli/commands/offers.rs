//! What the completions offer for the words of a command line: paths, values, services and records of the system.
//!
//! Takes the beginning of a word; gives candidates. Where the system can't be read there are none.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::ops::ControlFlow;

use camino::Utf8PathBuf;
use clap::builder::StyledStr;
use clap::{CommandFactory, Parser};
use clap_complete::engine::CompletionCandidate;

use super::log::said;
use super::set::end_of_path;
use crate::cli::arguments::Cli;
use crate::plan::Plan;
use crate::render::secrets::Secrets;
use crate::system::lookup;
use crate::system::session::Session;
use crate::system::settings::paths_below;
use crate::types::{Below, brief};

/// Most paths that are offered.
const OFFERED: usize = 500;
/// Most records that are offered.
const RECORDS: usize = 50;
/// Paths of settings that may change.
#[must_use]
pub fn paths(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    let mut offered = Vec::new();
    for (name, option) in plan.services.values().flat_map(|service| &service.options) {
        let Ok(path) = lookup::parse(name) else { continue };
        for below_option in paths_below(&option.schema, &[&option.static_value]) {
            let whole = path.join(&below_option).to_string();
            if whole.starts_with(current) && option.may_change(below_option.names()) && offered.len() < OFFERED {
                let built = below_option.within(&option.static_value);
                let help = built.map(|built| StyledStr::from(format!("built {}", brief(built))));
                offered.push(CompletionCandidate::new(whole).help(help));
            }
        }
    }
    offered
}

/// Values that the type of the option on the command line lists.
#[must_use]
pub fn values(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    let words = words();
    let given = words.iter().skip_while(|word| *word != "append").skip(1).find(|word| !word.starts_with('-'));
    let Some(path) = given else { return Vec::new() };
    listed(&plan, path).into_iter().filter(|text| text.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// Paths, or values of the path before, or both in one word.
#[must_use]
pub fn assignments(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = current.to_str() else { return Vec::new() };
    let words = words();
    let before: Vec<&String> = words.iter().skip_while(|word| *word != "set").skip(1).collect();
    if let Some((path, begun)) = split_at_equals(&before) {
        let Some(plan) = plan() else { return Vec::new() };
        let values = listed(&plan, path).into_iter().filter(|value| value.starts_with(begun));
        return values.map(CompletionCandidate::new).collect();
    }
    if let Some(end) = end_of_path(text) {
        let (Some(plan), path, begun) = (plan(), &text[..end], &text[end + 1..]) else { return Vec::new() };
        let values = listed(&plan, path).into_iter().filter(|value| value.starts_with(begun));
        return values.map(|value| CompletionCandidate::new(format!("{path}={value}"))).collect();
    }
    match open_path(before.split_last().map_or(&[], |(_, before)| before)) {
        None => paths(current),
        Some(path) => {
            let Some(plan) = plan() else { return Vec::new() };
            let values = listed(&plan, path).into_iter().filter(|value| value.starts_with(text));
            values.map(CompletionCandidate::new).collect()
        }
    }
}

/// The path and the begun value of `PATH=VALUE` as bash gives it: in three words, as `=` ends one (`COMP_WORDBREAKS`).
fn split_at_equals<'w>(words: &[&'w String]) -> Option<(&'w String, &'w str)> {
    match words {
        [.., path, equals, value] if *equals == "=" => Some((path, value)),
        [.., path, equals] if *equals == "=" => Some((path, "")),
        _ => None,
    }
}

/// The last of the words, if it is a path whose value comes next.
fn open_path<'w>(words: &[&'w String]) -> Option<&'w String> {
    let with_value = with_value();
    let mut open = None;
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        if word == "=" {
            // What bash split: the path before it has its value.
            open = None;
            words.next();
        } else if with_value.contains(word.as_str()) {
            words.next();
        } else if open.is_some() {
            open = None;
        } else if !word.starts_with('-') && end_of_path(word).is_none() {
            open = Some(word);
        }
    }
    open
}

/// The options of `dynix set` whose value is the next word.
fn with_value() -> BTreeSet<String> {
    let mut dynix = Cli::command();
    dynix.build();
    let set = dynix.find_subcommand("set").into_iter();
    let flags = set
        .flat_map(clap::Command::get_arguments)
        .filter(|one| !one.is_positional() && one.get_action().takes_values() && !one.is_require_equals_set());
    flags
        .flat_map(|one| {
            let long = one.get_long().map(|name| format!("--{name}"));
            long.into_iter().chain(one.get_short().map(|name| format!("-{name}")))
        })
        .collect()
}

/// The values that the type of an option lists.
fn listed(plan: &Plan, path: &str) -> Vec<String> {
    let Ok(path) = lookup::parse(path) else { return Vec::new() };
    let Ok(place) = lookup::find(plan, &path) else { return Vec::new() };
    let Ok(kind) = place.option.schema.kind() else { return Vec::new() };
    let Below::Part(part) = kind.below(place.below(&path).names()) else { return Vec::new() };
    part.listed()
}

/// Services that are dynamic.
#[must_use]
pub fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    plan.services.keys().filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// The sources that the system has.
#[must_use]
pub fn sources(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(plan), Some(current)) = (plan(), current.to_str()) else { return Vec::new() };
    let names = plan.sources.iter().map(|one| one.name.clone());
    names.filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// Services that are dynamic, and paths that are overridden or may be.
#[must_use]
pub fn services_and_paths(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut offered = services(current);
    offered.extend(paths(current));
    offered
}

/// Paths that are overridden.
#[must_use]
pub fn overridden(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(session), Some(current)) = (session(), current.to_str()) else { return Vec::new() };
    let Ok(system) = session.open() else { return Vec::new() };
    let Ok(folded) = system.log().fold() else { return Vec::new() };
    let secrets = Secrets::new(&system.plan);
    let leaves = folded.own().leaves().into_iter().filter_map(|(path, one)| {
        let text = path.to_string();
        let help = format!("{}, record {}", brief(&secrets.shown(&path, one.value)), one.id);
        text.starts_with(current).then(|| CompletionCandidate::new(text).help(Some(StyledStr::from(help))))
    });
    leaves.take(OFFERED).collect()
}

/// The newest records that count, each with what it is.
#[must_use]
pub fn records(current: &OsStr) -> Vec<CompletionCandidate> {
    of_log(current, true)
}

/// The newest records that were rejected, each with what it is.
#[must_use]
pub fn rejected(current: &OsStr) -> Vec<CompletionCandidate> {
    of_log(current, false)
}

fn of_log(current: &OsStr, counts: bool) -> Vec<CompletionCandidate> {
    let (Some(session), Some(current)) = (session(), current.to_str()) else { return Vec::new() };
    let Ok(system) = session.open() else { return Vec::new() };
    let secrets = Secrets::new(&system.plan);
    let mut offered = VecDeque::new();
    let _ = system.log().each(|record, fate| {
        let is_asked = if counts { fate.counts } else { fate.rejected.is_some() };
        if is_asked && record.id.to_string().starts_with(current) {
            let record = secrets.shown_record(record);
            let (by, what) = (record.by.as_deref().unwrap_or("-"), said(&record.kind));
            let help = format!("{by}: {}", what.lines().next().unwrap_or_default());
            offered.push_front(CompletionCandidate::new(record.id.to_string()).help(Some(StyledStr::from(help))));
            offered.truncate(RECORDS);
        }
        ControlFlow::Continue(())
    });
    offered.into()
}

/// The words of the command line that is being completed: those after the `--` of the shell's question.
fn words() -> Vec<String> {
    std::env::args().skip_while(|word| word != "--").skip(1).collect()
}

/// The plan that the command line names, or the system's.
fn plan() -> Option<Plan> {
    session()?.open().ok().map(|system| system.plan)
}

fn session() -> Option<Session> {
    let words = words();
    let given = |flag: &str| {
        let after = words.iter().skip_while(|word| *word != flag).nth(1);
        after.map(Utf8PathBuf::from)
    };
    // The environment counts as for any command.
    let mut global = Cli::try_parse_from(["dynix", "status"]).ok()?.global;
    global.root = given("--root").or(global.root);
    global.plan = given("--plan").or(global.plan);
    global.overrides = given("--overrides").or(global.overrides);
    super::session(&global).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_its_value_is_open() {
        let open = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            open_path(&words.iter().collect::<Vec<_>>()).cloned()
        };
        assert_eq!(open("a.b"), Some("a.b".to_owned()));
        assert_eq!(open("a.b 1"), None);
        assert_eq!(open("a.b 1 c"), Some("c".to_owned()));
        assert_eq!(open("a.b=1"), None);
        assert_eq!(open("a.b=1 --apply c --for 1h"), Some("c".to_owned()));
        assert_eq!(open("-m text"), None);
        assert_eq!(open("a = 1 b"), Some("b".to_owned()));
    }

    #[test]
    fn options_with_a_value_are_those_of_the_definition() {
        let expected = [
            "--for",
            "--message",
            "-m",
            "--secret-file",
            "--confirm",
            "--root",
            "--plan",
            "--overrides",
            "--socket",
            "--color",
            "--output",
        ];
        assert_eq!(with_value(), expected.map(str::to_owned).into());
    }

    #[test]
    fn what_bash_splits_is_put_together() {
        let split = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let words: Vec<&String> = words.iter().collect();
            split_at_equals(&words).map(|(path, value)| format!("{path} {value}"))
        };
        assert_eq!(split("a.b = no").as_deref(), Some("a.b no"));
        assert_eq!(split("x 1 a.b =").as_deref(), Some("a.b "));
        assert_eq!(split("a.b=no"), None);
        assert_eq!(split("a.b no"), None);
    }
}
