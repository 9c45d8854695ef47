//! A real etcd in a temporary directory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dynix_agent::config;
use dynix_agent::etcd::client::Client;
use dynix_agent::etcd::keys::Fleet;
use dynix_agent::etcd::message::{DeleteRangeRequest, PutRequest, Request, RequestOp, TxnRequest};

use crate::ports;

/// Nothing here takes that long.
pub const PATIENCE: Duration = Duration::from_secs(90);
pub const FLEET: &str = "test";

/// Says that something is not tested here, also where the harness keeps what a passing test prints.
pub fn skip(what: &str) {
    std::io::stderr().write_all(format!("\nSKIPPED: {what}\n\n").as_bytes()).unwrap();
}

/// Whether there is an etcd; otherwise that is said.
pub fn is_here() -> bool {
    let found = Command::new("etcd").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("DYNIX_REQUIRE_ETCD").is_none(), "there is no etcd");
        skip("fleets on etcd: there is no etcd (Debian: etcd-server)");
    }
    found
}

/// How clients get to it.
#[derive(Clone, Default)]
pub struct Security {
    /// Arguments of etcd.
    pub arguments: Vec<String>,
    pub is_tls: bool,
}

/// The members of an etcd, which end with it.
pub struct Engine {
    directory: tempfile::TempDir,
    members: Vec<Member>,
    security: Security,
}

struct Member {
    client: u16,
    metrics: u16,
    peer: u16,
    process: Option<Child>,
}

impl Engine {
    pub fn new(size: usize) -> Self {
        Self::with(size, Security::default())
    }

    pub fn with(size: usize, security: Security) -> Self {
        let members = (0..size)
            .map(|_| Member { client: ports::free(), metrics: ports::free(), peer: ports::free(), process: None })
            .collect();
        let mut engine = Self { directory: tempfile::tempdir().unwrap(), members, security };
        for at in 0..size {
            engine.start(at);
        }
        engine.answers();
        engine
    }

    fn url(&self, at: usize) -> String {
        let scheme = if self.security.is_tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[at].client)
    }

    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|at| self.url(at)).collect()
    }

    pub fn start(&mut self, at: usize) {
        let peer = |member: &Member| format!("http://127.0.0.1:{}", member.peer);
        let cluster: Vec<String> =
            self.members.iter().enumerate().map(|(at, member)| format!("m{at}={}", peer(member))).collect();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join(format!("m{at}.log")))
            .unwrap();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{at}"), "--data-dir"])
            .arg(self.directory.path().join(format!("m{at}")))
            .args(["--listen-client-urls", &self.url(at), "--advertise-client-urls", &self.url(at)])
            .args(["--listen-peer-urls", &peer(&self.members[at])])
            .args(["--initial-advertise-peer-urls", &peer(&self.members[at])])
            .args(["--initial-cluster", &cluster.join(","), "--logger", "zap", "--log-level", "error"])
            .args(["--listen-metrics-urls", &format!("http://127.0.0.1:{}", self.members[at].metrics)])
            .args(&self.security.arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.members[at].process = Some(command.spawn().unwrap());
    }

    pub fn kill(&mut self, at: usize) {
        if let Some(mut process) = self.members[at].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops, or lets go on, without a word to anybody.
    pub fn freeze(&self, at: usize, freeze: bool) {
        let signal = if freeze { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        let process = rustix::process::Pid::from_child(self.members[at].process.as_ref().unwrap());
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Takes what it keeps to another place, or brings it back from there.
    pub fn copy(&self, from: &str, to: &str) {
        let _ = std::fs::remove_dir_all(self.directory.path().join(to));
        let status = Command::new("cp")
            .arg("-a")
            .args([self.directory.path().join(from), self.directory.path().join(to)])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub fn config(&self) -> config::Etcd {
        config::Etcd {
            endpoints: self.endpoints(),
            fleet: FLEET.to_owned(),
            certificate_authority: None,
            certificate: None,
            key: None,
            user_file: None,
            password_file: None,
            lease: 5,
            drive: true,
        }
    }

    /// etcdctl, which is not ours.
    pub fn etcdctl(&self, arguments: &[&str]) -> String {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoints().join(",")])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until it does.
    pub fn answers(&self) {
        if self.security.is_tls {
            // Who is let in is what the tests find out.
            let begun = Instant::now();
            while self.members.iter().any(|member| !member.is_well()) {
                assert!(begun.elapsed() < PATIENCE, "etcd is not well");
                std::thread::sleep(Duration::from_millis(50));
            }
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = self.config();
        runtime.block_on(async {
            let client = Client::new(&client, "harness").unwrap();
            let start = Instant::now();
            while let Err(error) = client.get("/").await {
                assert!(start.elapsed() < PATIENCE, "etcd does not answer: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
}

impl Member {
    /// Whether it has a leader, as it says itself, without TLS.
    fn is_well(&self) -> bool {
        let mut said = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.metrics)).and_then(|mut stream| {
            stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut said)
        });
        asked.is_ok() && said.contains("\"health\":\"true\"")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for at in 0..self.members.len() {
            self.kill(at);
        }
    }
}

pub fn fleet() -> Fleet {
    Fleet::new(FLEET).unwrap()
}

pub fn client(engine: &Engine) -> Client {
    Client::new(&engine.config(), "test").unwrap()
}

pub fn put(key: &str, value: &str) -> RequestOp {
    let put = PutRequest { key: key.as_bytes().to_vec(), value: value.as_bytes().to_vec(), lease: 0 };
    RequestOp { request: Some(Request::Put(put)) }
}

pub fn delete(key: &str) -> RequestOp {
    let delete = DeleteRangeRequest { key: key.as_bytes().to_vec(), range_end: Vec::new() };
    RequestOp { request: Some(Request::Delete(delete)) }
}

/// Does it all at once; the revision.
pub async fn write(client: &Client, success: Vec<RequestOp>) -> i64 {
    let start = Instant::now();
    loop {
        match client.transaction(TxnRequest { success: success.clone(), ..TxnRequest::default() }).await {
            Ok(answer) => return answer.header.unwrap().revision,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
