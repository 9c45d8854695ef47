//! The log read piece by piece says what it says as a whole.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use camino::Utf8Path;
use dynix::overrides::{HEADER, Kind, LogFile, Most};

/// A log in which things are taken back now and then, near and far.
fn text(records: u64) -> String {
    let mut text = HEADER.to_owned();
    for id in 1..=records {
        let stamp = format!("id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"root\";");
        let chance = id * 7919 % 101;
        let _ = match chance {
            0 if id > 3 => writeln!(text, "{{ {stamp} rollback = {}; }}", id - 1 - id % 3),
            1 | 2 if id > 9 => writeln!(text, "{{ {stamp} reject = {}; reason = \"r{id}\"; }}", id - 1 - id % 8),
            _ => writeln!(text, "{{ {stamp} set.services.x.a{} = {id}; }}", id % 50),
        };
    }
    text
}

fn log_of(directory: &Utf8Path, records: u64) -> LogFile {
    let path = directory.join("dynamic.nix");
    std::fs::write(&path, text(records)).unwrap();
    LogFile::new(&path, &directory.join("cache"), None)
}

#[test]
fn pages_together_are_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let directory = Utf8Path::from_path(directory.path()).unwrap();
    let log = log_of(directory, 4000);
    let mut history = Vec::new();
    log.each(|record, fate| {
        history.push((record, fate.counts));
        ControlFlow::Continue(())
    })
    .unwrap();
    let whole = log.page(0, Most { records: usize::MAX, bytes: u64::MAX }).unwrap();
    assert_eq!(whole.records, history);
    // The fold leaves a checkpoint, from which pages of the end are read.
    log.fold().unwrap();
    for after in [0, 1, 1999, 2500, 3300, 3990, 3999, 4000, 4001] {
        let (mut behind, mut left) = (after, history.iter().filter(|(record, _)| record.id > after).peekable());
        loop {
            let page = log.page(behind, Most { records: 700, bytes: 20_000 }).unwrap();
            for (record, counts) in &page.records {
                assert_eq!(left.next(), Some(&(record.clone(), *counts)), "behind {after}");
                let reason = whole.rejections.get(&record.id);
                assert_eq!(page.rejections.get(&record.id), reason, "record {}", record.id);
                behind = record.id;
            }
            assert_eq!(page.complete, left.peek().is_none());
            if page.complete {
                break;
            }
            assert!(!page.records.is_empty(), "it goes on");
        }
    }
    let rejected =
        history.iter().filter(|(record, counts)| *counts && matches!(record.kind, Kind::Reject { .. })).count();
    assert!(rejected > 20 && whole.rejections.len() > 20, "{rejected} rejections");
}

#[test]
fn one_record_is_always_on_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_of(Utf8Path::from_path(directory.path()).unwrap(), 5);
    let page = log.page(2, Most { records: 0, bytes: 0 }).unwrap();
    assert_eq!((page.records.len(), page.records[0].0.id, page.complete), (1, 3, false));
    let nothing = LogFile::new(Utf8Path::new("/nonexistent/dynamic.nix"), Utf8Path::new("/nonexistent"), None);
    assert!(nothing.page(0, Most { records: 1, bytes: 1 }).unwrap().complete);
}
