//! The fold agrees with the real module system: `fixtures/overrides/fold.json` was computed by it.

use dynix::overrides::{Change, Kind, LogFile, Record};
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../fixtures/overrides/fold.json")).unwrap()
}

fn log(directory: &tempfile::TempDir) -> LogFile {
    let root = camino::Utf8Path::from_path(directory.path()).unwrap();
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
                    changes.extend(found.iter().map(|(path, value)| Change::Set(path.clone(), value.clone())));
                }
                Kind::Replace(at, value) => changes.push(Change::Replace(at.clone(), value.clone())),
                Kind::Unset(at) => changes.push(Change::Unset(at.clone())),
                Kind::Rollback(id) => {
                    changes.push(Change::Rollback(last[usize::try_from(*id).unwrap()]));
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
