//! The daemon killed at any moment, while clients ask: what it acknowledged is there, and nothing is half.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, Daemon, JOBS, WORKERS};
use crate::support::System;

/// Asks for one change after the other; a daemon that is gone is tried again. Notes what was acknowledged.
fn ask(daemon: &str, client: u64, over: &AtomicBool, acknowledged: &Mutex<BTreeMap<u64, u64>>) {
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        let Ok(stream) = UnixStream::connect(daemon) else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let mut client_of_daemon = Client(std::io::BufReader::new(stream));
        loop {
            turn += 1;
            let value = 1000 + client * 100_000 + turn;
            let path = if client.is_multiple_of(2) { WORKERS } else { JOBS };
            let parameters = json!({"path": path, "value": value, "apply": turn % 3 != 0});
            let call = json!({"method": "io.dynix.Settings.Append", "parameters": parameters}).to_string() + "\0";
            if std::io::Write::write_all(client_of_daemon.0.get_mut(), call.as_bytes()).is_err() {
                break;
            }
            let mut reply = Vec::new();
            if client_of_daemon.0.read_until(0, &mut reply).is_err() || reply.pop() != Some(0) {
                break;
            }
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            assert_eq!(reply["error"], json!(null), "{reply}");
            let id = reply["parameters"]["answer"]["records"][0].as_u64().unwrap();
            assert_eq!(acknowledged.lock().unwrap().insert(id, value), None, "record {id} was given twice");
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_it_acknowledged() {
    let given = std::env::var("DYNIX_KILLS").ok().filter(|text| !text.is_empty());
    let kills: u64 = given.map_or(12, |text| text.parse().expect("DYNIX_KILLS is a number"));
    let mut daemon = Daemon::on(System::new(), &["--window", "2ms"]);
    let (over, acknowledged) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let socket = daemon.socket().into_string();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (socket, over, acknowledged) = (&socket, &over, &acknowledged);
            scope.spawn(move || ask(socket, client, over, acknowledged));
        }
        for kill in 0..kills {
            // Moments spread over what several applies take.
            std::thread::sleep(Duration::from_micros(kill * 7919 % 150_000));
            daemon.restart(&["--window", "2ms"]);
        }
        over.store(true, Ordering::Relaxed);
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty());
    println!("{kills} kills, {} changes acknowledged", acknowledged.len());
    let log = daemon.system.run(&["log", "--json"]).ends(0).json();
    let recorded: BTreeMap<u64, u64> = log
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|record| Some((record["id"].as_u64()?, record["set"][0][1].as_u64()?)))
        .collect();
    for (id, value) in &acknowledged {
        assert_eq!(recorded.get(id), Some(value), "record {id}");
    }
    // And the next apply leads to what the log says.
    drop(daemon.connect());
    daemon.system.run(&["apply"]).ends(0);
    let other = System::new();
    other.write("etc/nixos/dynamic.nix", &daemon.system.read("etc/nixos/dynamic.nix"));
    other.run(&["apply"]).ends(0);
    for file in ["harmonia/current/harmonia.toml", "distccd/current/flags"] {
        let read = |system: &System| std::fs::read_to_string(system.path(&format!("run/dynix/{file}"))).ok();
        assert_eq!(read(&daemon.system), read(&other), "{file}");
    }
}
