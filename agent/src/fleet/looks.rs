//! `get`, `status`, `log` and `diff`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::bail;
use dynix::attr_path::AttrPath;
use dynix::exit::Exit;
use dynix::host::messages;
use serde_json::{Map, Value, json};

use super::arguments::{Diff, Get, Log, Status};
use super::reached::{Host, Reached};
use crate::etcd::entry::{self, Entry, Step};
use crate::etcd::keys::{self, Name, Target};
use crate::rollout::done::{Done, What};
use crate::rollout::state::{Rollout, State};

pub async fn get(fleet: &Reached, get: Get) -> anyhow::Result<Exit> {
    let path = get.path.as_deref().map(AttrPath::parse).transpose()?.unwrap_or_default();
    if let Some(host) = get.host {
        let layer = fleet.layer(&host).await?;
        let value = path.within(&Value::Object(layer.values)).cloned();
        let Some(value) = value else { bail!("{host} has no value for {path} from this fleet") };
        let text = format!("{}\n", serde_json::to_string_pretty(&value)?);
        fleet.print(&json!({ "version": 1, "host": host, "path": path, "value": value }), &text)?;
        return Ok(Exit::Done);
    }
    let prefix = fleet.fleet.prefix();
    let kvs = fleet.client.all(&prefix).await?.kvs;
    let (mut text, mut found) = (String::new(), Vec::new());
    for kv in kvs {
        let Ok(key) = String::from_utf8(kv.key) else { continue };
        let Some(target) = key.strip_prefix(&prefix).and_then(target) else { continue };
        match keys::name(&fleet.fleet.target(&target), key.as_bytes()) {
            Ok(Name::Path(one)) if one.starts_with(&path) => {
                let entry: Entry = match entry::read(&key, &kv.value) {
                    Ok(entry) => entry,
                    Err(bad) => {
                        messages::error(bad);
                        continue;
                    }
                };
                let by = entry.by.as_deref().map(|by| format!("  # by {by}")).unwrap_or_default();
                let ends = if kv.lease == 0 { "" } else { ", ends by itself" };
                let said = entry.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
                let _ = writeln!(text, "{target} {one} = {}{by}{ends}{said}", entry.value);
                found.push(json!({
                    "target": target, "path": one, "value": entry.value, "by": entry.by, "message": entry.message,
                    "time": entry.time, "revision": kv.mod_revision, "ends": kv.lease != 0,
                }));
            }
            Ok(_) => {}
            Err(bad) => messages::error(bad),
        }
    }
    if found.is_empty() && get.path.is_some() {
        bail!("no target has a value for {path}");
    }
    fleet.print(&json!({ "version": 1, "values": found }), &messages::visible(&text))?;
    Ok(Exit::Done)
}

/// The target of a key below a fleet.
fn target(rest: &str) -> Option<Target> {
    let (first, rest) = rest.split_once('/')?;
    match first {
        "all" => Some(Target::All),
        _ => format!("{first}/{}", rest.split_once('/')?.0).parse().ok(),
    }
}

pub async fn status(fleet: &Reached, status: &Status) -> anyhow::Result<Exit> {
    let hosts = fleet.hosts().await?;
    let rollouts: Vec<Rollout> = fleet.seen().await?.rollouts.into_iter().map(|(rollout, _)| rollout).collect();
    let mut text = hosts_text(&hosts);
    for rollout in rollouts.iter().rev().take(5).rev() {
        let _ = writeln!(text, "{}", rollout_line(rollout));
    }
    let is_bad = |host: &Host| {
        host.report.as_ref().is_none_or(|report| report.result.is_well() != Some(true) || report.trouble.is_some())
    };
    let data = json!({
        "version": 1,
        "hosts": hosts.iter().map(|(name, host)| (name.clone(), json!({
            "groups": host.known.groups, "alive": host.report.is_some(), "report": host.report,
        }))).collect::<Map<String, Value>>(),
        "rollouts": rollouts,
    });
    fleet.print(&data, &messages::visible(&text))?;
    Ok(if status.exit_code && hosts.values().any(is_bad) { Exit::Found } else { Exit::Done })
}

fn hosts_text(hosts: &BTreeMap<String, Host>) -> String {
    let mut rows = vec![["host", "groups", "revision", "result", "verified", ""].map(str::to_owned)];
    for (name, host) in hosts {
        let groups = host.known.groups.join(",");
        rows.push(match &host.report {
            None => [name.clone(), groups, String::new(), "gone".to_owned(), String::new(), String::new()],
            Some(report) => [
                name.clone(),
                groups,
                report.revision.to_string(),
                report.result.to_string(),
                report.verified.clone().unwrap_or_default(),
                report.reason.iter().chain(&report.trouble).cloned().collect::<Vec<_>>().join("; "),
            ],
        });
    }
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()).collect();
    rows.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        text
    })
}

/// A rollout in one line.
pub fn rollout_line(rollout: &Rollout) -> String {
    let Rollout { id, state, wave, waves, hosts, failed, target, .. } = rollout;
    let reason = rollout.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let at = match state {
        State::Running | State::Paused => format!(", wave {} of {} ({})", wave + 1, waves.len(), rollout.sizes()),
        _ => String::new(),
    };
    let failed = if failed.is_empty() { String::new() } else { format!(", {} failed", failed.len()) };
    let paths = rollout.steps.keys().cloned().collect::<Vec<_>>().join(", ");
    format!("rollout {id} of {paths} to {target} is {state}{at}, {} hosts{failed}{reason}", hosts.len())
}

pub async fn log(fleet: &Reached, log: &Log) -> anyhow::Result<Exit> {
    let kvs = fleet.client.all(&fleet.fleet.log("")).await?.kvs;
    let mut all: Vec<(Done, i64)> =
        kvs.iter().filter_map(|kv| Some((serde_json::from_slice(&kv.value).ok()?, kv.mod_revision))).collect();
    all.sort_by_key(|(_, revision)| std::cmp::Reverse(*revision));
    all.truncate(log.n);
    let mut text = String::new();
    for (done, revision) in &all {
        let by = done.by.as_deref().unwrap_or("somebody");
        let what = match done.what {
            What::Change => "",
            What::Rollout => " (rollout, under way)",
            What::RolledOut => " (rollout, done)",
            What::TakenBack => " (rollout, taken back)",
            What::Undo => " (undo)",
        };
        let said = done.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
        let _ = writeln!(text, "{} {} revision {revision}, {by}, {}{what}{said}", done.id, done.time, done.target);
        for (path, step) in &done.steps {
            let before = done.before.get(path).and_then(|before| before.entry.as_ref());
            let before = before.map_or_else(|| "unset".to_owned(), |entry| entry.value.to_string());
            let after = match step {
                Step::Set(value) => value.to_string(),
                Step::Unset => "unset".to_owned(),
            };
            let _ = writeln!(text, "    {path}: {before} -> {after}");
        }
        if let Some(reason) = &done.reason {
            let _ = writeln!(text, "    {reason}");
        }
    }
    let data: Vec<Value> = all.iter().map(|(done, revision)| json!({ "revision": revision, "done": done })).collect();
    fleet.print(&json!({ "version": 1, "log": data }), &messages::visible(&text))?;
    Ok(Exit::Done)
}

pub async fn diff(fleet: &Reached, diff: &Diff) -> anyhow::Result<Exit> {
    let [one, other] = [fleet.layer(&diff.one).await?, fleet.layer(&diff.other).await?];
    let [left, right] = [&one, &other].map(|layer| leaves(&layer.values));
    let paths: BTreeSet<&AttrPath> = left.keys().chain(right.keys()).collect();
    let differ: Vec<&AttrPath> = paths.into_iter().filter(|path| left.get(path) != right.get(path)).collect();
    let shown = |value: Option<&&Value>| value.map_or_else(|| "unset".to_owned(), ToString::to_string);
    let mut text = String::new();
    for path in &differ {
        let _ = writeln!(text, "{path}\n    {}: {}", diff.one, shown(left.get(path)));
        let _ = writeln!(text, "    {}: {}", diff.other, shown(right.get(path)));
    }
    let data: Vec<Value> = differ
        .iter()
        .map(|path| {
            let mut values = Map::new();
            values.extend(left.get(path).map(|value| (diff.one.clone(), (*value).clone())));
            values.extend(right.get(path).map(|value| (diff.other.clone(), (*value).clone())));
            json!({ "path": path, "values": values })
        })
        .collect();
    fleet.print(&json!({ "version": 1, "differences": data }), &messages::visible(&text))?;
    Ok(if diff.exit_code && !differ.is_empty() { Exit::Found } else { Exit::Done })
}

/// The values that are no sets, by path.
fn leaves(values: &Map<String, Value>) -> BTreeMap<AttrPath, &Value> {
    fn walk<'v>(path: &AttrPath, values: &'v Map<String, Value>, found: &mut BTreeMap<AttrPath, &'v Value>) {
        for (name, value) in values {
            let path = path.child(name);
            match value {
                Value::Object(below) if !below.is_empty() => walk(&path, below, found),
                value => drop(found.insert(path, value)),
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&AttrPath::default(), values, &mut found);
    found
}
