//! What systemd answers: whatever it says, what is read from it fits together.

use std::collections::BTreeMap;

use dynix::host::systemd::answers::{self, Changes, Health, Run, Times, Unit};
use dynix::host::systemd::{Asking, JobFault, Verb, changes, dependents, journal, written};

use super::Bytes;

/// What systemd says of units, and what it might.
const STATES: &[&str] = &[
    "active",
    "reloading",
    "inactive",
    "failed",
    "activating",
    "deactivating",
    "maintenance",
    "refreshing",
    "loaded",
    "not-found",
    "masked",
    "stub",
    "merged",
    "bad-setting",
    "error",
    "start",
    "stop",
    "restart",
    "reload",
    "try-restart",
    "verify-active",
    "nop",
    "done",
    "canceled",
    "timeout",
    "dependency",
    "skipped",
    "assert",
    "success",
    "exit-code",
    "watchdog",
    "oom-kill",
    "simple",
    "exec",
    "idle",
    "notify",
    "oneshot",
    "dbus",
    "",
];

impl Bytes<'_> {
    fn word(&mut self) -> String {
        match self.byte() {
            known @ 0..240 => STATES[usize::from(known) % STATES.len()].to_owned(),
            _ => self.text(),
        }
    }
}

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let unit = Unit {
        name: bytes.text(),
        load: bytes.word(),
        active: bytes.word(),
        sub: bytes.word(),
        job: (bytes.byte().is_multiple_of(2)).then(|| bytes.word()),
    };
    let times = Times {
        inactive_exit: bytes.byte().into(),
        active_enter: bytes.byte().into(),
        active_exit: bytes.byte().into(),
        main_exit: bytes.byte().into(),
    };
    let run = Run { result: bytes.word(), exit_status: bytes.byte().into() };
    let was_stopped = times.show_a_stop(&run.result);
    let (is_again, is_done, condition_holds) =
        (bytes.byte().is_multiple_of(2), bytes.byte().is_multiple_of(2), bytes.byte().is_multiple_of(2));

    let asking = Asking::default();
    let status = answers::status(&unit.name, Some(&unit), was_stopped);
    assert!(!status.is_up() || status.is_wanted(), "{status:?}");
    assert!(!(status.is_up() && status.is_stopped()), "{status:?}");
    assert!(!status.was_stopped || unit.is_down(), "{status:?}");
    let health = answers::health(&unit, is_again, is_done);
    match health {
        Health::Good => assert!(status.is_up() || unit.active == "inactive" && is_done, "{unit:?}"),
        Health::Again => assert!(!status.is_up() && status.is_wanted(), "{unit:?}"),
        Health::Bad => {
            let fault = answers::fault(&unit, was_stopped, condition_holds, Some(&run), asking);
            // Who was stopped is not to blame, and neither is who never ran.
            let stopped = matches!(fault, JobFault::Stopped(_));
            assert_eq!(stopped, status.is_stopped(), "{unit:?} {fault:?}");
            assert!(!matches!(fault, JobFault::Hindered(_)) || !condition_holds, "{unit:?} {fault:?}");
        }
    }
    assert_eq!(answers::canceled(&status).is_ok(), status.is_up(), "{status:?}");
    let result = bytes.word();
    let blamed = matches!(answers::unfinished(&unit.name, &result, asking), JobFault::Failed(_));
    assert_eq!(blamed, matches!(result.as_str(), "failed" | "timeout"), "{result}");
    let changes = Changes { began: bytes.byte().into(), stopped: bytes.byte().into(), left: bytes.byte().into() };
    let since = bytes.byte().into();
    match answers::ended_unseen(&unit, is_again, changes, since, asking) {
        // Nothing is the unit's fault that its own reload does not show.
        Err(JobFault::Failed(_)) => assert!(is_again && !unit.is_down(), "{unit:?}"),
        Err(JobFault::Hindered(_)) => assert!(unit.is_down() && changes.last() > since, "{unit:?} {changes:?}"),
        Err(other) => panic!("{unit:?}: {other:?}"),
        Ok(()) => {}
    }
    let is_start = answers::is_alike(&unit, Verb::Restart);
    assert!(!is_start || answers::is_alike(&unit, Verb::Reload), "{unit:?}");
    let absent = answers::status(&unit.name, None, was_stopped);
    assert!(!absent.is_up() && absent.obstacle(asking).is_some(), "{absent:?}");
    assert_eq!(answers::bare(status.clone(), Some(&unit)).status, status);
    assert!(answers::settle_time(&bytes.word()).as_millis() <= 100);

    in_order(&mut bytes);
    said(&mut bytes);
}

/// Units are started after those that they come after, where that can be.
fn in_order(bytes: &mut Bytes<'_>) {
    let count = bytes.byte() % 6;
    let name = |number: u8| format!("{}.service", number % 8);
    let after: BTreeMap<String, Vec<String>> =
        (0..count).map(|number| (name(number), (0..bytes.byte() % 4).map(|_| name(bytes.byte())).collect())).collect();
    let order = dependents::in_order(after.clone());
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, after.keys().cloned().collect::<Vec<_>>());
    // Without a cycle, nothing comes before what it is after.
    let is_acyclic = dependents::in_order(after.clone()).iter().enumerate().all(|(at, unit)| {
        after[unit].iter().filter(|other| *other != unit).all(|other| order[at..].iter().all(|later| later != other))
    });
    let mut left = after;
    while let Some(free) = left
        .iter()
        .find(|(unit, others)| others.iter().all(|other| other == *unit || !left.contains_key(other)))
        .map(|(unit, _)| unit.clone())
    {
        left.remove(&free);
    }
    assert!(is_acyclic || !left.is_empty(), "{order:?}");
}

/// Text of units: of what they say, of their settings, in the paths of their objects.
fn said(bytes: &mut Bytes<'_>) {
    let text = String::from_utf8_lossy(bytes.0).into_owned();
    let plain = journal::plain(&text);
    assert!(plain.chars().count() <= 403 && !plain.chars().any(char::is_control), "{plain:?}");
    let label = changes::label(&text);
    assert!(label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{label}");
    if let Some(words) = written::words(&text) {
        assert!(words[0].starts_with('/'), "{words:?}");
    }
    if let Some((name, _)) = written::assignment(&text) {
        assert!(!name.contains('='), "{name}");
    }
}
