//! `set`, `unset`, `undo` and `forget`: one transaction each, which compares what it was decided on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use dynix::attr_path::AttrPath;
use dynix::exit::Exit;
use dynix::host::messages;
use dynix::types::number;
use serde_json::{Value, json};

use super::arguments::{How, Set, Undo, Unset};
use super::follow;
use super::reached::{Reached, now, user};
use super::rollouts;
use crate::etcd::client::end_of;
use crate::etcd::entry::{self, Change, Entry, Step, Steps, Wave};
use crate::etcd::keys::Target;
use crate::etcd::message::{Compare, KeyValue, RangeRequest, RequestOp, TxnRequest};
use crate::rollout::done::{Done, What};
use crate::rollout::order::place;
use crate::rollout::state::{Before, Rollout, Size, State};
use crate::rollout::step::alive;
use crate::rollout::writing::{delete, is_of, operation, put};

/// Most paths of one change: etcd takes 128 operations in a transaction (`--max-txn-ops`).
const PATHS: usize = 50;
/// How many changes the log keeps.
const LOG: usize = 1000;
/// How many rollouts are kept that have ended.
const ROLLOUTS: usize = 50;

pub async fn set(fleet: &Reached, set: Set) -> anyhow::Result<Exit> {
    if set.assignments.len() % 2 == 1 {
        bail!("a value is missing: write paths and values in turn");
    }
    let mut steps = Steps::new();
    for pair in set.assignments.chunks(2) {
        let path = written(&pair[0])?;
        let value = if set.string { Value::String(pair[1].clone()) } else { value(&pair[1])? };
        if steps.insert(path.clone(), Step::Set(value)).is_some() {
            bail!("{path} is there twice");
        }
    }
    let seconds = set.duration.map(|duration| i64::try_from(duration.as_secs())).transpose()?;
    change(fleet, set.place.target(), steps, set.how, seconds).await
}

pub async fn unset(fleet: &Reached, unset: Unset) -> anyhow::Result<Exit> {
    let steps = unset.paths.iter().map(|path| Ok((written(path)?, Step::Unset)));
    let steps = steps.collect::<anyhow::Result<Steps>>()?;
    change(fleet, unset.place.target(), steps, unset.how, None).await
}

fn written(path: &str) -> anyhow::Result<String> {
    Ok(AttrPath::parse(path)?.to_string())
}

fn value(text: &str) -> anyhow::Result<Value> {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(Value::String(text.to_owned())) };
    if let Some(fault) = number::first_fault(text.as_bytes()) {
        bail!("{fault}");
    }
    Ok(value)
}

/// What a target has now at some paths, and the rollout that it is in.
struct Now {
    before: BTreeMap<String, Before>,
    wave: Option<(i64, Wave)>,
}

async fn now_at(fleet: &Reached, target: &Target, paths: impl Iterator<Item = &String>) -> anyhow::Result<Now> {
    let prefix = fleet.fleet.target(target);
    let all: BTreeMap<Vec<u8>, KeyValue> =
        fleet.client.all(&prefix).await?.kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
    let before = paths.map(|path| {
        let key = format!("{prefix}{path}");
        let before = all.get(key.as_bytes()).map_or_else(Before::default, |kv| Before {
            revision: kv.mod_revision,
            // What can't be read is replaced, and can't be brought back.
            entry: entry::read(&key, &kv.value).ok(),
        });
        (path.clone(), before)
    });
    let before = before.collect();
    let key = fleet.fleet.wave(target);
    let wave =
        all.get(key.as_bytes()).map(|kv| Ok::<_, anyhow::Error>((kv.mod_revision, entry::read(&key, &kv.value)?)));
    Ok(Now { before, wave: wave.transpose()? })
}

async fn change(fleet: &Reached, target: Target, steps: Steps, how: How, seconds: Option<i64>) -> anyhow::Result<Exit> {
    if steps.len() > PATHS {
        bail!("{} paths are more than the {PATHS} of one change", steps.len());
    }
    let now_there = now_at(fleet, &target, steps.keys()).await?;
    let missing: Vec<&String> = steps
        .iter()
        .filter(|(path, step)| **step == Step::Unset && now_there.before[*path].revision == 0)
        .map(|(path, _)| path)
        .collect();
    if let [first, ..] = missing.as_slice() {
        bail!("{target} has no value for {first}; `dynix-fleet get {first}` says who has");
    }
    let by = Some(user(how.by.clone()));
    if !how.waves.is_empty() {
        return roll_out(fleet, target, steps, how, now_there, by).await;
    }
    if let Some((_, wave)) = &now_there.wave
        && let Some(path) = steps.keys().find(|path| wave.steps.contains_key(*path))
    {
        bail!("rollout {} has {path} under way: `dynix-fleet abort {}` ends it", wave.rollout, wave.rollout);
    }
    let done = Done {
        id: name()?,
        time: now(),
        by,
        message: how.message.clone(),
        what: What::Change,
        target: target.clone(),
        steps,
        before: now_there.before,
        undoes: None,
        reason: None,
    };
    let wave = now_there.wave.as_ref().map_or(0, |(revision, _)| *revision);
    let revision = write(fleet, &done, wave, seconds).await?;
    tell(fleet, &done, revision)?;
    if how.wait { follow::arrival(fleet, &target, revision, how.deadline).await } else { Ok(Exit::Done) }
}

fn tell(fleet: &Reached, done: &Done, revision: i64) -> anyhow::Result<()> {
    let paths = done.steps.keys().cloned().collect::<Vec<_>>().join(", ");
    let text = format!("{}: {paths} of {} (revision {revision})\n", done.id, done.target);
    fleet.print(&json!({ "version": 1, "id": done.id, "revision": revision }), &text)
}

/// A name that nothing has yet, in the order of time.
pub fn name() -> anyhow::Result<String> {
    let mut random = [0; 4];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).context("there is no randomness")?;
    let digits: String = now().chars().filter(char::is_ascii_digit).take(14).collect();
    Ok(format!("{digits}-{:08x}", u32::from_ne_bytes(random)))
}

/// Writes a change, if what it was decided on is still so; its revision.
async fn write(fleet: &Reached, done: &Done, wave: i64, seconds: Option<i64>) -> anyhow::Result<i64> {
    let prefix = fleet.fleet.target(&done.target);
    let lease = match seconds {
        Some(seconds) => fleet.client.grant(seconds).await?,
        None => 0,
    };
    let said =
        Entry { value: Value::Null, by: done.by.clone(), message: done.message.clone(), time: Some(done.time.clone()) };
    let mut compare = vec![is_of(fleet.fleet.wave(&done.target), wave)];
    compare.extend(done.before.iter().map(|(path, before)| is_of(format!("{prefix}{path}"), before.revision)));
    let mut success: Vec<RequestOp> =
        done.steps.iter().map(|(path, step)| operation(format!("{prefix}{path}"), step, &said, lease)).collect();
    let change = Change { by: done.by.clone(), message: done.message.clone() };
    success.push(put(fleet.fleet.change(&done.target), &change));
    once(fleet, done, compare, success).await
}

/// Writes something together with its entry of the log. Where no answer came, the entry says whether it was done.
pub async fn once(
    fleet: &Reached,
    done: &Done,
    mut compare: Vec<Compare>,
    mut success: Vec<RequestOp>,
) -> anyhow::Result<i64> {
    let key = fleet.fleet.log(&done.id);
    compare.push(is_of(key.clone(), 0));
    success.push(put(key.clone(), done));
    success.extend(too_old(fleet).await?);
    let answer = fleet.client.transaction(TxnRequest { compare, success, failure: Vec::new() }).await?;
    if answer.succeeded {
        return Ok(answer.header.unwrap_or_default().revision);
    }
    match fleet.client.get(&key).await? {
        Some(kv) => Ok(kv.mod_revision),
        None => bail!("somebody else changed it at the same time, and nothing was done; try again"),
    }
}

/// What the log and the rollouts have too much; a few at a time.
async fn too_old(fleet: &Reached) -> anyhow::Result<Vec<RequestOp>> {
    const AT_ONCE: usize = 10;
    let mut found = Vec::new();
    let key = fleet.fleet.log("").into_bytes();
    let names = RangeRequest { range_end: end_of(&key), key, keys_only: true, ..RangeRequest::default() };
    let mut log = fleet.client.range(names).await?.kvs;
    log.sort_by_key(|kv| kv.create_revision);
    found.extend(log.iter().take(log.len().saturating_sub(LOG).min(AT_ONCE)).map(|kv| kv.key.clone()));
    let rollouts = fleet.client.all(&fleet.fleet.rollout("")).await?.kvs;
    let ended = rollouts
        .iter()
        .filter(|kv| serde_json::from_slice::<Rollout>(&kv.value).is_ok_and(|rollout| !rollout.state.is_open()));
    let mut ended: Vec<&KeyValue> = ended.collect();
    ended.sort_by_key(|kv| kv.create_revision);
    found.extend(ended.iter().take(ended.len().saturating_sub(ROLLOUTS).min(AT_ONCE)).map(|kv| kv.key.clone()));
    Ok(found.into_iter().filter_map(|key| Some(delete(String::from_utf8(key).ok()?))).collect())
}

async fn roll_out(
    fleet: &Reached,
    target: Target,
    steps: Steps,
    how: How,
    now_there: Now,
    by: Option<String>,
) -> anyhow::Result<Exit> {
    if let Some((_, wave)) = now_there.wave {
        bail!("rollout {} of {target} is under way: `dynix-fleet abort {}` ends it", wave.rollout, wave.rollout);
    }
    let mut waves = how.waves;
    // At its end it is what all of them have.
    if !waves.last().copied().is_some_and(Size::is_all) {
        waves.push(Size::Percent(100));
    }
    let empty = Rollout {
        id: name()?,
        target,
        steps,
        before: now_there.before,
        by,
        message: how.message,
        time: now(),
        waves,
        hold: how.hold.as_secs(),
        budget: how.budget,
        deadline: how.deadline.as_secs(),
        state: State::Running,
        reason: None,
        wave: 0,
        until: 0,
        hosts: BTreeSet::new(),
        failed: BTreeMap::new(),
    };
    let alive = alive(&empty, &fleet.seen().await?.reports);
    let Some(rollout) = empty.next_wave(&alive, 0) else {
        bail!("no host of {} is there; `dynix-fleet status` says which are known", empty.target);
    };
    let prefix = fleet.fleet.target(&rollout.target);
    let mut compare = vec![is_of(fleet.fleet.wave(&rollout.target), 0)];
    compare.extend(rollout.before.iter().map(|(path, before)| is_of(format!("{prefix}{path}"), before.revision)));
    let success = vec![
        put(fleet.fleet.rollout(&rollout.id), &rollout),
        put(fleet.fleet.wave(&rollout.target), &rollout.values()),
    ];
    let revision = once(fleet, &Done::of(&rollout), compare, success).await?;
    let first: Vec<&str> = rollout.hosts.iter().map(String::as_str).collect();
    let text = format!(
        "{}: waves {} of {} hosts of {}, first {}\n",
        rollout.id,
        rollout.sizes(),
        alive.len(),
        rollout.target,
        if first.len() > 5 { format!("{} of them", first.len()) } else { first.join(", ") }
    );
    debug_assert!(rollout.hosts.iter().all(|host| place(&rollout.id, host) <= rollout.until));
    fleet.print(&json!({ "version": 1, "rollout": rollout.id, "revision": revision }), &text)?;
    if how.wait { follow::watch(fleet, Some(&rollout.id)).await } else { Ok(Exit::Done) }
}

pub async fn undo(fleet: &Reached, undo: Undo) -> anyhow::Result<Exit> {
    let log = fleet.client.all(&fleet.fleet.log("")).await?.kvs;
    let mut log: Vec<(Done, i64)> =
        log.iter().filter_map(|kv| Some((serde_json::from_slice(&kv.value).ok()?, kv.mod_revision))).collect();
    log.sort_by_key(|(_, revision)| *revision);
    let undone: BTreeSet<String> = log.iter().filter_map(|(done, _)| done.undoes.clone()).collect();
    let found = log.into_iter().rev().find(|(done, _)| match &undo.id {
        Some(id) => done.id == *id,
        None => !undone.contains(&done.id) && !matches!(done.what, What::Undo | What::TakenBack),
    });
    let Some((done, revision)) = found else {
        match &undo.id {
            Some(id) => bail!("nothing in the log is called {id}; see `dynix-fleet log`"),
            None => bail!("there is nothing to undo"),
        }
    };
    let id = &done.id;
    match done.what {
        What::Rollout => return rollouts::end(fleet, id, undo.message.as_deref()).await,
        What::TakenBack => bail!("rollout {id} is taken back already"),
        _ if undone.contains(id) => bail!("{id} is undone already"),
        What::Change | What::RolledOut | What::Undo => {}
    }
    is_what_it_says(fleet, &done, revision).await?;
    let now_there = now_at(fleet, &done.target, done.steps.keys()).await?;
    for (path, before) in &now_there.before {
        let is_ours = match done.steps[path] {
            Step::Set(_) => before.revision == revision,
            Step::Unset => before.revision == 0,
        };
        if !is_ours {
            bail!(
                "{path} of {} is not what {id} made it any more: somebody changed it since, or it ended",
                done.target
            );
        }
    }
    if let Some((_, wave)) = &now_there.wave
        && let Some(path) = done.steps.keys().find(|path| wave.steps.contains_key(*path))
    {
        bail!("rollout {} has {path} under way: `dynix-fleet abort {}` ends it", wave.rollout, wave.rollout);
    }
    let back = Done {
        id: name()?,
        time: now(),
        by: Some(user(undo.by)),
        message: undo.message.or_else(|| Some(format!("undo of {id}"))),
        what: What::Undo,
        target: done.target.clone(),
        steps: done.back(),
        before: now_there.before,
        undoes: Some(id.clone()),
        reason: None,
    };
    let wave = now_there.wave.as_ref().map_or(0, |(revision, _)| *revision);
    let revision = write(fleet, &back, wave, None).await?;
    tell(fleet, &back, revision)?;
    Ok(Exit::Done)
}

/// The log is for all to write who may change anything. An entry is believed that came in one transaction with a change of
/// its target: whoever wrote it might do that.
async fn is_what_it_says(fleet: &Reached, done: &Done, revision: i64) -> anyhow::Result<()> {
    let key = fleet.fleet.change(&done.target).into_bytes();
    let then = RangeRequest { key, revision, ..RangeRequest::default() };
    let then = fleet.client.range(then).await.with_context(|| format!("cannot see what {} was", done.id))?;
    if then.kvs.first().is_none_or(|kv| kv.mod_revision != revision) {
        bail!("{} is not what was done to {}: somebody wrote it into the log by itself", done.id, done.target);
    }
    Ok(())
}

pub async fn forget(fleet: &Reached, host: &str) -> anyhow::Result<Exit> {
    if fleet.client.get(&fleet.fleet.report(host)).await?.is_some() {
        bail!("{host} is there: it would be known again at once");
    }
    let key = fleet.fleet.known(host);
    let Some(known) = fleet.client.get(&key).await? else { bail!("no host {host:?} is known") };
    let compare = vec![is_of(key.clone(), known.mod_revision), is_of(fleet.fleet.report(host), 0)];
    let request = TxnRequest { compare, success: vec![delete(key)], failure: Vec::new() };
    if !fleet.client.transaction(request).await?.succeeded {
        bail!("{host} is there again");
    }
    messages::info(format!("{host} is forgotten; its keys below hosts/{host} stay"));
    Ok(Exit::Done)
}
