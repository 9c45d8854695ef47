//! The keys of etcd as a source of a host: read, then watched, for as long as the agent runs.

use std::time::Duration;

use dynix::varlink::wire::MESSAGE;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::error::Error;
use super::floor;
use super::keys::{Fleet, Target};
use super::mirror::{Floor, Mirror, Stale};
use super::targets;
use crate::patience::Patience;
use crate::sources::{Event, Identity, Layer, With};

/// Most bytes that a layer may have: it has to fit into a message to the daemon, with what is around it.
pub const LIMIT: usize = MESSAGE - (16 << 10);
/// How often it is read without a word of the watch.
const LOOK: Duration = Duration::from_secs(300);

struct Source {
    identity: Identity,
    mirror: Mirror,
    events: mpsc::Sender<Event>,
    /// What was said last.
    said: Option<Event>,
    /// What is written down of what was seen.
    kept: Floor,
}

/// Tells what etcd has for a host, until it is cancelled.
pub async fn run(
    client: Client,
    fleet: &Fleet,
    identity: Identity,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
) {
    let targets = Target::of(&identity.host, &identity.groups);
    let mirror = Mirror::new(targets.iter().map(|target| fleet.target(target)).collect());
    let mut patience = Patience::new(&identity.host);
    let mut source = Source { identity, mirror, events, said: None, kept: Floor::default() };
    let all = async {
        loop {
            let before = source.mirror.revision();
            let Err(stale) = source.follow(&client).await;
            if source.mirror.revision() > before {
                patience.restore();
            }
            let with = match &stale {
                Stale::Etcd(Error::Unreachable(_)) => With::Reach,
                _ => With::Source,
            };
            let fix = match &stale {
                Stale::Older { .. } | Stale::Another(_) => {
                    // Not what this process saw, but what is written down: somebody may have it forgotten.
                    source.mirror = Mirror::new(source.mirror.prefixes().to_vec());
                    format!(
                        ": it may be restored from a backup, or be another one; `dynix-agent accept {}` takes it as it is",
                        source.identity.source
                    )
                }
                Stale::Etcd(_) => String::new(),
            };
            source.say(Event::Trouble { with, reason: format!("{stale}{fix}") }).await;
            client.next();
            patience.wait().await;
        }
    };
    tokio::select! {
        () = all => {}
        () = cancel.cancelled() => {}
    }
}

impl Source {
    async fn say(&mut self, event: Event) {
        if self.said.as_ref() != Some(&event) {
            // Whoever listens is gone only when the agent ends.
            let _ = self.events.send(event.clone()).await;
            self.said = Some(event);
        }
    }

    /// Follows one member until it does not answer.
    async fn follow(&mut self, client: &Client) -> Result<std::convert::Infallible, Stale> {
        let member = client.member().clone();
        self.look(&member, false).await?;
        let mut watch = member.watch(self.mirror.prefixes(), self.mirror.revision() + 1).await?;
        loop {
            match tokio::time::timeout(LOOK, watch.changed()).await {
                // What it told of, it knows.
                Ok(Ok(revision)) if revision > self.mirror.revision() => {
                    self.look(&member, true).await?;
                    if self.mirror.revision() < revision {
                        self.look(&member, false).await?;
                    }
                }
                // Several watches tell of one transaction.
                Ok(Ok(_)) => {}
                // What is compacted is not needed: what holds is read.
                Ok(Err(Error::Compacted(_))) => {
                    self.look(&member, false).await?;
                    watch = member.watch(self.mirror.prefixes(), self.mirror.revision() + 1).await?;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => self.look(&member, false).await?,
            }
        }
    }

    /// Reads what is new, and tells it.
    async fn look(&mut self, member: &super::client::Member, alone: bool) -> Result<(), Stale> {
        let state = self.identity.state.clone();
        if !alone {
            // Somebody may have it forgotten while nothing new comes from there.
            self.kept = floor::read(&state).map_err(|error| {
                let name = &self.identity.source;
                Stale::Another(format!(
                    "it is not known what was seen of etcd: {error:#}; see `dynix-agent accept {name}`"
                ))
            })?;
        }
        let mut done = self.mirror.advance(member, self.kept, alone).await;
        if alone && matches!(done, Err(Stale::Older { .. })) {
            // This member may be behind the others.
            done = self.mirror.advance(member, self.kept, false).await;
        }
        if let (Err(Stale::Older { now, was }), None) = (&done, self.kept.older) {
            floor::write(&state, Floor { cluster: self.kept.cluster, revision: *was, older: Some(*now) })
                .map_err(|error| Stale::Another(format!("etcd is older than it was, and {error:#}")))?;
        }
        done?;
        let event = match targets::layer(&self.mirror, &self.identity.host) {
            Ok(layer) => self.fits(layer),
            Err(bad) => {
                let with = With::Revision(self.mirror.revision().to_string());
                Event::Trouble { with, reason: bad.to_string() }
            }
        };
        // After trouble, what holds is said again: nobody has to remember it.
        self.say(event).await;
        self.keep(state).await;
        Ok(())
    }

    /// Writes down what was seen: after it is handed over, as a disk is slower than the way to the daemon.
    async fn keep(&mut self, state: camino::Utf8PathBuf) {
        let floor = self.mirror.floor();
        if floor == self.kept {
            return;
        }
        let written = tokio::task::spawn_blocking(move || floor::write(&state, floor)).await;
        match written {
            Ok(Ok(())) => self.kept = floor,
            Ok(Err(error)) => {
                self.say(Event::Trouble { with: With::Source, reason: format!("{error:#}") }).await;
            }
            // It panicked, or the agent ends.
            Err(_) => {}
        }
    }

    fn fits(&self, layer: Layer) -> Event {
        let size = serde_json::to_vec(&layer.values).map_or(usize::MAX, |bytes| bytes.len());
        if size <= LIMIT {
            return Event::Layer(layer);
        }
        let largest = targets::largest(&self.mirror)
            .map_or_else(String::new, |(key, bytes)| format!("; the largest is {key} with {bytes} bytes"));
        let reason = format!("the values for this host have {size} bytes, and at most {LIMIT} are allowed{largest}");
        Event::Trouble { with: With::Revision(layer.revision), reason }
    }
}
