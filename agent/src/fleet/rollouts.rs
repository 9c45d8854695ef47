//! `pause`, `resume`, `abort` and `drive`.

use anyhow::bail;
use dynix::exit::Exit;
use dynix::host::messages;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::arguments::Which;
use super::reached::{Reached, user};
use crate::rollout::drive;
use crate::rollout::state::{Rollout, State};
use crate::rollout::step::Effect;
use crate::rollout::writing::transaction;

/// The rollout that is meant.
async fn find(fleet: &Reached, id: Option<&str>) -> anyhow::Result<(Rollout, i64)> {
    let mut all = fleet.seen().await?.rollouts;
    if let Some(id) = id {
        let found = all.into_iter().find(|(rollout, _)| rollout.id == id);
        return found.ok_or_else(|| anyhow::anyhow!("no rollout is called {id}; see `dynix-fleet status`"));
    }
    all.retain(|(rollout, _)| rollout.state.is_open());
    match (all.pop(), all.pop()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("no rollout is under way"),
        _ => bail!("several rollouts are under way; name one"),
    }
}

/// Changes a rollout, however often the driver is faster.
async fn change(
    fleet: &Reached,
    id: Option<&str>,
    effect: Effect,
    next: impl Fn(&Rollout) -> anyhow::Result<Rollout>,
) -> anyhow::Result<Exit> {
    let (mut rollout, mut of) = find(fleet, id).await?;
    loop {
        let changed = next(&rollout)?;
        if fleet.client.transaction(transaction(&fleet.fleet, &changed, effect, of)).await?.succeeded {
            let text = format!("rollout {} is {}\n", changed.id, changed.state);
            fleet.print(&json!({ "version": 1, "rollout": changed.id, "state": changed.state }), &text)?;
            return Ok(Exit::Done);
        }
        (rollout, of) = find(fleet, Some(&rollout.id)).await?;
    }
}

fn open(rollout: &Rollout) -> anyhow::Result<()> {
    let Rollout { id, state, .. } = rollout;
    match state {
        state if state.is_open() => Ok(()),
        State::Done => bail!("rollout {id} is done; `dynix-fleet undo {id}` brings back what there was"),
        state => bail!("rollout {id} is {state}"),
    }
}

pub async fn pause(fleet: &Reached, which: Which) -> anyhow::Result<Exit> {
    change(fleet, which.rollout.as_deref(), Effect::Note, |rollout| {
        open(rollout)?;
        Ok(Rollout { state: State::Paused, reason: which.message.clone(), ..rollout.clone() })
    })
    .await
}

pub async fn resume(fleet: &Reached, which: Which) -> anyhow::Result<Exit> {
    change(fleet, which.rollout.as_deref(), Effect::Note, |rollout| {
        open(rollout)?;
        Ok(Rollout { state: State::Running, reason: None, ..rollout.clone() })
    })
    .await
}

pub async fn abort(fleet: &Reached, which: Which) -> anyhow::Result<Exit> {
    ended(fleet, which.rollout.as_deref(), which.message.as_deref()).await
}

/// Ends a rollout.
pub async fn end(fleet: &Reached, id: &str, message: Option<&str>) -> anyhow::Result<Exit> {
    ended(fleet, Some(id), message).await
}

async fn ended(fleet: &Reached, id: Option<&str>, message: Option<&str>) -> anyhow::Result<Exit> {
    let by = user(None);
    let reason = message.map_or_else(|| format!("by {by}"), |message| format!("by {by}: {message}"));
    change(fleet, id, Effect::TakeBack, |rollout| {
        open(rollout)?;
        Ok(Rollout { state: State::Aborted, reason: Some(reason.clone()), ..rollout.clone() })
    })
    .await
}

pub async fn drive(fleet: &Reached) -> anyhow::Result<Exit> {
    let who = format!("{} on {}", user(None), rustix::system::uname().nodename().to_string_lossy());
    messages::info("driving rollouts; end it with Ctrl-C");
    let cancel = CancellationToken::new();
    let driving = drive::run(fleet.client.another(), fleet.fleet.clone(), who, cancel.clone());
    tokio::select! {
        () = driving => {}
        _ = tokio::signal::ctrl_c() => cancel.cancel(),
    }
    Ok(Exit::Done)
}
