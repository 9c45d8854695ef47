//! `watch`, and `--wait`: what becomes of a change, as hosts report it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use dynix::exit::Exit;
use dynix::host::messages;
use serde_json::json;

use super::arguments::Output;
use super::looks::rollout_line;
use super::reached::Reached;
use crate::etcd::keys::Target;
use crate::etcd::mirror::{Floor, Mirror, Stale};
use crate::patience::Patience;
use crate::report::{Outcome, Report};
use crate::rollout::drive::{self, Seen};
use crate::rollout::state::{Rollout, State};

/// Looks whenever something changed, until `look` has seen enough.
async fn follow<T>(fleet: &Reached, mut look: impl FnMut(Seen, Option<&Mirror>) -> Option<T>) -> anyhow::Result<T> {
    let mut mirror = Mirror::new(drive::prefixes(&fleet.fleet));
    let mut patience = Patience::new("follow");
    let mut tried = 0;
    loop {
        let followed: Result<T, Stale> = async {
            let member = fleet.client.member().clone();
            mirror.advance(&member, Floor::default(), false).await?;
            let mut watch = member.watch(mirror.prefixes(), mirror.revision() + 1).await?;
            loop {
                tried = 0;
                patience.restore();
                if let Some(enough) = look(drive::seen(&mirror), Some(&mirror)) {
                    return Ok(enough);
                }
                // Something may be over by time alone.
                if let Ok(changed) = tokio::time::timeout(Duration::from_secs(1), watch.changed()).await {
                    changed?;
                    mirror.advance(&member, Floor::default(), false).await?;
                }
            }
        }
        .await;
        match followed {
            Ok(enough) => return Ok(enough),
            Err(stale) => {
                tried += 1;
                if tried == fleet.client.len() * 3 {
                    return Err(stale.into());
                }
                fleet.client.next();
                patience.wait().await;
            }
        }
    }
}

/// Follows hosts and rollouts; with one, until it ends.
pub async fn watch(fleet: &Reached, id: Option<&str>) -> anyhow::Result<Exit> {
    let (mut hosts, mut rollouts): (BTreeMap<String, Report>, BTreeMap<String, Rollout>) = Default::default();
    let mut is_first = true;
    follow(fleet, |seen, _| {
        let is_ours = |rollout: &Rollout| id.is_none_or(|id| rollout.id == id);
        let now: BTreeMap<String, Rollout> = seen
            .rollouts
            .into_iter()
            .map(|(rollout, _)| (rollout.id.clone(), rollout))
            .filter(|(_, one)| is_ours(one))
            .collect();
        for (name, report) in &seen.reports {
            let concerns = id.is_none() || now.values().any(|rollout| rollout.hosts.contains(name));
            if concerns && !is_first && hosts.get(name) != Some(report) {
                let reasons: Vec<&str> = report.reason.iter().chain(&report.trouble).map(String::as_str).collect();
                let reason = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
                line(
                    fleet,
                    &json!({ "host": report }),
                    &format!("{name}: revision {} is {}{reason}", report.revision, report.result),
                );
            }
        }
        for name in hosts.keys().filter(|name| !seen.reports.contains_key(*name)) {
            line(fleet, &json!({ "gone": name }), &format!("{name}: is gone"));
        }
        for (id, rollout) in &now {
            if rollouts.get(id) != Some(rollout)
                && (!is_first || rollout.state.is_open() || is_ours(rollout) && now.len() == 1)
            {
                line(fleet, &json!({ "rollout": rollout }), &rollout_line(rollout));
            }
        }
        (hosts, rollouts, is_first) = (seen.reports, now, false);
        let id = id?;
        match rollouts.get(id) {
            None => Some(Err(anyhow::anyhow!("no rollout is called {id}"))),
            Some(rollout) => match rollout.state {
                State::Running | State::Paused => None,
                State::Done => Some(Ok(Exit::Done)),
                State::Stopped => Some(Ok(Exit::RolledBack)),
                State::Aborted => Some(Ok(Exit::Failed)),
            },
        }
    })
    .await?
}

fn line(fleet: &Reached, data: &serde_json::Value, text: &str) {
    let mut out = std::io::stdout().lock();
    // Who reads no more has seen enough; the rollout goes on without them.
    let _ = match fleet.output {
        Output::Text => writeln!(out, "{}", messages::visible(text)),
        Output::Json => writeln!(out, "{data}"),
    };
}

/// Waits until every host of a target that is there has said what became of a revision.
pub async fn arrival(fleet: &Reached, target: &Target, revision: i64, deadline: Duration) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let is_open = |report: &&Report| report.became(revision).is_none();
    let done = follow(fleet, |seen, _| {
        let ours: Vec<Report> =
            seen.reports.into_values().filter(|report| target.has(&report.host, &report.groups)).collect();
        let open = ours.iter().filter(is_open).count();
        (open == 0 || start.elapsed() >= deadline).then_some((ours, open))
    })
    .await?;
    let (ours, open) = done;
    let mut exit = Exit::Done;
    for report in &ours {
        let worse = match report.result {
            Outcome::Refused | Outcome::NoLayer => Exit::Refused,
            Outcome::RolledBack => Exit::RolledBack,
            Outcome::RollbackFailed => Exit::RollbackFailed,
            Outcome::Unseen => Exit::Unseen,
            _ => continue,
        };
        exit = exit.max(worse);
        messages::error(format!(
            "{}: {}: {}",
            report.host,
            report.result,
            report.reason.as_deref().unwrap_or_default()
        ));
    }
    if open > 0 {
        for report in ours.iter().filter(is_open) {
            if let Some(reason) = report.reason.as_ref().or(report.trouble.as_ref()) {
                messages::error(format!("{}: {}: {reason}", report.host, report.result));
            }
        }
        bail!("{open} of {} hosts have not said what became of it", ours.len());
    }
    let well = ours.iter().filter(|report| report.result == Outcome::Applied).count();
    line(fleet, &json!({ "hosts": ours.len(), "applied": well }), &format!("{well} of {} hosts have it", ours.len()));
    Ok(exit)
}
