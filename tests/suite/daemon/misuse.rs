//! Clients that do not follow the protocol, or that are not as fast as they should be: nobody else notices.

use std::time::Duration;

use serde_json::json;

use super::{Daemon, WORKERS, as_user};
use crate::support::{System, description};

#[test]
fn who_sends_garbage_is_hung_up_on() {
    let daemon = Daemon::new();
    let garbage: [&[u8]; 6] = [b"\0", b"hello\0", b"{}\0", b"[1]\0", b"\xff\xfe\0", b"{\"method\":7}\0"];
    for bytes in garbage {
        let mut client = daemon.connect();
        client.send(bytes);
        assert!(client.is_over(), "{bytes:?}");
    }
    // What came before it is answered.
    let mut client = daemon.connect();
    client.say(&json!({"method": "org.varlink.service.GetInfo"}));
    client.send(b"x\0");
    client.hear();
    assert!(client.is_over());
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
}

#[test]
fn half_a_message_and_silence_are_in_nobodys_way() {
    let daemon = Daemon::new();
    let mut halves: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    for half in &mut halves {
        half.send(b"{\"method\":\"io.dynix");
    }
    let silent: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
    drop((halves, silent));
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
}

#[test]
fn a_hundred_megabytes_are_not_kept() {
    let daemon = Daemon::new();
    // Reading the plan takes more than all that is kept of garbage, and is not what this is about.
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
    let before = daemon.resident();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = daemon.connect();
                let block = vec![b'x'; 1 << 20];
                let sent =
                    (0..100).take_while(|_| std::io::Write::write_all(client.0.get_mut(), &block).is_ok()).count();
                assert!(sent < 100, "it took all of it");
            });
        }
    });
    assert_eq!(daemon.connect().get(WORKERS)["value"], 4);
    let grown = daemon.resident() - before;
    // A quarter of a megabyte of each, in a buffer of twice that.
    assert!(grown < 4 << 10, "it grew by {grown} kB");
}

#[test]
fn who_does_not_read_is_lost_and_nobody_waits() {
    let daemon = Daemon::new();
    let mut stream = daemon.connect();
    stream.say(&json!({"method": "io.dynix.Settings.Monitor", "more": true}));
    stream.hear();
    // Each change is one event of this size and more.
    let name = "x".repeat(200 << 10);
    let mut client = daemon.connect();
    for _ in 0..12 {
        let parameters = json!({"path": "services.gotosocial.settings.application-name", "value": name});
        assert_eq!(client.call("Append", &parameters)["error"], json!(null));
        // So that each is looked at by itself.
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut last = json!(null);
    for _ in 0..14 {
        last = stream.hear();
        if last["error"] != json!(null) {
            break;
        }
    }
    assert_eq!(last["error"], "io.dynix.Settings.Lost");
    assert!(stream.is_over());
}

#[test]
fn who_leaves_early_gets_what_was_asked_for_done() {
    let daemon = Daemon::new();
    for value in [20, 21] {
        let mut client = daemon.connect();
        let parameters = json!({"path": WORKERS, "value": value, "apply": true});
        client.say(&json!({"method": "io.dynix.Settings.Append", "parameters": parameters}));
        drop(client);
        super::until(|| daemon.connect().get(WORKERS)["value"] == json!(value));
    }
}

#[test]
fn no_number_ends_it() {
    let mut daemon = Daemon::new();
    let mut client = daemon.connect();
    for number in [0, 1, 1 << 31, 1 << 32, 1 << 53, 253_402_300_800_000_000, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
        for (method, parameters) in [
            ("Append", json!({"path": WORKERS, "value": 5, "durationUSec": number})),
            ("Append", json!({"path": WORKERS, "value": 5, "confirmUSec": number, "apply": true})),
            ("Append", json!({"path": WORKERS, "value": number})),
            ("Unset", json!({"path": WORKERS, "confirmUSec": number, "apply": true})),
            ("Rollback", json!({"id": number})),
            ("Reset", json!({"confirmUSec": number})),
            ("Log", json!({"after": number, "limit": number})),
        ] {
            client.call(method, &parameters);
        }
    }
    // For ever is too long, and a moment too short.
    for number in [0, 999_999, 253_402_300_800_000_000, u64::MAX] {
        let said = client.call("Append", &json!({"path": WORKERS, "value": 5, "durationUSec": number}));
        let reason = said["parameters"]["reason"].as_str().unwrap();
        assert!(said["error"] == "io.dynix.Settings.Refused" && reason.contains("durationUSec"), "{said}");
    }
    daemon.system.run(&["append", WORKERS, "5", "--for", "9000years"]).ends(2);
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.ends().success());
}

#[test]
fn a_rate_outlives_the_daemon() {
    let mut description = description();
    let rule = json!({"users": ["3001"], "options": {WORKERS: {"rate": "3/h"}}});
    description["daemon"] = json!({"allow": {"limited": rule}});
    let mut daemon = Daemon::on(System::of(&description), &[]);
    let append = |daemon: &Daemon| {
        let mut client = as_user(&daemon.system, 3001, || daemon.connect())?;
        Some(client.call("Append", &json!({"path": WORKERS, "value": 5}))["error"].clone())
    };
    let Some(first) = append(&daemon) else { return };
    assert_eq!((first, append(&daemon)), (json!(null), Some(json!(null))));
    // However it ends.
    daemon.restart(&[]);
    assert_eq!(append(&daemon), Some(json!(null)));
    daemon.signal(rustix::process::Signal::TERM);
    daemon.ends();
    daemon.restart(&[]);
    for _ in 0..2 {
        assert_eq!(append(&daemon), Some(json!("io.dynix.Settings.TooOften")));
        daemon.restart(&[]);
    }
}
