//! The service manager over the system bus.
//!
//! A unit is good when its job is done in time, its state is active, and it stayed so for its settle time without
//! systemd starting it again. `Type=notify`, `forking`, `dbus` and `oneshot` say themselves when they are ready;
//! `simple`, `exec` and `idle` count as started before they read their configuration (systemd.service(5), `Type=`), so
//! for those the settle time is not zero unless the plan says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer as Sleep;
use zbus::OwnedObjectPath;
use zbus::block_on;

use super::endings::{Ending, Endings, Run, Wait};
use super::proxies::{ListedUnit, ManagerProxy, ServiceProxy, UnitProxy};
use super::{Job, ManagerError, ServiceManager, Timer, UnitStatus, Verb, When, journal};
use crate::timings;

/// Settle time of units whose type has no readiness.
const SETTLE: Duration = Duration::from_millis(100);
/// How often a settling unit is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// How long systemd may take to answer. A daemon-reload of a large system takes seconds; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// A timer that elapses before may have done so before it is looked at.
const SOON: Duration = Duration::from_secs(1);
/// How long systemd may take for what it does at once: to start a timer, to forget one that was stopped.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection to the service manager.
#[derive(Debug)]
pub struct Bus {
    connection: zbus::Connection,
    manager: ManagerProxy<'static>,
    /// Listened to from the first job on.
    endings: Mutex<Option<Arc<Endings>>>,
}

/// How one job is going.
enum Progress {
    Running,
    Settling(Vigil),
    Done,
    Failed(String),
}

/// A unit that is watched until its settle time is over.
struct Vigil {
    until: Instant,
    restarts: Option<u32>,
}

trait Asked<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError>;
}

impl<T> Asked<T> for zbus::Result<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError> {
        self.map_err(|error| ManagerError { operation: operation.into(), message: message(&error) })
    }
}

/// systemd's own words, without the D-Bus error's name.
fn message(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, Some(text), _) => text.clone(),
        other => other.to_string(),
    }
}

impl Bus {
    /// Connects to the system bus.
    pub fn connect() -> Result<Self, ManagerError> {
        block_on(async {
            let builder = zbus::connection::Builder::system().method_timeout(PATIENCE);
            let connection = builder.build().await.to("connect to the system bus")?;
            let manager = ManagerProxy::builder(&connection)
                .cache_properties(zbus::proxy::CacheProperties::No)
                .build()
                .await
                .to("reach its manager")?;
            Ok(Self { connection, manager, endings: Mutex::new(None) })
        })
    }

    fn endings(&self) -> Result<Arc<Endings>, ManagerError> {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endings) = &*endings {
            return Ok(Arc::clone(endings));
        }
        block_on(self.manager.subscribe()).to("subscribe to its signals")?;
        let signals = block_on(self.manager.receive_job_removed()).to("listen for finished jobs")?;
        let listening = Endings::listen(signals).map_err(|error| ManagerError {
            operation: "listen for finished jobs".to_owned(),
            message: error.to_string(),
        })?;
        Ok(Arc::clone(endings.insert(listening)))
    }

    /// Starts the units of a timer. A unit of that name that was stopped just now may still be there.
    async fn start_transient(&self, timer: &Timer) -> Result<(), ManagerError> {
        let operation = || format!("start the timer {}", timer.unit());
        let end = Instant::now() + AT_ONCE;
        let (unit, service) = (timer.unit(), timer.service());
        let (properties, others) = (timer.properties(), [(service.as_str(), timer.service_properties())]);
        loop {
            match self.manager.start_transient_unit(&unit, "replace", &properties, &others).await {
                Ok(_) => return Ok(()),
                Err(error) if is_called(&error, "org.freedesktop.systemd1.UnitExists") && Instant::now() < end => {
                    self.stop(&timer.unit()).await?;
                    Sleep::after(GLANCE).await;
                }
                Err(error) => return Err(error).to(operation()),
            }
        }
    }

    async fn stop(&self, unit: &str) -> Result<(), ManagerError> {
        match self.manager.stop_unit(unit, "replace").await {
            Err(error) if is_called(&error, "org.freedesktop.systemd1.NoSuchUnit") => Ok(()),
            result => result.map(drop).to(format!("stop {unit}")),
        }
    }

    async fn list(&self, units: &[String]) -> Result<BTreeMap<String, ListedUnit>, ManagerError> {
        let listed = self.manager.list_units_by_names(units).await.to("list units")?;
        Ok(listed.into_iter().map(|unit| (unit.0.clone(), unit)).collect())
    }

    async fn service(&self, path: OwnedObjectPath) -> Result<ServiceProxy<'static>, ManagerError> {
        ServiceProxy::builder(&self.connection)
            .path(path)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .to("reach a unit")
    }

    async fn start(&self, job: &Job) -> zbus::Result<OwnedObjectPath> {
        // Applies that follow each other quickly are no crash loop: forget the start rate limit (systemctl(1),
        // `reset-failed`). A unit that is not loaded has none.
        let _ = self.manager.reset_failed_unit(&job.unit).await;
        match job.verb {
            Verb::Restart => self.manager.restart_unit(&job.unit, "replace").await,
            Verb::Reload => self.manager.reload_unit(&job.unit, "replace").await,
        }
    }

    /// Watches what was started for as long as each unit's type asks for.
    async fn await_settled(&self, jobs: &[Job], progress: &mut [Progress]) -> Result<(), ManagerError> {
        for (job, one) in jobs.iter().zip(progress.iter_mut()) {
            if matches!(one, Progress::Done) {
                *one = Progress::Settling(self.vigil(job).await?);
            }
        }
        loop {
            let settling: Vec<String> = jobs
                .iter()
                .zip(progress.iter())
                .filter(|(_, one)| matches!(one, Progress::Settling(_)))
                .map(|(job, _)| job.unit.clone())
                .collect();
            if settling.is_empty() {
                return Ok(());
            }
            let listed = self.list(&settling).await?;
            for (job, one) in jobs.iter().zip(progress.iter_mut()) {
                let Progress::Settling(vigil) = one else { continue };
                let Some(unit) = listed.get(&job.unit) else {
                    *one = Progress::Failed("systemd no longer knows it".to_owned());
                    continue;
                };
                if let Some(fault) = self.fault(unit, vigil.restarts).await {
                    *one = Progress::Failed(fault);
                } else if Instant::now() >= vigil.until {
                    *one = Progress::Done;
                }
            }
            if let Some(next) = progress
                .iter()
                .filter_map(|one| match one {
                    Progress::Settling(vigil) => Some(vigil.until),
                    _ => None,
                })
                .min()
            {
                Sleep::at(next.min(Instant::now() + GLANCE)).await;
            }
        }
    }

    async fn vigil(&self, job: &Job) -> Result<Vigil, ManagerError> {
        let path = self.list(std::slice::from_ref(&job.unit)).await?.remove(&job.unit).map(|unit| unit.6);
        let service = match path {
            Some(path) if is_service(&job.unit) => Some(self.service(path).await?),
            _ => None,
        };
        let Some(service) = service else {
            return Ok(Vigil { until: Instant::now() + job.settle.unwrap_or_default(), restarts: None });
        };
        let settle = match job.settle {
            Some(settle) => settle,
            None => match service.type_().await.to(format!("read the type of {}", job.unit))?.as_str() {
                "simple" | "exec" | "idle" => SETTLE,
                _ => Duration::ZERO,
            },
        };
        // A restart by hand sets the counter to 0 (systemd.service(5), `Restart=`), so any other number is systemd's.
        let restarts = match job.verb {
            Verb::Restart => 0,
            Verb::Reload => service.n_restarts().await.to(format!("read the restarts of {}", job.unit))?,
        };
        Ok(Vigil { until: Instant::now() + settle, restarts: Some(restarts) })
    }

    /// What is wrong with a unit whose job was done, if anything.
    async fn fault(&self, unit: &ListedUnit, restarts: Option<u32>) -> Option<String> {
        let (name, active, sub, path) = (&unit.0, unit.3.as_str(), unit.4.as_str(), &unit.6);
        let service = if is_service(name) { self.service(path.clone()).await.ok() } else { None };
        let result = match &service {
            Some(service) => service.result().await.unwrap_or_default(),
            None => String::new(),
        };
        let healthy = match active {
            "active" | "reloading" | "refreshing" => true,
            // A oneshot without RemainAfterExit= ends as inactive.
            "inactive" => result == "success" && self.is_oneshot(service.as_ref()).await,
            _ => false,
        };
        let Some(service) = service else { return (!healthy).then(|| format!("it is {active} ({sub})")) };
        let again = match (restarts, service.n_restarts().await) {
            (Some(before), Ok(now)) => now != before,
            _ => false,
        };
        if healthy && !again {
            return None;
        }
        let status = service.exec_main_status().await.unwrap_or_default();
        Some(format!("it is {active} ({sub}), last result {result}, exit status {status}"))
    }

    async fn is_oneshot(&self, service: Option<&ServiceProxy<'static>>) -> bool {
        match service {
            Some(service) => service.type_().await.is_ok_and(|kind| kind == "oneshot"),
            None => false,
        }
    }
}

fn is_called(error: &zbus::Error, name: &str) -> bool {
    matches!(error, zbus::Error::MethodError(called, ..) if called.as_str() == name)
}

fn is_service(unit: &str) -> bool {
    unit.ends_with(".service")
}

impl Drop for Bus {
    /// The listener ends with the connection.
    fn drop(&mut self) {
        if self.endings.get_mut().unwrap_or_else(PoisonError::into_inner).is_some() {
            // There is nobody to tell.
            let _ = block_on(self.connection.clone().close());
        }
    }
}

/// Awaits the running jobs until each is done or its deadline is over.
fn await_jobs(jobs: &[Job], progress: &mut [Progress], run: &Run<'_>, started: Instant) -> Result<(), ManagerError> {
    loop {
        let running = jobs.iter().zip(progress.iter()).filter(|(_, one)| matches!(one, Progress::Running));
        let Some(next) = running.map(|(job, _)| started + job.deadline).min() else { return Ok(()) };
        match run.next(next) {
            Wait::Ended(Ending { number, result }) => {
                // One that is overdue stays so.
                if let Some(one) = progress.get_mut(number).filter(|one| matches!(one, Progress::Running)) {
                    *one = match result.as_str() {
                        "done" => Progress::Done,
                        result => Progress::Failed(format!("its job ended as \"{result}\"")),
                    };
                }
            }
            Wait::Overdue => {
                for (job, one) in jobs.iter().zip(progress.iter_mut()) {
                    if matches!(one, Progress::Running) && Instant::now() >= started + job.deadline {
                        // Not cancelled: the job that puts the old configuration back takes its place, and a unit that
                        // only takes long to stop would otherwise be left stopped, with no job to start it again.
                        *one = Progress::Failed(format!("not done within {} s", job.deadline.as_secs_f64()));
                    }
                }
            }
            Wait::Lost => {
                let message = "the connection to the system bus was lost".to_owned();
                return Err(ManagerError { operation: "await jobs".to_owned(), message });
            }
        }
    }
}

impl ServiceManager for Bus {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        let mut listed = block_on(self.list(units))?;
        Ok(units
            .iter()
            .map(|unit| {
                let found = listed.remove(unit);
                UnitStatus {
                    unit: unit.clone(),
                    load_state: found.as_ref().map_or_else(|| "not-found".to_owned(), |found| found.2.clone()),
                    active_state: found.map_or_else(|| "inactive".to_owned(), |found| found.3),
                }
            })
            .collect())
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        block_on(self.manager.reload()).to("reload unit files")
    }

    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        block_on(self.manager.bind_mount_unit(unit, source, target, true, false))
            .to(format!("bind {source} into the namespace of {unit}"))
    }

    fn run(&self, jobs: &[Job]) -> Result<Vec<Result<(), String>>, ManagerError> {
        let endings = self.endings()?;
        let mut run = endings.run();
        let started = Instant::now();
        let mut progress = Vec::with_capacity(jobs.len());
        for (number, job) in jobs.iter().enumerate() {
            progress.push(match block_on(self.start(job)) {
                Ok(path) => {
                    run.expect(number, path);
                    Progress::Running
                }
                Err(error) => Progress::Failed(message(&error)),
            });
        }
        run.started();
        timings::mark("D-Bus: jobs");
        await_jobs(jobs, &mut progress, &run, started)?;
        timings::mark("the units' own restart");
        block_on(self.await_settled(jobs, &mut progress))?;
        timings::mark("settle");
        Ok(progress
            .into_iter()
            .map(|one| match one {
                Progress::Failed(why) => Err(why),
                Progress::Running | Progress::Settling(_) | Progress::Done => Ok(()),
            })
            .collect())
    }

    fn last_words(&self, unit: &str) -> Option<String> {
        let invocation = block_on(async {
            let path = self.list(&[unit.to_owned()]).await.ok()?.remove(unit)?.6;
            let builder = UnitProxy::builder(&self.connection).path(path);
            let proxy = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.ok()?;
            proxy.invocation_id().await.ok()
        });
        journal::last_words(&invocation?)
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        block_on(async {
            self.start_transient(timer).await?;
            let (unit, end) = (timer.unit(), Instant::now() + AT_ONCE);
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
                    return Err(ManagerError { operation: format!("start the timer {unit}"), message });
                }
                Sleep::after(GLANCE).await;
            }
        })
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        block_on(self.stop(&format!("{name}.timer")))
    }
}
