//! The service manager, over one connection to the system bus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer as Sleep;
use zbus::{block_on, fdo};

use super::answers;
use super::job_results::JobResults;
use super::proxies::{ListedUnit, ManagerProxy, listed_unit};
use super::reach::Reach;
use super::transient::Properties;
use super::{Asking, ManagerError, Timer, UnitStatus, Watch, When, hardening, journal};

/// The interval between two observations of something that takes a moment.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);
/// A timer that elapses before may have done so before it is looked at.
const SOON: Duration = Duration::from_secs(1);
/// How long systemd may take for what it does at once: to start a timer, to forget one that was stopped.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection to the service manager.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) connection: zbus::Connection,
    pub(super) manager: ManagerProxy<'static>,
    /// How a person asks the manager.
    pub(super) asking: Asking,
    /// Listened to from the first job on.
    job_results: Mutex<Option<Arc<JobResults>>>,
}

/// A D-Bus error as ours.
pub(super) trait Asked<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError>;
}

impl<T> Asked<T> for zbus::Result<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError> {
        self.map_err(|error| ManagerError {
            operation: operation.into(),
            message: message(&error),
            is_lost: is_lost(&error),
        })
    }
}

/// systemd's own message, without the D-Bus error's name.
pub(super) fn message(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, Some(text), _) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether it is the connection that failed, or systemd is not on the bus: it executes itself anew, or the bus was restarted
/// and systemd is yet to connect.
pub(super) fn is_lost(error: &zbus::Error) -> bool {
    match error {
        // Any other error means that the wait for an answer timed out.
        zbus::Error::InputOutput(error) => error.kind() != std::io::ErrorKind::TimedOut,
        zbus::Error::Connection(..) | zbus::Error::Handshake(_) => true,
        zbus::Error::FDO(error) => matches!(
            **error,
            fdo::Error::ServiceUnknown(_)
                | fdo::Error::NameHasNoOwner(_)
                | fdo::Error::NoReply(_)
                | fdo::Error::NoServer(_)
                | fdo::Error::Disconnected(_)
                | fdo::Error::SpawnChildExited(_)
                | fdo::Error::SpawnFailed(_)
        ),
        _ => false,
    }
}

/// The connection ended.
pub(super) fn lost(operation: &str) -> ManagerError {
    let message = "the connection to the system bus was lost".to_owned();
    ManagerError { operation: operation.to_owned(), message, is_lost: true }
}

/// systemd's answer, or `None` if it refuses; an error if it does not answer.
pub(super) fn answer<T>(asked: zbus::Result<T>, operation: impl Into<String>) -> Result<Option<T>, ManagerError> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_lost(&error) => Err(error).to(operation),
        Err(_) => Ok(None),
    }
}

impl Bus {
    /// Connects to a manager.
    pub fn connect(reach: &Reach) -> Result<Self, ManagerError> {
        block_on(async {
            let connection = reach.connect().await?;
            let manager = ManagerProxy::builder(&connection)
                .destination(reach.destination())
                .cache_properties(zbus::proxy::CacheProperties::No)
                .build()
                .await
                .to("reach its manager")?;
            Ok(Self { connection, manager, asking: reach.asking(), job_results: Mutex::new(None) })
        })
    }

    pub fn job_results(&self) -> Result<Arc<JobResults>, ManagerError> {
        let mut job_results = self.job_results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(job_results) = &*job_results {
            return Ok(Arc::clone(job_results));
        }
        match block_on(self.manager.subscribe()) {
            // A restarted bus gives new names, and systemd may still know this one from before. If systemd forgets it,
            // every caller that waits for a job also looks for its end (see `jobs`).
            Err(error) if is_called(&error, "org.freedesktop.systemd1.AlreadySubscribed") => {}
            subscribed => subscribed.to("subscribe to its signals")?,
        }
        let signals = block_on(self.manager.receive_job_removed()).to("listen for finished jobs")?;
        let listening = JobResults::listen(signals).map_err(|error| ManagerError {
            operation: "listen for finished jobs".to_owned(),
            message: error.to_string(),
            is_lost: false,
        })?;
        Ok(Arc::clone(job_results.insert(listening)))
    }

    /// Starts a transient unit, and makes another one, which it may start. A unit of that name that was stopped just now may
    /// still be there.
    async fn start_transient(
        &self,
        unit: &str,
        properties: Properties,
        other: (String, Properties),
    ) -> Result<(), ManagerError> {
        let end = Instant::now() + AT_ONCE;
        let others = [(other.0.as_str(), self.possible(other.1))];
        loop {
            match self.manager.start_transient_unit(unit, "replace", &properties, &others).await {
                Ok(_) => return Ok(()),
                Err(error) if is_called(&error, "org.freedesktop.systemd1.UnitExists") && Instant::now() < end => {
                    self.stop(unit).await?;
                    Sleep::after(INTERVAL).await;
                }
                Err(error) => return Err(error).to(format!("start {unit}")),
            }
        }
    }

    /// The properties of a service that this manager can give it: a user's can't take rights away that the user does not
    /// have.
    pub(super) fn possible(&self, properties: Properties) -> Properties {
        if self.asking == Asking::System { properties } else { hardening::without(properties) }
    }

    async fn stop(&self, unit: &str) -> Result<(), ManagerError> {
        match self.manager.stop_unit(unit, "replace").await {
            Err(error) if is_called(&error, "org.freedesktop.systemd1.NoSuchUnit") => Ok(()),
            result => result.map(drop).to(format!("stop {unit}")),
        }
    }

    pub(super) async fn list(&self, units: &[String]) -> Result<BTreeMap<String, ListedUnit>, ManagerError> {
        let listed = self.manager.list_units_by_names(units).await.to("list units")?;
        Ok(listed.into_iter().map(|unit| (unit.0.clone(), unit)).collect())
    }

    pub(super) async fn status_of(&self, unit: &str, listed: Option<&ListedUnit>) -> Result<UnitStatus, ManagerError> {
        let was_stopped = match listed {
            Some(listed) if listed_unit(listed).is_down() => self.was_stopped(listed).await?,
            _ => false,
        };
        Ok(answers::status(unit, listed.map(listed_unit).as_ref(), was_stopped))
    }
}

pub(super) fn is_called(error: &zbus::Error, name: &str) -> bool {
    matches!(error, zbus::Error::MethodError(called, ..) if called.as_str() == name)
}

impl Drop for Bus {
    /// The listener ends with the connection.
    fn drop(&mut self) {
        if self.job_results.get_mut().unwrap_or_else(PoisonError::into_inner).is_some() {
            // Best effort: nothing uses the connection any more.
            let _ = block_on(self.connection.clone().close());
        }
    }
}

impl Bus {
    pub fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        block_on(async {
            let listed = self.list(units).await?;
            let mut statuses = Vec::with_capacity(units.len());
            for unit in units {
                statuses.push(self.status_of(unit, listed.get(unit)).await?);
            }
            Ok(statuses)
        })
    }

    pub fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        block_on(self.dependents_of(units))
    }

    pub fn reload_configuration(&self) -> Result<(), ManagerError> {
        block_on(self.manager.reload()).to("reload unit files")
    }

    pub fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        block_on(self.manager.bind_mount_unit(unit, source, target, true, false))
            .to(format!("bind {source} into the namespace of {unit}"))
    }

    pub fn last_words(&self, unit: &str) -> Result<Option<String>, ManagerError> {
        let invocation = block_on(async {
            let Some(listed) = self.list(&[unit.to_owned()]).await?.remove(unit) else { return Ok(None) };
            answer(self.unit(listed.6).await?.invocation_id().await, "read the invocation of a unit")
        })?;
        Ok(invocation.and_then(|invocation| journal::last_words(&invocation)))
    }

    pub fn main_process(&self, unit: &str) -> Result<Option<u32>, ManagerError> {
        block_on(async {
            let listed = self.list(&[unit.to_owned()]).await?.remove(unit).filter(|unit| unit.3 == "active");
            let Some(listed) = listed else { return Ok(None) };
            let pid = answer(self.service(listed.6).await?.main_pid().await, "read the main process of a unit")?;
            Ok(pid.filter(|pid| *pid != 0))
        })
    }

    pub fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        block_on(async {
            let (unit, end) = (timer.unit(), Instant::now() + AT_ONCE);
            self.start_transient(&unit, timer.properties(), (timer.service(), timer.service_properties())).await?;
            // One whose time comes at once may be gone by now.
            if timer.when.iter().all(|when| !matches!(when, When::In(delay) if *delay >= SOON)) {
                return Ok(());
            }
            loop {
                let listed = self.list(std::slice::from_ref(&unit)).await?.remove(&unit);
                let state = listed.map_or_else(|| "inactive".to_owned(), |listed| listed.3);
                if state == "active" {
                    return Ok(());
                }
                if state == "failed" || Instant::now() >= end {
                    let message = format!("it is {state}");
                    return Err(ManagerError { operation: format!("start the timer {unit}"), message, is_lost: false });
                }
                Sleep::after(INTERVAL).await;
            }
        })
    }

    pub fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        block_on(self.stop(&format!("{name}.timer")))
    }

    pub fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        let service = (watch.service(), watch.service_properties());
        block_on(self.start_transient(&watch.unit(), watch.properties(), service))
    }

    pub fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        block_on(self.stop(&format!("{name}.path")))
    }
}
