//! The log's file: what is refused, what is survived, who waits for whom.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use camino::Utf8Path;
use dynix::attr_path::AttrPath;
use dynix::overrides::{Draft, HEADER, Kind, LogFile};
use serde_json::{Value, json};

struct Log {
    directory: tempfile::TempDir,
    log: LogFile,
}

impl Log {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let log = LogFile::new(&root.join("etc/dynamic.nix"), &root.join("cache"), None);
        std::fs::create_dir(root.join("etc")).unwrap();
        Self { directory, log }
    }

    fn with(text: impl AsRef<[u8]>) -> Self {
        let this = Self::new();
        std::fs::write(this.log.path(), text).unwrap();
        this
    }

    fn append(&self, value: impl Into<Value>) -> Vec<u64> {
        self.log.append(&[set(value)], "test", None, |_| ()).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// The record that the checkpoint is right behind.
    fn folded_up_to(&self) -> u64 {
        let notes = std::fs::read_dir(self.directory.path().join("cache")).unwrap();
        let mut notes = notes.map(|note| note.unwrap().path());
        let checkpoint = notes.find(|path| path.to_string_lossy().ends_with(".fold.json")).unwrap();
        let checkpoint: Value = serde_json::from_slice(&std::fs::read(checkpoint).unwrap()).unwrap();
        checkpoint["state"]["place"]["id"].as_u64().unwrap()
    }

    /// Reading and appending are both refused, in the same words, and the file is as it was.
    fn is_refused(&self) -> String {
        let state = || {
            let metadata = std::fs::symlink_metadata(self.log.path()).unwrap();
            // Reading a pipe would wait for ever.
            (metadata.is_file().then(|| std::fs::read(self.log.path()).unwrap()), metadata.ino(), metadata.size())
        };
        let before = state();
        let read = self.log.fold().unwrap_err().to_string();
        let append = self.log.append(&[set(1)], "test", None, |_| ()).unwrap_err().to_string();
        assert_eq!(read, append);
        assert_eq!(self.log.records().unwrap_err().to_string(), append);
        assert!(before == state(), "the log was changed");
        read.replace(self.log.path().as_str(), "LOG")
    }
}

fn set(value: impl Into<Value>) -> Draft {
    Draft::Set(AttrPath(vec!["a".to_owned()]), value.into())
}

fn good(records: u64) -> String {
    let line = |id| format!("{{ id = {id}; time = \"2026-11-21T10:00:00Z\"; by = \"root\"; set.a = {id}; }}\n");
    HEADER.to_owned() + &(1..=records).map(line).collect::<String>()
}

#[test]
fn a_log_begins_with_its_header_and_grows_by_lines() {
    let log = Log::new();
    assert_eq!(log.log.fold().unwrap().last_id, 0);
    assert!(!log.log.path().exists());
    assert_eq!(log.append("x"), [1]);
    let both = [Draft::Unset(AttrPath::parse("a.\"b.c\"").unwrap()), Draft::Rollback(1)];
    assert_eq!(log.log.append(&both, "me \"too\"", None, |_| ()).unwrap(), [2, 3]);
    let text = log.text();
    let time = regex_free_times(&text);
    assert_eq!(
        time,
        format!(
            "{HEADER}{{ id = 1; time = \"T\"; by = \"test\"; set.a = \"x\"; }}\n\
             {{ id = 2; time = \"T\"; by = \"me \\\"too\\\"\"; unset = [ \"a\" \"b.c\" ]; }}\n\
             {{ id = 3; time = \"T\"; by = \"me \\\"too\\\"\"; rollback = 1; }}\n"
        )
    );
    assert_eq!(std::fs::metadata(log.log.path()).unwrap().permissions().mode() & 0o7777, 0o644);
}

/// The text with each time as `T`.
fn regex_free_times(text: &str) -> String {
    let mut parts = text.split("time = \"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
        out.push_str("time = \"T\"");
        out.push_str(rest);
    }
    out
}

#[test]
fn a_torn_last_line_does_not_count_and_is_cut_by_the_next_append() {
    let whole = good(3);
    let last = "{ id = 4; time = \"2026-11-21T10:00:00Z\"; by = \"root\"; set.a = \"käse\"; }";
    for length in 1..last.len() {
        let mut bytes = whole.clone().into_bytes();
        bytes.extend(&last.as_bytes()[..length]);
        let log = Log::with(&bytes);
        let folded = log.log.fold().unwrap();
        assert_eq!((folded.last_id, folded.torn.map(|torn| torn.line)), (3, Some(6)), "{length}");
        assert!(folded.warnings[0].contains("the last line is torn"), "{:?}", folded.warnings);
        assert_eq!(std::fs::read(log.log.path()).unwrap(), bytes, "reading changes nothing");
        assert_eq!(log.append(9), [4]);
        assert!(log.text().starts_with(&format!("{whole}{{ id = 4; ")), "{}", log.text());
        assert_eq!(log.log.fold().unwrap().torn, None);
    }
    // Zeros are what some file systems leave of an append at a power cut.
    let log = Log::with([whole.as_bytes(), &[0; 200]].concat());
    assert_eq!(log.log.fold().unwrap().torn.map(|torn| torn.line), Some(6));
    assert_eq!(log.append(9), [4]);
    // So are zeros in the midst of it, where the disk had written what comes later first.
    let two = format!("{last}\n{}\n", last.replacen('4', "5", 1));
    for (text, hole, records) in
        [(format!("{last}\n"), 8..40, 3), (two.clone(), 0..40, 3), (two, last.len()..last.len() + 9, 4)]
    {
        let mut bytes = text.into_bytes();
        bytes[hole].fill(0);
        let log = Log::with([whole.as_bytes(), &bytes].concat());
        let folded = log.log.fold().unwrap();
        assert_eq!((folded.last_id, folded.torn.is_some()), (records, true));
        assert_eq!(log.append(9), [records + 1]);
        assert!(log.text().ends_with("set.a = 9; }\n") && !log.text().contains('\0'), "{}", log.text());
        assert_eq!(log.text().lines().count() as u64, records + 3);
    }
    // But not where something came later: that is damage, and not for us to cut.
    let damaged = whole.replacen("by = \"root\"", "by = \"\0\0\0\0\"", 1);
    assert!(Log::with(damaged + &last.replace("10:00:00", "10:00:01")).is_refused().starts_with("LOG, line 3: "));
    // All but the line feed is a whole record.
    let log = Log::with(format!("{whole}{last}"));
    let folded = log.log.fold().unwrap();
    assert_eq!((folded.last_id, folded.torn), (4, None));
    assert_eq!(log.append(9), [5]);
    assert!(log.text().starts_with(&format!("{whole}{last}\n{{ id = 5; ")), "{}", log.text());
}

#[test]
fn what_somebody_typed_is_not_cut_as_if_it_were_torn() {
    for typed in ["{ set.a = 1;", "set.a = 1", "{\n  set.a = 1;\n  {", "{ id = 4; set.a = 1; } x"] {
        let error = Log::with(good(3) + typed).is_refused();
        assert!(error.starts_with("LOG, line 6: "), "{typed}: {error}");
    }
}

#[test]
fn what_is_no_log_is_refused_with_the_line_and_stays_as_it_is() {
    let line = "{ overrides, config, lib, pkgs, ... }: overrides\n";
    let errors: Vec<String> = [
        "",
        "\n",
        "{ services.a = 1; }\n",
        "{ config, ... }: overrides\n",
        "{ overrides, true, ... }: overrides\n",
        "{ overrides, ... }: overrides // { }\n",
        &format!("{line}{{ id = 1; set.a = ; }}\n{{ id = 2; set.a = 1; }}\n"),
        &format!("{line}{{ id = 1; set.a = 1; }}\n// {{ }}\n"),
        &format!("{line}{{ id = 1; set.a = 1; }}.x\n"),
        &format!("{line}{{ id = 1; set.a = \"open;\n}}\n"),
        &format!("{line}{{ id = 2; set.a = 1; }}\n{{ id = 2; set.a = 1; }}\n"),
        &format!("{line}{{ id = 0; set.a = 1; }}\n"),
        &format!("{line}{{ id = \"1\"; set.a = 1; }}\n"),
        &format!("{line}{{ id = 1 + 1; set.a = 1; }}\n"),
        &format!("{line}{{ sett.a = 1; }}\n"),
        &format!("{line}{{ id = 1; }}\n"),
        &format!("{line}{{ set.a = 1; unset = [ \"a\" ]; }}\n"),
        &format!("{line}{{ set.a = 1; set.a = 2; }}\n"),
        &format!("{line}{{ set = {{ a.b = 1; }}; set.a = 1; }}\n"),
        &format!("{line}{{ set = 5; }}\n"),
        &format!("{line}{{ unset = [ ]; }}\n"),
        &format!("{line}{{ replace.path = [ \"a\" ]; }}\n"),
        &format!("{line}{{ set.a = 1; reason = \"x\"; }}\n"),
        &format!("{line}{{ time = \"yesterday\"; set.a = 1; }}\n"),
        &format!("{line}{{ inherit config; }}\n"),
        &format!("{line}rec {{ set.a = 1; }}\n"),
        &format!("{line}(import ./more.nix)\n"),
        &format!("{line}/* no end\n"),
        &format!("{line}# a comment\r{{ set.a = 1; }}\n"),
        &format!("{line}{{ set.a =\u{a0}1; }}\n"),
        &format!("{line}{{ set.a = \"x\0\"; }}\n"),
        &format!("{line}{{ id = 3; rollback = 2; }}\n"),
        &format!("{line}{{ id = 3; reject = 3; }}\n"),
    ]
    .iter()
    .map(|text| format!("{:?}\n  {}", text.strip_prefix(line).unwrap_or(text), Log::with(text).is_refused()))
    .collect();
    insta::assert_snapshot!(errors.join("\n"), @r##"
""
  LOG, line 1: a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not; repair that line by hand, or take it out
"\n"
  LOG, line 1: a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not; repair that line by hand, or take it out
"{ services.a = 1; }\n"
  LOG, line 1: a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not; repair that line by hand, or take it out
"{ config, ... }: overrides\n"
  LOG, line 1: a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not; repair that line by hand, or take it out
"{ overrides, true, ... }: overrides\n"
  LOG, line 1: a log begins with `{ overrides, config, lib, pkgs, ... }: overrides`, and this does not; repair that line by hand, or take it out
"{ overrides, ... }: overrides // { }\n"
  LOG, line 1: only records in braces can stand here; repair that line by hand, or take it out
"{ id = 1; set.a = ; }\n{ id = 2; set.a = 1; }\n"
  LOG, line 2: is not valid Nix: ";" can't stand where it does; repair that line by hand, or take it out
"{ id = 1; set.a = 1; }\n// { }\n"
  LOG, line 3: only records in braces can stand here; repair that line by hand, or take it out
"{ id = 1; set.a = 1; }.x\n"
  LOG, line 2: only records in braces can stand here; repair that line by hand, or take it out
"{ id = 1; set.a = \"open;\n}\n"
  LOG, line 2: begins a record that does not end: a bracket or string is not closed; repair that line by hand, or take it out
"{ id = 2; set.a = 1; }\n{ id = 2; set.a = 1; }\n"
  LOG, line 3: has id 2 after 2; ids have to increase; repair that line by hand, or take it out
"{ id = 0; set.a = 1; }\n"
  LOG, line 2: has id 0; ids begin at 1; repair that line by hand, or take it out
"{ id = \"1\"; set.a = 1; }\n"
  LOG, line 2: has `id = "1"`, which has to be a whole number, 0 or more; repair that line by hand, or take it out
"{ id = 1 + 1; set.a = 1; }\n"
  LOG, line 2: computes its id; only the values of set and replace can be computed; repair that line by hand, or take it out
"{ sett.a = 1; }\n"
  LOG, line 2: has an attribute "sett"; a record has id, time, by, until, message, and one of set, replace, unset, rollback, reject (with reason); a set of a source has source and revision; repair that line by hand, or take it out
"{ id = 1; }\n"
  LOG, line 2: has 0 of set, replace, unset, rollback and reject; it needs exactly one; repair that line by hand, or take it out
"{ set.a = 1; unset = [ \"a\" ]; }\n"
  LOG, line 2: has 2 of set, replace, unset, rollback and reject; it needs exactly one; repair that line by hand, or take it out
"{ set.a = 1; set.a = 2; }\n"
  LOG, line 2: defines the attribute "a" twice; repair that line by hand, or take it out
"{ set = { a.b = 1; }; set.a = 1; }\n"
  LOG, line 2: defines the attribute "a" twice; repair that line by hand, or take it out
"{ set = 5; }\n"
  LOG, line 2: has a `set` that is not an attribute set; repair that line by hand, or take it out
"{ unset = [ ]; }\n"
  LOG, line 2: has a `unset` of 0 names; it needs 1 to 128; repair that line by hand, or take it out
"{ replace.path = [ \"a\" ]; }\n"
  LOG, line 2: has a `replace` that lacks its path or its value; repair that line by hand, or take it out
"{ set.a = 1; reason = \"x\"; }\n"
  LOG, line 2: has a reason, which belongs to a `reject`; repair that line by hand, or take it out
"{ time = \"yesterday\"; set.a = 1; }\n"
  LOG, line 2: has "yesterday", which is not a UTC time as in 2026-11-21T10:00:00Z (timestamp format is invalid); repair that line by hand, or take it out
"{ inherit config; }\n"
  LOG, line 2: has an `inherit` at its top; write the attributes out; repair that line by hand, or take it out
"rec { set.a = 1; }\n"
  LOG, line 2: only records in braces can stand here; repair that line by hand, or take it out
"(import ./more.nix)\n"
  LOG, line 2: is not an attribute set in braces, as every record has to be; repair that line by hand, or take it out
"/* no end\n"
  LOG, line 2: begins a comment that has no end; repair that line by hand, or take it out
"# a comment\r{ set.a = 1; }\n"
  LOG, line 2: has a carriage return inside a comment, where Nix ends the comment; repair that line by hand, or take it out
"{ set.a =\u{a0}1; }\n"
  LOG, line 2: has '\u{a0}' outside of a string, which is no space to Nix; repair that line by hand, or take it out
"{ set.a = \"x\0\"; }\n"
  LOG, line 2: holds bytes that are not text, or does not end before them; repair that line by hand, or take it out
"{ id = 3; rollback = 2; }\n"
  LOG: record 3 names record 2, and there is no such record before it; `dynix log` lists them
"{ id = 3; reject = 3; }\n"
  LOG: record 3 names record 3, and there is no such record before it; `dynix log` lists them
"##);
    let deep = format!("{line}{{ set.a = {}1{}; }}\n", "[ ".repeat(2000), " ]".repeat(2000));
    assert!(Log::with(deep).is_refused().starts_with("LOG, line 2: nests more than 512 brackets"));
    let not_text = Log::with([good(1).as_bytes(), b"{ set.a = \"\xff\"; }\n"].concat()).is_refused();
    assert_eq!(not_text, "LOG, line 4: is not UTF-8; repair that line by hand, or take it out");
}

#[test]
fn what_is_no_plain_file_of_root_is_refused() {
    let log = Log::new();
    std::fs::create_dir(log.log.path()).unwrap();
    assert!(log.is_refused().starts_with("LOG is a directory"));

    let log = Log::new();
    symlink(log.directory.path().join("nowhere"), log.log.path()).unwrap();
    assert!(log.is_refused().starts_with("LOG is a symbolic link"));

    let log = Log::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        log.log.path().as_std_path(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(log.is_refused().starts_with("LOG is a device, pipe or socket"));

    let log = Log::with(good(1));
    std::fs::set_permissions(log.log.path(), std::fs::Permissions::from_mode(0o664)).unwrap();
    assert!(log.is_refused().contains("mode 664"));

    let log = Log::with(good(1));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(log.log.path(), Some(65534), None).unwrap();
        assert!(log.is_refused().contains("owner 65534"));
    } else {
        println!("SKIPPED: only root can give a file away, to see that it is refused then");
    }
}

#[test]
fn a_log_that_can_not_be_read_is_no_empty_log() {
    let log = Log::with(good(1));
    // Root may read everything; a file where a directory should be can be read by nobody.
    let path = log.log.path().join("dynamic.nix");
    let below = LogFile::new(&path, Utf8Path::new("/nonexistent"), None);
    let error = below.fold().unwrap_err().to_string();
    assert_eq!(error, format!("cannot open {}: Not a directory (os error 20)", log.log.path()));
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(log.log.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
        assert!(log.log.fold().unwrap_err().to_string().contains("Permission denied"));
    }
}

#[test]
fn a_huge_file_is_refused_without_being_read() {
    let log = Log::with(good(2));
    let file = std::fs::OpenOptions::new().append(true).open(log.log.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    let start = std::time::Instant::now();
    let error = log.log.fold().unwrap_err().to_string();
    assert!(error.contains("line 5: is longer than 16777216 bytes"), "{error}");
    assert!(log.log.append(&[set(1)], "test", None, |_| ()).is_err());
    assert!(start.elapsed().as_secs() < 60);
    assert_eq!(file.metadata().unwrap().len(), 1 << 40);
}

#[test]
fn where_nothing_can_be_written_nothing_is_recorded() {
    let log = Log::with(good(1));
    let path = Utf8Path::new("/proc/dynix/dynamic.nix");
    assert!(LogFile::new(path, Utf8Path::new("/proc/dynix"), None).append(&[set(1)], "test", None, |_| ()).is_err());
    // No place for notes is no error.
    let without = LogFile::new(log.log.path(), Utf8Path::new("/proc/dynix"), None);
    assert_eq!(without.append(&[set(1)], "test", None, |_| ()).unwrap(), [2]);
    assert_eq!(without.fold().unwrap().last_id, 2);
}

#[test]
fn one_wrong_change_keeps_all_of_them_out() {
    let log = Log::with(good(3));
    let before = log.text();
    let path = || AttrPath(vec!["a".to_owned()]);
    let changes = [
        (Draft::Set(path(), json!({})), "a: { } sets nothing; to have nothing but an empty set there, use --replace"),
        (
            Draft::Set(path(), json!("x".repeat(1 << 20))),
            "the record would have 1048620 bytes; at most 1048576 are possible",
        ),
        (Draft::Set(path(), json!("\0")), "a: a string holds the character NUL, which Nix strings can't"),
        (
            Draft::Rollback(9),
            "LOG: record 5 names record 9, and there is no such record before it; `dynix log` lists them",
        ),
        (
            Draft::Reject { id: 0, reason: String::new() },
            "LOG: record 5 names record 0, and there is no such record before it; `dynix log` lists them",
        ),
        (
            Draft::Expression { path: path(), text: "lib.id 1".to_owned(), replace: false },
            "LOG: record 5: it is a Nix expression, and this system's plan has no evaluator; give a plain value instead",
        ),
        (
            Draft::Expression { path: path(), text: "1; } { set.b = (2".to_owned(), replace: false },
            "a: it is no expression: a bracket or string is not closed, or closed twice",
        ),
    ];
    for (change, expected) in changes {
        let error = log.log.append(&[set(1), change], "test", None, |_| ()).unwrap_err();
        assert_eq!(error.to_string().replace(log.log.path().as_str(), "LOG"), expected);
        assert_eq!(log.text(), before);
    }
}

/// The state that is remembered never outlives an edit.
#[test]
fn what_is_remembered_is_void_once_somebody_edits_the_log() {
    let log = Log::new();
    let filler = "x".repeat(20_000);
    for value in 0..40 {
        log.append(format!("{value}{filler}"));
    }
    assert_eq!(log.log.fold().unwrap().last_id, 40);
    let notes = || {
        let entries = std::fs::read_dir(log.directory.path().join("cache")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    assert_eq!(notes().len(), 2, "a stamp and a checkpoint: {:?}", notes());
    // Same size, another value in the first record, the times set back.
    let before = std::fs::metadata(log.log.path()).unwrap().modified().unwrap();
    let text = log.text().replacen("set.a = ", "set.b = ", 1);
    std::fs::write(log.log.path(), &text).unwrap();
    std::fs::File::open(log.log.path()).unwrap().set_modified(before).unwrap();
    assert_eq!(log.log.fold().unwrap().overlay.leaves().len(), 2);
    // Another file under the same name, as editors do.
    std::fs::write(log.log.path().with_extension("new"), text.replacen("set.b", "set.c", 1)).unwrap();
    std::fs::rename(log.log.path().with_extension("new"), log.log.path()).unwrap();
    assert_eq!(log.log.fold().unwrap().overlay.leaves()[1].0, AttrPath(vec!["c".to_owned()]));
    // Cut by somebody: what is there counts, and what is not is said.
    let text = log.text();
    let cut = text.match_indices('\n').nth(35).unwrap().0;
    std::fs::write(log.log.path(), &text[..=cut]).unwrap();
    let folded = log.log.fold().unwrap();
    assert_eq!(folded.last_id, 34);
    assert!(folded.warnings[0].contains("ends with record 34, and had record 40 before"), "{:?}", folded.warnings);
    // A log that changed just now is remembered by a later look.
    let begin = std::time::Instant::now();
    let expected = loop {
        let folded = log.log.fold().unwrap();
        if folded.warnings.is_empty() {
            break folded;
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", folded.warnings);
    };
    // Broken notes are no notes.
    for note in notes() {
        for broken in ["", "{", "null", "{\"version\":1}"] {
            std::fs::write(&note, broken).unwrap();
            assert_eq!(log.log.fold().unwrap(), expected);
        }
        std::fs::set_permissions(&note, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(log.log.fold().unwrap(), expected);
    }
    assert_eq!(log.append(1), [35]);
}

/// However far back it goes, taking something back costs one fold of the whole log, and not one at every apply.
#[test]
fn what_is_taken_back_is_remembered() {
    let log = Log::new();
    let filler = "x".repeat(20_000);
    for value in 0..40 {
        log.append(format!("{value}{filler}"));
    }
    let folded_up_to = || log.folded_up_to();
    log.log.fold().unwrap();
    let window = folded_up_to();
    assert!((30..40).contains(&window), "some records before the end, for taking them back: {window}");
    let append = |change| log.log.append(&[change], "test", None, |_| ()).unwrap()[0];
    let reject = |id| append(Draft::Reject { id, reason: "no".to_owned() });
    reject(40);
    log.log.fold().unwrap();
    assert_eq!(folded_up_to(), window);
    reject(2);
    log.log.fold().unwrap();
    assert_eq!(folded_up_to(), 42);
    append(Draft::Rollback(5));
    let folded = log.log.fold().unwrap();
    assert_eq!(folded_up_to(), 43);
    assert_eq!(folded.overlay.leaves()[0].1.id, 5);
    reject(43);
    assert_eq!(log.log.fold().unwrap().overlay.leaves()[0].1.id, 39);
}

/// A log that is only ever appended to is folded once at each append, to see whether the value holds: that stays short too.
#[test]
fn what_an_append_looks_at_is_remembered() {
    let log = Log::new();
    let filler = "x".repeat(20_000);
    for value in 0..60 {
        let change = set(format!("{value}{filler}"));
        log.log.preview(std::slice::from_ref(&change)).unwrap();
        log.log.append(&[change], "test", None, |_| ()).unwrap();
    }
    let window = log.folded_up_to();
    assert!((50..60).contains(&window), "at most the last 150 kB are folded again, and not all: {window}");
    // What would not be a record of the log is in no note of it.
    let reject = Draft::Reject { id: 2, reason: "no".to_owned() };
    log.log.preview(&[reject, set(1)]).unwrap();
    assert!(log.folded_up_to() < 60);
    let anew = LogFile::new(log.log.path(), &log.log.path().with_file_name("no-notes"), None);
    assert_eq!(log.log.fold().unwrap(), anew.fold().unwrap());
}

#[test]
fn sixteen_at_once_lose_nothing() {
    let log = Log::new();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..10 {
                    let changes = [set(writer), set(number)];
                    let ids = log.log.append(&changes, &format!("writer-{writer}"), None, |_| ()).unwrap();
                    assert_eq!(ids[0] + 1, ids[1]);
                    log.log.fold().unwrap();
                }
            });
        }
    });
    let records = log.log.records().unwrap();
    assert_eq!(records.len(), 320);
    for (record, id) in records.iter().zip(1..) {
        assert_eq!(record.id, id);
    }
    for pair in records.chunks(2) {
        assert_eq!(pair[0].by, pair[1].by, "what is recorded together stays together");
    }
    assert_eq!(log.log.fold().unwrap().last_id, 320);
}

#[test]
fn records_written_by_hand_mix_with_ours() {
    let log = Log::with(
        "# mine\n{ overrides, lib, ... }@all: # yes\noverrides\n{ set.a = 1; } { set.a = 2; }\n\n/* set aside\n{ set.a = 9; } \
         */\n{\n  id = 7;\n  set = {\n    b.\"c.d\" = ''\n      { id = 9; set.x = 1; }\n      two\n    '';\n    b.e = [ -1 ];\n  \
         };\n}\n",
    );
    // `[ -1 ]` is no Nix.
    assert!(log.log.fold().unwrap_err().to_string().contains("line 8"), "{:?}", log.log.fold());
    std::fs::write(log.log.path(), log.text().replace("[ -1 ]", "[ (-1) 1.50 ./x ]").replace(" ./x", "")).unwrap();
    assert_eq!(log.append(3), [8]);
    let records = log.log.records().unwrap();
    assert_eq!(records.iter().map(|record| record.id).collect::<Vec<_>>(), [1, 2, 7, 8]);
    assert!(matches!(&records[1].kind, Kind::Set(leaves) if leaves[0].1 == 2));
    let effective = log.log.fold().unwrap().overlay.effective(&json!({})).unwrap();
    assert_eq!(effective, json!({"a": 3, "b": {"c.d": "{ id = 9; set.x = 1; }\ntwo\n", "e": [-1, 1.5]}}));
}
