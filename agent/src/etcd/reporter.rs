//! What became of a host's layer, told to etcd under a lease: a host that is gone is seen to be gone, by no clock but
//! etcd's.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use dynix::host::messages;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::{Client, KeptLease};
use super::error::Error;
use super::keys::Fleet;
use super::message::TxnRequest;
use crate::host::{Observed, Status};
use crate::patience::Patience;
use crate::report::{Known, Outcome, Report};
use crate::rollout::writing::{leased, put};
use crate::sources::Identity;

/// How much is told together.
const GATHER: Duration = Duration::from_millis(20);
/// Within which time the hosts of a fleet tell that all is well, each at its own moment: before that, etcd has to tell all of
/// them what is new.
const SPREAD: Duration = Duration::from_millis(400);

/// Who tells.
#[derive(Debug)]
pub struct Reporter {
    /// The keys.
    pub fleet: Fleet,
    /// The host.
    pub identity: Identity,
    /// Its machine.
    pub machine: Option<String>,
    /// The seconds of the lease.
    pub lease: u32,
    /// What became of the layer.
    pub status: watch::Receiver<Status>,
    /// What is seen of the daemon.
    pub observed: watch::Receiver<Observed>,
}

impl Reporter {
    /// Tells, until it is cancelled.
    pub async fn run(mut self, client: Client, cancel: CancellationToken) {
        let mut patience = Patience::new(&self.identity.host);
        let mut said = String::new();
        let all = async {
            loop {
                match self.under_a_lease(&client, &mut patience).await {
                    // The lease is over: etcd did not hear of this host for too long.
                    Ok(()) => {}
                    Err(error) => {
                        // That it can't be reached is what the source says.
                        let reason = error.to_string();
                        if !matches!(error, Error::Unreachable(_)) && said != reason {
                            messages::warn(format!("{}: cannot report: {reason}", self.identity.source));
                            said = reason;
                        }
                        client.next();
                    }
                }
                patience.wait().await;
            }
        };
        tokio::select! {
            () = all => {}
            () = cancel.cancelled() => {}
        }
    }

    /// How long to wait before what is seen now is told.
    fn gather(&self) -> Duration {
        if self.status.borrow().outcome != Outcome::Applied {
            return GATHER;
        }
        let mut hasher = DefaultHasher::new();
        self.identity.host.hash(&mut hasher);
        GATHER + SPREAD * u32::try_from(hasher.finish() % 1000).unwrap_or_default() / 1000
    }

    fn report(&mut self) -> Report {
        let status = self.status.borrow_and_update().clone();
        let verified = self.observed.borrow_and_update().verified.clone();
        Report {
            host: self.identity.host.clone(),
            groups: self.identity.groups.clone(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            revision: status.revision.parse().unwrap_or_default(),
            result: status.outcome,
            reason: status.reason,
            trouble: status.trouble.map(|trouble| trouble.reason),
            verified,
            time: String::new(),
        }
    }

    async fn under_a_lease(&mut self, client: &Client, patience: &mut Patience) -> Result<(), Error> {
        let lease = client.grant(i64::from(self.lease)).await?;
        let known = Known { groups: self.identity.groups.clone(), machine: self.machine.clone() };
        let key = self.fleet.known(&self.identity.host);
        let is_known = client
            .get(&key)
            .await?
            .is_some_and(|kv| serde_json::from_slice(&kv.value).is_ok_and(|is: Known| is == known));
        let mut also = if is_known { Vec::new() } else { vec![put(key, &known)] };
        let mut kept: KeptLease = client.member().keep(lease).await?;
        kept.answer().await?;
        let mut renewal = tokio::time::interval(Duration::from_secs(u64::from(self.lease)) / 3);
        renewal.tick().await;
        let mut told: Option<Report> = None;
        loop {
            let report = self.report();
            if told.as_ref() != Some(&report) {
                let dated = Report { time: dynix::time::text(std::time::SystemTime::now()), ..report.clone() };
                let mut success = std::mem::take(&mut also);
                success.push(leased(self.fleet.report(&self.identity.host), &dated, lease));
                client.transaction(TxnRequest { success, ..TxnRequest::default() }).await?;
                told = Some(report);
                patience.restore();
            }
            tokio::select! {
                _ = renewal.tick() => if kept.renew().await?.is_none() {
                    return Ok(());
                },
                changed = self.status.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep(self.gather()).await;
                }
                changed = self.observed.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    tokio::time::sleep(self.gather()).await;
                }
            }
        }
    }
}
