//! A `nix repl` that is asked for the values of expressions, one after the other.
//!
//! What one evaluation has read and computed of its arguments stays for the next one. The answers come as traces
//! (`builtins.trace`, on standard error), each a line that begins with a word that nothing else says. The repl prints
//! nothing else that is of use, and goes on after an expression that fails.

use std::io::{self, PipeReader, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use serde_json::Value;

use super::LARGEST;
use crate::host::process::{self, Block, Group};

/// Where the repl keeps its history of lines.
const HISTORY: &str = "XDG_DATA_HOME";

/// The size of the heap that the garbage collector begins with (gc(3)). A collection takes nearly as long as an evaluation:
/// who asks does not wait for one, as above this size the evaluator begins anew when nobody asks.
const HEAP: &str = "GC_INITIAL_HEAP_SIZE";

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum ReplError {
    /// The expression has none. The next one may.
    #[error("the evaluation failed")]
    Failed,
    /// The repl is of no more use.
    #[error("nix repl {0}")]
    Broken(String),
}

/// A running repl, with a name bound to a value.
#[derive(Debug)]
pub struct Repl {
    process: Group,
    input: ChildStdin,
    errors: PipeReader,
    /// What was read and not looked at.
    read: Vec<u8>,
    /// The word that answers begin with.
    word: String,
    asked: u64,
}

impl Repl {
    /// Starts it with the attributes of `scope`, a Nix expression for a set, as its names. Relative paths are below
    /// `directory`; its files are in `own`, a directory of root's. It collects no garbage below `memory` MiB.
    pub fn start(
        command: &[String],
        scope: &str,
        directory: &Utf8Path,
        own: &Utf8Path,
        memory: u64,
    ) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (errors, to_errors) = io::pipe()?;
        fcntl_setfl(&errors, OFlags::NONBLOCK)?;
        let mut repl = Command::new(program);
        repl.args(arguments).args(["--expr", scope]).current_dir(directory).process_group(0);
        repl.env_clear().envs(process::environment()).env(HISTORY, own).env(HEAP, format!("{memory}M"));
        repl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(to_errors);
        let mut process = Group { child: repl.spawn()? };
        let input = process.child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let word = format!("dynix-{}-{:?}", std::process::id(), Instant::now());
        let word = crate::host::digest::sha256(word.as_bytes());
        Ok(Self { process, input, errors, read: Vec::new(), word, asked: 0 })
    }

    /// The value of an expression, which has to be plain data on one line.
    pub fn ask(&mut self, expression: &str, deadline: Duration) -> Result<Value, ReplError> {
        self.asked += 1;
        let (word, number) = (&self.word, self.asked);
        let (answer, end) = (format!("{word}{number}="), format!("{word}{number}."));
        // In two parts: an error shows the expression that failed.
        let lines = format!(
            "builtins.trace (\"{word}\" + \"{number}=\" + builtins.toJSON ({expression})) null\n\
             builtins.trace (\"{word}\" + \"{number}.\") null\n"
        );
        let broken = |error: io::Error| ReplError::Broken(format!("can't be asked: {error}"));
        self.input.write_all(lines.as_bytes()).and_then(|()| self.input.flush()).map_err(broken)?;
        let deadline = Instant::now() + deadline;
        let mut value = None;
        loop {
            let line = self.line(deadline)?;
            if let Some(at) = line.find(&answer) {
                let json = &line[at + answer.len()..];
                let read = serde_json::from_str(json);
                value = Some(read.map_err(|error| ReplError::Broken(format!("gave no JSON: {error}")))?);
            } else if line.contains(&end) {
                return value.ok_or(ReplError::Failed);
            }
        }
    }

    /// The next line that it writes.
    fn line(&mut self, deadline: Instant) -> Result<String, ReplError> {
        let broken = |error: io::Error| ReplError::Broken(format!("can't be read: {error}"));
        let mut looked = 0;
        loop {
            if let Some(end) = self.read[looked..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=looked + end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            looked = self.read.len();
            if looked as u64 > LARGEST {
                return Err(ReplError::Broken(format!("wrote a line of more than {} MiB", LARGEST >> 20)));
            }
            match process::next_block(&mut self.errors, &mut self.read).map_err(broken)? {
                Block::Read => {}
                Block::End => return Err(ReplError::Broken("has ended".to_owned())),
                Block::None => self.wait(deadline)?,
            }
        }
    }

    /// Waits until it has written something.
    fn wait(&self, deadline: Instant) -> Result<(), ReplError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ReplError::Broken("was not done in time".to_owned()));
        }
        let timeout =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::from_borrowed_fd(self.errors.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(ReplError::Broken(format!("can't be waited for: {error}"))),
        }
    }

    /// The resident memory of all of its processes in MiB.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let group = self.process.child.id().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let kibibytes: u64 = processes.filter_map(|one| resident(&one.path(), &group)).sum();
        kibibytes >> 10
    }
}

/// The resident memory of a process in KiB (`proc_pid_status(5)`), if it is of a process group (`proc_pid_stat(5)`).
fn resident(process: &Path, group: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The name of the program before it may have blanks and brackets.
    if stat.rsplit_once(')')?.1.split_whitespace().nth(2)? != group {
        return None;
    }
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.split_whitespace().next()?.parse().ok()
}
