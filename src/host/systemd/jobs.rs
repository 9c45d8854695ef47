//! Jobs under way: from the request to a unit that stays up, or to the reason why it does not.
//!
//! Jobs outlive the connection to systemd: dynix takes them up again on the next one. systemd may have received a
//! request that it did not answer. So dynix repeats no request before it knows that the first one had no effect:
//! systemd answers on a new connection only after it has handled everything from the one before.

use std::time::{Duration, Instant};

use zbus::{OwnedObjectPath, block_on};

use super::answers::{self, Changes, Moment};
use super::bus::{Asked as _, Bus, is_lost, lost, message};
use super::job_results::{JobResult, Run, Wait};
use super::proxies::{ListedUnit, listed_unit};
use super::settling::SettlingUnit;
use super::{Job, JobFault, ManagerError, Verb};
use crate::host::timings;
use crate::time::clock::{Clock, SystemClock};

/// The interval in which a caller that waits for jobs checks whether to continue.
const SLICE: Duration = Duration::from_millis(50);
/// How often who waits for jobs looks whether they are still there: the signal of one that ends while systemd is executed
/// anew never comes.
const LOOK: Duration = Duration::from_secs(1);

/// How one job is going.
pub(super) enum Progress {
    /// It is to be asked for.
    Due,
    /// It was asked for, at this time of the monotonic clock, and there was no answer.
    Unanswered(Moment),
    /// The job is queued or runs.
    Running { path: OwnedObjectPath, since: Moment },
    /// The job is done, and the unit is watched.
    Settling(SettlingUnit),
    /// All is well.
    Done,
    /// It went wrong.
    Failed(JobFault),
}

impl Progress {
    /// The result of the job.
    fn result(self) -> Result<(), JobFault> {
        match self {
            Self::Failed(fault) => Err(fault),
            _ => Ok(()),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// Jobs that are awaited together.
pub(super) struct UnderWay<'j> {
    pub jobs: &'j [Job],
    pub progress: Vec<Progress>,
    pub started: Instant,
}

impl<'j> UnderWay<'j> {
    /// No job is requested yet.
    pub fn new(jobs: &'j [Job]) -> Self {
        let progress = jobs.iter().map(|_| Progress::Due).collect();
        Self { jobs, progress, started: Instant::now() }
    }

    /// For each job, in their order, nothing or why it went wrong.
    pub fn results(self) -> Vec<Result<(), JobFault>> {
        self.progress.into_iter().map(Progress::result).collect()
    }

    /// Continues until all jobs are over. If the connection is lost, the same jobs can continue over another one.
    pub fn go_on(&mut self, bus: &Bus, interrupted: &dyn Fn() -> bool) -> Result<(), ManagerError> {
        let job_results = bus.job_results()?;
        let mut run = job_results.run();
        let is_taken_up = self.progress.iter().any(|one| !matches!(one, Progress::Due));
        for (number, (job, one)) in self.jobs.iter().zip(&mut self.progress).enumerate() {
            if matches!(one, Progress::Due | Progress::Unanswered(_)) {
                block_on(bus.ask(job, one))?;
            }
            if let Progress::Running { path, .. } = one {
                run.expect(number, path.clone());
            }
        }
        run.started();
        timings::mark("D-Bus: jobs");
        self.await_ends(bus, &run, is_taken_up, interrupted)?;
        timings::mark("the units' own restart");
        block_on(bus.await_settled(self, interrupted))?;
        timings::mark("settle");
        Ok(())
    }

    /// Waits for the running jobs until each is done or its deadline is over. If they are `taken_up`, some may have
    /// ended before anybody listened.
    fn await_ends(
        &mut self,
        bus: &Bus,
        run: &Run<'_>,
        taken_up: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), ManagerError> {
        let mut look = if taken_up { Instant::now() } else { Instant::now() + LOOK };
        let mut gone = if taken_up { self.running() } else { Vec::new() };
        loop {
            let Some(next) = self.next_deadline() else { return Ok(()) };
            if interrupted() {
                self.interrupt();
                return Ok(());
            }
            if Instant::now() >= look {
                // Whatever ended by then has had the time of a look for its signal to come.
                gone = block_on(self.find_ended(bus, &gone))?;
                look = Instant::now() + LOOK;
                continue;
            }
            match run.next(next.min(Instant::now() + SLICE).min(look)) {
                Wait::Ended(JobResult { number, result }) => {
                    // One that is overdue stays so.
                    if let (Some(one), Some(job)) = (self.progress.get_mut(number), self.jobs.get(number))
                        && one.is_running()
                    {
                        *one = match result.as_str() {
                            "done" => Progress::Done,
                            "canceled" => block_on(bus.canceled(job))?,
                            result => Progress::Failed(answers::unfinished(&job.unit, result, bus.asking)),
                        };
                    }
                }
                Wait::Overdue => self.end_overdue(),
                Wait::Lost => return Err(lost("await jobs")),
            }
        }
    }

    fn running(&self) -> Vec<usize> {
        self.progress.iter().enumerate().filter(|(_, one)| one.is_running()).map(|(number, _)| number).collect()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.running().into_iter().map(|number| self.started + self.jobs[number].deadline).min()
    }

    fn end_overdue(&mut self) {
        for (job, one) in self.jobs.iter().zip(&mut self.progress) {
            if one.is_running() && self.started.elapsed() >= job.deadline {
                // Not canceled: the job of the rollback takes its place, and a unit that only takes long to stop would
                // otherwise be left stopped, with no job to start it again.
                *one = Progress::Failed(overdue(job));
            }
        }
    }

    /// Stops waiting for the jobs that are not over yet.
    pub fn interrupt(&mut self) {
        for one in &mut self.progress {
            if !matches!(one, Progress::Failed(_)) {
                *one = Progress::Failed(JobFault::Interrupted);
            }
        }
    }

    /// Looks which of the running jobs systemd no longer has, and judges those that it had no more when they were looked at
    /// `before`. Gives the others.
    async fn find_ended(&mut self, bus: &Bus, before: &[usize]) -> Result<Vec<usize>, ManagerError> {
        let running = self.running();
        let units: Vec<String> = running.iter().map(|number| self.jobs[*number].unit.clone()).collect();
        let listed = bus.list(&units).await?;
        let mut gone = Vec::new();
        for number in running {
            let job = &self.jobs[number];
            let Progress::Running { path, since } = &self.progress[number] else { continue };
            let unit = listed.get(&job.unit);
            if unit.is_some_and(|unit| unit.9 == *path) {
                continue;
            }
            if before.contains(&number) {
                self.progress[number] = bus.ended_unseen(job, unit, *since).await?;
            } else {
                gone.push(number);
            }
        }
        Ok(gone)
    }
}

/// A unit that did not get ready in time.
pub(super) fn overdue(job: &Job) -> JobFault {
    JobFault::Failed(format!("not done within {} s", job.deadline.as_secs_f64()))
}

fn now() -> Moment {
    u64::try_from(SystemClock.monotonic().as_micros()).unwrap_or(u64::MAX)
}

impl Bus {
    /// Requests a job, unless an earlier request had an effect.
    async fn ask(&self, job: &Job, progress: &mut Progress) -> Result<(), ManagerError> {
        let unit = job.unit.as_str();
        let listed = self.list(std::slice::from_ref(&job.unit)).await?;
        let listed = listed.get(unit);
        if let Progress::Unanswered(since) = *progress
            && let Some(found) = self.found(job, listed, since).await?
        {
            *progress = found;
            return Ok(());
        }
        let status = self.status_of(unit, listed).await?;
        let is_down = matches!(status.active_state.as_str(), "inactive" | "failed" | "deactivating");
        if matches!(job.verb, Verb::TryRestart | Verb::Reload) && !status.is_wanted() {
            *progress = Progress::Failed(answers::stopped(unit));
            return Ok(());
        }
        // Applies that follow each other quickly are no crash loop: forget the start rate limit (systemctl(1),
        // `reset-failed`). A unit that is not loaded has none.
        let _ = self.manager.reset_failed_unit(unit).await;
        let since = now();
        let started = match job.verb {
            // The dependencies do not change: a unit that somebody stopped stays down.
            Verb::Start => self.manager.start_unit(unit, "ignore-requirements").await,
            // If the unit is up, one that is stopped at this very moment stays stopped.
            Verb::Restart | Verb::TryRestart if !is_down => self.manager.try_restart_unit(unit, "replace").await,
            Verb::Reload if !is_down => self.manager.reload_unit(unit, "replace").await,
            Verb::Restart | Verb::TryRestart | Verb::Reload => self.manager.restart_unit(unit, "replace").await,
        };
        *progress = match started {
            Ok(path) => Progress::Running { path, since },
            Err(error @ zbus::Error::MethodError(..)) => Progress::Failed(JobFault::Refused(message(&error))),
            Err(error) if is_lost(&error) => {
                *progress = Progress::Unanswered(since);
                return Err(error).to(format!("start a job for {unit}"));
            }
            // systemd may have heard it all the same.
            Err(other) => Progress::Failed(JobFault::Hindered(format!("systemd does not answer: {other}"))),
        };
        Ok(())
    }

    /// The progress of a job whose request got no answer: it is under way, or over. `None`: systemd never received the
    /// request.
    async fn found(
        &self,
        job: &Job,
        listed: Option<&ListedUnit>,
        since: Moment,
    ) -> Result<Option<Progress>, ManagerError> {
        let Some(listed) = listed else { return Ok(None) };
        if answers::is_alike(&listed_unit(listed), job.verb) {
            return Ok(Some(Progress::Running { path: listed.9.clone(), since }));
        }
        let changes = self.changes(listed).await?;
        if changes.last() > since {
            return self.ended_unseen(job, Some(listed), since).await.map(Some);
        }
        Ok(None)
    }

    /// The result of a job whose end nobody saw, from the present state of its unit.
    async fn ended_unseen(
        &self,
        job: &Job,
        listed: Option<&ListedUnit>,
        since: Moment,
    ) -> Result<Progress, ManagerError> {
        let Some(listed) = listed else {
            return Ok(Progress::Failed(JobFault::Failed("systemd no longer knows it".to_owned())));
        };
        let found = listed_unit(listed);
        let reload_failed = job.verb == Verb::Reload && !found.is_down() && self.reload_failed(listed).await?;
        let changes = self.changes(listed).await?;
        Ok(match answers::ended_unseen(&found, reload_failed, changes, since, self.asking) {
            Ok(()) => Progress::Done,
            Err(fault) => Progress::Failed(fault),
        })
    }

    /// The result of a canceled job for its unit: another job took its place, or somebody canceled it.
    async fn canceled(&self, job: &Job) -> Result<Progress, ManagerError> {
        let unit = job.unit.as_str();
        let listed = self.list(std::slice::from_ref(&job.unit)).await?;
        Ok(match answers::canceled(&self.status_of(unit, listed.get(unit)).await?) {
            Ok(()) => Progress::Done,
            Err(fault) => Progress::Failed(fault),
        })
    }

    async fn changes(&self, listed: &ListedUnit) -> Result<Changes, ManagerError> {
        let unit = self.unit(listed.6.clone()).await?;
        let read = || format!("read when {} changed", listed.0);
        Ok(Changes {
            began: unit.inactive_exit_timestamp_monotonic().await.to(read())?,
            stopped: unit.inactive_enter_timestamp_monotonic().await.to(read())?,
            left: unit.active_exit_timestamp_monotonic().await.to(read())?,
        })
    }
}
