//! Somebody else is at work at the same time: at each system call of a command, while that stands still, another process
//! appends or applies, or a person edits the log, by hand or with an editor.
//!
//! Whoever comes second may have to wait for a lock: then the first one goes on, and both run to their ends. After each: the
//! log is readable, has every record that was acknowledged and every line that somebody typed, what is remembered of it is
//! what it says, and the next apply leads to that.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use dynix::overrides::{HEADER, Kind, LogFile, Record};
use serde_json::json;

use super::calls::Call;
use super::invariants;
use super::scenario::{APPEND, APPEND_AND_APPLY, JOBS, PORT, Scenario, Stage, TORN, WORKERS, long_log, none, on, run};
use super::tracer::{self, Ended, Fate};
use super::{can_trace, said, say, stride, whole};
use crate::support::description;

const HOST: &str = "services.gotosocial.settings.host";
/// What a person writes.
const TYPED: &str = "{ set.services.gotosocial.settings.host = \"typed\"; }\n";
/// How long somebody who neither ends nor says for whom it waits is left alone with the other one standing still.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the first one runs.
const FIRST: &[Scenario] = &[
    Scenario {
        name: "the first append of all",
        description,
        prepare: &[],
        edit: none,
        command: &["append", WORKERS, "21"],
    },
    APPEND,
    Scenario {
        name: "append to a long log",
        description,
        prepare: &[],
        edit: long_log,
        command: &["append", WORKERS, "21"],
    },
    TORN,
    APPEND_AND_APPLY,
    Scenario {
        name: "apply",
        description,
        prepare: &[&["append", WORKERS, "20", "--apply"], &["append", WORKERS, "21"], &["append", PORT, "80"]],
        edit: none,
        command: &["apply"],
    },
    Scenario {
        name: "rollback",
        description,
        prepare: &[&["append", WORKERS, "20"], &["append", PORT, "80"], &["append", JOBS, "4"]],
        edit: none,
        command: &["rollback"],
    },
    Scenario {
        name: "reset of one service",
        description,
        prepare: &[
            &["append", WORKERS, "20"],
            &["append", JOBS, "4", "--apply"],
            &["append", "services.distccd.logLevel", "debug"],
        ],
        edit: none,
        command: &["reset", "distccd"],
    },
    Scenario {
        name: "status, of a long log that nothing is remembered of",
        description,
        prepare: &[],
        edit: long_log,
        command: &["status"],
    },
];

/// What somebody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Command(&'static [&'static str]),
    /// One more line, as `echo >>` writes it.
    Line,
    /// Another value in the first record, in its place.
    Edit,
    /// A new file with one more line, moved over the log.
    Rename,
    /// The same text with one more line at its end, written over the old one.
    Rewrite,
    /// The same text with a comment right after the header, written over the old one: all that follows moves.
    Insert,
}

const ACTS: &[Act] = &[
    Act::Command(&["append", HOST, "appended"]),
    Act::Command(&["append", HOST, "applied", "--apply"]),
    Act::Command(&["apply"]),
    Act::Line,
    Act::Edit,
    Act::Rename,
    Act::Rewrite,
    Act::Insert,
];

impl Act {
    fn types(self) -> bool {
        matches!(self, Self::Line | Self::Rename | Self::Rewrite)
    }

    /// Does it; gives the process where that may have to wait.
    fn perform(self, root: &Utf8Path) -> Option<Second> {
        let log = log(root);
        match self {
            Self::Command(arguments) => return Some(Second::start(root, arguments)),
            Self::Edit | Self::Insert if !log.exists() => {}
            // Who begins one gives it its header.
            Self::Line if !log.exists() => return Self::Rewrite.perform(root),
            Self::Line => {
                let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
                file.write_all(TYPED.as_bytes()).unwrap();
            }
            Self::Edit => {
                let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
                if let Some(at) = text.find(" = 20; }") {
                    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
                    file.write_all_at(b" = 29; }", at as u64).unwrap();
                }
            }
            Self::Rename => {
                let new = log.with_file_name("dynamic.nix~");
                std::fs::create_dir_all(log.parent().unwrap()).unwrap();
                std::fs::write(&new, with_typed(&log)).unwrap();
                std::fs::rename(new, log).unwrap();
            }
            Self::Insert => {
                let text = std::fs::read_to_string(&log).unwrap();
                let records = text.strip_prefix(HEADER).unwrap();
                std::fs::write(&log, format!("{HEADER}# mine\n{records}")).unwrap();
            }
            Self::Rewrite => {
                std::fs::create_dir_all(log.parent().unwrap()).unwrap();
                std::fs::write(&log, with_typed(&log)).unwrap();
            }
        }
        None
    }
}

/// The log's text with one more line; what is torn goes, as a person would have it.
fn with_typed(log: &Utf8Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|_| HEADER.to_owned());
    text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned() + TYPED
}

impl Scenario {
    /// What is typed behind a torn line goes on in it: that nobody could read before either.
    fn allows(&self, act: Act) -> bool {
        act != Act::Line || !self.name.contains("torn")
    }
}

fn log(root: &Utf8Path) -> Utf8PathBuf {
    root.join("etc/nixos/dynamic.nix")
}

/// The other process.
struct Second(JoinHandle<(i32, String)>);

impl Second {
    /// Starts it, and comes back when it is done or waits for somebody.
    fn start(root: &Utf8Path, arguments: &[&str]) -> Self {
        let mut command = on(root, arguments);
        let said = tempfile::NamedTempFile::new().unwrap();
        let end = || std::fs::OpenOptions::new().append(true).open(said.path()).unwrap();
        command.stdin(Stdio::null()).stdout(end()).stderr(end());
        let path = said.path().to_owned();
        // A child of another thread is none that the tracer waits for.
        let running = std::thread::spawn(move || {
            let code = command.status().unwrap().code().expect("it was killed");
            (code, std::fs::read_to_string(said.path()).unwrap())
        });
        let begin = Instant::now();
        let waits = || std::fs::read_to_string(&path).is_ok_and(|said| said.contains("waiting for "));
        while !running.is_finished() && !waits() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self(running)
    }
}

/// What a run of both came to.
struct Both {
    first: Ended,
    second: Option<(i32, String)>,
}

/// Runs the first one, and at its call number `at` the other. `None` if it had fewer calls this time: what it remembers of the
/// log depends on how long ago that changed.
fn both(stage: &Stage, scenario: &Scenario, at: usize, act: Act) -> Option<Both> {
    prepare(stage, scenario);
    let root = stage.root();
    let (mut number, mut second) = (0, None);
    let first = tracer::run(&on(&root, scenario.command), &root, |_| {
        if number == at {
            second = act.perform(&root);
        }
        number += 1;
        Fate::Pass
    });
    let second = second.map(|second: Second| second.0.join().unwrap());
    (number > at).then_some(Both { first, second })
}

fn prepare(stage: &Stage, scenario: &Scenario) {
    stage.put_back();
    if !scenario.name.contains("nothing is remembered") {
        // A log that changed just now is remembered by the next look (see `Cache`).
        std::thread::sleep(Duration::from_millis(10));
        run(&stage.root(), &["status"]).ends(0);
    }
}

fn check(stage: &Stage, scenario: &Scenario, act: Act, ran: &Both) {
    let root = stage.root();
    let text = invariants::log(&root);
    assert_eq!(ran.first.code, Some(0), "the first one");
    if let Some((code, _)) = &ran.second {
        assert_eq!(*code, 0, "the second one");
    }
    let parsed = rnix::Root::parse(&text);
    assert!(parsed.errors().is_empty(), "{:?}:\n{text}", parsed.errors());
    let remembered = LogFile::new(&log(&root), &root.join("var/cache/dynix"), None);
    let records = read(&remembered);
    check_acknowledged(scenario.command, &ran.first.stdout, &records);
    if let (Act::Command(command), Some((_, said))) = (act, &ran.second) {
        check_acknowledged(command, said, &records);
    }
    let typed = records.values().filter(|record| sets(record, HOST, &json!("typed"))).count();
    assert_eq!(typed, usize::from(act.types()), "lines that somebody typed, in\n{text}");
    check_rollback(&records, &remembered);
    // Nothing is recorded twice.
    let changed = records.values().filter(|record| sets(record, WORKERS, &json!(21))).count();
    let by_both = scenario.command.contains(&"21") || scenario.name == "apply";
    assert!(changed <= usize::from(by_both), "recorded {changed} times:\n{text}");
    is_what_it_says(&root, "right away");
    // Readers are in no trouble, and neither is the next one who appends.
    run(&root, &["status"]).ends(0);
    is_what_it_says(&root, "after a look");
    let last = remembered.fold().unwrap().last_id;
    let said = run(&root, &["append", JOBS, "9"]).ends(0).stdout;
    assert_eq!(invariants::acknowledged(&said), [last + 1]);
    is_what_it_says(&root, "after an append");
    invariants::recover(stage);
}

fn read(log: &LogFile) -> BTreeMap<u64, Record> {
    let records = log.records().unwrap_or_else(|error| panic!("{error}"));
    records.into_iter().map(|record| (record.id, record)).collect()
}

fn sets(record: &Record, path: &str, value: &serde_json::Value) -> bool {
    matches!(&record.kind, Kind::Set(leaves) if leaves.iter().any(|(at, set)| at.to_string() == path && set == value))
}

/// What a command said that it recorded is there.
fn check_acknowledged(command: &[&str], said: &str, records: &BTreeMap<u64, Record>) {
    let acknowledged = invariants::acknowledged(said);
    for id in &acknowledged {
        let record = records.get(id).unwrap_or_else(|| panic!("record {id} is not there: {said}"));
        match command {
            ["append", path, value, ..] => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
                assert!(sets(record, path, &value), "{record:?} is not what was acknowledged");
            }
            ["rollback"] => assert!(matches!(record.kind, Kind::Rollback(_)), "{record:?}"),
            _ => assert!(matches!(record.kind, Kind::Unset(_) | Kind::Reject { .. }), "{record:?}"),
        }
    }
    // Others may have reset the service first.
    let records_something = matches!(command[0], "append" | "rollback");
    assert!(!records_something || !acknowledged.is_empty(), "nothing was acknowledged: {said}");
}

/// A rollback without a number takes back one record.
fn check_rollback(records: &BTreeMap<u64, Record>, log: &LogFile) {
    let Some((id, to)) = records.iter().find_map(|(id, record)| match record.kind {
        Kind::Rollback(to) => Some((*id, to)),
        _ => None,
    }) else {
        return;
    };
    let held = records.range(to + 1..id).filter(|(_, record)| matches!(record.kind, Kind::Set(_))).count();
    assert_eq!(held, 1, "record {id} goes back to {to}: {:?}", log.records());
}

/// What is remembered of the log makes no difference to what it comes to.
fn is_what_it_says(root: &Utf8Path, when: &str) {
    let nothing = tempfile::tempdir().unwrap();
    let fold = |cache: &Utf8Path| LogFile::new(&log(root), cache, None).fold().unwrap();
    let remembered = fold(&root.join("var/cache/dynix"));
    assert_eq!(remembered, fold(Utf8Path::from_path(nothing.path()).unwrap()), "{when}: what is remembered is not so");
}

fn described(scenario: &Scenario, act: Act, at: usize, calls: &[Call], ran: &Both, root: &Utf8Path) -> String {
    format!(
        "{}, {act:?} at {at}, {}:\n  first ended with {:?}: {}\n  second: {:?}",
        scenario.name,
        calls[at].shown(root),
        ran.first.code,
        ran.first.stderr.trim_end(),
        ran.second
    )
}

/// Whether a call is one of those at which the log itself is looked at or changed.
fn is_about_the_log(call: &Call, root: &Utf8Path) -> bool {
    call.path == log(root) || call.path.as_str().contains(".stamp.json")
}

#[test]
fn somebody_else_may_be_at_work_at_every_call() {
    if !can_trace() {
        return;
    }
    let (mut faults, mut total) = (Vec::new(), 0);
    for (index, scenario) in FIRST.iter().enumerate() {
        let stage = Stage::of(scenario);
        let root = stage.root();
        prepare(&stage, scenario);
        let clean = tracer::run(&on(&root, scenario.command), &root, |_| Fate::Pass);
        assert_eq!(clean.code, Some(0), "{}", clean.stderr);
        let (mut number, mut made) = (37 * index, 0);
        for act in ACTS.iter().filter(|act| scenario.allows(**act)) {
            for (at, call) in clean.calls.iter().enumerate() {
                number += 1;
                // By itself: every call that matters to the commonest command, and of the others a sample.
                let matters = scenario.name == "append" && is_about_the_log(call, &root);
                if !(number.is_multiple_of(stride()) || matters && !whole()) {
                    continue;
                }
                let Some(ran) = both(&stage, scenario, at, *act) else { continue };
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    check(&stage, scenario, *act, &ran);
                }));
                if let Err(problem) = checked {
                    let what = described(scenario, *act, at, &clean.calls, &ran, &root);
                    let fault = format!("{what}\n  {}", said(problem.as_ref()).replace('\n', "\n  "));
                    say(&format!("FAULT {fault}\n"));
                    faults.push(fault);
                }
                made += 1;
            }
        }
        total += made;
        if whole() {
            say(&format!("second actor, {}: {made} at {} calls\n", scenario.name, clean.calls.len()));
        }
    }
    if whole() {
        say(&format!("second actor: {total}\n"));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
