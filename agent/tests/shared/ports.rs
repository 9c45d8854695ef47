//! Ports of the loopback for programs that are told where to listen.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the kernel gives to whoever asks for any (`ip_local_port_range`, 32768 and up).
const FIRST: u16 = 10_000;
/// How many processes have ports of their own, and how many each.
const PROCESSES: u16 = 100;
const EACH: u16 = 200;

/// A port that is free, and so is the next one. Neither is given again by this process, and seldom by another one.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % u32::from(PROCESSES)).unwrap();
    loop {
        let port = FIRST + process * EACH + NEXT.fetch_add(2, Ordering::Relaxed) % EACH;
        if [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}
