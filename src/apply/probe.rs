//! A service's own judgement: its check of staged files, and the probe that shows it working.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::http;
use crate::plan::{Health, Probe};
use crate::process;

/// Most of a program's words that a message shows, in bytes.
const SHOWN: usize = 2000;

/// Runs a check; why it refuses.
pub fn check(command: &[String], deadline: f64) -> Result<(), String> {
    let output = process::run(command, Duration::from_secs_f64(deadline)).map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.first().map_or("", String::as_str);
    Err(format!("{program} refused it ({}): {}", output.status, shown(&output.words())))
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Probes until it succeeds; the last failure when it does not in time.
pub fn await_health(health: &Health) -> Result<(), String> {
    std::thread::sleep(Duration::from_secs_f64(health.grace));
    let end = Instant::now() + Duration::from_secs_f64(health.deadline);
    loop {
        let Err(fault) = once(&health.probe, end) else { return Ok(()) };
        let pause = Duration::from_secs_f64(health.interval);
        if Instant::now() + pause >= end {
            return Err(format!("not healthy within {} s: {fault}", health.deadline));
        }
        std::thread::sleep(pause);
    }
}

/// What is left until `end`; a little where nothing is, since no time at all means for ever to sockets.
pub(super) fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn once(probe: &Probe, end: Instant) -> Result<(), String> {
    match probe {
        Probe::Command(command) => {
            let output = process::run(command, left(end)).map_err(|error| error.to_string())?;
            if output.status.success() { Ok(()) } else { Err(format!("{}: {}", output.status, shown(&output.words()))) }
        }
        Probe::Http(url) => http::get(url, end),
        Probe::Tcp(address) => connect(address, end).map(drop),
        Probe::Unix(path) => connect_unix(path).map_err(|error| format!("{path}: {error}")),
    }
}

/// A connection to the first of an address's hosts that takes one.
pub(super) fn connect(address: &str, end: Instant) -> Result<TcpStream, String> {
    let mut fault = format!("{address} has no address");
    for one in resolve(address, end)? {
        match TcpStream::connect_timeout(&one, left(end)) {
            // Nobody listens, and by chance our own end has the very port (a simultaneous open, RFC 9293, 3.5).
            Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                fault = format!("{one}: nobody listens");
            }
            Ok(stream) => return Ok(stream),
            Err(error) => fault = format!("{one}: {error}"),
        }
    }
    Err(fault)
}

/// A resolver knows no deadline (getaddrinfo(3)): it is left to itself, and ends with this process at the latest.
fn resolve(address: &str, end: Instant) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let (answer, answered) = mpsc::channel();
    let name = address.to_owned();
    std::thread::spawn(move || answer.send(name.to_socket_addrs().map(Iterator::collect)));
    match answered.recv_timeout(left(end)) {
        Ok(found) => found.map_err(|error| format!("{address}: {error}")),
        Err(_) => Err(format!("{address}: its name has no address in time")),
    }
}

/// Without waiting: where nobody accepts, a socket's queue fills up, and connect(2) would block until somebody does.
fn connect_unix(path: &Utf8Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_str())?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn health(probe: Probe) -> Health {
        Health { probe, grace: 0.0, interval: 0.01, deadline: 0.2 }
    }

    #[test]
    fn a_listening_socket_is_healthy_and_a_closed_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(await_health(&health(Probe::Tcp(address.clone()))), Ok(()));
        drop(listener);
        // Another test may just be starting a program, which has the listener too from its fork until its exec.
        let closed = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            await_health(&health(Probe::Tcp(address.clone()))).err()
        });
        let fault = closed.expect("the listener is closed");
        assert!(fault.starts_with("not healthy within 0.2 s: ") && fault.contains(&address), "{fault}");
    }

    #[test]
    fn a_unix_socket_that_nobody_accepts_on_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::try_from(directory.path().join("socket")).unwrap();
        let absent = await_health(&health(Probe::Unix(path.clone()))).unwrap_err();
        assert!(absent.contains("No such file"), "{absent}");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(await_health(&health(Probe::Unix(path.clone()))), Ok(()));
        rustix::net::listen(&listener, 0).unwrap();
        let taken: Vec<_> =
            std::iter::from_fn(|| connect_unix(&path).err().is_none().then_some(())).take(1000).collect();
        assert!(taken.len() < 1000, "the queue takes everybody");
        let began = Instant::now();
        let full = await_health(&health(Probe::Unix(path))).unwrap_err();
        assert!(full.starts_with("not healthy within 0.2 s: "), "{full}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn nothing_is_tried_before_the_grace_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark").display().to_string();
        let command = ["sh", "-c", "echo x >> $0; test $(wc -l < $0) = 1", &mark].map(str::to_owned).to_vec();
        let began = Instant::now();
        let health = Health { grace: 0.3, ..health(Probe::Command(command)) };
        assert_eq!(await_health(&health), Ok(()));
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(std::fs::read_to_string(mark).unwrap(), "x\n");
    }

    #[test]
    fn a_check_that_refuses_is_quoted() {
        let command = ["sh", "-c", "echo line 3: no >&2; exit 2"].map(str::to_owned);
        let refusal = check(&command, 10.0).unwrap_err();
        assert!(refusal.contains("exit status: 2") && refusal.ends_with("line 3: no"), "{refusal}");
    }
}
