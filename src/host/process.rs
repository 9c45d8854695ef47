//! Runs programs under a deadline: a service's check and probe, the Nix evaluator.
//!
//! Takes the words of a command (no shell) and gives its output. A program that does not end in time is killed with all
//! processes that it started. It inherits nothing from the user who runs dynix: it has an environment of its own, works
//! in the root directory, and has no open file except its standard streams ([`crate::host::environment`]).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// The directories of programs that are run by name. root's programs ignore the caller's PATH. Programs of another user
/// can do no more than that user, and may be found where the user has them.
const PATH: &str = "/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most bytes that a program may write to one of its streams.
const OUTPUT: usize = 64 << 20;
/// The interval in which a waiting caller is asked whether to continue.
pub const SLICE: Duration = Duration::from_millis(50);
/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// Becomes a program that belongs to this one: it is beside it, or in a directory of the system. Gives why that failed.
#[must_use]
pub fn become_own(name: &str, words: &[OsString]) -> io::Error {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(name)));
    let elsewhere = PATH.split(':').map(|directory| std::path::Path::new(directory).join(name));
    match beside.into_iter().chain(elsewhere).find(|program| program.is_file()) {
        Some(program) => Command::new(program).args(words).exec(),
        None => io::Error::new(io::ErrorKind::NotFound, format!("there is no {name} beside this program or in {PATH}")),
    }
}

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
    /// Its output for people, standard error first, trimmed.
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
        /// The system's error.
        source: io::Error,
    },
    /// It was killed at its deadline.
    #[error("{program} was not done within {} s and was killed", deadline.as_secs_f64())]
    Overdue {
        /// The first word.
        program: String,
        /// The deadline that it had.
        deadline: Duration,
    },
    /// It was killed because nobody waits for it any more.
    #[error("interrupted")]
    Interrupted,
    /// It was killed for what it wrote.
    #[error("{program} wrote more than {} MiB and was killed", OUTPUT >> 20)]
    Talkative {
        /// The first word.
        program: String,
    },
}

/// Whether a program that does not succeed reports that itself. A program that a signal killed does not, nor does a
/// shell whose program did not start or was killed (the exit statuses 126, 127 and 128 + n, POSIX, 2.8.2).
#[must_use]
pub fn is_verdict(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| !matches!(code, 126 | 127 | 129..=192))
}

/// Runs `command`, its input empty, and waits for it up to `deadline`.
pub fn run(command: &[String], deadline: Duration) -> Result<Output, ProcessError> {
    run_in_unless(None, command, deadline, &|| false)
}

/// The same, for as long as `interrupted` says no.
pub fn run_unless(
    command: &[String],
    deadline: Duration,
    interrupted: &dyn Fn() -> bool,
) -> Result<Output, ProcessError> {
    run_in_unless(None, command, deadline, interrupted)
}

/// The same, with `directory` as its working directory.
pub fn run_in_unless(
    directory: Option<&Utf8Path>,
    command: &[String],
    deadline: Duration,
    interrupted: &dyn Fn() -> bool,
) -> Result<Output, ProcessError> {
    let (program, arguments) = command.split_first().ok_or(ProcessError::Empty)?;
    let unrunnable = |source| ProcessError::Unrunnable { program: program.clone(), source };
    let (mut stdout, to_stdout) = io::pipe().map_err(unrunnable)?;
    let (mut stderr, to_stderr) = io::pipe().map_err(unrunnable)?;
    let mut process = Command::new(program);
    process.args(arguments).stdin(Stdio::null()).stdout(to_stdout).stderr(to_stderr).process_group(0);
    process.current_dir(directory.unwrap_or(Utf8Path::new("/"))).env_clear().envs(environment());
    let mut group = Group { child: process.spawn().map_err(unrunnable)? };
    // Otherwise our own ends would keep the pipes open.
    drop(process);
    let mut texts = [Vec::new(), Vec::new()];
    let done =
        watch(&mut group.child, [&mut stdout, &mut stderr], &mut texts, deadline, interrupted).map_err(unrunnable)?;
    let [stdout, stderr] = texts;
    match done {
        Watched::Ended(status) => Ok(Output { status, stdout, stderr }),
        Watched::Overdue => Err(ProcessError::Overdue { program: program.clone(), deadline }),
        Watched::Interrupted => Err(ProcessError::Interrupted),
        Watched::Talkative => Err(ProcessError::Talkative { program: program.clone() }),
    }
}

/// All that a program knows of its surroundings.
pub(super) fn environment() -> Vec<(&'static str, OsString)> {
    let own = std::env::var_os("PATH").filter(|_| !rustix::process::geteuid().is_root());
    let mut known = vec![("PATH", own.unwrap_or_else(|| PATH.into())), ("LANG", "C.UTF-8".into())];
    // A unit that may not mount tells Nix so (`systemd::hardening`).
    known.extend(std::env::var_os("NIX_REMOTE").filter(|store| store == "daemon").map(|store| ("NIX_REMOTE", store)));
    known
}

/// Kills the whole process group when it is dropped, so that no process stays behind.
#[derive(Debug)]
pub(super) struct Group {
    /// The process that leads it.
    pub(super) child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Best effort: the group may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The result of watching a program.
enum Watched {
    Ended(ExitStatus),
    Overdue,
    Interrupted,
    Talkative,
}

/// Reads what the program writes until it ends, or has to.
fn watch(
    child: &mut Child,
    mut pipes: [&mut PipeReader; 2],
    texts: &mut [Vec<u8>; 2],
    deadline: Duration,
    interrupted: &dyn Fn() -> bool,
) -> io::Result<Watched> {
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
        if interrupted() {
            return Ok(Watched::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now()).min(SLICE);
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) if Instant::now() >= end => return Ok(Watched::Overdue),
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            other => drop(other?),
        }
        let ended = !descriptors[0].revents().is_empty();
        for ((pipe, text), open) in pipes.iter_mut().zip(texts.iter_mut()).zip(&mut open) {
            while *open {
                match next_block(pipe, text)? {
                    Block::Read if text.len() > OUTPUT => return Ok(Watched::Talkative),
                    // After the program has ended, all output counts; before, the deadline is checked between reads.
                    Block::Read if ended => {}
                    Block::Read | Block::None => break,
                    Block::End => *open = false,
                }
            }
        }
        if ended {
            return child.wait().map(Watched::Ended);
        }
    }
}

/// The content of a pipe.
pub(super) enum Block {
    Read,
    None,
    End,
}

/// Reads some of what is there.
pub(super) fn next_block(pipe: &mut PipeReader, text: &mut Vec<u8>) -> io::Result<Block> {
    let filled = text.len();
    text.resize(filled + BLOCK, 0);
    let read = pipe.read(&mut text[filled..]);
    text.truncate(filled + read.as_ref().copied().unwrap_or_default());
    match read {
        Ok(0) => Ok(Block::End),
        Ok(_) => Ok(Block::Read),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Block::None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Block::Read),
        Err(error) => Err(error),
    }
}

/// The program that runs.
pub fn this_program() -> anyhow::Result<Utf8PathBuf> {
    let program = std::env::current_exe().context("cannot find this program; give --dynix")?;
    Utf8PathBuf::try_from(program).context("this program's path is no text; give --dynix")
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
    fn a_program_that_never_stops_writing_is_killed() {
        let error = shell("exec cat /dev/zero", Duration::from_secs(60)).unwrap_err();
        assert!(matches!(error, ProcessError::Talkative { .. }), "{error}");
        let kept = shell("head -c 67108864 /dev/zero", Duration::from_secs(60)).unwrap();
        assert_eq!(kept.stdout.len(), OUTPUT);
        // What it leaves behind may go on writing.
        let error = shell("cat /dev/zero & exit 0", Duration::from_secs(60));
        assert!(matches!(error, Ok(_) | Err(ProcessError::Talkative { .. })), "{error:?}");
    }

    #[test]
    fn a_program_has_an_environment_of_its_own() {
        let output = shell("pwd; exec cat /proc/self/environ", Duration::from_secs(20)).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (directory, environment) = text.split_once('\n').unwrap();
        assert_eq!(directory, "/");
        // A shell adds some of its own.
        let mut names: Vec<&str> =
            environment.split_terminator('\0').filter_map(|one| Some(one.split_once('=')?.0)).collect();
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["LANG", "PATH"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&["/no/such/program".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("cannot run /no/such/program: "), "{error}");
    }
}
