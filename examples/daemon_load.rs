//! How much the daemon takes: `cargo build --release && cargo run --release --example daemon_load [--write] [SECONDS]`.
//!
//! Starts the `dynix daemon` that was built beside it on a tree of its own, and asks it with 1 to 200 clients at a time, each
//! of which asks as soon as it is answered. Prints what docs/daemon.md has of it, or writes it there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // whoever runs it looks at what went wrong

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between these lines of the documentation.
const MARKS: [&str; 2] = ["<!-- daemon_load -->\n", "<!-- end of daemon_load -->\n"];
const CLIENTS: [usize; 5] = [1, 10, 50, 100, 200];

/// What is asked: a name, a call for the client and its turn, and the window.
struct Question {
    name: &'static str,
    window: &'static str,
    call: fn(usize, usize) -> String,
}

const QUESTIONS: [Question; 3] = [
    Question {
        name: "Get",
        window: "20ms",
        call: |_, _| call("Get", r#""path":"services.harmonia.settings.workers""#),
    },
    Question { name: "Append", window: "20ms", call: |client, turn| append(client, turn, false) },
    Question { name: "Append and apply", window: "20ms", call: |client, turn| append(client, turn, true) },
];

fn call(method: &str, parameters: &str) -> String {
    format!("{{\"method\":\"io.dynix.Settings.{method}\",\"parameters\":{{{parameters}}}}}\0")
}

fn append(client: usize, turn: usize, apply: bool) -> String {
    let value = 1 + (client * 31 + turn) % 64;
    call("Append", &format!(r#""path":"services.harmonia.settings.workers","value":{value},"apply":{apply}"#))
}

fn main() {
    let (options, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    assert!(options.iter().all(|option| option == "--write"), "usage: daemon_load [--write] [SECONDS]");
    let text = measured(words.first().map_or(2.0, |text| text.parse().unwrap()));
    if options.is_empty() {
        print!("{text}");
    } else {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/daemon.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (before, rest) = document.split_once(MARKS[0]).expect("the document has the marks");
        let (_, after) = rest.split_once(MARKS[1]).expect("the document has the marks");
        std::fs::write(path, [before, MARKS[0], &text, MARKS[1], after].concat()).unwrap();
    }
}

/// What was measured, as Markdown.
fn measured(seconds: f64) -> String {
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("dynix");
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let processors = std::thread::available_parallelism().unwrap();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load = load.split_once(' ').unwrap().0;
    let mut text = format!("A {build} build on {processors} processors, with a load of {load} before it began:\n\n");
    text.push_str("| call | clients | a second | median | 90 % | 99 % | slowest | memory |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for question in QUESTIONS {
        for clients in CLIENTS {
            let daemon = Daemon::start(&program, question.window);
            let begin = Instant::now();
            let mut times = ask(&daemon.socket(), &question, clients, Duration::from_secs_f64(seconds));
            // The last answers come later than that.
            let took = begin.elapsed().as_secs_f64();
            times.sort_unstable();
            let at = |part: f64| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
                // an index
                let index = ((times.len() - 1) as f64 * part) as usize;
                format!("{:.2} ms", times[index].as_secs_f64() * 1000.0)
            };
            #[allow(clippy::cast_precision_loss)] // a rate
            let rate = times.len() as f64 / took;
            writeln!(
                text,
                "| {} | {clients} | {rate:.0} | {} | {} | {} | {} | {} |",
                question.name,
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0),
                daemon.memory()
            )
            .unwrap();
        }
    }
    text
}

/// How long each answer took.
fn ask(socket: &Path, question: &Question, clients: usize, time: Duration) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || {
                    let stream = UnixStream::connect(socket).unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let (mut stream, begin, mut times) = (stream, Instant::now(), Vec::new());
                    let mut reply = Vec::new();
                    while begin.elapsed() < time {
                        let asked = Instant::now();
                        stream.write_all((question.call)(client, times.len()).as_bytes()).unwrap();
                        reply.clear();
                        reader.read_until(0, &mut reply).unwrap();
                        assert!(!reply.starts_with(b"{\"error"), "{}", String::from_utf8_lossy(&reply));
                        times.push(asked.elapsed());
                    }
                    times
                })
            })
            .collect();
        asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

struct Daemon {
    root: tempfile::TempDir,
    process: Child,
}

impl Daemon {
    fn start(program: &Path, window: &str) -> Self {
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let descriptions = here.join("descriptions");
        let mut generate = Command::new(program);
        generate.arg("generate").arg("--description").arg(descriptions.join("harmonia.json"));
        generate.arg("--static-root").arg(&descriptions).arg("--out").arg(root.path().join("etc/dynix"));
        assert!(generate.status().unwrap().success());
        std::fs::create_dir_all(root.path().join("run/dynix")).unwrap();
        let socket = root.path().join("run/dynix/dynix.sock");
        let mut daemon = Command::new(program);
        daemon.arg("--root").arg(root.path()).arg("--socket").arg(&socket).args(["daemon", "--window", window]);
        let process = daemon.stderr(Stdio::null()).spawn().unwrap();
        while UnixStream::connect(&socket).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { root, process }
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("run/dynix/dynix.sock")
    }

    /// The most that it had at any time (`proc_pid_status(5)`).
    fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        format!("{:.1} MB", kilobytes / 1024.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
