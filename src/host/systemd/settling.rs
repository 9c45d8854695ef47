//! Whether a unit whose job is done stays up.
//!
//! A unit is good when it is active and stayed so for its settle time without systemd starting it again. `Type=notify`,
//! `forking`, `dbus` and `oneshot` say themselves when they are ready; `simple`, `exec` and `idle` count as started before
//! they read their configuration (systemd.service(5), `Type=`), so for those the settle time is not zero unless the plan
//! says so. A unit that is down need not have failed: somebody may have stopped it, or one of its conditions may not hold.

use std::time::{Duration, Instant};

use async_io::Timer as Sleep;
use zbus::OwnedObjectPath;
use zbus::proxy::CacheProperties;

use super::bus::{Asked, Bus, GLANCE, answer};
use super::jobs::{Progress, UnderWay, overdue, stopped};
use super::proxies::{ListedUnit, ServiceProxy, UnitProxy};
use super::{Job, JobFault, ManagerError, Verb};

/// Settle time of units whose type has no readiness.
const SETTLE: Duration = Duration::from_millis(100);

/// A unit that is watched until its settle time is over.
pub(super) struct Vigil {
    until: Instant,
    settle: Duration,
    restarts: Option<u32>,
}

/// What a look at a settling unit shows.
enum Look {
    Good,
    /// Somebody restarts it: it settles after that.
    Again,
    Bad(JobFault),
}

/// When a service was up last, in microseconds of the monotonic clock; 0 for never.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    inactive_exit: u64,
    active_enter: u64,
    active_exit: u64,
    main_exit: u64,
}

impl Times {
    /// Whether a service that is down was up in its last run, and a stop job took it down. A main process that ends by
    /// itself ends before the unit leaves its active state, and one that is told to end does so after it. A main process
    /// that was done before the unit was active (`RemainAfterExit=`) can't have taken it down at all.
    fn show_a_stop(self) -> bool {
        let was_up = self.active_enter >= self.inactive_exit && self.active_exit >= self.active_enter;
        was_up && self.main_exit > 0 && (self.main_exit > self.active_exit || self.main_exit < self.active_enter)
    }
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
                *one = Progress::Settling(self.vigil(job).await?);
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
                let Progress::Settling(vigil) = one else { continue };
                let Some(unit) = listed.get(&job.unit) else {
                    *one = Progress::Failed(JobFault::Failed("systemd no longer knows it".to_owned()));
                    continue;
                };
                let now = Instant::now();
                match self.look(unit, vigil.restarts).await? {
                    Look::Bad(fault) => *one = Progress::Failed(fault),
                    Look::Again if now < *started + job.deadline => vigil.until = now + vigil.settle,
                    Look::Again => *one = Progress::Failed(overdue(job)),
                    Look::Good if now >= vigil.until => *one = Progress::Done,
                    Look::Good => {}
                }
            }
            let next = progress.iter().filter_map(|one| match one {
                Progress::Settling(vigil) => Some(vigil.until),
                _ => None,
            });
            if let Some(next) = next.min() {
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
            let settle = job.settle.unwrap_or_default();
            return Ok(Vigil { until: Instant::now() + settle, settle, restarts: None });
        };
        let settle = match job.settle {
            Some(settle) => settle,
            None => match service.type_().await.to(format!("read the type of {}", job.unit))?.as_str() {
                "simple" | "exec" | "idle" => SETTLE,
                _ => Duration::ZERO,
            },
        };
        // A start by hand sets the counter to 0 (systemd.service(5), `Restart=`), so any other number is systemd's.
        let restarts = match job.verb {
            Verb::Start | Verb::Restart | Verb::TryRestart => 0,
            Verb::Reload => service.n_restarts().await.to(format!("read the restarts of {}", job.unit))?,
        };
        Ok(Vigil { until: Instant::now() + settle, settle, restarts: Some(restarts) })
    }

    /// Looks at a unit whose job was done.
    async fn look(&self, unit: &ListedUnit, restarts: Option<u32>) -> Result<Look, ManagerError> {
        let (name, active, sub, path) = (&unit.0, unit.3.as_str(), unit.4.as_str(), &unit.6);
        let job = if unit.7 == 0 { "" } else { unit.8.as_str() };
        let looking = || format!("look at {name}");
        let service = if is_service(name) { Some(self.service(path.clone()).await?) } else { None };
        let again = match (&service, restarts) {
            (Some(service), Some(before)) => {
                answer(service.n_restarts().await, looking())?.is_some_and(|now| now != before)
            }
            _ => false,
        };
        if !again && matches!(job, "start" | "restart") {
            return Ok(Look::Again);
        }
        let result = match &service {
            Some(service) => answer(service.result().await, looking())?.unwrap_or_default(),
            None => String::new(),
        };
        let healthy = match active {
            "active" | "reloading" | "refreshing" => job != "stop",
            // A oneshot without RemainAfterExit= ends as inactive.
            "inactive" => result == "success" && is_oneshot(service.as_ref()).await?,
            _ => false,
        };
        if healthy && !again {
            return Ok(Look::Good);
        }
        let is_down = matches!(active, "inactive" | "failed");
        Ok(Look::Bad(if job == "stop" || is_down && self.was_stopped(unit).await? {
            stopped(name)
        } else if is_down && !self.condition(unit).await? {
            JobFault::Hindered(format!("a condition of it does not hold; see `systemctl status {name}`"))
        } else if let Some(service) = service {
            let status = answer(service.exec_main_status().await, looking())?.unwrap_or_default();
            JobFault::Failed(format!("it is {active} ({sub}), last result {result}, exit status {status}"))
        } else {
            JobFault::Failed(format!("it is {active} ({sub})"))
        }))
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

    /// Whether a service that is down was taken down by a stop job. What can't be read says no.
    pub(super) async fn was_stopped(&self, listed: &ListedUnit) -> Result<bool, ManagerError> {
        if !is_service(&listed.0) {
            return Ok(false);
        }
        let (unit, service) = (self.unit(listed.6.clone()).await?, self.service(listed.6.clone()).await?);
        let times = async {
            // systemd itself takes down what does not answer its watchdog, and what runs out of memory.
            if matches!(service.result().await?.as_str(), "watchdog" | "oom-kill") {
                return Ok(Times::default());
            }
            Ok(Times {
                inactive_exit: unit.inactive_exit_timestamp_monotonic().await?,
                active_enter: unit.active_enter_timestamp_monotonic().await?,
                active_exit: unit.active_exit_timestamp_monotonic().await?,
                main_exit: service.exec_main_exit_timestamp_monotonic().await?,
            })
        };
        Ok(answer(times.await, "read when a unit was up")?.is_some_and(Times::show_a_stop))
    }
}

async fn is_oneshot(service: Option<&ServiceProxy<'static>>) -> Result<bool, ManagerError> {
    match service {
        Some(service) => {
            Ok(answer(service.type_().await, "read the type of a unit")?.is_some_and(|kind| kind == "oneshot"))
        }
        None => Ok(false),
    }
}

fn is_service(unit: &str) -> bool {
    unit.ends_with(".service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_was_taken_down_is_told_from_one_that_went_down() {
        let times = |inactive_exit, active_enter, active_exit, main_exit| Times {
            inactive_exit,
            active_enter,
            active_exit,
            main_exit,
        };
        // Stopped: the process ended because the unit was stopping.
        assert!(times(10, 11, 50, 52).show_a_stop());
        // Crashed: the unit left its active state because the process ended.
        assert!(!times(10, 11, 50, 50).show_a_stop());
        assert!(!times(10, 11, 50, 49).show_a_stop());
        // It crashed while it was started: it was up in the run before.
        assert!(!times(60, 11, 50, 61).show_a_stop());
        // Its process was done before it was up (RemainAfterExit=): only a job can have taken it down.
        assert!(times(10, 12, 50, 11).show_a_stop());
        // It never ran, or its main process was never known.
        assert!(!times(0, 0, 0, 0).show_a_stop());
        assert!(!times(10, 11, 50, 0).show_a_stop());
    }
}
