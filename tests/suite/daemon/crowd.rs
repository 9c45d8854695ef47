//! More connections than there is room for, and who gets in all the same.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::{Client, Daemon, WORKERS, as_user, until};
use crate::support::{System, description, finish, through};

/// Connections of a user: those that are kept, and how many were turned away with a reason.
fn crowd(daemon: &Daemon, user: u32, count: usize) -> Option<(Vec<Client>, usize)> {
    let mut clients = as_user(&daemon.system, user, || (0..count).map(|_| daemon.connect()).collect::<Vec<_>>())?;
    let mut away = 0;
    clients.retain_mut(|client| {
        // Who is turned away can't ask any more.
        let _ = client.0.get_mut().write_all(b"{\"method\":\"org.varlink.service.GetInfo\"}\0");
        let busy = client.hear()["error"] == "io.dynix.Settings.Busy";
        away += usize::from(busy);
        !busy
    });
    Some((clients, away))
}

#[test]
fn whoever_takes_all_places_does_not_take_those_of_root() {
    // 600 files are 88 connections.
    let daemon = Daemon::with_files(System::new(), 600);
    let Some((first, away)) = crowd(&daemon, 3001, 60) else { return };
    assert_eq!((first.len(), away), (60, 0));
    let (second, away) = crowd(&daemon, 3002, 60).unwrap();
    assert_eq!((second.len(), away), (23, 37));
    let (third, away) = crowd(&daemon, 3003, 9).unwrap();
    assert_eq!((third.len(), away), (0, 9));
    for _ in 0..20 {
        assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
    }
    let appended = daemon.connect().call("Append", &json!({"path": WORKERS, "value": 20, "apply": true}));
    assert_eq!(appended["error"], json!(null), "{appended}");
    drop(first);
    until(|| !crowd(&daemon, 3003, 1).unwrap().0.is_empty());
}

#[test]
fn who_is_turned_away_is_told_why() {
    let mut description = description();
    description["daemon"] = json!({"connectionsPerUser": 1});
    let daemon = Daemon::on(System::of(&description), &[]);
    let mut client = daemon.connect();
    // The connection before may not be over yet.
    until(|| {
        client = daemon.connect();
        client.get(WORKERS)["value"] == 4
    });
    let said = daemon.run(&["append", WORKERS, "5"]).ends(1).stderr;
    assert_eq!(said, "error: each user may have at most 1 connection, and it is in use; try again later\n");
    drop(client);
    until(|| daemon.run(&["append", WORKERS, "5"]).code == 0);
}

#[test]
fn where_there_are_no_files_left_it_waits_for_some() {
    // Fewer than it takes connections for: nothing else takes the last one from accept(2).
    let daemon = Daemon::with_files(System::new(), 30);
    let clients: Vec<Client> = (0..40).map(|_| daemon.connect()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let before = daemon.processor();
    std::thread::sleep(Duration::from_secs(1));
    let taken = daemon.processor() - before;
    assert!(taken < 0.3, "it took {taken} s of a second to wait");
    drop(clients);
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
}

#[test]
fn a_daemon_that_can_not_serve_says_why_to_who_waits() {
    let system = System::new();
    system.write("etc/dynix/plan.json", "{\"version\": 99}");
    let socket = system.path("dynix.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut client = Client::at(&socket);
    client.say(&json!({"method": "io.dynix.Settings.Status"}));
    // As systemd gives it (sd_listen_fds(3)).
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;
    let mut command = through(script, &system.command(&["daemon"]));
    finish(command.stdin(std::os::fd::OwnedFd::from(listener))).ends(1);
    let said = client.hear();
    assert_eq!(said["error"], "io.dynix.Settings.Failed");
    assert!(said["parameters"]["reason"].as_str().unwrap().contains("it has version 99"), "{said}");
    assert!(client.is_over());
}
