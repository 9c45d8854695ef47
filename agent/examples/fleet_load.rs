//! From `dynix-fleet set` to every host: `cargo build --release -p dynix-agent --bins --examples &&
//! target/release/examples/fleet_load [HOSTS [SETS [PROXIES]]]`.
//!
//! Real are: an etcd of three members on loopback, `dynix-fleet`, and the agents, each with its connection, watches, lease
//! and reports; they are tasks of one process. The daemons are sockets that answer at once, and the time is until the daemon is
//! asked. With PROXIES, the agents are connected to so many of etcd's gRPC proxies. All of it shares the processors of this
//! machine, so the seconds of a processor are what can be compared.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // whoever runs it looks at what went wrong
#![allow(clippy::cast_precision_loss, clippy::too_many_lines)]

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
    let proxies: usize = words.get(2).map_or(0, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (port(), port())).collect();
    let etcd = Ends(ports.iter().enumerate().map(|(at, _)| member(directory.path(), &ports, at)).collect());
    let endpoints: Vec<String> = ports.iter().map(|(client, _)| format!("http://127.0.0.1:{client}")).collect();
    std::thread::sleep(Duration::from_secs(3));
    let fronts: Vec<u16> = (0..proxies).map(|_| port()).collect();
    let proxies = Ends(fronts.iter().map(|port| proxy(&endpoints, *port)).collect());
    let fronts: Vec<String> = fronts.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let asked = if fronts.is_empty() { &endpoints } else { &fronts };
    std::thread::sleep(Duration::from_secs(if fronts.is_empty() { 0 } else { 2 }));
    let before = measured(&etcd, &ports);
    let memory_of_proxies = processes(&proxies).1;
    let own = memory("self");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let arrivals: Arrivals = Arc::default();
    for at in 0..hosts {
        let tree = directory.path().join(format!("h{at}"));
        let socket = tree.join("run/dynix/dynix.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let _inside = runtime.enter();
        let listener = UnixListener::bind(&socket).unwrap();
        runtime.spawn(listen(listener, arrivals.clone()));
        let config = json!({
            "version": 1, "host": format!("host{at}"), "groups": ["web"], "socket": socket,
            "stateDirectory": tree.join("state"), "runtimeDirectory": tree.join("runtime"),
            "sources": {"fleet": {"kind": "etcd", "endpoints": asked, "fleet": "load", "lease": 30, "drive": false}},
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
    if !proxies.0.is_empty() {
        println!("a proxy: {} kB more a host", (processes(&proxies).1 - memory_of_proxies) / hosts as u64);
    }
    let mut all = Vec::new();
    let begin = measured(&etcd, &ports);
    let used = |etcd: &Ends| [processes(etcd).0, processes(&proxies).0, of_process("self")];
    let (mut until_there, mut with_reports) = ([0.0; 3], [0.0; 3]);
    for value in 1..=sets {
        arrivals.lock().unwrap().clear();
        let before = used(&etcd);
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
        let add = |to: &mut [f64; 3]| {
            for (sum, (now, before)) in to.iter_mut().zip(used(&etcd).into_iter().zip(before)) {
                *sum += (now - before) / sets as f64;
            }
        };
        add(&mut until_there);
        let shown = shown(came.clone());
        println!("set {value}: the command {:.0} ms; hosts {shown}", typed.as_secs_f64() * 1000.0);
        all.extend(came);
        // The reports come as well.
        std::thread::sleep(Duration::from_secs(3));
        add(&mut with_reports);
    }
    let end = measured(&etcd, &ports);
    let each = |all: u64| all / (hosts as u64 * u64::try_from(sets).unwrap());
    println!(
        "all: {}; {} B to a host and {} B from it a set",
        shown(all),
        each(end.sent - begin.sent),
        each(end.received - begin.received),
    );
    for (what, [etcd, proxies, agents]) in [("until all have it", until_there), ("with reports", with_reports)] {
        println!("seconds of a processor a set, {what}: etcd {etcd:.2}, proxies {proxies:.2}, agents {agents:.2}");
    }
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

fn proxy(endpoints: &[String], port: u16) -> Child {
    Command::new("etcd")
        .args(["grpc-proxy", "start", "--endpoints", &endpoints.join(",")])
        .args(["--listen-addr", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// In the place of a daemon: notes when a layer is asked for.
async fn listen(listener: UnixListener, arrivals: Arrivals) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            loop {
                let mut bytes = Vec::new();
                if stream.read_until(0, &mut bytes).await.unwrap_or_default() == 0 {
                    return;
                }
                let call: Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
                let method = call["method"].as_str().unwrap().rsplit('.').next().unwrap();
                if method == "Monitor" {
                    std::future::pending::<()>().await;
                }
                if method == "SetLayer" {
                    let value = &call["parameters"]["values"]["services"]["harmonia"]["settings"]["workers"];
                    arrivals.lock().unwrap().push((value.as_i64().unwrap_or_default(), Instant::now()));
                }
                let answer = b"{\"parameters\":{\"answer\":{\"records\":[],\"notes\":[]}}}\0";
                if stream.get_mut().write_all(answer).await.is_err() {
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
    (all.processor, all.memory) = processes(etcd);
    for (_, (port, _)) in etcd.0.iter().zip(ports) {
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

/// The seconds of a processor that some processes used, and their memory in kB.
fn processes(some: &Ends) -> (f64, u64) {
    let each = some.0.iter().map(|child| child.id().to_string());
    each.fold((0.0, 0), |(seconds, kilobytes), one| (seconds + of_process(&one), kilobytes + memory(&one)))
}

/// The seconds of a processor that a process used.
fn of_process(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap() / 100.0).sum()
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
