//! Whoever holds the lock drives the rollouts of a fleet. Everything that a driver knows is in etcd; what it decides is
//! written by comparison, so it does not matter if two think that they drive.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dynix::host::messages;
use tokio_util::sync::CancellationToken;

use super::state::{Rollout, State};
use super::step::{self, Decision, Effect, Memory, World};
use super::writing::{is_since, leased, transaction};
use crate::etcd::client::Client;
use crate::etcd::entry::Wave;
use crate::etcd::error::Error;
use crate::etcd::keys::Fleet;
use crate::etcd::message::TxnRequest;
use crate::etcd::mirror::{Floor, Mirror, Stale};
use crate::patience::Patience;
use crate::report::Report;

/// The lease of the lock: who does not renew it has lost it after so many seconds.
const LEASE: i64 = 10;
/// How often it is renewed, and how often somebody else looks whether it is free.
const TURN: Duration = Duration::from_secs(3);
/// How many changes are read together.
const GATHER: Duration = Duration::from_millis(50);

/// What there is to see of a fleet's rollouts.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its rollouts, with their revisions, in the order in which they began; one that can't be read is left out.
    pub rollouts: Vec<(Rollout, i64)>,
    /// The reports of hosts that are there.
    pub reports: BTreeMap<String, Report>,
}

/// What is mirrored for it: rollouts, reports.
#[must_use]
pub fn prefixes(fleet: &Fleet) -> Vec<String> {
    vec![fleet.rollout(""), fleet.report("")]
}

/// What is in a mirror of [`prefixes`].
#[must_use]
pub fn seen(mirror: &Mirror) -> Seen {
    let mut parts = mirror.parts().map(|(_, keys)| keys);
    // By their names they are in the order of the clocks of those who began them, to the second.
    let mut rollouts: Vec<_> = parts.next().into_iter().flatten().map(|(_, kept)| kept).collect();
    rollouts.sort_by_key(|kept| kept.created);
    let rollouts = rollouts.into_iter();
    let rollouts = rollouts.filter_map(|kept| Some((serde_json::from_slice(&kept.bytes).ok()?, kept.modified)));
    let rollouts = rollouts.collect();
    let reports = parts.next().into_iter().flatten();
    let reports = reports.filter_map(|(_, kept)| serde_json::from_slice::<Report>(&kept.bytes).ok());
    Seen { rollouts, reports: reports.map(|report| (report.host.clone(), report)).collect() }
}

/// Drives whenever nobody else does, until it is cancelled.
pub async fn run(client: Client, fleet: Fleet, who: String, cancel: CancellationToken) {
    let mut patience = Patience::new(&who);
    let all = async {
        loop {
            match turn(&client, &fleet, &who).await {
                Ok(()) => patience.restore(),
                Err(Stale::Etcd(Error::Denied(reason))) => {
                    // A role that may not: nothing to be said every time.
                    messages::warn(format!("cannot drive rollouts: etcd does not allow it: {reason}"));
                    tokio::time::sleep(Duration::from_secs(600)).await;
                }
                Err(_) => client.next(),
            }
            patience.wait().await;
        }
    };
    tokio::select! {
        () = all => {}
        () = cancel.cancelled() => {}
    }
}

/// Waits for an open rollout and for the lock, and drives until it is lost.
async fn turn(client: &Client, fleet: &Fleet, who: &str) -> Result<(), Stale> {
    let member = client.member().clone();
    let mut rollouts = Mirror::new(vec![fleet.rollout("")]);
    rollouts.advance(&member, Floor::default(), false).await?;
    let mut watch = member.watch(rollouts.prefixes(), rollouts.revision() + 1).await?;
    let mut patience = Patience::new(who);
    loop {
        let is_open = seen(&rollouts).rollouts.iter().any(|(rollout, _)| rollout.state == State::Running);
        if is_open {
            // Not all at the same time.
            patience.wait().await;
            if let Some(lock) = Lock::take(client, fleet, who).await? {
                let done = drive(client, fleet, &lock).await;
                // Somebody else need not wait for its end.
                let _ = client.revoke(lock.lease).await;
                return done;
            }
        }
        // Somebody else has it, or nobody needs it.
        let wait = if is_open { TURN } else { Duration::from_secs(300) };
        if let Ok(changed) = tokio::time::timeout(wait, watch.changed()).await {
            changed?;
        }
        rollouts.advance(&member, Floor::default(), false).await?;
    }
}

struct Lock {
    lease: i64,
    since: i64,
}

impl Lock {
    async fn take(client: &Client, fleet: &Fleet, who: &str) -> Result<Option<Self>, Error> {
        if client.get(&fleet.driver()).await?.is_some() {
            return Ok(None);
        }
        let lease = client.grant(LEASE).await?;
        let request = TxnRequest {
            compare: vec![is_since(fleet.driver(), 0)],
            success: vec![leased(fleet.driver(), &who, lease)],
            failure: Vec::new(),
        };
        let answer = client.transaction(request).await?;
        if !answer.succeeded {
            client.revoke(lease).await?;
            return Ok(None);
        }
        Ok(Some(Self { lease, since: answer.header.unwrap_or_default().revision }))
    }
}

/// Drives all open rollouts until there is none, or the lock is lost.
async fn drive(client: &Client, fleet: &Fleet, lock: &Lock) -> Result<(), Stale> {
    let clock = Instant::now();
    let mut memories: HashMap<String, Memory> = HashMap::new();
    let mut mirror = Mirror::new(prefixes(fleet));
    let member = client.member().clone();
    let mut lease = member.keep(lock.lease).await?;
    lease.answer().await?;
    let mut renewed = Instant::now();
    mirror.advance(&member, Floor::default(), false).await?;
    let mut watch = member.watch(mirror.prefixes(), mirror.revision() + 1).await?;
    loop {
        let seen = seen(&mirror);
        let running: Vec<&(Rollout, i64)> =
            seen.rollouts.iter().filter(|(rollout, _)| rollout.state == State::Running).collect();
        if running.is_empty() {
            return Ok(());
        }
        let mut wait = TURN;
        for (rollout, of) in running {
            // Whoever may write the state of a rollout may not for that write to its target: the values have to be there
            // already, by somebody who may.
            let wave = client.get(&fleet.wave(&rollout.target)).await?;
            let Some(wave) = wave.filter(|kv| is_of(&kv.value, rollout)) else {
                let why = "its target does not have its values";
                end(client, fleet, lock, rollout, *of, Effect::Note, why).await?;
                continue;
            };
            let world = World { written: wave.mod_revision, reports: &seen.reports };
            let memory = memories.entry(rollout.id.clone()).or_default();
            match step::step(rollout, world, clock.elapsed(), memory) {
                Decision::Wait(time) => wait = wait.min(time.unwrap_or(TURN)),
                Decision::Write(next, effect) => {
                    let is_written = write(client, fleet, lock, &next, effect, *of).await?;
                    if !is_written && effect == Effect::Finish && changed(client, fleet, rollout).await? {
                        let why = "somebody changed one of its paths meanwhile";
                        end(client, fleet, lock, rollout, *of, Effect::TakeBack, why).await?;
                    }
                    wait = Duration::ZERO;
                }
            }
        }
        if renewed.elapsed() >= TURN {
            if lease.renew().await?.is_none() {
                return Ok(());
            }
            renewed = Instant::now();
        }
        if let Ok(changed) = tokio::time::timeout(wait, watch.changed()).await {
            changed?;
            // Hosts report one after the other.
            tokio::time::sleep(GATHER).await;
        }
        mirror.advance(&member, Floor::default(), false).await?;
    }
}

async fn write(
    client: &Client,
    fleet: &Fleet,
    lock: &Lock,
    next: &Rollout,
    effect: Effect,
    of: i64,
) -> Result<bool, Stale> {
    let mut request = transaction(fleet, next, effect, of);
    request.compare.push(is_since(fleet.driver(), lock.since));
    let is_written = client.transaction(request).await?.succeeded;
    if is_written {
        messages::info(format!(
            "rollout {} is {}, wave {} of {}",
            next.id,
            next.state,
            next.wave + 1,
            next.waves.len()
        ));
    }
    Ok(is_written)
}

/// Whether what is at a target are a rollout's values.
fn is_of(bytes: &[u8], rollout: &Rollout) -> bool {
    serde_json::from_slice::<Wave>(bytes).is_ok_and(|wave| wave.rollout == rollout.id && wave.steps == rollout.steps)
}

async fn changed(client: &Client, fleet: &Fleet, rollout: &Rollout) -> Result<bool, Stale> {
    let prefix = fleet.target(&rollout.target);
    for (path, before) in &rollout.before {
        let revision = client.get(&format!("{prefix}{path}")).await?.map_or(0, |kv| kv.mod_revision);
        if revision != before.revision {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn end(
    client: &Client,
    fleet: &Fleet,
    lock: &Lock,
    rollout: &Rollout,
    of: i64,
    effect: Effect,
    why: &str,
) -> Result<(), Stale> {
    let next = Rollout { state: State::Stopped, reason: Some(why.to_owned()), ..rollout.clone() };
    write(client, fleet, lock, &next, effect, of).await.map(drop)
}
