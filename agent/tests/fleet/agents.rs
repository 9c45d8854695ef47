//! Whole hosts: what is set reaches their daemons, whatever happens on the way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::run;
use crate::engine::{Engine, PATIENCE, is_here};
use crate::hosts::{Host, JOBS, WORKERS, until};

fn status(engine: &Engine) -> Value {
    serde_json::from_str(&run(engine, &["status", "--output", "json"]).ends(0).stdout).unwrap()
}

/// Waits until all of these hosts have told of themselves.
fn are_there(engine: &Engine, hosts: &[&str]) {
    until("they are there", || {
        let status = status(engine);
        hosts.iter().all(|host| status["hosts"][*host]["report"]["result"] == "applied")
    });
}

#[test]
fn what_is_set_reaches_the_hosts_and_what_they_refuse_is_told() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let hosts = [
        Host::new(&engine, "web1", &["web"]),
        Host::new(&engine, "web2", &["web"]),
        Host::new(&engine, "db1", &["db"]),
    ];
    are_there(&engine, &["web1", "web2", "db1"]);
    let set = run(&engine, &["set", WORKERS, "20", JOBS, "3", "--group", "web", "-m", "load", "--wait"]).ends(0);
    assert!(set.stdout.ends_with("2 of 2 hosts have it\n"), "{}", set.stdout);
    assert_eq!([&hosts[0], &hosts[1]].map(|host| host.in_effect(WORKERS)), [json!(20), json!(20)]);
    assert_ne!(hosts[2].in_effect(WORKERS), json!(20));
    // A transaction is one record, and says who and why.
    let records = hosts[0].records();
    assert_eq!(records.len(), 1);
    assert_eq!([&records[0]["by"], &records[0]["message"]], ["alice via fleet", "load"]);
    // One value of two is of no type that the option has: neither holds, and the host says so.
    let refused = run(&engine, &["set", WORKERS, "30", JOBS, "\"many\"", "--host", "web1", "--wait"]).ends(3);
    assert!(refused.stderr.contains("web1: refused: ") && refused.stderr.contains(JOBS), "{}", refused.stderr);
    assert_eq!(hosts[0].in_effect(WORKERS), json!(20));
    let seen = status(&engine);
    assert_eq!(
        [&seen["hosts"]["web1"]["report"]["result"], &seen["hosts"]["web2"]["report"]["result"]],
        ["refused", "applied"]
    );
    run(&engine, &["status", "--exit-code"]).ends(8);
    // It is not tried again, also by an agent that starts anew.
    let records = hosts[0].records().len();
    let mut hosts = hosts;
    hosts[0].kill_agent();
    hosts[0].start_agent();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(hosts[0].records().len(), records);
    run(&engine, &["undo", "--output", "json"]).ends(0);
    until("web1 is well", || status(&engine)["hosts"]["web1"]["report"]["result"] == "applied");
    run(&engine, &["status", "--exit-code"]).ends(0);
    // What ends is over.
    run(&engine, &["set", WORKERS, "40", "--all", "--for", "3s", "--wait"]).ends(0);
    assert_eq!(hosts[2].in_effect(WORKERS), json!(40));
    until("it is over", || hosts[2].in_effect(WORKERS) != json!(40));
    let metrics = std::fs::read_to_string(hosts[0].path("agent/metrics.prom")).unwrap();
    assert!(metrics.contains("dynix_agent_source_up{source=\"fleet\"} 1\n"), "{metrics}");
    assert!(metrics.contains("dynix_agent_source_applied{source=\"fleet\"} 1\n"), "{metrics}");
    let diff = run(&engine, &["diff", "web1", "db1", "--exit-code"]).ends(8).stdout;
    assert_eq!(diff, format!("{JOBS}\n    web1: 3\n    db1: unset\n{WORKERS}\n    web1: 20\n    db1: unset\n"));
    // A host that dies is seen to be dead, and can be forgotten.
    hosts[2].kill_agent();
    until("db1 is gone", || status(&engine)["hosts"]["db1"]["alive"] == json!(false));
    run(&engine, &["forget", "web1"]).ends(1);
    run(&engine, &["forget", "db1"]).ends(0);
    assert_eq!(status(&engine)["hosts"]["db1"], Value::Null);
}

#[test]
fn a_host_that_was_cut_off_catches_up_and_one_without_etcd_keeps_what_it_has() {
    if !is_here() {
        return;
    }
    let mut engine = Engine::new(3);
    let mut hosts = [Host::new(&engine, "web1", &["web"]), Host::new(&engine, "web2", &["web"])];
    are_there(&engine, &["web1", "web2"]);
    run(&engine, &["set", WORKERS, "20", "--group", "web", "--wait"]).ends(0);
    // Cut off for longer than its lease.
    hosts[0].freeze_agent(true);
    until("web1 is gone", || status(&engine)["hosts"]["web1"]["alive"] == json!(false));
    for value in ["21", "22", "23"] {
        run(&engine, &["set", WORKERS, value, "--group", "web", "--wait"]).ends(0);
    }
    assert_eq!(hosts[0].in_effect(WORKERS), json!(20));
    hosts[0].freeze_agent(false);
    until("web1 has it", || hosts[0].in_effect(WORKERS) == json!(23));
    are_there(&engine, &["web1"]);
    // Not what it missed, but what holds.
    assert_eq!(hosts[0].records().len(), 2);
    // No etcd at all, and everything on the host starts anew.
    for member in 0..3 {
        engine.kill(member);
    }
    for host in &mut hosts {
        host.kill_agent();
        host.kill_daemon();
        host.start_daemon();
        host.start_agent();
    }
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(hosts[1].in_effect(WORKERS), json!(23));
    for member in 0..3 {
        engine.start(member);
    }
    run_until(&engine, &["set", WORKERS, "24", "--group", "web"]);
    until("all have it", || hosts.iter().all(|host| host.in_effect(WORKERS) == json!(24)));
    assert_eq!(hosts[0].records().len(), 3);
    // The daemon is not there when something comes.
    hosts[0].kill_daemon();
    run(&engine, &["set", WORKERS, "25", "--group", "web"]).ends(0);
    until("web1 tells that it has no daemon", || {
        status(&engine)["hosts"]["web1"]["report"]["reason"].as_str().is_some_and(|reason| reason.contains("daemon"))
    });
    hosts[0].start_daemon();
    until("web1 has it", || hosts[0].in_effect(WORKERS) == json!(25));
}

#[test]
fn what_is_wrong_with_an_etcd_that_can_be_reached_is_said_as_it_is() {
    if !is_here() {
        return;
    }
    let mut engine = Engine::new(1);
    let host = Host::new(&engine, "web1", &["web"]);
    are_there(&engine, &["web1"]);
    run(&engine, &["set", WORKERS, "20", "--all", "--wait"]).ends(0);
    let restart = |engine: &mut Engine, from: &str, to: &str| {
        engine.kill(0);
        engine.copy(from, to);
        engine.start(0);
        engine.answers();
    };
    restart(&mut engine, "m0", "backup");
    run_until(&engine, &["set", WORKERS, "21", "--all", "--wait"]);
    restart(&mut engine, "backup", "m0");
    let trouble = |engine: &Engine| status(engine)["hosts"]["web1"]["report"]["trouble"].clone();
    // First that the etcd was not there for a moment.
    until("it says what is wrong", || {
        trouble(&engine).as_str().is_some_and(|reason| reason.starts_with("etcd is at revision "))
    });
    let reason = trouble(&engine).as_str().unwrap().to_owned();
    let fix = ": it may be restored from a backup, or be another one; `dynix-agent accept fleet` takes it as it is";
    assert!(reason.ends_with(fix), "{reason}");
    let shown = run(&engine, &["status", "--exit-code"]).ends(8).stdout;
    let line = shown.lines().find(|line| line.starts_with("web1 ")).unwrap();
    assert!(line.contains(" applied ") && line.ends_with(&reason), "{shown}");
    let waited = run(&engine, &["set", JOBS, "3", "--all", "--wait", "--deadline", "1s"]).ends(1);
    assert!(waited.stderr.starts_with(&format!("error: web1: applied: {reason}\n")), "{}", waited.stderr);
    let metrics = || std::fs::read_to_string(host.path("agent/metrics.prom")).unwrap();
    let is_measured = |name: &str, value: u8| {
        let line = format!("dynix_agent_source_{name}{{source=\"fleet\"}} {value}\n");
        until(&line, || metrics().contains(&line));
    };
    is_measured("up", 1);
    is_measured("trouble", 1);
    assert_eq!(host.in_effect(WORKERS), json!(21));
    let mut accept = std::process::Command::new(env!("CARGO_BIN_EXE_dynix-agent"));
    accept.env_remove("JOURNAL_STREAM").arg("--config").arg(host.path("agent.json")).args(["accept", "fleet"]);
    assert!(accept.status().unwrap().success());
    until("it is as the backup says", || host.in_effect(WORKERS) == json!(20));
    is_measured("trouble", 0);
    until("it is well", || trouble(&engine).is_null());
    // And one that can't be.
    engine.kill(0);
    is_measured("up", 0);
    is_measured("trouble", 0);
}

/// Tries until etcd answers.
pub fn run_until(engine: &Engine, arguments: &[&str]) {
    let start = std::time::Instant::now();
    while run(engine, arguments).code != 0 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `DYNIX_FAULTS` is how many; 500 is the whole of it.
#[test]
fn whatever_is_killed_each_host_ends_on_what_etcd_says() {
    if !is_here() {
        return;
    }
    let rounds: u32 = std::env::var("DYNIX_FAULTS").map_or(12, |text| text.parse().unwrap());
    let mut engine = Engine::new(3);
    let mut hosts: Vec<Host> = (0..3)
        .map(|at| Host::new(&engine, &format!("web{at}"), if at == 2 { &["web", "eu"] } else { &["web"] }))
        .collect();
    are_there(&engine, &["web0", "web1", "web2"]);
    // Known to go on from; a failure names it.
    let mut random: u64 = std::env::var("DYNIX_SEED").map_or(0x5eed, |text| text.parse().unwrap());
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((random >> 33) % below).unwrap()
    };
    // The model: what each target says of each option.
    let targets = ["all", "groups/web", "groups/eu", "hosts/web1"];
    let of_host: [&[usize]; 3] = [&[0, 1], &[0, 1, 3], &[0, 1, 2]];
    let options = [WORKERS, "services.harmonia.settings.priority", "services.distccd.nice"];
    let mut model: Vec<[Option<usize>; 3]> = vec![[None; 3]; targets.len()];
    let mut down: Option<usize> = None;
    for round in 0..rounds {
        let (target, option, value) = (next(4), next(3), next(15));
        let place: &[&str] = match target {
            0 => &["--all"],
            1 => &["--group", "web"],
            2 => &["--group", "eu"],
            _ => &["--host", "web1"],
        };
        let value_text = value.to_string();
        let is_unset = value < 4 && model[target][option].is_some();
        let mut arguments: Vec<&str> =
            if is_unset { vec!["unset", options[option]] } else { vec!["set", options[option], &value_text] };
        arguments.extend(place);
        // Killed while it is on its way, or just before.
        match next(4) {
            0 => {
                let host = next(3);
                hosts[host].kill_agent();
                hosts[host].start_agent();
            }
            1 => {
                let host = next(3);
                hosts[host].kill_daemon();
                hosts[host].start_daemon();
            }
            2 => {
                if let Some(member) = down.take() {
                    engine.start(member);
                } else {
                    let member = next(3);
                    engine.kill(member);
                    down = Some(member);
                }
            }
            _ => {}
        }
        run_until(&engine, &arguments);
        model[target][option] = (!is_unset).then_some(value);
        // Now and then all have to be where the model is; in between they are on the way.
        if round % 10 == 9 || round + 1 == rounds {
            for (host, of) in hosts.iter().zip(of_host) {
                for (at, option) in options.iter().enumerate() {
                    let expected = of.iter().rev().find_map(|target| model[*target][at]);
                    until(&format!("round {round}: {} has {expected:?} for {option}", host.name), || {
                        let output = host.command(&["get", option, "--json"]).output().unwrap();
                        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
                        match expected {
                            Some(expected) => value["inEffect"] == json!(expected),
                            None => value["records"] == json!([]) && value["inEffect"] == value["static"],
                        }
                    });
                }
            }
        }
    }
}

#[test]
fn a_copy_of_a_machine_does_nothing_and_words_reach_the_agent_that_runs() {
    if !is_here() {
        return;
    }
    let engine = Engine::new(1);
    let mut host = Host::new(&engine, "web1", &["web"]);
    are_there(&engine, &["web1"]);
    let agent = |host: &Host, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dynix-agent"));
        command.env_remove("JOURNAL_STREAM").arg("--config").arg(host.path("agent.json")).args(arguments);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(agent(&host, &["fetch"]), (0, String::new()));
    assert_eq!(agent(&host, &["accept", "fleet"]), (0, "whatever comes next is taken\n".to_owned()));
    assert_eq!(agent(&host, &["accept", "x"]), (1, "error: there is no source \"x\"; there are: fleet\n".to_owned()));
    host.kill_agent();
    let (code, said) = agent(&host, &["fetch"]);
    assert!(code == 1 && said.starts_with("error: cannot reach the agent at "), "{said}");
    // The same disk in another machine.
    let text = std::fs::read_to_string(host.path("agent.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["machineId"] = json!("0123456789abcdef0123456789abcdef");
    std::fs::write(host.path("agent.json"), config.to_string()).unwrap();
    host.start_agent();
    until("it says so", || host.log().contains("this machine is not 0123456789abcdef0123456789abcdef"));
    run(&engine, &["set", WORKERS, "20", "--all"]).ends(0);
    std::thread::sleep(Duration::from_secs(1));
    assert_ne!(host.in_effect(WORKERS), json!(20));
}
