//! Programs that are run under a deadline: a service's check and probe, the Nix evaluator.
//!
//! Takes the words of a command (no shell) and gives its output. A program that is not done in time is killed with all
//! that it started.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// A program that ended by itself.
#[derive(Debug)]
pub struct Output {
    /// How.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// What it said for people, standard error first, trimmed.
    #[must_use]
    pub fn words(&self) -> String {
        let (error, output) = (String::from_utf8_lossy(&self.stderr), String::from_utf8_lossy(&self.stdout));
        [error.trim(), output.trim()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// A program that did not end by itself, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
    /// It can't be started or watched.
    #[error("cannot run {program}: {source}")]
    Unrunnable {
        /// The first word.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It was killed at its deadline.
    #[error("{program} was not done within {} s and was killed", deadline.as_secs_f64())]
    Overdue {
        /// The first word.
        program: String,
        /// What it had.
        deadline: Duration,
    },
}

/// Runs `command`, its input empty, and waits for it up to `deadline`.
pub fn run(command: &[String], deadline: Duration) -> Result<Output, ProcessError> {
    run_in(None, command, deadline)
}

/// The same, with `directory` as its working directory.
pub fn run_in(directory: Option<&Utf8Path>, command: &[String], deadline: Duration) -> Result<Output, ProcessError> {
    let (program, arguments) = command.split_first().ok_or(ProcessError::Empty)?;
    let unrunnable = |source| ProcessError::Unrunnable { program: program.clone(), source };
    let (mut stdout, to_stdout) = io::pipe().map_err(unrunnable)?;
    let (mut stderr, to_stderr) = io::pipe().map_err(unrunnable)?;
    let mut process = Command::new(program);
    process.args(arguments).stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr).process_group(0);
    if let Some(directory) = directory {
        process.current_dir(directory);
    }
    let mut group = Group { child: process.spawn().map_err(unrunnable)? };
    // Else our own ends would keep the pipes open.
    drop(process);
    let mut texts = [Vec::new(), Vec::new()];
    let done = watch(&mut group.child, [&mut stdout, &mut stderr], &mut texts, deadline).map_err(unrunnable)?;
    let Some(status) = done else {
        return Err(ProcessError::Overdue { program: program.clone(), deadline });
    };
    let [stdout, stderr] = texts;
    Ok(Output { status, stdout, stderr })
}

/// Whatever way this ends, nothing of what was started stays behind.
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone already; nothing else can be done about it here.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Reads what the program writes until it ends; `None` at the deadline.
fn watch(
    child: &mut Child,
    mut pipes: [&mut PipeReader; 2],
    texts: &mut [Vec<u8>; 2],
    deadline: Duration,
) -> io::Result<Option<ExitStatus>> {
    for pipe in &pipes {
        fcntl_setfl(pipe, OFlags::NONBLOCK)?;
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let process: File = pidfd_open(pid, PidfdFlags::empty())?.into();
    let end = Instant::now() + deadline;
    let mut open = [true, true];
    loop {
        let mut descriptors = vec![PollFd::new(&process, PollFlags::IN)];
        descriptors.extend(
            pipes
                .iter()
                .zip(open)
                .filter(|(_, open)| *open)
                .map(|(pipe, _)| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)),
        );
        let left = end.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            other => drop(other?),
        }
        let ended = !descriptors[0].revents().is_empty();
        for ((pipe, text), open) in pipes.iter_mut().zip(texts.iter_mut()).zip(&mut open) {
            *open = *open && drain(pipe, text)?;
        }
        if ended {
            return child.wait().map(Some);
        }
    }
}

/// Reads what is there now; `false` at the end of the stream.
fn drain(pipe: &mut PipeReader, text: &mut Vec<u8>) -> io::Result<bool> {
    match pipe.read_to_end(text) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Result<Output, ProcessError> {
        run(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], deadline)
    }

    #[test]
    fn output_larger_than_a_pipe_is_read_whole() {
        let output = shell("head -c 300000 /dev/zero; echo no >&2; exit 3", Duration::from_secs(20)).unwrap();
        assert_eq!((output.stdout.len(), output.status.code()), (300_000, Some(3)));
        assert_eq!(output.stderr, b"no\n");
    }

    #[test]
    fn at_the_deadline_all_that_it_started_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let script = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let error = shell(&script, Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, ProcessError::Overdue { .. }), "{error}");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists());
    }

    #[test]
    fn a_background_process_does_not_hold_up_the_end() {
        let output = shell("sleep 60 & echo done", Duration::from_secs(20)).unwrap();
        assert_eq!(output.words(), "done");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&["/no/such/program".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("cannot run /no/such/program: "), "{error}");
    }
}
