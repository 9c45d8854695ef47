//! A source and the daemon: layers go to the daemon, and what became of them is known to whom it concerns.
//!
//! For each source there is one of these. It remembers nothing that the daemon knows: after a restart it hands over what
//! the source has, and the daemon records what is new. A revision that was refused is not tried again. What may pass by
//! itself (the daemon is not there, is busy, or something failed) is tried again, later each time.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use dynix::host::messages;
use tokio::sync::{mpsc, watch};

use crate::daemon::{Daemon, Fault};
use crate::patience::Patience;
use crate::report::Outcome;
use crate::sources::{Event, Layer, With};

/// The longest wait because of that.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// What became of what a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The revision; empty before there was one.
    pub revision: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is not in effect.
    pub reason: Option<String>,
    /// What is wrong with the source, whatever became of that.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a source, and not with a revision of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whether it is that nothing of it can be reached.
    pub is_cut_off: bool,
    /// What is wrong.
    pub reason: String,
}

impl Default for Status {
    fn default() -> Self {
        Self { revision: String::new(), outcome: Outcome::Waiting, reason: None, trouble: None }
    }
}

/// What is seen of the daemon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Its sources.
    pub sources: Vec<crate::daemon::Source>,
    /// What was found of the values in effect.
    pub verified: Option<String>,
}

/// A source of a host.
#[derive(Debug)]
pub struct Worker {
    /// The name of the source.
    pub source: String,
    /// The daemon's socket.
    pub socket: Utf8PathBuf,
    /// What the source says.
    pub events: mpsc::Receiver<Event>,
    /// What is seen of the daemon.
    pub observed: watch::Receiver<Observed>,
    /// Where it is told what became of it.
    pub status: watch::Sender<Status>,
}

impl Worker {
    /// Works until the source ends.
    pub async fn run(mut self) {
        let mut patience = Patience::new(&self.source);
        // What is not with the daemon yet, and when it is tried.
        let mut wanted: Option<Layer> = None;
        let mut wait = Duration::ZERO;
        loop {
            let retry = tokio::time::sleep(wait);
            tokio::select! {
                event = self.events.recv() => match event {
                    None => return,
                    Some(event) => {
                        self.hear(event, &mut wanted);
                        // Only the last one counts.
                        while let Ok(event) = self.events.try_recv() {
                            self.hear(event, &mut wanted);
                        }
                        patience.restore();
                        wait = Duration::ZERO;
                    }
                },
                () = retry, if wanted.is_some() => {
                    let Some(layer) = &wanted else { continue };
                    match self.hand_over(layer.clone()).await {
                        Some(least) => wait = patience.take().max(least),
                        None => wanted = None,
                    }
                }
                changed = self.observed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.look_again();
                }
            }
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    fn hear(&self, event: Event, wanted: &mut Option<Layer>) {
        match event {
            Event::Layer(layer) => {
                self.is_well_again();
                *wanted = Some(layer);
            }
            Event::Trouble { with: With::Revision(revision), reason } => {
                messages::error(format!("{}: revision {revision} is refused: {reason}", self.source));
                // What is not handed over yet is older than what is wrong now.
                *wanted = None;
                self.tell(|status| {
                    *status = Status { revision, outcome: Outcome::NoLayer, reason: Some(reason), trouble: None };
                });
            }
            Event::Trouble { with, reason } => {
                let trouble = Some(Trouble { is_cut_off: with == With::Reach, reason: reason.clone() });
                if self.status.borrow().trouble != trouble {
                    messages::warn(format!("{}: {reason}; this host keeps what it has", self.source));
                }
                self.tell(|status| status.trouble = trouble);
            }
            Event::Reached => self.is_well_again(),
        }
    }

    fn is_well_again(&self) {
        self.tell(|status| match status.trouble.take() {
            Some(Trouble { is_cut_off: true, .. }) => {
                messages::info(format!("{}: can be reached again", self.source));
            }
            Some(_) => messages::info(format!("{}: nothing is wrong with it any more", self.source)),
            None => {}
        });
    }

    /// Hands over a layer; after which time it is tried again, if it is.
    async fn hand_over(&self, layer: Layer) -> Option<Duration> {
        let begun = Instant::now();
        let done = match Daemon::connect(&self.socket).await {
            Ok(mut daemon) => daemon.set_layer(&self.source, &layer).await,
            Err(fault) => Err(fault),
        };
        let (source, revision) = (&self.source, &layer.revision);
        let (outcome, reason) = match &done {
            Ok(()) => (Outcome::Applied, None),
            Err(fault) => (fault.outcome(), Some(fault.to_string())),
        };
        let before = self.status.borrow().clone();
        let is_news = (&before.revision, before.outcome, &before.reason) != (revision, outcome, &reason);
        match &reason {
            None if is_news => messages::info(format!("{source}: revision {revision} is in effect")),
            Some(reason) if is_news && outcome == Outcome::Failed => {
                messages::warn(format!("{source}: revision {revision} is not in effect yet: {reason}"));
            }
            Some(reason) if is_news => {
                messages::error(format!("{source}: revision {revision} is {outcome}: {reason}"));
            }
            _ => {}
        }
        let revision = revision.clone();
        self.tell(|status| {
            (status.revision, status.outcome, status.reason) = (revision, outcome, reason);
        });
        match done {
            Err(fault) if outcome == Outcome::Failed => Some(match fault {
                Fault::Said { retry: Some(retry), .. } => retry,
                Fault::Said { .. } => rest(begun.elapsed()),
                Fault::Lost(_) => Duration::ZERO,
            }),
            _ => None,
        }
    }

    /// What was in effect may have been rolled back since, and a person may have brought back what was refused.
    fn look_again(&mut self) {
        let observed = self.observed.borrow_and_update().clone();
        let Some(source) = observed.sources.iter().find(|one| one.name == self.source) else { return };
        let before = self.status.borrow().clone();
        let refused = source.refused.as_ref().filter(|refused| refused.revision.as_ref() == Some(&before.revision));
        match refused {
            Some(refused) if before.outcome == Outcome::Applied => {
                let reason = refused.reason.clone();
                messages::error(format!("{}: revision {} is rolled back: {reason}", self.source, before.revision));
                self.tell(|status| (status.outcome, status.reason) = (Outcome::RolledBack, Some(reason)));
            }
            _ => {}
        }
    }
}

/// The least wait after something failed that took so long: what is evaluated and fails for reasons of the machine, again and
/// again, takes a tenth of its time at most.
fn rest(took: Duration) -> Duration {
    (took * 9).min(LONGEST_REST)
}

/// Looks at the daemon whenever something changed there, until nobody wants to know.
pub async fn observe(socket: Utf8PathBuf, seen: watch::Sender<Observed>) {
    let mut patience = Patience::new(socket.as_str());
    let look = async |daemon: &mut Daemon| -> Result<Observed, Fault> {
        Ok(Observed { sources: daemon.sources().await?, verified: daemon.verified().await? })
    };
    loop {
        let followed: Result<std::convert::Infallible, Fault> = async {
            let mut monitor = Daemon::connect(&socket).await?.monitor().await?;
            let mut daemon = Daemon::connect(&socket).await?;
            loop {
                monitor.changed().await?;
                // What changes comes in several events.
                while let Ok(changed) = tokio::time::timeout(Duration::from_millis(100), monitor.changed()).await {
                    changed?;
                }
                let observed = look(&mut daemon).await?;
                patience.restore();
                seen.send_if_modified(|before| {
                    let is_new = *before != observed;
                    *before = observed;
                    is_new
                });
            }
        }
        .await;
        let Err(_) = followed;
        if seen.is_closed() {
            return;
        }
        patience.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_slowly_is_tried_again_slowly() {
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(18));
        assert_eq!(rest(Duration::from_secs(6)), Duration::from_secs(54));
        assert_eq!(rest(Duration::from_secs(3600)), LONGEST_REST);
    }
}
