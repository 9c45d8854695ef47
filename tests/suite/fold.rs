//! The fold agrees with the real module system: `fixtures/overrides/fold.json` was computed by it. However a log came to
//! be what it is, it folds into the same.

use camino::{Utf8Path, Utf8PathBuf};
use dynix::attr_path::AttrPath;
use dynix::overrides::{Draft, HEADER, Kind, Layer, LogFile, Order, Overlay, Record};
use proptest::prelude::*;
use serde_json::{Value, json};

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../fixtures/overrides/fold.json")).unwrap()
}

fn log(directory: &tempfile::TempDir) -> LogFile {
    let root = Utf8Path::from_path(directory.path()).unwrap();
    LogFile::new(&root.join("dynamic.nix"), &root.join("cache"), None)
}

#[test]
fn every_case_of_the_module_system_agrees() {
    let mut checked = 0;
    for case in cases() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        // A record with several leaves becomes several records: the ids that rollbacks name move.
        let mut last = vec![0];
        for record in case["records"].as_array().unwrap() {
            let record = Record::from_attributes(record.as_object().unwrap().clone(), 0).unwrap();
            let mut changes = Vec::new();
            match &record.kind {
                Kind::Set(found) => {
                    changes.extend(found.iter().map(|(path, value)| Draft::Set(path.clone(), value.clone())));
                }
                Kind::Replace(at, value) => changes.push(Draft::Replace(at.clone(), value.clone())),
                Kind::Unset(at) => changes.push(Draft::Unset(at.clone())),
                Kind::Rollback(id) => {
                    changes.push(Draft::Rollback(last[usize::try_from(*id).unwrap()]));
                }
                other => panic!("{other:?}"),
            }
            let ids = log.append(&changes, "test", None, |_| ()).unwrap();
            last.push(ids.last().copied().unwrap_or(*last.last().unwrap()));
        }
        let effective = log.fold().unwrap().overlay.effective(&case["static"]);
        match case.get("effective") {
            Some(expected) => assert_eq!(effective.as_ref(), Ok(expected), "{}", case["name"]),
            None => assert!(case["must_fail"] == true && effective.is_err(), "{}", case["name"]),
        }
        checked += 1;
    }
    assert_eq!(checked, 120);
}

/// Which overrides hold where sources say something too. The fold in Nix is held against the same (tests/nix/layers.nix); a third
/// program computed them.
#[test]
fn what_holds_with_sources_agrees_with_the_fold_in_nix() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/overrides/layers.json")).unwrap();
    for case in &cases {
        let directory = tempfile::tempdir().unwrap();
        let names = |place: &str| serde_json::from_value(case["sources"][place].clone()).unwrap();
        let log = log(&directory).with_layers(Order { below: names("below"), above: names("above") });
        let mut text = HEADER.to_owned();
        for record in case["records"].as_array().unwrap() {
            dynix::nix::write_value(&mut text, record).unwrap();
            text.push('\n');
        }
        std::fs::write(log.path(), text).unwrap();
        let overlay = log.fold().unwrap().overlay;
        let holds: Vec<Value> = overlay.leaves().iter().map(|(path, one)| json!([path.names(), one.value])).collect();
        assert_eq!(json!(holds), case["holds"], "{}", case["name"]);
    }
    assert_eq!(cases.len(), 60);
}

/// The same cases with each record on its one line, a whole tree in its `set`, as people write it.
#[test]
fn every_case_agrees_also_when_its_records_are_written_by_hand() {
    for case in cases() {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory);
        let mut text = HEADER.to_owned();
        for record in case["records"].as_array().unwrap() {
            dynix::nix::write_value(&mut text, record).unwrap();
            text.push('\n');
        }
        std::fs::write(log.path(), text).unwrap();
        let effective = log.fold().unwrap().overlay.effective(&case["static"]);
        assert_eq!(effective.ok(), case.get("effective").cloned(), "{}", case["name"]);
    }
}

#[test]
fn what_is_taken_back_is_as_if_it_had_never_been() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&directory);
    let append = |change| log.append(&[change], "test", None, |_| ()).unwrap()[0];
    let set = |value: i32| Draft::Set(AttrPath::parse("a.b").unwrap(), value.into());
    let reject = |id| Draft::Reject { id, reason: "it did not start".to_owned() };
    let value = |folded: dynix::overrides::Folded| folded.overlay.effective(&json!({})).unwrap();
    append(set(1));
    let second = append(set(2));
    append(reject(second));
    assert_eq!(value(log.fold().unwrap()), json!({"a": {"b": 1}}));
    let back = append(Draft::Rollback(0));
    assert_eq!(value(log.fold().unwrap()), json!({}));
    append(reject(back));
    assert_eq!(value(log.fold().unwrap()), json!({"a": {"b": 1}}));
    let holding = log.find_holding(|_| true).unwrap();
    assert_eq!(holding.iter().map(|record| record.id).collect::<Vec<_>>(), [1]);
    assert_eq!(value(log.fold_at(2).unwrap()), json!({"a": {"b": 2}}));
    assert_eq!(value(log.fold_at(0).unwrap()), json!({}));
    assert_eq!(value(log.preview(&[set(7)]).unwrap()), json!({"a": {"b": 7}}));
    assert_eq!(value(log.preview(&[Draft::Rollback(2)]).unwrap()), json!({"a": {"b": 2}}));
    let error = log.fold_at(99).unwrap_err().to_string();
    assert!(error.ends_with("has no record 99; `dynix log` lists them"), "{error}");
}

/// What a fold gives with a change on top is what a fold of the log with that record gives.
#[test]
fn a_change_on_top_of_a_fold_is_a_preview() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&directory);
    let path = |text: &str| AttrPath::parse(text).unwrap();
    let values =
        [json!(1), json!({}), json!([]), json!({"b": {"c": null, "d": {}}, "e": [1.0, {"f": 2}]}), json!(1.5e300)];
    let paths = ["a", "a.b", "a.b.c", "z"];
    let mut changes = Vec::new();
    for path in paths.map(path) {
        changes.push(Draft::Unset(path.clone()));
        for value in &values {
            changes.push(Draft::Set(path.clone(), value.clone()));
            changes.push(Draft::Replace(path.clone(), value.clone()));
        }
    }
    for (number, last) in changes.iter().enumerate() {
        let folded = log.fold().unwrap();
        for change in &changes {
            // Both refuse the same.
            let preview = log.preview(std::slice::from_ref(change)).ok().map(|preview| preview.overlay);
            assert_eq!(folded.with(change).ok().flatten(), preview, "{change:?} on top of {number}");
        }
        let _ = log.append(std::slice::from_ref(last), "test", None, |_| ());
    }
    let folded = log.fold().unwrap();
    assert!(folded.last_id > 20, "only {} changes were recorded", folded.last_id);
    assert_eq!(folded.with(&Draft::Rollback(1)).unwrap(), None);
    let deep = (0..200).fold(json!(1), |value, _| json!({"a": value}));
    assert!(folded.with(&Draft::Set(path("a"), deep)).is_err());
}

#[test]
fn a_record_with_an_end_counts_until_it_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(&directory);
    let now = std::time::SystemTime::now();
    let (hour, day) = (std::time::Duration::from_secs(3600), std::time::Duration::from_secs(86400));
    let set = |name: &str| Draft::Set(AttrPath(vec![name.to_owned()]), 1.into());
    log.append(&[set("a")], "test", Some(now + hour), |_| ()).unwrap();
    log.append(&[set("b")], "test", Some(now + day), |_| ()).unwrap();
    log.append(&[set("c")], "test", None, |_| ()).unwrap();
    let folded = log.fold().unwrap();
    assert_eq!(folded.expired(now), vec![0; 0]);
    assert_eq!(folded.expired(now + 2 * hour), vec![1]);
    assert_eq!(folded.expired(now + 2 * day), vec![1, 2]);
    log.append(&[Draft::Reject { id: 1, reason: "expired".to_owned() }], "test", None, |_| ()).unwrap();
    let folded = log.fold().unwrap();
    assert_eq!(folded.expired(now + 2 * day), vec![2]);
    assert_eq!(folded.overlay.effective(&json!({})), Ok(json!({"b": 1, "c": 1})));
}

/// What a test does to a log.
#[derive(Clone, Debug)]
enum Step {
    Set(Vec<usize>, Value),
    Replace(Vec<usize>, Value),
    Unset(Vec<usize>),
    /// So many records back.
    Rollback(u64),
    Reject(u64),
    /// All that a source says.
    Layer(usize, Value),
    /// Somebody adds a line by hand: what was remembered of the log is void.
    ByHand(Vec<usize>),
}

const NAMES: [&str; 4] = ["a", "b", "x.y", "if"];

fn path(names: &[usize]) -> AttrPath {
    AttrPath(names.iter().map(|name| NAMES[*name].to_owned()).collect())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = || prop::collection::vec(0..NAMES.len(), 1..4);
    // Some are large, so that a few records fill what is folded again each time.
    let leaf = prop_oneof![any::<i64>().prop_map(Value::from), Just(Value::from("y".repeat(30_000)))];
    let tree = prop::collection::btree_map(prop::sample::select(&NAMES), leaf.clone(), 1..3)
        .prop_map(|tree| Value::Object(tree.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
    let value = prop_oneof![2 => leaf, 1 => tree.clone()];
    let step = prop_oneof![
        6 => (path(), value.clone()).prop_map(|(path, value)| Step::Set(path, value)),
        3 => (path(), value).prop_map(|(path, value)| Step::Replace(path, value)),
        2 => path().prop_map(Step::Unset),
        1 => (0..60_u64).prop_map(Step::Rollback),
        2 => (0..60_u64).prop_map(Step::Reject),
        2 => (0..SOURCES.len(), tree.clone()).prop_map(|(source, tree)| Step::Layer(source, tree)),
        1 => (0..SOURCES.len()).prop_map(|source| Step::Layer(source, json!({}))),
        1 => path().prop_map(Step::ByHand),
    ];
    prop::collection::vec(step, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// With what is remembered between the appends, without it, and with the plain rule over a list of records.
    #[test]
    fn a_fold_from_a_checkpoint_is_the_fold_from_nothing(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let log = log(&directory).with_layers(order());
        let forgetful: Utf8PathBuf = log.path().with_file_name("other-cache");
        let mut last = 0_u64;
        for step in steps {
            let change = match &step {
                Step::Set(at, value) => Draft::Set(path(at), value.clone()),
                Step::Replace(at, value) => Draft::Replace(path(at), value.clone()),
                Step::Unset(at) => Draft::Unset(path(at)),
                Step::Rollback(back) => Draft::Rollback(last.saturating_sub(*back)),
                Step::Reject(back) if last > *back => {
                    Draft::Reject { id: last - back, reason: "no".to_owned() }
                }
                Step::Reject(_) => continue,
                Step::Layer(source, tree) => Draft::Layer(Layer {
                    source: SOURCES[*source].to_owned(),
                    revision: last.is_multiple_of(2).then(|| format!("r{last}")),
                    values: tree.as_object().unwrap().iter().map(|(name, value)| (AttrPath(vec![name.clone()]), value.clone())).collect(),
                }),
                Step::ByHand(at) => {
                    let mut text = std::fs::read_to_string(log.path()).unwrap_or_else(|_| HEADER.to_owned());
                    text.extend(["# by hand\n{\n  set.", &path(at).to_string(), " = 5;\n}\n"]);
                    std::fs::write(log.path(), text).unwrap();
                    last += 1;
                    continue;
                }
            };
            last = log.append(&[change], "test", None, |_| ()).unwrap()[0];
            let remembered = log.fold().unwrap();
            let _ = std::fs::remove_dir_all(&forgetful);
            let from_nothing = LogFile::new(log.path(), &forgetful, None).with_layers(order()).fold().unwrap();
            prop_assert_eq!(&remembered, &from_nothing);
            prop_assert_eq!(remembered.last_id, last);
        }
        let records = log.records().unwrap();
        let folded = log.fold().unwrap();
        prop_assert_eq!((folded.own(), &folded.overlay), (&plainly(&records).0, &plainly(&records).1));
        // At every moment of it.
        for moment in (1..=last).step_by(7) {
            let until: Vec<Record> = records.iter().take_while(|record| record.id <= moment).cloned().collect();
            prop_assert_eq!(&log.fold_at(moment).unwrap().overlay, &plainly(&until).1);
        }
        // Whether each counts is what the fold went by.
        let mut counting = Vec::new();
        log.each(|record, fate| {
            counting.extend(fate.counts.then_some(record));
            std::ops::ControlFlow::Continue(())
        }).unwrap();
        prop_assert_eq!(&plainly(&counting).1, &folded.overlay);
    }
}

const SOURCES: [&str; 3] = ["low", "top", "gone"];

fn order() -> Order {
    Order { below: vec!["low".to_owned()], above: vec!["top".to_owned()] }
}

/// The overrides of the host, and those with what the sources say.
fn plainly(records: &[Record]) -> (Overlay, Overlay) {
    let mut about = std::collections::BTreeSet::new();
    for record in records {
        match &record.kind {
            Kind::Layer(_) => drop(about.insert(record.id)),
            Kind::Reject { id, .. } if about.contains(id) => drop(about.insert(record.id)),
            _ => {}
        }
    }
    let (of_sources, of_host): (Vec<Record>, Vec<Record>) =
        records.iter().cloned().partition(|record| about.contains(&record.id));
    let own = by_the_host(&of_host);
    let mut rejected = Vec::new();
    for record in of_sources.iter().rev() {
        if let (Kind::Reject { id, .. }, false) = (&record.kind, rejected.contains(&record.id)) {
            rejected.push(*id);
        }
    }
    let said = |source: &str| {
        let mut said = Overlay::default();
        for record in of_sources.iter().filter(|record| !rejected.contains(&record.id)) {
            if let Kind::Layer(layer) = &record.kind
                && layer.source == source
            {
                let before = std::mem::take(&mut said);
                for (path, value) in &layer.values {
                    let same = before.leaves().into_iter().find(|(at, one)| at == path && one.value == value);
                    said.put(&path.0, value.clone(), same.map_or(record.id, |(_, one)| one.id));
                }
            }
        }
        said
    };
    let mut all = said("low");
    all.cover(&own);
    all.cover(&said("top"));
    (own, all)
}

/// The rule as docs/overrides.md states it: walk back, then fold forward.
fn by_the_host(records: &[Record]) -> Overlay {
    let (mut chain, mut rejected) = (Vec::new(), Vec::new());
    let mut at = records.len();
    while at > 0 {
        let record = &records[at - 1];
        at -= 1;
        if rejected.contains(&record.id) {
            continue;
        }
        match &record.kind {
            Kind::Rollback(to) => at = records.iter().take_while(|record| record.id <= *to).count(),
            Kind::Reject { id, .. } => rejected.push(*id),
            _ => chain.push(record),
        }
    }
    let mut overlay = Overlay::default();
    chain.iter().rev().for_each(|record| overlay.fold(record));
    overlay
}
