//! Judges whether a unit stays up after its job is done.
//!
//! A unit is good when it is active and stayed so for its settle time, without systemd starting it again.
//! `Type=notify`, `forking`, `dbus` and `oneshot` say themselves when they are ready. `simple`, `exec` and `idle` count
//! as started before they read their configuration (systemd.service(5), `Type=`), so their settle time is not zero
//! unless the plan says so. A unit that is down need not have failed: somebody may have stopped it, or one of its
//! conditions may not hold.

use std::time::{Duration, Instant};

use async_io::Timer as Sleep;
use zbus::OwnedObjectPath;
use zbus::proxy::CacheProperties;

use super::answers::{self, Health, Run, Times};
use super::bus::{Asked, Bus, INTERVAL, answer};
use super::jobs::{Progress, UnderWay, overdue};
use super::proxies::{ListedUnit, ServiceProxy, UnitProxy, listed_unit};
use super::{Job, JobFault, ManagerError, Verb};

/// A unit that is watched until its settle time is over.
pub(super) struct SettlingUnit {
    until: Instant,
    settle: Duration,
    restarts: Option<u32>,
}

/// An observation of a settling unit.
enum Look {
    Good,
    Again,
    Bad(JobFault),
}

impl Bus {
    pub(super) async fn service(&self, path: OwnedObjectPath) -> Result<ServiceProxy<'static>, ManagerError> {
        let builder = ServiceProxy::builder(&self.connection).path(path);
        builder.cache_properties(CacheProperties::No).build().await.to("reach a unit")
    }

    pub(super) async fn unit(&self, path: OwnedObjectPath) -> Result<UnitProxy<'static>, ManagerError> {
        let builder = UnitProxy::builder(&self.connection).path(path);
        builder.cache_properties(CacheProperties::No).build().await.to("reach a unit")
    }

    /// Watches what was started for as long as each unit's type asks for.
    pub(super) async fn await_settled(
        &self,
        under_way: &mut UnderWay<'_>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ManagerError> {
        for (job, one) in under_way.jobs.iter().zip(&mut under_way.progress) {
            if matches!(one, Progress::Done) {
                *one = Progress::Settling(self.settling_unit(job).await?);
            }
        }
        loop {
            let UnderWay { jobs, progress, started } = &mut *under_way;
            let settling: Vec<String> = jobs
                .iter()
                .zip(progress.iter())
                .filter(|(_, one)| matches!(one, Progress::Settling(_)))
                .map(|(job, _)| job.unit.clone())
                .collect();
            if settling.is_empty() {
                return Ok(());
            }
            if interrupted() {
                under_way.interrupt();
                return Ok(());
            }
            let listed = self.list(&settling).await?;
            for (job, one) in jobs.iter().zip(progress.iter_mut()) {
                let Progress::Settling(settling_unit) = one else { continue };
                let Some(unit) = listed.get(&job.unit) else {
                    *one = Progress::Failed(JobFault::Failed("systemd no longer knows it".to_owned()));
                    continue;
                };
                let now = Instant::now();
                match self.look(unit, settling_unit.restarts).await? {
                    Look::Bad(fault) => *one = Progress::Failed(fault),
                    Look::Again if now < *started + job.deadline => settling_unit.until = now + settling_unit.settle,
                    Look::Again => *one = Progress::Failed(overdue(job)),
                    Look::Good if now >= settling_unit.until => *one = Progress::Done,
                    Look::Good => {}
                }
            }
            let next = progress.iter().filter_map(|one| match one {
                Progress::Settling(settling_unit) => Some(settling_unit.until),
                _ => None,
            });
            if let Some(next) = next.min() {
                Sleep::at(next.min(Instant::now() + INTERVAL)).await;
            }
        }
    }

    async fn settling_unit(&self, job: &Job) -> Result<SettlingUnit, ManagerError> {
        let path = self.list(std::slice::from_ref(&job.unit)).await?.remove(&job.unit).map(|unit| unit.6);
        let service = match path {
            Some(path) if is_service(&job.unit) => Some(self.service(path).await?),
            _ => None,
        };
        let Some(service) = service else {
            let settle = job.settle.unwrap_or_default();
            return Ok(SettlingUnit { until: Instant::now() + settle, settle, restarts: None });
        };
        let settle = match job.settle {
            Some(settle) => settle,
            None => answers::settle_time(&service.type_().await.to(format!("read the type of {}", job.unit))?),
        };
        // A start by hand sets the counter to 0 (systemd.service(5), `Restart=`), so any other number is systemd's.
        let restarts = match job.verb {
            Verb::Start | Verb::Restart | Verb::TryRestart => 0,
            Verb::Reload => service.n_restarts().await.to(format!("read the restarts of {}", job.unit))?,
        };
        Ok(SettlingUnit { until: Instant::now() + settle, settle, restarts: Some(restarts) })
    }

    /// Looks at a unit whose job was done.
    async fn look(&self, listed: &ListedUnit, restarts: Option<u32>) -> Result<Look, ManagerError> {
        let unit = listed_unit(listed);
        let looking = || format!("look at {}", unit.name);
        let service = if is_service(&unit.name) { Some(self.service(listed.6.clone()).await?) } else { None };
        let is_again = match (&service, restarts) {
            (Some(service), Some(before)) => {
                answer(service.n_restarts().await, looking())?.is_some_and(|now| now != before)
            }
            _ => false,
        };
        let is_done = unit.active == "inactive" && is_done(service.as_ref()).await?;
        match answers::health(&unit, is_again, is_done) {
            Health::Good => return Ok(Look::Good),
            Health::Again => return Ok(Look::Again),
            Health::Bad => {}
        }
        let was_stopped = unit.is_down() && self.was_stopped(listed).await?;
        let condition_holds = !unit.is_down() || self.condition(listed).await?;
        let run = match &service {
            Some(service) => Some(Run {
                result: answer(service.result().await, looking())?.unwrap_or_default(),
                exit_status: answer(service.exec_main_status().await, looking())?.unwrap_or_default(),
            }),
            None => None,
        };
        Ok(Look::Bad(answers::fault(&unit, was_stopped, condition_holds, run.as_ref(), self.asking)))
    }

    /// Whether the conditions held when it was started last.
    async fn condition(&self, unit: &ListedUnit) -> Result<bool, ManagerError> {
        let condition = self.unit(unit.6.clone()).await?.condition_result().await;
        Ok(answer(condition, "read the conditions of a unit")?.unwrap_or(true))
    }

    /// Whether the last reload of a unit went wrong.
    pub(super) async fn reload_failed(&self, unit: &ListedUnit) -> Result<bool, ManagerError> {
        if !is_service(&unit.0) {
            return Ok(false);
        }
        let result = self.service(unit.6.clone()).await?.reload_result().await;
        Ok(answer(result, "read what came of a reload")?.is_some_and(|result| result != "success"))
    }

    /// Whether a stop job took down a service that is down. `false` if that can't be read.
    pub(super) async fn was_stopped(&self, listed: &ListedUnit) -> Result<bool, ManagerError> {
        if !is_service(&listed.0) {
            return Ok(false);
        }
        let (unit, service) = (self.unit(listed.6.clone()).await?, self.service(listed.6.clone()).await?);
        let shown = async {
            let times = Times {
                inactive_exit: unit.inactive_exit_timestamp_monotonic().await?,
                active_enter: unit.active_enter_timestamp_monotonic().await?,
                active_exit: unit.active_exit_timestamp_monotonic().await?,
                main_exit: service.exec_main_exit_timestamp_monotonic().await?,
            };
            Ok(times.show_a_stop(&service.result().await?))
        };
        Ok(answer(shown.await, "read when a unit was up")?.unwrap_or(false))
    }
}

/// Whether it is a oneshot that ended with success.
async fn is_done(service: Option<&ServiceProxy<'static>>) -> Result<bool, ManagerError> {
    let Some(service) = service else { return Ok(false) };
    let shown = async { Ok(service.type_().await? == "oneshot" && service.result().await? == "success") };
    Ok(answer(shown.await, "read how a unit ended")?.unwrap_or(false))
}

fn is_service(unit: &str) -> bool {
    unit.ends_with(".service")
}
