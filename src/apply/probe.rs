//! A service's own judgement: its check of staged files, and the probe that shows it working.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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
    let end = Instant::now() + Duration::from_secs_f64(health.deadline);
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let Err(fault) = once(&health.probe, left) else { return Ok(()) };
        let pause = Duration::from_secs_f64(health.interval);
        if Instant::now() + pause >= end {
            return Err(format!("not healthy within {} s: {fault}", health.deadline));
        }
        std::thread::sleep(pause);
    }
}

fn once(probe: &Probe, patience: Duration) -> Result<(), String> {
    match probe {
        Probe::Command(command) => {
            let output = process::run(command, patience).map_err(|error| error.to_string())?;
            if output.status.success() { Ok(()) } else { Err(format!("{}: {}", output.status, shown(&output.words()))) }
        }
        Probe::Tcp(address) => {
            let addresses = address.to_socket_addrs().map_err(|error| format!("{address}: {error}"))?;
            let mut fault = format!("{address} has no address");
            for one in addresses {
                match TcpStream::connect_timeout(&one, patience) {
                    // Nobody listens, and by chance our own end has the very port (a simultaneous open, RFC 9293, 3.5).
                    Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                        fault = format!("{one}: nobody listens");
                    }
                    Ok(_) => return Ok(()),
                    Err(error) => fault = format!("{one}: {error}"),
                }
            }
            Err(fault)
        }
        Probe::Unix(path) => UnixStream::connect(path).map(drop).map_err(|error| format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn health(probe: Probe) -> Health {
        Health { probe, interval: 0.01, deadline: 0.2 }
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
    fn a_check_that_refuses_is_quoted() {
        let command = ["sh", "-c", "echo line 3: no >&2; exit 2"].map(str::to_owned);
        let refusal = check(&command, 10.0).unwrap_err();
        assert!(refusal.contains("exit status: 2") && refusal.ends_with("line 3: no"), "{refusal}");
    }
}
