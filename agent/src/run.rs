//! The agent of one host: its sources, and what is told of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use camino::Utf8Path;
use dynix::host::messages;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Source};
use crate::daemon::Daemon;
use crate::etcd::client::Client;
use crate::etcd::keys::Fleet;
use crate::etcd::reporter::Reporter;
use crate::etcd::source;
use crate::git;
use crate::host::{self, Observed, Status, Trouble, Worker};
use crate::metrics;
use crate::patience::Patience;
use crate::rollout::drive;

/// Makes sources look at once.
#[derive(Debug, Default)]
pub struct Nudges(Mutex<Vec<Arc<Notify>>>);

impl Nudges {
    /// Another source that can be made to.
    pub fn add(&self) -> Arc<Notify> {
        let nudge = Arc::new(Notify::new());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(nudge.clone());
        nudge
    }

    /// Nudges all of them.
    pub fn all(&self) {
        for nudge in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            nudge.notify_one();
        }
    }
}

/// What systemd is told with.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A copy of a machine is not the machine: it does nothing.
pub fn is_this_machine(config: &Config, file: &Utf8Path) -> anyhow::Result<bool> {
    let Some(wanted) = &config.machine_id else { return Ok(true) };
    let found = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    Ok(found.trim() == wanted)
}

/// Runs until it is cancelled.
pub async fn run(config: Config, nudges: Arc<Nudges>, tell: Tell, cancel: CancellationToken) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let mut statuses = BTreeMap::new();
    let (seen, observed) = watch::channel(Observed::default());
    tasks.spawn(host::observe(config.socket.clone(), seen));
    for (name, source) in &config.sources {
        let (sender, events) = mpsc::channel(16);
        let (status, told) = watch::channel(Status::default());
        statuses.insert(name.clone(), told.clone());
        let worker =
            Worker { source: name.clone(), socket: config.socket.clone(), events, observed: observed.clone(), status };
        tasks.spawn(worker.run());
        let identity = config.identity(name);
        let stop = cancel.clone();
        match source {
            Source::Etcd(etcd) => {
                let client = Client::new(etcd, &config.host).with_context(|| format!("source {name}"))?;
                let fleet = Fleet::new(&etcd.fleet).with_context(|| format!("source {name}"))?;
                let reporter = Reporter {
                    fleet: fleet.clone(),
                    identity: identity.clone(),
                    machine: config.machine_id.clone(),
                    lease: etcd.lease.max(3),
                    status: told,
                    observed: observed.clone(),
                };
                tasks.spawn(reporter.run(client.another(), stop.clone()));
                if etcd.drive {
                    tasks.spawn(drive::run(client.another(), fleet.clone(), config.host.clone(), stop.clone()));
                }
                tasks.spawn(async move { source::run(client, &fleet, identity, sender, stop).await });
            }
            Source::Git(git) => {
                let (git, socket, nudge) = (git.clone(), config.socket.clone(), nudges.add());
                tasks.spawn(async move {
                    let known = known(&socket, &identity.source).await;
                    git::run(git, identity, known, sender, nudge, stop).await;
                });
            }
        }
    }
    drop(observed);
    tasks.spawn(tell_others(config.metrics.clone(), statuses, tell));
    tokio::select! {
        () = cancel.cancelled() => {}
        ended = tasks.join_next() => anyhow::ensure!(cancel.is_cancelled(), "a part of the agent ended: {ended:?}"),
    }
    tasks.shutdown().await;
    Ok(())
}

/// The revision that the host's log has of a source: what a source that lost its state does not go back behind.
async fn known(socket: &Utf8Path, source: &str) -> Option<String> {
    let mut patience = Patience::new(source);
    loop {
        let sources = match Daemon::connect(socket).await {
            Ok(mut daemon) => daemon.sources().await,
            Err(fault) => Err(fault),
        };
        match sources {
            Ok(sources) => return sources.into_iter().find(|one| one.name == source)?.revision,
            Err(_) => patience.wait().await,
        }
    }
}

/// Tells metrics and systemd what there is, whenever it changes.
async fn tell_others(
    file: Option<camino::Utf8PathBuf>,
    mut statuses: BTreeMap<String, watch::Receiver<Status>>,
    tell: Tell,
) {
    let mut said = String::new();
    loop {
        let now: BTreeMap<String, Status> =
            statuses.iter_mut().map(|(name, told)| (name.clone(), told.borrow_and_update().clone())).collect();
        if let Some(file) = &file
            && let Err(error) = metrics::write(file, &now)
        {
            let reason = format!("{error:#}");
            if reason != said {
                messages::warn(&reason);
                said = reason;
            }
        }
        tell(&line(&now));
        let changes = statuses.values_mut().map(|told| Box::pin(told.changed()));
        if any(changes.collect()).await.is_err() {
            // The sources have ended, and the agent with them.
            return std::future::pending().await;
        }
        // What happens at once is told at once.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The first of several futures that is ready.
async fn any<F: std::future::Future + Unpin>(mut futures: Vec<F>) -> F::Output {
    std::future::poll_fn(|context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(done) = std::pin::Pin::new(future).poll(context) {
                return std::task::Poll::Ready(done);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// All of it in one line.
fn line(statuses: &BTreeMap<String, Status>) -> String {
    let one = |(name, status): (&String, &Status)| {
        let revision = match status.revision.as_str() {
            "" => String::new(),
            revision => format!("{revision:.12} "),
        };
        let reason = status.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let trouble = match &status.trouble {
            Some(Trouble { is_cut_off: true, .. }) => ", can't be reached".to_owned(),
            Some(Trouble { reason, .. }) => format!(", but {reason}"),
            None => String::new(),
        };
        format!("{name}: {revision}{}{reason}{trouble}", status.outcome)
    };
    let line = statuses.iter().map(one).collect::<Vec<_>>().join("; ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;

    #[test]
    fn a_line_says_what_is_wrong() {
        let applied = Status { revision: "12".into(), outcome: Outcome::Applied, ..Status::default() };
        let with = |is_cut_off, reason: &str| Some(Trouble { is_cut_off, reason: reason.into() });
        let refused = Status {
            revision: "0123456789abcdef".into(),
            outcome: Outcome::Refused,
            reason: Some("a.b: 9 is\n  too much".into()),
            trouble: None,
        };
        let all = [
            ("a", applied.clone()),
            ("b", Status { trouble: with(true, "no route"), ..applied.clone() }),
            ("c", Status { trouble: with(false, "etcd is at revision 3, and was at 12 before"), ..applied }),
            ("d", refused),
            ("e", Status { trouble: with(false, "it has no remotes"), ..Status::default() }),
        ];
        insta::assert_snapshot!(line(&all.map(|(name, status)| (name.to_owned(), status)).into()).replace("; ", "\n"), @r"
        a: 12 applied
        b: 12 applied, can't be reached
        c: 12 applied, but etcd is at revision 3, and was at 12 before
        d: 0123456789ab refused (a.b: 9 is too much)
        e: waiting, but it has no remotes
        ");
    }
}
