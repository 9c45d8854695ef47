//! Runs a program under ptrace(2): shows each of its system calls on files below one directory, and can kill it there,
//! let the call fail, or let it write less.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::calls::{Call, Effect, decode};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made.
    Pass,
    /// The process is killed before it.
    Kill,
    /// It is not made, and gives this error.
    Fail(Errno),
    /// Of a write, only so many bytes are written; the program is told so.
    Short(u64),
    /// The same, and the process is killed then.
    ShortAndKill(u64),
}

/// How the program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `None` if it was killed.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Every call on files below the root, in order.
    pub calls: Vec<Call>,
    /// Whether a call that is no write was to be made short: it was killed there. What a run reads depends on the time, for
    /// what was written just now is not taken from a cache.
    pub is_misplaced: bool,
}

/// linux/ptrace.h, `PTRACE_SYSCALL_INFO_*`.
const ENTRY: u8 = 1;
const EXIT: u8 = 2;

/// Runs `command`; `fate` is asked at each call on files below `root`.
pub fn run(command: &Command, root: &Utf8Path, mut fate: impl FnMut(&Call) -> Fate) -> Ended {
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let pid = start(command, &stdout, &stderr);
    let mut calls: Vec<Call> = Vec::new();
    // What is to be done when a call of a thread returns, and which call it was.
    let mut within: HashMap<Pid, (usize, Fate)> = HashMap::new();
    let mut running = false;
    let mut is_misplaced = false;
    let code = loop {
        // Only children of this thread: other tests wait for theirs.
        let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)).unwrap() {
            WaitStatus::Exited(thread, code) if thread == pid => break Some(code),
            WaitStatus::Signaled(thread, Signal::SIGKILL, _) if thread == pid => break None,
            WaitStatus::Signaled(thread, signal, _) if thread == pid => panic!("it died of {signal}"),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
            WaitStatus::PtraceEvent(thread, _, event) => {
                running |= event == nix::libc::PTRACE_EVENT_EXEC;
                (thread, None)
            }
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::PtraceSyscall(thread) => {
                // The process may have been killed meanwhile.
                let Ok(info) = ptrace::syscall_info(thread) else { continue };
                match info.op {
                    ENTRY => is_misplaced |= enter(thread, root, &mut fate, &mut calls, &mut within, pid),
                    EXIT => leave(thread, &mut calls, &mut within, pid),
                    _ => {}
                }
                (thread, None)
            }
            other => panic!("unexpected: {other:?}"),
        };
        let resumed = if running { ptrace::syscall(thread, signal) } else { ptrace::cont(thread, signal) };
        assert!(matches!(resumed, Ok(()) | Err(Errno::ESRCH)), "{resumed:?}");
    };
    let (stdout, stderr) = (read_from_start(&mut stdout), read_from_start(&mut stderr));
    Ended { code, stdout, stderr, calls, is_misplaced }
}

/// Starts a shell that stops, to become the program once it is traced.
fn start(command: &Command, stdout: &std::fs::File, stderr: &std::fs::File) -> Pid {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    #[allow(clippy::zombie_processes)] // `run` waits for it, with waitpid(2)
    let child = shell.spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    if let Err(error) = ptrace::seize(pid, options) {
        kill(pid, Signal::SIGKILL).unwrap();
        panic!("cannot trace: {error}");
    }
    kill(pid, Signal::SIGCONT).unwrap();
    pid
}

type Within = HashMap<Pid, (usize, Fate)>;

/// Gives whether the fate was not one of this call.
fn enter(
    thread: Pid,
    root: &Utf8Path,
    fate: &mut impl FnMut(&Call) -> Fate,
    calls: &mut Vec<Call>,
    within: &mut Within,
    pid: Pid,
) -> bool {
    let Ok(mut registers) = ptrace::getregs(thread) else { return false };
    let Some(call) = decode(thread, &registers) else { return false };
    if !call.path.starts_with(root) {
        return false;
    }
    let mut fate = fate(&call);
    let is_write = call.name == "write" || call.name == "pwrite64";
    let is_misplaced = matches!(fate, Fate::Short(_) | Fate::ShortAndKill(_)) && !is_write;
    if is_misplaced {
        fate = Fate::Kill;
    }
    match fate {
        Fate::Pass => {}
        Fate::Kill => kill(pid, Signal::SIGKILL).unwrap(),
        Fate::Fail(_) => {
            // No such call: nothing happens, and what it gives is replaced.
            registers.orig_rax = u64::MAX;
            ptrace::setregs(thread, registers).unwrap();
        }
        Fate::Short(length) | Fate::ShortAndKill(length) => {
            registers.rdx = length;
            ptrace::setregs(thread, registers).unwrap();
        }
    }
    within.insert(thread, (calls.len(), fate));
    calls.push(call);
    is_misplaced
}

fn leave(thread: Pid, calls: &mut [Call], within: &mut Within, pid: Pid) {
    let Some((index, fate)) = within.remove(&thread) else { return };
    let Ok(mut registers) = ptrace::getregs(thread) else { return };
    if let Fate::Fail(errno) = fate {
        registers.rax = (-(errno as i64)).cast_unsigned();
        ptrace::setregs(thread, registers).unwrap();
    }
    let call = &mut calls[index];
    call.result = registers.rax.cast_signed();
    if let Effect::Write { bytes, .. } = &mut call.effect {
        bytes.truncate(usize::try_from(call.result).unwrap_or_default());
    }
    if matches!(fate, Fate::ShortAndKill(_)) {
        kill(pid, Signal::SIGKILL).unwrap();
    }
}

fn read_from_start(file: &mut std::fs::File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Why nothing can be traced here.
pub fn obstacle() -> Option<String> {
    let trace = || run(&Command::new("/bin/true"), Utf8Path::new("/"), |_| Fate::Pass);
    match std::panic::catch_unwind(trace) {
        Ok(ended) if ended.code == Some(0) && !ended.calls.is_empty() => None,
        Ok(ended) => Some(format!("a traced /bin/true ended with {:?}, {} calls seen", ended.code, ended.calls.len())),
        Err(_) => Some("ptrace(2) is not permitted".to_owned()),
    }
}
