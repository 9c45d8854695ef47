//! The service manager over the system bus.
//!
//! A unit is good when its job is done in time and it stays up for its settle time ([`super::settling`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer as Sleep;
use zbus::OwnedObjectPath;
use zbus::block_on;

use super::endings::{Ending, Endings, Run, Wait};
use super::proxies::{ListedUnit, ManagerProxy, ServiceProxy, UnitProxy};
use super::settling::Progress;
use super::transient::Properties;
use super::{
    Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Verb, Watch, When, journal,
};
use crate::host::timings;

/// How often something that takes a moment is looked at.
pub(super) const GLANCE: Duration = Duration::from_millis(10);
/// How often who waits for jobs looks whether to go on.
const SLICE: Duration = Duration::from_millis(50);
/// How long systemd may take to answer. A daemon-reload of a large system takes seconds; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// A timer that elapses before may have done so before it is looked at.
const SOON: Duration = Duration::from_secs(1);
/// How long systemd may take for what it does at once: to start a timer, to forget one that was stopped.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection to the service manager.
#[derive(Debug)]
pub struct Bus {
    pub(super) connection: zbus::Connection,
    pub(super) manager: ManagerProxy<'static>,
    /// Listened to from the first job on.
    endings: Mutex<Option<Arc<Endings>>>,
}

/// A D-Bus error as ours.
pub(super) trait Asked<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError>;
}

impl<T> Asked<T> for zbus::Result<T> {
    fn to(self, operation: impl Into<String>) -> Result<T, ManagerError> {
        self.map_err(|error| ManagerError { operation: operation.into(), message: message(&error) })
    }
}

/// systemd's own words, without the D-Bus error's name.
pub(super) fn message(error: &zbus::Error) -> String {
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
    /// Starts a transient unit, and makes another one, which it may start.
    async fn start_transient(
        &self,
        unit: &str,
        properties: Properties,
        other: (String, Properties),
    ) -> Result<(), ManagerError> {
        let end = Instant::now() + AT_ONCE;
        let others = [(other.0.as_str(), other.1)];
        loop {
            match self.manager.start_transient_unit(unit, "replace", &properties, &others).await {
                Ok(_) => return Ok(()),
                Err(error) if is_called(&error, "org.freedesktop.systemd1.UnitExists") && Instant::now() < end => {
                    self.stop(unit).await?;
                    Sleep::after(GLANCE).await;
                }
                Err(error) => return Err(error).to(format!("start {unit}")),
            }
        }
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

    /// Starts a job. `Err`: there is none, and the unit is as it was.
    async fn start(&self, job: &Job) -> Result<OwnedObjectPath, JobFault> {
        let unit = job.unit.as_str();
        let refused = |error: &ManagerError| JobFault::Refused(error.message.clone());
        let listed = self.list(std::slice::from_ref(&job.unit)).await.map_err(|error| refused(&error))?;
        let status = self.status_of(unit, listed.get(unit)).await;
        let is_down = matches!(status.active_state.as_str(), "inactive" | "failed" | "deactivating");
        if matches!(job.verb, Verb::TryRestart | Verb::Reload) && !status.is_wanted() {
            return Err(JobFault::Stopped(format!("{unit} was stopped by somebody else")));
        }
        // Applies that follow each other quickly are no crash loop: forget the start rate limit (systemctl(1),
        // `reset-failed`). A unit that is not loaded has none.
        let _ = self.manager.reset_failed_unit(unit).await;
        let started = match job.verb {
            // Dependencies are as they were: what is down because somebody stopped it stays down.
            Verb::Start => self.manager.start_unit(unit, "ignore-requirements").await,
            // Where it is up, one that is stopped at this very moment stays stopped.
            Verb::Restart | Verb::TryRestart if !is_down => self.manager.try_restart_unit(unit, "replace").await,
            Verb::Reload if !is_down => self.manager.reload_unit(unit, "replace").await,
            Verb::Restart | Verb::TryRestart | Verb::Reload => self.manager.restart_unit(unit, "replace").await,
        };
        started.map_err(|error| match error {
            zbus::Error::MethodError(..) => JobFault::Refused(message(&error)),
            // systemd may have heard it all the same.
            other => JobFault::Hindered(format!("systemd does not answer: {other}")),
        })
    }

    pub(super) async fn status_of(&self, unit: &str, listed: Option<&ListedUnit>) -> UnitStatus {
        let was_stopped = match listed {
            Some(listed) if matches!(listed.3.as_str(), "failed" | "inactive") => self.was_stopped(listed).await,
            _ => false,
        };
        UnitStatus {
            unit: unit.to_owned(),
            load_state: listed.map_or_else(|| "not-found".to_owned(), |listed| listed.2.clone()),
            active_state: listed.map_or_else(|| "inactive".to_owned(), |listed| listed.3.clone()),
            job: listed.filter(|listed| listed.7 != 0).map(|listed| listed.8.clone()),
            was_stopped,
        }
    }

    /// What a job that was canceled says of its unit: another job took its place, or somebody canceled it.
    async fn canceled(&self, job: &Job) -> Progress {
        let unit = job.unit.as_str();
        let Ok(listed) = self.list(std::slice::from_ref(&job.unit)).await else {
            return Progress::Failed(JobFault::Hindered(format!("the job for {unit} was canceled")));
        };
        let status = self.status_of(unit, listed.get(unit)).await;
        if status.is_up() {
            return Progress::Done;
        }
        let goes_down = matches!(status.active_state.as_str(), "inactive" | "failed" | "deactivating");
        Progress::Failed(if goes_down || status.job.as_deref() == Some("stop") {
            JobFault::Stopped(format!("{unit} was stopped by somebody else"))
        } else {
            JobFault::Hindered(format!("the job for {unit} was canceled by somebody else"))
        })
    }
}

fn is_called(error: &zbus::Error, name: &str) -> bool {
    matches!(error, zbus::Error::MethodError(called, ..) if called.as_str() == name)
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

impl Bus {
    /// Awaits the running jobs until each is done or its deadline is over.
    fn await_jobs(
        &self,
        jobs: &[Job],
        progress: &mut [Progress],
        run: &Run<'_>,
        started: Instant,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ManagerError> {
        loop {
            let running = jobs.iter().zip(progress.iter()).filter(|(_, one)| matches!(one, Progress::Running));
            let Some(next) = running.map(|(job, _)| started + job.deadline).min() else { return Ok(()) };
            if interrupted() {
                interrupt(progress);
                return Ok(());
            }
            match run.next(next.min(Instant::now() + SLICE)) {
                Wait::Ended(Ending { number, result }) => {
                    // One that is overdue stays so.
                    if let (Some(one @ Progress::Running), Some(job)) = (progress.get_mut(number), jobs.get(number)) {
                        *one = match result.as_str() {
                            "done" => Progress::Done,
                            "canceled" => block_on(self.canceled(job)),
                            result => Progress::Failed(unfinished(job, result)),
                        };
                    }
                }
                Wait::Overdue => {
                    for (job, one) in jobs.iter().zip(progress.iter_mut()) {
                        if matches!(one, Progress::Running) && Instant::now() >= started + job.deadline {
                            // Not cancelled: the job that puts the old configuration back takes its place, and a unit that
                            // only takes long to stop would otherwise be left stopped, with no job to start it again.
                            let fault = format!("not done within {} s", job.deadline.as_secs_f64());
                            *one = Progress::Failed(JobFault::Failed(fault));
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
}

/// What is not over yet is not waited for.
pub(super) fn interrupt(progress: &mut [Progress]) {
    for one in progress {
        if matches!(one, Progress::Running | Progress::Settling(_) | Progress::Done) {
            *one = Progress::Failed(JobFault::Interrupted);
        }
    }
}

/// The end of a job that is not done (org.freedesktop.systemd1(5), `JobRemoved`). A unit that fails or is not ready in time
/// is itself to blame.
fn unfinished(job: &Job, result: &str) -> JobFault {
    match result {
        "failed" | "timeout" => JobFault::Failed(format!("its job ended as \"{result}\"")),
        "dependency" => JobFault::Hindered(format!(
            "a unit that it requires did not start; see `systemctl list-dependencies {}`",
            job.unit
        )),
        "assert" => JobFault::Hindered(format!("an Assert of it does not hold; see `systemctl status {}`", job.unit)),
        other => JobFault::Hindered(format!("its job ended as \"{other}\"")),
    }
}

impl ServiceManager for Bus {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        block_on(async {
            let listed = self.list(units).await?;
            let mut statuses = Vec::with_capacity(units.len());
            for unit in units {
                statuses.push(self.status_of(unit, listed.get(unit)).await);
            }
            Ok(statuses)
        })
    }

    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        block_on(self.dependents_of(units))
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        block_on(self.manager.reload()).to("reload unit files")
    }

    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        block_on(self.manager.bind_mount_unit(unit, source, target, true, false))
            .to(format!("bind {source} into the namespace of {unit}"))
    }

    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
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
                Err(fault) => Progress::Failed(fault),
            });
        }
        run.started();
        timings::mark("D-Bus: jobs");
        self.await_jobs(jobs, &mut progress, &run, started, interrupted)?;
        timings::mark("the units' own restart");
        block_on(self.await_settled(jobs, &mut progress, started, interrupted))?;
        timings::mark("settle");
        Ok(progress.into_iter().map(Progress::result).collect())
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

    fn main_process(&self, unit: &str) -> Option<u32> {
        block_on(async {
            let path = self.list(&[unit.to_owned()]).await.ok()?.remove(unit).filter(|unit| unit.3 == "active")?.6;
            let builder = ServiceProxy::builder(&self.connection).path(path);
            let proxy = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.ok()?;
            proxy.main_pid().await.ok().filter(|pid| *pid != 0)
        })
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
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
                    return Err(ManagerError { operation: format!("start the timer {unit}"), message });
                }
                Sleep::after(GLANCE).await;
            }
        })
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        self.observed(units)
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        self.start_lasting(service)
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.is_system_stopping()
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        block_on(self.stop(&format!("{name}.timer")))
    }

    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        let service = (watch.service(), watch.service_properties());
        block_on(self.start_transient(&watch.unit(), watch.properties(), service))
    }

    fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        block_on(self.stop(&format!("{name}.path")))
    }
}
