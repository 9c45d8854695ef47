//! A service's own tests: its check of staged files, and the probe that shows that it works.

pub mod http;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use crate::host::process::{self, ProcessError};
use crate::plan::{Health, Probe};

/// How much of a program's output a message shows, in bytes.
const SHOWN: usize = 2000;

/// An objection of a check or a probe to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It says no.
    No(String),
    /// There is no verdict: it did not run, or did not finish.
    Unable(String),
    /// It was interrupted.
    Interrupted,
}

impl std::fmt::Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No(reason) | Self::Unable(reason) => f.write_str(reason),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl From<ProcessError> for Objection {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Interrupted => Self::Interrupted,
            other => Self::Unable(other.to_string()),
        }
    }
}

/// Runs a check; what it has against the files.
pub fn check(command: &[String], deadline: f64, interrupted: &dyn Fn() -> bool) -> Result<(), Objection> {
    let output = process::run_unless(command, Duration::from_secs_f64(deadline), interrupted)?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.first().map_or("", String::as_str);
    let words = shown(&output.words());
    Err(if process::is_verdict(output.status) {
        Objection::No(format!("{program} refused it ({}): {words}", output.status))
    } else {
        Objection::Unable(format!("{program} did not come to its end ({}): {words}", output.status))
    })
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Probes until it succeeds; the last objection when it does not in time.
pub fn await_health(health: &Health, interrupted: &dyn Fn() -> bool) -> Result<(), Objection> {
    sleep(Duration::from_secs_f64(health.grace), interrupted)?;
    let end = Instant::now() + Duration::from_secs_f64(health.deadline);
    loop {
        let objection = match once(&health.probe, end, interrupted) {
            Ok(()) => return Ok(()),
            Err(Objection::Interrupted) => return Err(Objection::Interrupted),
            Err(objection) => objection,
        };
        let pause = Duration::from_secs_f64(health.interval);
        if Instant::now() + pause >= end {
            let unhealthy = |reason: &str| format!("not healthy within {} s: {reason}", health.deadline);
            return Err(match objection {
                Objection::No(reason) => Objection::No(unhealthy(&reason)),
                Objection::Unable(reason) => Objection::Unable(format!(
                    "whether it is healthy can't be told within {} s: {reason}",
                    health.deadline
                )),
                Objection::Interrupted => Objection::Interrupted,
            });
        }
        sleep(pause, interrupted)?;
    }
}

fn sleep(pause: Duration, interrupted: &dyn Fn() -> bool) -> Result<(), Objection> {
    let end = Instant::now() + pause;
    loop {
        if interrupted() {
            return Err(Objection::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(process::SLICE));
    }
}

/// The time left until `end`. It is never zero, because zero means for ever to sockets.
pub(super) fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn once(probe: &Probe, end: Instant, interrupted: &dyn Fn() -> bool) -> Result<(), Objection> {
    match probe {
        Probe::Command(command) => {
            let output = match process::run_unless(command, left(end), interrupted) {
                // It waits for the service.
                Err(error @ ProcessError::Overdue { .. }) => return Err(Objection::No(error.to_string())),
                output => output?,
            };
            let result = || format!("{}: {}", output.status, shown(&output.words()));
            match output.status {
                status if status.success() => Ok(()),
                status if process::is_verdict(status) => Err(Objection::No(result())),
                _ => Err(Objection::Unable(result())),
            }
        }
        Probe::Http(url) => http::get(url, end),
        Probe::Tcp(address) => connect(address, end).map(drop),
        Probe::Unix(path) => connect_unix(path).map_err(|error| Objection::No(format!("{path}: {error}"))),
    }
}

/// Connects to the first of an address's hosts that accepts.
pub(super) fn connect(address: &str, end: Instant) -> Result<TcpStream, Objection> {
    let mut fault = format!("{address} has no address");
    for one in resolve(address, end)? {
        match TcpStream::connect_timeout(&one, left(end)) {
            // Nobody listens, and by chance our own end has that port (a simultaneous open, RFC 9293, 3.5).
            Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                fault = format!("{one}: nobody listens");
            }
            Ok(stream) => return Ok(stream),
            Err(error) => fault = format!("{one}: {error}"),
        }
    }
    Err(Objection::No(fault))
}

/// The addresses of a host: itself, the loopback (RFC 6761, 6.3), or what getent(1) finds by nsswitch.conf(5) before the end.
/// The resolver of the C library would load modules into this process and knows no deadline (getaddrinfo(3)).
fn resolve(address: &str, end: Instant) -> Result<Vec<SocketAddr>, Objection> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let unable = |why: &str| Objection::Unable(format!("{address}: {why}"));
    let (host, port) = address.rsplit_once(':').ok_or_else(|| unable("it has no port"))?;
    let port: u16 = port.parse().map_err(|_| unable("its port is not one of 0 to 65535"))?;
    let at = |host: IpAddr| SocketAddr::new(host, port);
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())]);
    }
    let command = ["getent", "ahosts", "--", host].map(str::to_owned);
    let output = match process::run(&command, left(end)) {
        Err(ProcessError::Overdue { .. }) => return Err(unable("its name has no address in time")),
        output => output?,
    };
    let hosts = addresses(&String::from_utf8_lossy(&output.stdout));
    if hosts.is_empty() { Err(unable("its name has no address")) } else { Ok(hosts.into_iter().map(at).collect()) }
}

/// The addresses of `getent ahosts`, each once: every line begins with one.
fn addresses(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// Connects without waiting: if nobody accepts, a socket's queue fills up, and connect(2) would block until somebody
/// does.
fn connect_unix(path: &Utf8Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_str())?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_host_has_the_addresses_that_the_system_says() {
        let end = Instant::now() + Duration::from_secs(10);
        let found = |address: &str| resolve(address, end).map_err(|objection| format!("{objection:?}"));
        assert_eq!(found("192.0.2.1:80").unwrap(), ["192.0.2.1:80".parse().unwrap()]);
        assert_eq!(found("[::1]:80").unwrap(), ["[::1]:80".parse().unwrap()]);
        let loopback: [SocketAddr; 2] = ["[::1]:9".parse().unwrap(), "127.0.0.1:9".parse().unwrap()];
        assert_eq!(found("LocalHost:9").unwrap(), loopback);
        // getent(1) reads addresses of the older kinds, which needs no network.
        assert_eq!(found("127.1:9").unwrap(), ["127.0.0.1:9".parse().unwrap()]);
        for wrong in ["localhost", "localhost:", "localhost:65536", "no.such.host.invalid:80", "-V:80"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
        let text = "::1  STREAM localhost\n::1  DGRAM\n127.0.0.1 STREAM\nnonsense\n\n";
        assert_eq!(addresses(text), ["::1".parse::<IpAddr>().unwrap(), "127.0.0.1".parse().unwrap()]);
    }

    fn go_on() -> bool {
        false
    }

    /// Why it is not healthy; it has to be a verdict.
    fn unhealthy(health: &Health) -> String {
        match await_health(health, &go_on) {
            Err(Objection::No(reason)) => reason,
            other => unreachable!("{other:?}"),
        }
    }

    fn health(probe: Probe) -> Health {
        Health { probe, grace: 0.0, interval: 0.01, deadline: 0.2 }
    }

    #[test]
    fn a_listening_socket_is_healthy_and_a_closed_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(await_health(&health(Probe::Tcp(address.clone())), &go_on), Ok(()));
        drop(listener);
        // Another test may just be starting a program, which has the listener too from its fork until its exec.
        let closed = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            await_health(&health(Probe::Tcp(address.clone())), &go_on).err()
        });
        let fault = closed.expect("the listener is closed").to_string();
        assert!(fault.starts_with("not healthy within 0.2 s: ") && fault.contains(&address), "{fault}");
    }

    #[test]
    fn a_unix_socket_that_nobody_accepts_on_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::try_from(directory.path().join("socket")).unwrap();
        let absent = unhealthy(&health(Probe::Unix(path.clone())));
        assert!(absent.contains("No such file"), "{absent}");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(await_health(&health(Probe::Unix(path.clone())), &go_on), Ok(()));
        rustix::net::listen(&listener, 0).unwrap();
        let taken: Vec<_> =
            std::iter::from_fn(|| connect_unix(&path).err().is_none().then_some(())).take(1000).collect();
        assert!(taken.len() < 1000, "the queue takes everybody");
        let began = Instant::now();
        let full = unhealthy(&health(Probe::Unix(path)));
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
        assert_eq!(await_health(&health, &go_on), Ok(()));
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(std::fs::read_to_string(mark).unwrap(), "x\n");
    }

    #[test]
    fn a_check_that_refuses_is_quoted() {
        let command = ["sh", "-c", "echo line 3: no >&2; exit 2"].map(str::to_owned);
        let Objection::No(refusal) = check(&command, 10.0, &go_on).unwrap_err() else { unreachable!() };
        assert!(refusal.contains("exit status: 2") && refusal.ends_with("line 3: no"), "{refusal}");
    }

    #[test]
    fn a_program_that_does_not_come_to_its_end_says_nothing() {
        let run = |words: &[&str], deadline| {
            let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            check(&command, deadline, &go_on)
        };
        for (words, result) in [
            (&["/no/such/check"][..], "cannot run"),
            (&["sh", "-c", "kill -KILL $$"], "signal: 9"),
            (&["sh", "-c", "sh -c 'kill -KILL $$'; exit $?"], "137"),
            (&["sh", "-c", "/no/such/check"], "127"),
            (&["sh", "-c", "/etc/passwd"], "126"),
            (&["sleep", "60"], "was not done within"),
        ] {
            match run(words, 0.5) {
                Err(Objection::Unable(reason)) => assert!(reason.contains(result), "{reason}"),
                other => unreachable!("{words:?}: {other:?}"),
            }
        }
        for code in [1, 2, 100, 128, 255] {
            let verdict = run(&["sh", "-c", &format!("exit {code}")], 10.0);
            assert!(matches!(verdict, Err(Objection::No(_))), "{verdict:?}");
        }
    }

    #[test]
    fn a_probe_that_cannot_run_says_nothing() {
        let command = health(Probe::Command(vec!["/no/such/probe".to_owned()]));
        let name = health(Probe::Tcp("no-such-name.invalid:80".to_owned()));
        for probe in [command, name] {
            let verdict = await_health(&probe, &go_on);
            assert!(matches!(verdict, Err(Objection::Unable(_))), "{verdict:?}");
        }
    }

    #[test]
    fn who_does_not_want_to_know_any_more_does_not_wait() {
        let began = Instant::now();
        let interrupted = || began.elapsed() > Duration::from_millis(100);
        let long = Health { grace: 60.0, deadline: 60.0, ..health(Probe::Tcp("127.0.0.1:1".to_owned())) };
        assert_eq!(await_health(&long, &interrupted), Err(Objection::Interrupted));
        let command = ["sleep", "60"].map(str::to_owned);
        assert_eq!(check(&command, 60.0, &interrupted), Err(Objection::Interrupted));
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
