//! The daemon on a tree of its own: the real binary behind a socket, and clients of every kind.

mod changes;
mod crowd;
mod examples;
pub mod handler;
mod kills;
mod misuse;
mod model;
mod policy;
mod reading;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::support::{Run, System, finish, through};

pub const WORKERS: &str = "services.harmonia.settings.workers";
pub const JOBS: &str = "services.distccd.maxJobs";
/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A system with its daemon, which is killed with it.
pub struct Daemon {
    pub system: System,
    process: Child,
}

impl Daemon {
    pub fn new() -> Self {
        Self::on(System::new(), &[])
    }

    pub fn on(system: System, arguments: &[&str]) -> Self {
        let process = start(&system, arguments);
        Self { system, process }
    }

    /// One that may have so many files open.
    pub fn with_files(system: System, files: usize) -> Self {
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        let socket = socket(&system);
        let command = through(&script, &system.command(&["--socket", socket.as_str(), "daemon"]));
        let process = listening(&system, command);
        Self { system, process }
    }

    /// Seconds of a processor that it has taken.
    pub fn processor(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The 14th and 15th field (proc_pid_stat(5)), in hundredths; the second one, the name, is in parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap() / 100.0).sum()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn socket(&self) -> Utf8PathBuf {
        socket(&self.system)
    }

    pub fn connect(&self) -> Client {
        Client::to(&self.system)
    }

    /// The command line, which asks the daemon.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let socket = self.socket();
        let arguments: Vec<&str> = ["--socket", socket.as_str()].iter().chain(arguments).copied().collect();
        finish(&mut self.system.command(&arguments))
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub fn ends(&mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn restart(&mut self, arguments: &[&str]) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = start(&self.system, arguments);
    }

    /// In kB, from /proc (`proc_pid_status(5)`).
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(system: &System) -> Utf8PathBuf {
    system.path("run/dynix/dynix.sock")
}

fn start(system: &System, arguments: &[&str]) -> Child {
    let socket = socket(system);
    let words: Vec<&str> = ["--socket", socket.as_str(), "daemon"].iter().chain(arguments).copied().collect();
    listening(system, system.command(&words))
}

fn listening(system: &System, mut command: std::process::Command) -> Child {
    let socket = socket(system);
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(start.elapsed() < PATIENCE, "it does not listen");
        std::thread::sleep(Duration::from_millis(2));
    }
    process
}

/// A connection that says what it likes.
pub struct Client(pub BufReader<UnixStream>);

impl Client {
    pub fn to(system: &System) -> Self {
        Self::at(&socket(system))
    }

    pub fn at(socket: &Utf8Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub fn say(&mut self, message: &Value) {
        self.send(&[message.to_string().as_bytes(), b"\0"].concat());
    }

    pub fn hear(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "it was hung up");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Whether there is nothing more to hear.
    pub fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(length) => length == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Calls a method of the daemon's interface.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.say(&json!({"method": format!("io.dynix.Settings.{method}"), "parameters": parameters}));
        self.hear()
    }

    pub fn get(&mut self, path: &str) -> Value {
        self.call("Get", &json!({ "path": path }))["parameters"].clone()
    }
}

/// Does something as another user: the kernel has users for each thread. Only root can do that.
pub fn as_user<T: Send>(system: &System, user: u32, what: impl FnOnce() -> T + Send) -> Option<T> {
    if !rustix::process::geteuid().is_root() {
        crate::support::skip("what other users may: needs root");
        return None;
    }
    std::fs::set_permissions(system.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = std::thread::scope(|scope| {
        let become_user = move || {
            let user = rustix::process::Uid::from_raw(user);
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            what()
        };
        scope.spawn(become_user).join().unwrap()
    });
    Some(done)
}

/// Asks until it is so.
pub fn until(mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "it never is");
        std::thread::sleep(Duration::from_millis(5));
    }
}
