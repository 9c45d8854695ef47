//! Nothing is lost and nothing is half-applied, wherever dynix is interrupted: it is killed before each system call that
//! changes something, its writes are torn, and each of its calls fails in turn (docs/reliability.md).
//!
//! `cargo test` takes a sample; `tests/faults/run` does it all.

mod calls;
mod invariants;
mod power;
mod power_cut;
mod scenario;
mod second_actor;
mod tracer;

use std::any::Any;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use nix::errno::Errno;

use calls::{Call, Effect};
use invariants::Ends;
use scenario::{SCENARIOS, Scenario, Snapshot, Stage, generation, names, on};
use tracer::{Ended, Fate};

use crate::support::{description, finish};

/// One interruption.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    /// At the call of this number.
    At(usize, Fate),
    /// At every call that changes something, from this one on.
    From(usize, Errno),
}

impl Interruption {
    fn kind(self) -> String {
        match self {
            Self::At(_, Fate::Kill) => "killed".to_owned(),
            Self::At(_, Fate::ShortAndKill(_)) => "torn".to_owned(),
            Self::At(_, Fate::Short(_)) => "short".to_owned(),
            Self::At(_, Fate::Fail(errno)) => format!("{errno:?}"),
            Self::At(_, Fate::Pass) => "none".to_owned(),
            Self::From(_, errno) => format!("{errno:?} from then on"),
        }
    }
}

/// Everything that can go wrong with the calls of a run.
fn interruptions(calls: &[Call]) -> Vec<Interruption> {
    use Interruption::{At, From};
    let mut all = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let fail = |errno| At(at, Fate::Fail(errno));
        if matches!(call.effect, Effect::Open { .. }) {
            all.push(fail(Errno::EMFILE));
        }
        all.extend([fail(Errno::EIO), fail(Errno::EINTR)]);
        if !call.changes() {
            continue;
        }
        all.extend([At(at, Fate::Kill), fail(Errno::ENOSPC), fail(Errno::EROFS)]);
        all.extend([Errno::ENOSPC, Errno::EROFS, Errno::EIO].map(|errno| From(at, errno)));
        if let Effect::Write { bytes, .. } = &call.effect {
            let length = bytes.len() as u64;
            let mut parts = vec![1, length / 2, length.saturating_sub(1)];
            parts.retain(|part| (1..length).contains(part));
            parts.dedup();
            all.extend(parts.iter().flat_map(|part| [At(at, Fate::Short(*part)), At(at, Fate::ShortAndKill(*part))]));
        }
    }
    all
}

fn fate(interruption: Interruption, at: usize, call: &Call) -> Fate {
    match interruption {
        Interruption::At(number, fate) if number == at => fate,
        Interruption::From(number, errno) if at >= number && call.changes() => Fate::Fail(errno),
        _ => Fate::Pass,
    }
}

/// Says once why nothing is done here, or that nothing stands in the way.
fn can_trace() -> bool {
    let Some(obstacle) = tracer::obstacle() else { return true };
    say(&format!("\nSKIPPED: fault injection: {obstacle}\n\n"));
    false
}

/// Not eprintln, whose output the harness keeps to itself when a test passes.
fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Of so many interruptions one is made: all with `DYNIX_FAULTS=whole`, one of N with `DYNIX_FAULTS=N`.
fn stride() -> usize {
    match std::env::var("DYNIX_FAULTS").as_deref() {
        Ok("whole") => 1,
        Ok(number) => number.parse().unwrap(),
        Err(_) => 151,
    }
}

/// Whether more than what `cargo test` does by itself is asked for.
fn whole() -> bool {
    std::env::var_os("DYNIX_FAULTS").is_some()
}

/// Interrupts a scenario in all ways that `wanted` takes, and counts them.
fn interrupt(
    scenario: &Scenario,
    faults: &mut Vec<String>,
    mut wanted: impl FnMut(usize, Interruption) -> bool,
) -> BTreeMap<String, usize> {
    let stage = Stage::of(scenario);
    let root = stage.root();
    let (log_before, before) = (invariants::log(&root), Snapshot::of(&root));
    let prepare = || {
        stage.put_back();
        if scenario.command[0] == "append" {
            // What is remembered of the log is void for a copy of it, and spares an append reading it. Nothing is remembered of a
            // log that is as young as the kernel's last tick, which comes late on a busy machine.
            std::thread::sleep(std::time::Duration::from_millis(20));
            scenario::run(&root, &["status"]).ends(0);
        }
    };
    prepare();
    let command = on(&root, scenario.command);
    let clean = tracer::run(&command, &root, |_| Fate::Pass);
    let code = clean.code.unwrap();
    let ends = Ends { log_before, log_after: invariants::log(&root), before, after: Snapshot::of(&root), code };
    let records = matches!(scenario.command[0], "append" | "unset" | "rollback" | "reset");
    assert_eq!(records, !invariants::acknowledged(&clean.stdout).is_empty(), "{clean:?}");
    assert!(code == 0 || scenario.name.contains("refuses") && code == 3, "{clean:?}");
    invariants::check(&stage, &ends, &clean);
    let mut counts = counts(&clean);
    for (number, interruption) in interruptions(&clean.calls).into_iter().enumerate() {
        if !wanted(number, interruption) {
            continue;
        }
        let ended = interrupted(&prepare, &command, &root, interruption);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            invariants::check(&stage, &ends, &ended);
        }));
        if let Err(problem) = checked {
            let fault = described(scenario.name, interruption, &clean.calls, &ended, &root, problem.as_ref());
            say(&format!("FAULT {fault}\n"));
            faults.push(fault);
        }
        *counts.entry(interruption.kind()).or_default() += 1;
    }
    counts
}

/// Interrupts a command, after `prepare`, at the very call that the interruption is of.
fn interrupted(
    prepare: &dyn Fn(),
    command: &std::process::Command,
    root: &Utf8Path,
    interruption: Interruption,
) -> tracer::Ended {
    let mut attempts = (0..10).map(|_| {
        prepare();
        tracer::run(command, root, fates(interruption))
    });
    attempts.find(|ended| !ended.is_misplaced).expect("each run makes other calls")
}

/// Interrupts `generate`, with another output there before or none: there is the old one or the new one.
fn interrupt_generate(
    name: &str,
    replaces: bool,
    faults: &mut Vec<String>,
    mut wanted: impl FnMut(usize, Interruption) -> bool,
) -> BTreeMap<String, usize> {
    let stage = Stage::new();
    let (root, out) = (stage.root(), stage.root().join("below/out"));
    let mut description = description();
    std::fs::write(root.join("old.json"), description.to_string()).unwrap();
    description["keep"] = 3.into();
    std::fs::write(root.join("new.json"), description.to_string()).unwrap();
    let generate = |name| finish(&mut generation(&root, name, &out)).ends(0);
    if replaces {
        generate("old.json");
    }
    let before = everything(&out);
    stage.keep();
    let command = generation(&root, "new.json", &out);
    let clean = tracer::run(&command, &root, |_| Fate::Pass);
    let after = everything(&out);
    assert!(clean.code == Some(0) && before != after);
    let mut counts = counts(&clean);
    for (number, interruption) in interruptions(&clean.calls).into_iter().enumerate() {
        if !wanted(number, interruption) {
            continue;
        }
        let ended = interrupted(&|| stage.put_back(), &command, &root, interruption);
        let checked = std::panic::catch_unwind(|| {
            let now = everything(&out);
            assert!(now == after || now == before && ended.code != Some(0), "{now:?}");
            generate("new.json");
            assert_eq!(everything(&out), after);
            assert_eq!(names(&root.join("below")), ["out"]);
        });
        if let Err(problem) = checked {
            faults.push(described(name, interruption, &clean.calls, &ended, &root, problem.as_ref()));
        }
        *counts.entry(interruption.kind()).or_default() += 1;
    }
    counts
}

/// Every path of a tree with its mode and content.
fn everything(directory: &Utf8Path) -> BTreeMap<Utf8PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(name);
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(everything(&path));
        }
        let bytes = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (metadata.permissions().mode(), bytes));
    }
    found
}

fn counts(clean: &Ended) -> BTreeMap<String, usize> {
    let changing = clean.calls.iter().filter(|call| call.changes()).count();
    BTreeMap::from([("calls".to_owned(), clean.calls.len()), ("changing calls".to_owned(), changing)])
}

/// What becomes of each call, in order.
fn fates(interruption: Interruption) -> impl FnMut(&Call) -> Fate {
    let mut at = 0;
    move |call| {
        at += 1;
        fate(interruption, at - 1, call)
    }
}

/// What a check that failed says.
fn said(problem: &(dyn Any + Send)) -> &str {
    let text = problem.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| problem.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

/// What happened, the shortest way that tells it.
fn described(
    name: &str,
    interruption: Interruption,
    calls: &[Call],
    ended: &Ended,
    root: &Utf8Path,
    problem: &(dyn Any + Send),
) -> String {
    let (Interruption::At(at, _) | Interruption::From(at, _)) = interruption;
    format!(
        "{name}, {} at {at}, {}, ended with {:?}:\n  {}\n  {}",
        interruption.kind(),
        calls[at].shown(root),
        ended.code,
        said(problem).replace('\n', "\n  "),
        ended.stderr.trim_end().replace('\n', "\n  ")
    )
}

#[test]
fn nothing_is_lost_or_half_applied_wherever_it_is_interrupted() {
    if !can_trace() {
        return;
    }
    let mut faults = Vec::new();
    let mut total = 0;
    let mut done = |name: &str, counts: &BTreeMap<String, usize>| {
        let made: usize = counts.iter().filter(|(kind, _)| !kind.ends_with("calls")).map(|(_, count)| count).sum();
        total += made;
        if whole() {
            say(&format!("{name}: {made} of {counts:?}\n"));
        }
    };
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        let counts = interrupt(scenario, &mut faults, |number, interruption| {
            let killed = matches!(interruption, Interruption::At(_, Fate::Kill));
            // Others in each scenario; and every kill in the one that is what happens most.
            (number + 37 * index).is_multiple_of(stride()) || killed && scenario.name == "append and apply"
        });
        done(scenario.name, &counts);
    }
    for (name, replaces) in [("generate", false), ("generate over an older output", true)] {
        let counts = interrupt_generate(name, replaces, &mut faults, |number, _| number.is_multiple_of(stride()));
        done(name, &counts);
    }
    if whole() {
        say(&format!("interruptions: {total}\n"));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
