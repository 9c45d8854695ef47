//! What can be changed: each method, requests that become one apply, and the command line by way of the daemon.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Client, Daemon, JOBS, WORKERS, until};
use crate::support::{System, description};

fn toml(daemon: &Daemon) -> String {
    daemon.system.read("run/dynix/harmonia/current/harmonia.toml")
}

#[test]
fn every_method_changes_what_it_says() {
    let daemon = Daemon::new();
    let mut client = daemon.connect();
    let appended = client.call("Append", &json!({"path": WORKERS, "value": 20, "apply": true}));
    assert_eq!(appended["error"], json!(null), "{appended}");
    let answer = &appended["parameters"]["answer"];
    assert_eq!(
        (&answer["records"], &answer["report"]["services"]["harmonia"]["result"]),
        (&json!([1]), &json!("applied"))
    );
    assert_eq!(toml(&daemon), "max_connection_rate = 256\nworkers = 20\n");
    let log = daemon.system.run(&["log", "--json"]).ends(0).json();
    assert_eq!(log[0]["by"], "root via daemon");
    // Read by the option's type; recorded and not applied.
    let appended = client.call("Append", &json!({"path": WORKERS, "text": "21"}));
    assert_eq!(appended["parameters"]["answer"]["report"], json!(null));
    assert_eq!(
        (client.get(WORKERS)["value"].clone(), client.get(WORKERS)["applied"].clone()),
        (json!(21), json!(false))
    );
    assert_eq!(client.call("Apply", &json!({"services": ["harmonia"]}))["error"], json!(null));
    assert_eq!(toml(&daemon), "max_connection_rate = 256\nworkers = 21\n");
    client.call("Rollback", &json!({"apply": true}));
    assert_eq!(client.get(WORKERS)["value"], 20);
    client.call("Unset", &json!({"path": WORKERS, "apply": true}));
    assert_eq!(client.get(WORKERS)["value"], 4);
    client.call("Append", &json!({"path": JOBS, "value": 3, "durationUSec": 3_600_000_000_u64}));
    client.call("Reset", &json!({}));
    assert_eq!(client.call("Status", &json!({}))["parameters"]["services"]["distccd"]["overrides"], json!([]));
    let last = || daemon.system.run(&["log", "--json"]).ends(0).json().as_array().unwrap().len();
    let changes = json!([{"path": WORKERS, "value": 4}, {"path": JOBS, "text": "3"}]);
    let set = client.call("Set", &json!({"changes": changes, "apply": true, "message": "both"}));
    let answer = &set["parameters"]["answer"];
    let expected = json!([
        {"path": JOBS, "before": 12, "after": 3, "service": "distccd"},
        {"path": WORKERS, "before": 4, "after": 4, "service": "harmonia"},
    ]);
    assert_eq!((&answer["records"], &answer["changed"]), (&json!([last()]), &expected), "{set}");
    assert_eq!(client.call("Log", &json!({"after": last() - 1}))["parameters"]["records"][0]["message"], "both");
    assert_eq!(client.call("Undo", &json!({"apply": true}))["error"], json!(null));
    assert_eq!(client.get(JOBS)["value"], 12);
    assert_eq!(client.call("Redo", &json!({"apply": true, "message": "again"}))["error"], json!(null));
    assert_eq!(client.get(JOBS)["value"], 3);
    assert_eq!(client.call("Prune", &json!({}))["parameters"]["answer"]["records"], json!([last()]));
    let id = last() - 3;
    assert_eq!(client.call("Reject", &json!({"id": id, "message": "no", "apply": true}))["error"], json!(null));
    assert_eq!(client.get(JOBS)["value"], 12);
    let previous = |value: u32| client.call("Append", &json!({"path": JOBS, "value": value}));
    let _ = [5, 6].map(previous);
    client.call("Unset", &json!({"path": JOBS, "previous": true}));
    assert_eq!(client.get(JOBS)["value"], 5);
}

#[test]
fn what_is_wrong_is_a_typed_error() {
    let daemon = Daemon::new();
    let mut client = daemon.connect();
    let mut error = |method: &str, parameters: Value| client.call(method, &parameters)["error"].clone();
    assert_eq!(error("Append", json!({"path": WORKERS, "value": {"x": 1}, "text": "2"})), "io.dynix.Settings.Refused");
    assert_eq!(error("Append", json!({"path": JOBS, "value": "many"})), "io.dynix.Settings.Refused");
    assert_eq!(error("Append", json!({"path": "nothing", "value": 1})), "io.dynix.Settings.Refused");
    assert_eq!(error("Reset", json!({"services": ["nothing"]})), "io.dynix.Settings.Refused");
    assert_eq!(error("Confirm", json!({})), "io.dynix.Settings.Failed");
    assert_eq!(error("Append", json!({"value": 1})), "org.varlink.service.InvalidParameter");
    assert!(!daemon.system.path("etc/nixos/dynamic.nix").exists());
}

/// Many at once become few applies, and everybody hears of their own.
#[test]
fn requests_that_come_together_become_one_apply() {
    let daemon = Daemon::on(System::new(), &["--window", "300ms"]);
    let mut clients: Vec<Client> = (0..16).map(|_| daemon.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let (path, value) = if number % 2 == 0 { (WORKERS, number + 10) } else { (JOBS, number + 10) };
        let parameters = json!({"path": path, "value": value, "apply": true});
        client.say(&json!({"method": "io.dynix.Settings.Append", "parameters": parameters}));
    }
    let mut records = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        let said = client.hear();
        assert_eq!(said["error"], json!(null), "{said}");
        let answer = &said["parameters"]["answer"];
        let (service, other) = if number % 2 == 0 { ("harmonia", "distccd") } else { ("distccd", "harmonia") };
        assert_eq!(answer["report"]["services"][service]["result"], "applied", "{answer}");
        assert_eq!(answer["report"]["services"].get(other), None);
        records.extend(answer["records"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()));
    }
    records.sort_unstable();
    assert_eq!(records, (1..=16).collect::<Vec<u64>>());
    let generations = std::fs::read_dir(daemon.system.path("run/dynix/harmonia")).unwrap().count();
    assert_eq!(generations, 2, "one generation and the link to it");
}

/// A check that refuses one number of workers.
fn picky() -> System {
    let mut description = description();
    let check = "! grep -q 'workers = 13' '{{ files[\"harmonia.toml\"] }}'";
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/sh", "-c", check]});
    System::of(&description)
}

#[test]
fn nobody_is_refused_for_what_somebody_else_asked_for() {
    let daemon = Daemon::on(picky(), &["--window", "300ms"]);
    let rate = "services.harmonia.settings.max_connection_rate";
    let (mut bad, mut good) = (daemon.connect(), daemon.connect());
    for (client, path, value) in [(&mut good, rate, 99), (&mut bad, WORKERS, 13)] {
        let parameters = json!({"path": path, "value": value, "apply": true});
        client.say(&json!({"method": "io.dynix.Settings.Append", "parameters": parameters}));
    }
    let (good, bad) = (good.hear(), bad.hear());
    assert_eq!(good["error"], json!(null), "{good}");
    assert_eq!(bad["error"], "io.dynix.Settings.Refused", "{bad}");
    assert_eq!(toml(&daemon), "max_connection_rate = 99\nworkers = 4\n");
    let log = daemon.system.run(&["log", "--json"]).ends(0).json();
    let holding: Vec<&Value> = log.as_array().unwrap().iter().filter(|one| one["holds"] == json!(true)).collect();
    assert_eq!(holding.len(), 1, "{log}");
    assert_eq!(holding[0]["id"], good["parameters"]["answer"]["records"][0]);
}

#[test]
fn the_command_line_says_the_same_by_way_of_the_daemon() {
    let (here, there) = (picky(), Daemon::on(picky(), &["--window", "0s"]));
    for words in [
        &["append", WORKERS, "20", "--apply"][..],
        &["append", WORKERS, "--json", "{\"x\": 1}"],
        &["append", WORKERS, "--json", "{x"],
        &["append", WORKERS, "13", "--apply"],
        &["append", JOBS, "--string", "x"],
        &["append", "services.distccd.nothing", "x"],
        &["append", JOBS, "7", "--for", "1h"],
        &["apply", "--json"],
        &["apply"],
        &["unset", JOBS, "--apply"],
        &["unset", JOBS],
        &["rollback", "99"],
        &["rollback", "--apply"],
        &["set", WORKERS, "6", JOBS, "8", "--apply", "-m", "both"],
        &["set", WORKERS, "6", JOBS, "8", "--json"],
        &["set", WORKERS, "9", "--dry-run"],
        &["undo", "--json"],
        &["undo", "--apply"],
        &["undo", "99"],
        &["redo", "--apply"],
        &["unset", JOBS, "--previous", "--output", "json"],
        &["reject", "1"],
        &["prune"],
        &["set", WORKERS, "7", "-m", ""],
        &["append", JOBS, "7", "--apply", "--confirm", "60s"],
        &["confirm"],
        &["reset", "nothing"],
        &["reset", "--dry-run"],
        &["reset"],
        &["reset"],
    ] {
        let (mut one, mut other) = (here.run(words), there.run(words));
        for run in [&mut one, &mut other] {
            for system in [&here, &there.system] {
                run.stdout = run.stdout.replace(system.root().as_str(), "ROOT");
                run.stderr = run.stderr.replace(system.root().as_str(), "ROOT");
            }
            // Records say that they came by way of the daemon.
            run.stderr = run.stderr.replace(" via daemon", "");
        }
        assert_eq!(
            (one.code, &one.stdout, &one.stderr),
            (other.code, &other.stdout, &other.stderr),
            "dynix {}",
            words.join(" ")
        );
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut daemon = Daemon::new();
    for number in 1..=5_u64 {
        let said = daemon.connect().call("Append", &json!({"path": WORKERS, "value": number + 10, "apply": true}));
        assert_eq!(said["parameters"]["answer"]["records"], json!([number]));
        daemon.restart(&[]);
        assert_eq!(daemon.connect().get(WORKERS)["value"], json!(number + 10));
        assert_eq!(daemon.connect().get(WORKERS)["applied"], json!(true));
    }
}

#[test]
fn a_daemon_that_is_told_to_end_finishes_what_it_began() {
    let flag = tempfile::tempdir().unwrap();
    let flag = camino::Utf8Path::from_path(flag.path()).unwrap().join("go-on");
    let mut description = description();
    let wait = format!("until test -e '{flag}'; do sleep 0.01; done");
    std::fs::create_dir_all(flag.parent().unwrap()).unwrap();
    description["services"]["harmonia"]["check"] = json!({"command": ["/bin/sh", "-c", wait]});
    let mut daemon = Daemon::on(System::of(&description), &["--window", "0s"]);
    let append = |client: &mut Client, value: u32| {
        let parameters = json!({"path": WORKERS, "value": value, "apply": true});
        client.say(&json!({"method": "io.dynix.Settings.Append", "parameters": parameters}));
    };
    let (mut first, mut second) = (daemon.connect(), daemon.connect());
    append(&mut first, 20);
    until(|| daemon.system.path("run/dynix/harmonia/generation-1").exists());
    append(&mut second, 21);
    // A look is not held up by the apply; and by its answer, the second request is there.
    assert_eq!(daemon.connect().get(WORKERS)["value"], 20);
    daemon.signal(Signal::TERM);
    assert_eq!(second.hear()["error"], "io.dynix.Settings.Stopping");
    std::fs::write(&flag, "").unwrap();
    let said = first.hear();
    assert_eq!(said["parameters"]["answer"]["report"]["services"]["harmonia"]["result"], "applied", "{said}");
    assert!(daemon.ends().success());
    assert_eq!(daemon.system.run(&["apply"]).ends(0).stdout, "nothing to do\n");
    assert_eq!(daemon.system.run(&["get", WORKERS]).ends(0).stdout, "20\n");
}

/// Who stops it may be a switch, which would wait for an apply that waits for the switch.
#[test]
fn a_daemon_that_is_told_to_end_waits_for_no_switch() {
    let mut daemon = Daemon::on(System::new(), &["--window", "0s"]);
    let lock = daemon.system.path("run/nixos/switch-to-configuration.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let lock = std::fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    let mut client = daemon.connect();
    let parameters = json!({"path": WORKERS, "value": 20, "apply": true});
    client.say(&json!({"method": "io.dynix.Settings.Append", "parameters": parameters}));
    until(|| daemon.system.path("etc/nixos/dynamic.nix").exists());
    daemon.signal(Signal::TERM);
    let said = client.hear();
    assert!(said.to_string().contains("this process is told to end"), "{said}");
    assert!(daemon.ends().success());
    drop(lock);
    // What is recorded is not lost.
    assert!(daemon.system.run(&["apply"]).ends(0).stdout.starts_with("harmonia: switch to generation 1"));
}

#[test]
fn a_daemon_that_nobody_wants_ends() {
    let mut daemon = Daemon::on(System::new(), &["--idle", "300ms"]);
    let mut client = daemon.connect();
    std::thread::sleep(std::time::Duration::from_millis(600));
    // Somebody is there.
    assert_eq!(client.get(WORKERS)["value"], 4);
    drop(client);
    assert!(daemon.ends().success());
}
