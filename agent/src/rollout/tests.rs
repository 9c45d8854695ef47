//! The state machine alone: whatever hosts report in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::order::place;
use super::state::{Rollout, Size, State};
use super::step::{Decision, Effect, Memory, World, alive, step};
use crate::etcd::entry::Step;
use crate::etcd::keys::Target;
use crate::report::{Outcome, Report};

fn rollout(waves: &str, hold: u64, budget: u32) -> Rollout {
    Rollout {
        id: "r".into(),
        target: Target::Group("web".into()),
        steps: [("a.b".to_owned(), Step::Set(json!(1)))].into(),
        before: BTreeMap::new(),
        by: Some("alice".into()),
        message: None,
        time: "t".into(),
        waves: waves.split(',').map(|size| size.parse().unwrap()).collect(),
        hold,
        budget,
        deadline: 600,
        state: State::Running,
        reason: None,
        wave: 0,
        until: 0,
        hosts: BTreeSet::new(),
        failed: BTreeMap::new(),
    }
}

fn report(host: &str, revision: i64, result: Outcome) -> Report {
    Report {
        host: host.into(),
        groups: vec!["web".into()],
        agent: "1".into(),
        revision,
        result,
        reason: None,
        trouble: None,
        verified: None,
        time: "t".into(),
    }
}

fn hosts(count: usize, revision: i64) -> BTreeMap<String, Report> {
    let hosts = (0..count).map(|host| format!("web{host}"));
    hosts.map(|host| (host.clone(), report(&host, revision, Outcome::Applied))).collect()
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_host_with_which_something_is_wrong_has_not_applied_anything() {
    let well = report("web1", 7, Outcome::Applied);
    assert_eq!([6, 7, 8].map(|revision| well.became(revision)), [Some(true), Some(true), None]);
    assert_eq!(report("web1", 7, Outcome::Refused).became(7), Some(false));
    // It holds an etcd that was restored from a backup; what it has is of before.
    let held = Report { trouble: Some("etcd is at revision 4, and was at 7 before".into()), ..well };
    assert_eq!(held.became(5), None);
}

#[test]
fn sizes_are_read_and_rounded_up() {
    let of = |text: &str, all| text.parse::<Size>().unwrap().of(all);
    assert_eq!([of("3", 2), of("10%", 1), of("10%", 11), of("1%", 1000), of("100%", 7)], [2, 1, 2, 10, 7]);
    for bad in ["0", "0%", "101%", "", "%", "-1", "1.5%", "x"] {
        assert!(bad.parse::<Size>().is_err(), "{bad}");
    }
}

#[test]
fn wave_by_wave_to_the_end() {
    let (mut rollout, mut reports) = (rollout("1,50%,100%", 30, 0), hosts(10, 5));
    // Another group's host is none of ours.
    reports.insert("db".into(), Report { groups: vec!["db".into()], ..report("db", 5, Outcome::Refused) });
    rollout = rollout.next_wave(&alive(&rollout, &reports), 0).unwrap();
    let (mut memory, mut written, mut sizes) = (Memory::default(), 10, vec![rollout.hosts.len()]);
    for now in (0..).map(|turn| at(turn * 10)) {
        let hosts = rollout.hosts.clone();
        match step(&rollout, World { written, reports: &reports }, now, &mut memory) {
            Decision::Wait(_) => {
                for host in &hosts {
                    reports.insert(host.clone(), report(host, written, Outcome::Applied));
                }
            }
            Decision::Write(next, Effect::Begin) => {
                written += 10;
                rollout = *next;
                sizes.push(rollout.hosts.len());
            }
            Decision::Write(next, effect) => {
                assert_eq!((next.state, effect), (State::Done, Effect::Finish));
                // Each of the three waves is well 10 s after it was seen, and 30 s later; the next one is seen 10 s later.
                assert_eq!((sizes, now), (vec![1, 5, 10], at(40 + 50 + 50)));
                return;
            }
        }
    }
}

#[test]
fn one_host_that_fails_later_stops_it() {
    let mut reports = hosts(3, 10);
    let rollout = rollout("1,100%", 30, 0);
    let rollout = rollout.next_wave(&alive(&rollout, &reports), 0).unwrap();
    let mut memory = Memory::default();
    let world = World { written: 10, reports: &reports };
    assert_eq!(step(&rollout, world, at(0), &mut memory), Decision::Wait(Some(at(30))));
    assert_eq!(step(&rollout, world, at(29), &mut memory), Decision::Wait(Some(at(1))));
    let host = rollout.hosts.first().unwrap().clone();
    let failed = Report { reason: Some("unit failed".into()), ..report(&host, 10, Outcome::RolledBack) };
    reports.insert(host.clone(), failed);
    let Decision::Write(next, Effect::TakeBack) =
        step(&rollout, World { written: 10, reports: &reports }, at(29), &mut memory)
    else {
        panic!()
    };
    assert_eq!(next.state, State::Stopped);
    let reason = format!("1 of 1 hosts failed, and 0 may; {host}: rolled back: unit failed");
    assert_eq!(next.reason, Some(reason));
}

#[test]
fn a_driver_that_takes_over_begins_the_hold_anew_and_a_host_that_is_gone_has_failed() {
    let mut reports = hosts(3, 10);
    let rollout = rollout("100%", 30, 1);
    let rollout = rollout.next_wave(&alive(&rollout, &reports), 0).unwrap();
    let world = World { written: 10, reports: &reports };
    let mut memory = Memory::default();
    step(&rollout, world, at(0), &mut memory);
    assert!(matches!(step(&rollout, world, at(30), &mut memory), Decision::Write(_, Effect::Finish)));
    // With a clock of its own, which is off by hours.
    assert_eq!(step(&rollout, world, at(9000), &mut Memory::default()), Decision::Wait(Some(at(30))));
    reports.remove("web1");
    let Decision::Write(next, Effect::Note) =
        step(&rollout, World { written: 10, reports: &reports }, at(30), &mut memory)
    else {
        panic!()
    };
    assert_eq!(next.failed.keys().collect::<Vec<_>>(), ["web1"]);
    let world = World { written: 10, reports: &reports };
    assert_eq!(step(&next, world, at(31), &mut memory), Decision::Wait(Some(at(30))));
    reports.remove("web2");
    let decision = step(&next, World { written: 10, reports: &reports }, at(32), &mut memory);
    assert!(matches!(decision, Decision::Write(_, Effect::TakeBack)));
}

#[test]
fn a_host_that_says_nothing_has_failed_after_the_deadline() {
    let reports = hosts(1, 9);
    let rollout = rollout("100%", 30, 0);
    let rollout = rollout.next_wave(&alive(&rollout, &reports), 0).unwrap();
    let mut memory = Memory::default();
    let world = World { written: 10, reports: &reports };
    assert_eq!(step(&rollout, world, at(7), &mut memory), Decision::Wait(Some(at(600))));
    assert!(matches!(step(&rollout, world, at(607), &mut memory), Decision::Write(_, Effect::TakeBack)));
}

#[derive(Clone, Debug)]
enum Happens {
    Applies(usize),
    Fails(usize),
    Goes(usize),
    Comes(usize),
    Time(u64),
    Pauses,
    DriverChanges,
}

fn happens() -> impl Strategy<Value = Happens> {
    let host = 0..12usize;
    prop_oneof![
        6 => host.clone().prop_map(Happens::Applies),
        1 => host.clone().prop_map(Happens::Fails),
        1 => host.clone().prop_map(Happens::Goes),
        1 => host.prop_map(Happens::Comes),
        4 => (0..40u64).prop_map(Happens::Time),
        1 => Just(Happens::Pauses),
        1 => Just(Happens::DriverChanges),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]
    /// A model of the hosts beside it: which of them have the values, and since when all of these are well.
    #[test]
    fn it_never_goes_on_without_all_hosts_well_for_the_hold_and_never_over_the_budget(
        waves in prop::sample::subsequence(vec!["1", "2", "25%", "50%", "100%"], 1..=5),
        budget in 0..3u32,
        story in prop::collection::vec(happens(), 0..120),
    ) {
        let mut reports = hosts(8, 1);
        let mut rollout = rollout(&waves.join(","), 30, budget);
        rollout = rollout.next_wave(&alive(&rollout, &reports), 0).unwrap();
        let (mut memory, mut now, mut written) = (Memory::default(), at(1000), 10);
        let mut well_since: Option<Duration> = None;
        for event in story {
            match event {
                Happens::Applies(host) => {
                    let host = format!("web{host}");
                    if let Some(one) = reports.get_mut(&host)
                        && place(&rollout.id, &host) <= rollout.until
                    {
                        (one.revision, one.result) = (written, Outcome::Applied);
                    }
                }
                Happens::Fails(host) => {
                    if let Some(one) = reports.get_mut(&format!("web{host}")) {
                        (one.revision, one.result) = (written, Outcome::RolledBack);
                    }
                }
                Happens::Goes(host) => drop(reports.remove(&format!("web{host}"))),
                Happens::Comes(host) => {
                    let host = format!("web{host}");
                    reports.entry(host.clone()).or_insert_with(|| report(&host, 1, Outcome::Applied));
                }
                Happens::Time(seconds) => now += at(seconds),
                Happens::Pauses => {
                    let paused = Rollout { state: State::Paused, ..rollout.clone() };
                    let world = World { written, reports: &reports };
                    prop_assert_eq!(step(&paused, world, now, &mut memory), Decision::Wait(None));
                    well_since = None;
                }
                Happens::DriverChanges => memory = Memory::default(),
            }
            let is_well = |host: &String| {
                rollout.failed.contains_key(host)
                    || reports.get(host).is_some_and(|one| one.revision >= written && one.result == Outcome::Applied)
            };
            well_since = rollout.hosts.iter().all(is_well).then(|| well_since.unwrap_or(now));
            match step(&rollout, World { written, reports: &reports }, now, &mut memory) {
                Decision::Wait(_) => {}
                Decision::Write(next, effect) => {
                    prop_assert!(next.hosts.is_superset(&rollout.hosts));
                    prop_assert!(next.failed.keys().all(|host| next.hosts.contains(host)));
                    prop_assert!(next.until >= rollout.until);
                    let over = next.failed.len() > budget as usize || next.failed.len() == next.hosts.len();
                    prop_assert_eq!(effect == Effect::TakeBack, over);
                    prop_assert_eq!(next.state == State::Stopped, over);
                    if matches!(effect, Effect::Begin | Effect::Finish) {
                        let held = well_since.map(|since| now.saturating_sub(since));
                        prop_assert!(held.is_some_and(|held| held >= at(30)), "{:?} after {:?}", effect, held);
                        // A wave is all that are there up to its number, and nobody else is waited for.
                        if effect == Effect::Begin {
                            let new = next.hosts.difference(&rollout.hosts);
                            prop_assert!(new.clone().count() > 0);
                            prop_assert!(new.clone().all(|host| reports.contains_key(host)));
                        }
                    }
                    if effect == Effect::Begin {
                        written += 10;
                        well_since = None;
                    }
                    rollout = *next;
                    if !rollout.state.is_open() {
                        return Ok(());
                    }
                }
            }
        }
    }
}
