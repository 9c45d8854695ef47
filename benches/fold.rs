//! The log at every length: folding it from nothing, appending to it, folding it after an append.
//!
//! `cargo bench --bench fold`; the budgets are in docs/performance.md. With `DYNIX_BENCH_MEMORY=1` it folds logs of a
//! million records once, each in a process of its own, and prints the time and the peak of resident memory instead.

#![allow(clippy::unwrap_used)] // in a benchmark, a panic is the report

use std::fmt::Write as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use criterion::{BenchmarkId, Criterion};
use dynix::attr_path::AttrPath;
use dynix::overrides::{Draft, LogFile};
use serde_json::Value;

const HEADER: &str = "{ overrides, config, lib, pkgs, ... }: overrides\n";

/// A log on tmpfs where there is one, as /run is: the disk's fsync is not what is measured.
struct Log {
    _directory: tempfile::TempDir,
    path: Utf8PathBuf,
    cache: Utf8PathBuf,
}

impl Log {
    fn new(text: &str) -> Self {
        let shm = std::path::Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap().to_owned();
        let (path, cache) = (root.join("dynamic.nix"), root.join("cache"));
        std::fs::write(&path, text).unwrap();
        Self { _directory: directory, path, cache }
    }

    fn open(&self) -> LogFile {
        LogFile::new(&self.path, &self.cache, None)
    }

    fn forget(&self) {
        if self.cache.is_dir() {
            std::fs::remove_dir_all(&self.cache).unwrap();
        }
    }
}

/// Records as they come up: a few options of a few services, strings and numbers. `taken_back` adds a rejection and a
/// rollback every thousand records.
fn text(records: u64, taken_back: bool) -> String {
    let mut text = String::from(HEADER);
    for id in 1..=records {
        let (service, option) = (id % 50, id % 7);
        let _ = write!(text, "{{ id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"root\"; ");
        let _ = match id % 1000 {
            998 if taken_back => {
                writeln!(text, "reject = {}; reason = \"service-{service}: it did not start\"; }}", id - 3)
            }
            999 if taken_back => writeln!(text, "rollback = {}; }}", id - 9),
            rest if rest % 2 == 0 => {
                writeln!(text, "set.services.service-{service}.settings.option-{option} = {id}; }}")
            }
            _ => writeln!(text, "set.services.service-{service}.settings.name-{option} = \"value \\\"{id}\\\"\"; }}"),
        };
    }
    text
}

fn change() -> Draft {
    Draft::Set(AttrPath::parse("services.service-1.settings.option-1").unwrap(), Value::from(20))
}

fn lengths(criterion: &mut Criterion) {
    for (name, taken_back) in [("plain", false), ("taken-back", true)] {
        let mut group = criterion.benchmark_group(format!("fold-from-nothing/{name}"));
        for records in [1, 1_000, 10_000, 100_000, 1_000_000] {
            let log = Log::new(&text(records, taken_back));
            group.bench_function(BenchmarkId::from_parameter(records), |bencher| {
                bencher.iter_batched(
                    || log.forget(),
                    |()| log.open().fold().unwrap(),
                    criterion::BatchSize::PerIteration,
                );
            });
        }
    }
    for records in [1, 1_000_000] {
        let log = Log::new(&text(records, true));
        log.open().fold().unwrap();
        log.open().append(&[change()], "root", None, |_| ()).unwrap();
        log.open().fold().unwrap();
        let mut group = criterion.benchmark_group("after");
        group.bench_function(BenchmarkId::new("append", records), |bencher| {
            bencher.iter(|| log.open().append(&[change()], "root", None, |_| ()).unwrap());
        });
        group.bench_function(BenchmarkId::new("append-and-fold", records), |bencher| {
            bencher.iter(|| {
                log.open().append(&[change()], "root", None, |_| ()).unwrap();
                log.open().fold().unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("append-reject-and-fold", records), |bencher| {
            bencher.iter(|| {
                let id = log.open().append(&[change()], "root", None, |_| ()).unwrap()[0];
                let reject = Draft::Reject { id, reason: "it did not start".to_owned() };
                log.open().append(&[reject], "root", None, |_| ()).unwrap();
                log.open().fold().unwrap()
            });
        });
    }
}

/// Folds the log once, as the first thing that this process does.
fn fold_once(path: &Utf8Path) {
    let start = std::time::Instant::now();
    let folded = LogFile::new(path, &path.with_file_name("cache"), None).fold().unwrap();
    let (time, status) = (start.elapsed(), std::fs::read_to_string("/proc/self/status").unwrap());
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{} records folded in {time:?}; peak of memory {}", folded.last_id, peak.trim());
}

fn main() {
    if let Some(path) = std::env::var_os("DYNIX_BENCH_FOLD") {
        return fold_once(Utf8Path::from_path(path.as_ref()).unwrap());
    }
    if std::env::var_os("DYNIX_BENCH_MEMORY").is_some() {
        for taken_back in [false, true] {
            let log = Log::new(&text(1_000_000, taken_back));
            let mut process = std::process::Command::new(std::env::current_exe().unwrap());
            assert!(process.env("DYNIX_BENCH_FOLD", &log.path).status().unwrap().success());
        }
        return;
    }
    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3)).configure_from_args();
    lengths(&mut criterion);
    criterion.final_summary();
}
