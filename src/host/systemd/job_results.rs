//! The results of systemd's jobs: one listener for all who wait.
//!
//! zbus gives each stream of signals a queue, and reads nothing more while one of them is full. A caller that waits for
//! jobs also makes calls, and takes no signals meanwhile; with some dozens of jobs nobody would get an answer any more.
//! So one thread only takes the signals, and sends each caller the results of its own jobs.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use zbus::{OwnedObjectPath, block_on};

use super::proxies::JobRemovedStream;

/// The ends of all jobs, as they come.
#[derive(Debug, Default)]
pub(super) struct JobResults(Mutex<Results>);

#[derive(Debug, Default)]
struct Results {
    waiting: HashMap<OwnedObjectPath, (Sender<JobResult>, usize)>,
    /// Jobs that nobody waits for: one may end before the caller knows its path.
    unclaimed: HashMap<OwnedObjectPath, String>,
    runs: usize,
    /// There will be no more signals.
    lost: bool,
}

/// The end of one job of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JobResult {
    /// Which of its jobs.
    pub number: usize,
    /// systemd's name for it: `done`, `failed`, `timeout`, ...
    pub result: String,
}

/// The result of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Ended(JobResult),
    /// It is too late.
    Overdue,
    /// There will be no more signals.
    Lost,
}

/// Some jobs that are awaited together.
pub(super) struct Run<'e> {
    job_results: &'e JobResults,
    sender: Sender<JobResult>,
    receiver: Receiver<JobResult>,
    expected: Vec<OwnedObjectPath>,
}

impl JobResults {
    /// Listens until the connection is closed.
    pub fn listen(mut signals: JobRemovedStream) -> std::io::Result<Arc<Self>> {
        let job_results = Arc::new(Self::default());
        let results = Arc::clone(&job_results);
        let listen = move || {
            while let Some(signal) = block_on(signals.next()) {
                if let Ok(arguments) = signal.args() {
                    results.tell(arguments.job().as_str(), arguments.result());
                }
            }
            results.end();
        };
        std::thread::Builder::new().name("jobs".to_owned()).spawn(listen)?;
        Ok(job_results)
    }

    /// Before the first of its jobs is started.
    pub fn run(&self) -> Run<'_> {
        let (sender, receiver) = mpsc::channel();
        self.results().runs += 1;
        Run { job_results: self, sender, receiver, expected: Vec::new() }
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, job: &str, result: &str) {
        let mut results = self.results();
        let Ok(path) = OwnedObjectPath::try_from(job) else { return };
        match results.waiting.remove(&path) {
            // It may have given up.
            Some((sender, number)) => drop(sender.send(JobResult { number, result: result.to_owned() })),
            // A job of another process: no caller here has a job whose path is unknown.
            None if results.runs == 0 => {}
            None => drop(results.unclaimed.insert(path, result.to_owned())),
        }
    }

    fn end(&self) {
        let mut results = self.results();
        results.lost = true;
        // Callers that wait notice that no results come any more.
        results.waiting.clear();
    }
}

impl Run<'_> {
    /// The job with this number has this path.
    pub fn expect(&mut self, number: usize, path: OwnedObjectPath) {
        let mut results = self.job_results.results();
        if let Some(result) = results.unclaimed.remove(&path) {
            drop(self.sender.send(JobResult { number, result }));
        } else if !results.lost {
            results.waiting.insert(path.clone(), (self.sender.clone(), number));
            self.expected.push(path);
        }
    }

    /// No more jobs are expected than those so far.
    pub fn started(&mut self) {
        self.sender = mpsc::channel().0;
    }

    /// The next of its jobs that ends, if one does before `deadline`.
    pub fn next(&self, deadline: Instant) -> Wait {
        let patience = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match self.receiver.recv_timeout(patience) {
            Ok(ending) => Wait::Ended(ending),
            Err(RecvTimeoutError::Timeout) => Wait::Overdue,
            Err(RecvTimeoutError::Disconnected) => Wait::Lost,
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let mut results = self.job_results.results();
        for path in &self.expected {
            results.waiting.remove(path);
        }
        results.runs -= 1;
        if results.runs == 0 {
            results.unclaimed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: usize) -> OwnedObjectPath {
        OwnedObjectPath::try_from(job(number)).unwrap()
    }

    fn job(number: usize) -> String {
        format!("/org/freedesktop/systemd1/job/{number}")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn done(number: usize) -> Wait {
        Wait::Ended(JobResult { number, result: "done".to_owned() })
    }

    #[test]
    fn each_run_hears_of_its_own_jobs_only() {
        let job_results = JobResults::default();
        let (mut one, mut other) = (job_results.run(), job_results.run());
        one.expect(0, path(7));
        other.expect(0, path(8));
        one.started();
        other.started();
        job_results.tell(&job(9), "done");
        job_results.tell(&job(8), "done");
        assert_eq!(other.next(soon()), done(0));
        assert_eq!(one.next(Instant::now()), Wait::Overdue);
    }

    #[test]
    fn a_job_may_end_before_its_path_is_known() {
        let job_results = JobResults::default();
        let mut run = job_results.run();
        job_results.tell(&job(7), "done");
        run.expect(3, path(7));
        run.started();
        assert_eq!(run.next(soon()), done(3));
    }

    #[test]
    fn thousands_may_end_while_nobody_looks() {
        let job_results = JobResults::default();
        let mut run = job_results.run();
        (0..5000).for_each(|number| job_results.tell(&job(number), "done"));
        (0..5000).for_each(|number| run.expect(number, path(number)));
        run.started();
        (0..5000).for_each(|number| assert_eq!(run.next(soon()), done(number)));
    }

    #[test]
    fn nobody_waits_for_a_connection_that_is_gone() {
        let job_results = JobResults::default();
        let mut run = job_results.run();
        run.expect(0, path(7));
        run.started();
        job_results.end();
        assert_eq!(run.next(soon()), Wait::Lost);
        let mut late = job_results.run();
        late.expect(0, path(8));
        late.started();
        assert_eq!(late.next(soon()), Wait::Lost);
    }

    #[test]
    fn nothing_is_kept_when_nobody_waits() {
        let job_results = JobResults::default();
        job_results.tell(&job(1), "done");
        let run = job_results.run();
        job_results.tell(&job(2), "done");
        assert_eq!(job_results.results().unclaimed.len(), 1);
        drop(run);
        assert!(job_results.results().unclaimed.is_empty());
    }
}
