//! From `dynix-fleet set` to every host: `cargo build --release --workspace && cargo run --release -p dynix-agent --example
//! fleet_load -- [HOSTS [SETS [real]]]`.
//!
//! Real are: an etcd of three members on loopback, `dynix-fleet`, and the agents, each with its connection, watches, lease
//! and reports; they are tasks of one process. Without `real`, the daemons are sockets that answer at once, and the time is
//! until the daemon is asked. With it, each host has a tree and a `dynix daemon` of its own, without units, and the time is
//! until the agent has the answer. All of it shares the processors of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss)] // whoever runs it looks at what went wrong

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dynix_agent::config::Config;
use dynix_agent::run;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

/// When which host came to which value.
type Arrivals = Arc<Mutex<Vec<(i64, Instant)>>>;

struct Ends(Vec<Child>);

impl Drop for Ends {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join(name)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let hosts: usize = words.first().map_or(1000, |text| text.parse().unwrap());
    let sets: i64 = words.get(1).map_or(10, |text| text.parse().unwrap());
    let real = words.get(2).is_some_and(|word| word == "real");
    let directory = tempfile::tempdir().unwrap();
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (port(), port())).collect();
    let etcd = Ends(ports.iter().enumerate().map(|(at, _)| member(directory.path(), &ports, at)).collect());
    let endpoints: Vec<String> = ports.iter().map(|(client, _)| format!("http://127.0.0.1:{client}")).collect();
    std::thread::sleep(Duration::from_secs(3));
    let before = measured(&etcd, &ports);
    let own = memory("self");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let arrivals: Arrivals = Arc::default();
    let mut daemons = Ends(Vec::new());
    let template = real.then(|| template(directory.path()));
    for at in 0..hosts {
        let tree = directory.path().join(format!("h{at}"));
        let socket = tree.join("run/dynix/dynix.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        if let Some(template) = &template {
            assert!(Command::new("cp").arg("-aT").args([template, &tree]).status().unwrap().success());
            let mut daemon = Command::new(program("dynix"));
            daemon.arg("--root").arg(&tree).arg("--socket").arg(&socket).arg("daemon").stderr(Stdio::null());
            daemons.0.push(daemon.spawn().unwrap());
        }
        let asked = if real { tree.join("run/dynix/between.sock") } else { socket.clone() };
        let _inside = runtime.enter();
        let listener = UnixListener::bind(&asked).unwrap();
        runtime.spawn(listen(listener, real.then_some(socket), arrivals.clone()));
        let config = json!({
            "version": 1, "host": format!("host{at}"), "groups": ["web"], "socket": asked,
            "stateDirectory": tree.join("state"), "runtimeDirectory": tree.join("runtime"),
            "sources": {"fleet": {"kind": "etcd", "endpoints": endpoints, "fleet": "load", "lease": 30, "drive": false}},
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let stop = CancellationToken::new();
        runtime.spawn(async move { run::run(config, Arc::default(), Arc::new(|_: &str| {}), stop).await.unwrap() });
    }
    let start = Instant::now();
    // Every host begins with what there is: nothing.
    while arrivals.lock().unwrap().len() < hosts {
        assert!(start.elapsed() < Duration::from_secs(300), "{} are there", arrivals.lock().unwrap().len());
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{hosts} hosts are there after {:.1} s", start.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(5));
    let idle = measured(&etcd, &ports);
    std::thread::sleep(Duration::from_secs(10));
    let later = measured(&etcd, &ports);
    println!(
        "etcd: {} kB a host in memory ({} members), idle: {:.1} % of a processor, {} B/s a host; an agent: {} kB",
        (idle.memory - before.memory) / hosts as u64,
        ports.len(),
        (later.processor - idle.processor) * 10.0,
        (later.sent - idle.sent + later.received - idle.received) / 10 / hosts as u64,
        (memory("self") - own) / hosts as u64,
    );
    let mut all = Vec::new();
    let begin = measured(&etcd, &ports);
    for value in 1..=sets {
        arrivals.lock().unwrap().clear();
        let start = Instant::now();
        let mut set = Command::new(program("dynix-fleet"));
        set.args(["--endpoint", &endpoints.join(","), "--fleet", "load", "set", "services.harmonia.settings.workers"]);
        assert!(set.args([&value.to_string(), "--group", "web"]).stdout(Stdio::null()).status().unwrap().success());
        let typed = start.elapsed();
        let came = loop {
            let came: Vec<Duration> = arrivals
                .lock()
                .unwrap()
                .iter()
                .filter(|(of, _)| *of == value)
                .map(|(_, at)| at.duration_since(start))
                .collect();
            if came.len() == hosts {
                break came;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "{} of {hosts} have it", came.len());
            std::thread::sleep(Duration::from_millis(20));
        };
        let shown = shown(came.clone());
        println!("set {value}: the command {:.0} ms; hosts {shown}", typed.as_secs_f64() * 1000.0);
        all.extend(came);
        // The reports come as well.
        std::thread::sleep(Duration::from_secs(2));
    }
    let end = measured(&etcd, &ports);
    let each = |all: u64| all / (hosts as u64 * u64::try_from(sets).unwrap());
    println!(
        "all: {}; etcd: {:.2} s of a processor a set, {} B to a host and {} B from it a set",
        shown(all),
        (end.processor - begin.processor) / sets as f64,
        each(end.sent - begin.sent),
        each(end.received - begin.received),
    );
    runtime.shutdown_background();
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.0} ms, p99 {:.0} ms, last {:.0} ms", at(50), at(99), at(100))
}

fn member(directory: &Path, ports: &[(u16, u16)], at: usize) -> Child {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let cluster: Vec<String> =
        ports.iter().enumerate().map(|(at, (_, peer))| format!("m{at}={}", url(*peer))).collect();
    let (client, peer) = (url(ports[at].0), url(ports[at].1));
    Command::new("etcd")
        .args(["--name", &format!("m{at}"), "--data-dir"])
        .arg(directory.join(format!("m{at}")))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster.join(",")])
        .args(["--logger", "zap", "--log-level", "error"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A tree with the service that is set, and a source.
fn template(directory: &Path) -> PathBuf {
    let descriptions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../descriptions");
    let text = std::fs::read_to_string(descriptions.join("harmonia.json")).unwrap();
    let mut description: Value = serde_json::from_str(&text).unwrap();
    description["sources"] = json!([{"name": "fleet"}]);
    let tree = directory.join("template");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("description.json"), description.to_string()).unwrap();
    let status = Command::new(program("dynix"))
        .args(["generate", "--static-root"])
        .arg(&descriptions)
        .arg("--description")
        .arg(tree.join("description.json"))
        .arg("--out")
        .arg(tree.join("etc/dynix"))
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    tree
}

/// Between an agent and its daemon: notes when a layer is asked for, or, with a daemon behind it, when that has answered.
async fn listen(listener: UnixListener, behind: Option<PathBuf>, arrivals: Arrivals) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (behind, arrivals) = (behind.clone(), arrivals.clone());
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut daemon = match behind {
                Some(path) => Some(BufReader::new(tokio::net::UnixStream::connect(path).await.unwrap())),
                None => None,
            };
            loop {
                let mut bytes = Vec::new();
                if stream.read_until(0, &mut bytes).await.unwrap_or_default() == 0 {
                    return;
                }
                let call: Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
                let method = call["method"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
                let note = |arrivals: &Arrivals| {
                    let value = &call["parameters"]["values"]["services"]["harmonia"]["settings"]["workers"];
                    arrivals.lock().unwrap().push((value.as_i64().unwrap_or_default(), Instant::now()));
                };
                let answer = match &mut daemon {
                    // Nobody monitors here: there are no units, and it would double the connections.
                    _ if method == "Monitor" => std::future::pending().await,
                    Some(daemon) => {
                        daemon.get_mut().write_all(&bytes).await.unwrap();
                        let mut answer = Vec::new();
                        daemon.read_until(0, &mut answer).await.unwrap();
                        assert!(
                            !answer.windows(9).any(|part| part == b"\"error\":\""),
                            "{}",
                            String::from_utf8_lossy(&answer)
                        );
                        answer
                    }
                    None => b"{\"parameters\":{\"answer\":{\"records\":[],\"notes\":[]}}}\0".to_vec(),
                };
                if method == "SetLayer" {
                    note(&arrivals);
                }
                if stream.get_mut().write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

struct Measured {
    /// Seconds of a processor.
    processor: f64,
    /// In kB.
    memory: u64,
    /// Bytes from and to clients, by what etcd counts.
    sent: u64,
    received: u64,
}

fn measured(etcd: &Ends, ports: &[(u16, u16)]) -> Measured {
    let mut all = Measured { processor: 0.0, memory: 0, sent: 0, received: 0 };
    for (child, (port, _)) in etcd.0.iter().zip(ports) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        all.processor += [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap() / 100.0).sum::<f64>();
        all.memory += memory(&child.id().to_string());
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let count = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            line.unwrap_or_default().to_string().parse::<f64>().map_or(0, whole)
        };
        all.sent += count("etcd_network_client_grpc_sent_bytes_total ");
        all.received += count("etcd_network_client_grpc_received_bytes_total ");
    }
    all
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
fn whole(count: f64) -> u64 {
    count as u64
}

/// What a process has in memory, in kB.
fn memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
