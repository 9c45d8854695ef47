//! Rollouts over whole hosts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{command, run};
use crate::engine::{Engine, is_here};
use crate::hosts::{Host, JOBS, WORKERS, until};

fn status(engine: &Engine) -> Value {
    serde_json::from_str(&run(engine, &["status", "--output", "json"]).ends(0).stdout).unwrap()
}

fn fleet(engine: &Engine, count: usize) -> Vec<Host> {
    let hosts: Vec<Host> = (0..count).map(|at| Host::new(engine, &format!("web{at}"), &["web"])).collect();
    until("they are there", || {
        let status = status(engine);
        hosts.iter().all(|host| status["hosts"][&host.name]["report"]["result"] == "applied")
    });
    hosts
}

fn have(hosts: &[Host], path: &str, value: &Value) -> usize {
    hosts.iter().filter(|host| host.in_effect(path) == *value).count()
}

fn rollout(engine: &Engine) -> Value {
    status(engine)["rollouts"].as_array().unwrap().last().unwrap().clone()
}

#[test]
fn wave_by_wave_to_all_and_back_by_undo() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let hosts = fleet(&engine, 4);
    run(&engine, &["set", WORKERS, "6", "--group", "web", "--wait"]).ends(0);
    let mut watched = command(&engine);
    watched.args([
        "set",
        WORKERS,
        "20",
        "--group",
        "web",
        "--waves",
        "1,50%,100%",
        "--hold",
        "3s",
        "--wait",
        "-m",
        "try",
    ]);
    let watched = watched.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut sizes = Vec::new();
    until("it is done", || {
        let now = have(&hosts, WORKERS, &json!(20));
        if sizes.last() != Some(&now) {
            sizes.push(now);
        }
        status(&engine)["rollouts"].as_array().unwrap().last().is_some_and(|rollout| rollout["state"] == "done")
    });
    let output = watched.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    // At each of these it was held for long enough to be seen; in between some may have it, and others not yet.
    for size in [1, 2, 4] {
        assert!(sizes.contains(&size), "{sizes:?}");
    }
    assert!(sizes.is_sorted());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("wave 1 of 3") && text.contains("wave 3 of 3") && text.contains(" is done, 4 hosts"),
        "{text}"
    );
    // It is the group's value now, and one more record on each host.
    assert!(
        run(&engine, &["get", WORKERS])
            .ends(0)
            .stdout
            .starts_with(&format!("groups/web {WORKERS} = 20  # by alice: try\n"))
    );
    run(&engine, &["undo", "--output", "json"]).ends(0);
    until("all are back", || have(&hosts, WORKERS, &json!(6)) == 4);
}

#[test]
fn a_bad_value_stops_at_the_first_wave_and_a_driver_that_dies_is_replaced() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(3);
    let mut hosts = fleet(&engine, 3);
    run(&engine, &["set", WORKERS, "6", JOBS, "2", "--group", "web", "--wait"]).ends(0);
    let bad = ["set", WORKERS, "30", JOBS, "\"many\"", "--group", "web", "--waves", "1,100%", "--hold", "3s", "--wait"];
    let stopped = run(&engine, &bad).ends(4);
    assert!(
        stopped.stdout.contains("is stopped, 1 hosts, 1 failed: 1 of 1 hosts failed, and 0 may; web"),
        "{}",
        stopped.stdout
    );
    until("the first is back and well", || {
        let status = status(&engine);
        hosts.iter().all(|host| status["hosts"][&host.name]["report"]["result"] == "applied")
    });
    assert_eq!((have(&hosts, WORKERS, &json!(6)), have(&hosts, JOBS, &json!(2))), (3, 3));
    // Whoever drives is killed in the middle of the next one; so is whoever began it, who did not wait.
    run(&engine, &["set", WORKERS, "40", "--group", "web", "--waves", "1,100%", "--hold", "4s"]).ends(0);
    let driver =
        || engine.etcdctl(&["get", "--print-value-only", "/dynix/test/driver"]).trim().trim_matches('"').to_owned();
    until("somebody drives", || !driver().is_empty());
    let (first, in_wave) = (driver(), rollout(&engine)["hosts"][0].as_str().unwrap().to_owned());
    let at = hosts.iter().position(|host| host.name == first).unwrap();
    hosts[at].kill_agent();
    if first == in_wave {
        // Its host is a host of the wave as well, and comes back in time.
        hosts[at].start_agent();
    }
    until("another one drives", || {
        let now = driver();
        !now.is_empty() && now != first || rollout(&engine)["state"] != "running"
    });
    until("it is over", || rollout(&engine)["state"] != "running");
    assert_eq!(rollout(&engine)["state"], "done", "{:#}", rollout(&engine));
    hosts[at].kill_agent();
    hosts[at].start_agent();
    until("all have it", || have(&hosts, WORKERS, &json!(40)) == 3);
}

#[test]
fn it_is_paused_resumed_and_aborted() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let hosts = fleet(&engine, 3);
    // Long enough for the next command to come before the second wave, whatever else the machine does.
    let set = ["set", WORKERS, "20", "--group", "web", "--waves", "1,100%", "--hold", "8s"];
    run(&engine, &set).ends(0);
    run(&engine, &["pause"]).ends(0);
    until("the first has it", || have(&hosts, WORKERS, &json!(20)) == 1);
    std::thread::sleep(Duration::from_secs(10));
    assert_eq!((have(&hosts, WORKERS, &json!(20)), rollout(&engine)["state"].clone()), (1, json!("paused")));
    // One at a time, and nobody writes into it.
    let other = run(&engine, &set).ends(1);
    assert!(other.stderr.contains("is under way: `dynix-fleet abort "), "{}", other.stderr);
    run(&engine, &["set", WORKERS, "9", "--group", "web"]).ends(1);
    run(&engine, &["resume"]).ends(0);
    until("all have it", || have(&hosts, WORKERS, &json!(20)) == 3);
    until("it is done", || rollout(&engine)["state"] == "done");
    run(&engine, &["abort"]).ends(1);
    run(&engine, &["set", WORKERS, "30", "--group", "web", "--waves", "1,100%", "--hold", "60s"]).ends(0);
    until("the first has it", || have(&hosts, WORKERS, &json!(30)) == 1);
    run(&engine, &["abort", "-m", "no"]).ends(0);
    until("nobody has it", || have(&hosts, WORKERS, &json!(20)) == 3);
    assert_eq!(rollout(&engine)["reason"], "by alice: no");
    // A value that goes, wave by wave as well.
    run(&engine, &["unset", WORKERS, "--group", "web", "--waves", "1,100%", "--hold", "3s", "--wait"]).ends(0);
    until("nobody has it", || have(&hosts, WORKERS, &json!(20)) == 0);
}

/// A group's admin may write the log and the state of rollouts, and not to all hosts: neither a driver nor an owner who undoes
/// something does that for them.
#[test]
fn what_is_only_written_into_the_state_or_the_log_reaches_no_host() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let hosts = fleet(&engine, 1);
    run(&engine, &["set", WORKERS, "6", "--all", "--wait"]).ends(0);
    run(&engine, &["set", JOBS, "3", "--all", "--waves", "100%", "--hold", "60s"]).ends(0);
    let real = rollout(&engine);
    let mut forged = real.clone();
    forged["id"] = json!("forged");
    forged["hold"] = json!(0);
    forged["steps"] = json!({ WORKERS: {"set": 60} });
    forged["before"] = json!({});
    engine.etcdctl(&["put", "/dynix/test/rollouts/forged", &forged.to_string()]);
    let find = |id: &str| {
        let all = status(&engine)["rollouts"].as_array().unwrap().clone();
        all.into_iter().find(|rollout| rollout["id"] == id).unwrap()
    };
    until("the forged one is stopped", || find("forged")["state"] == "stopped");
    assert_eq!(find("forged")["reason"], "its target does not have its values");
    assert_eq!(find(real["id"].as_str().unwrap())["state"], "running");
    run(&engine, &["abort"]).ends(0);
    let entry = json!({
        "id": "evil", "time": "", "by": "olga", "message": null, "what": "change", "target": "all",
        "steps": { JOBS: "unset" }, "before": { JOBS: {"revision": 1, "entry": {"value": 60}} },
    });
    engine.etcdctl(&["put", "/dynix/test/log/evil", &entry.to_string()]);
    let undo = run(&engine, &["undo"]).ends(1);
    assert!(undo.stderr.contains("evil is not what was done to all"), "{}", undo.stderr);
    assert_eq!((hosts[0].in_effect(WORKERS), have(&hosts, JOBS, &json!(60))), (json!(6), 0));
}
