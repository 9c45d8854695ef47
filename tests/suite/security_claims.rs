//! Every claim of docs/security.md names tests that are there.

use std::collections::BTreeSet;
use std::fs;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The names of test functions in a file, those of proptest included.
fn tests_in(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests = lines.windows(2).filter(|pair| pair[0] == "#[test]");
    tests.filter_map(|pair| Some(pair[1].strip_prefix("fn ")?.split('(').next()?.to_owned())).collect()
}

#[test]
fn every_claim_has_its_tests() {
    let document = fs::read_to_string(format!("{ROOT}/docs/security.md")).unwrap();
    let suite = fs::read_to_string(format!("{ROOT}/tests/suite/main.rs")).unwrap();
    let machines = fs::read_to_string(format!("{ROOT}/tests/machine/tests.toml")).unwrap();
    let mut named = 0;
    let mut claims = 0;
    for row in document.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let Some(last) =
            cells.last().filter(|cell| cell.contains('`') && (cell.contains("::") || cell.contains("machine test")))
        else {
            continue;
        };
        claims += 1;
        let machine = last.contains("machine test");
        for name in last.split('`').skip(1).step_by(2) {
            named += 1;
            if machine && !name.contains("::") {
                assert!(machines.contains(&format!("[{name}]")), "there is no machine test {name}");
                continue;
            }
            let (module, test) = name.rsplit_once("::").unwrap_or((name, ""));
            if let Some(module) = module.strip_suffix("::tests") {
                let path = format!("src/{}.rs", module.replace("::", "/"));
                assert!(tests_in(&path).contains(test), "{path} has no test {test}");
            } else {
                assert!(suite.contains(&format!("mod {module};")), "the suite has no module {module}");
                let tests = tests_in(&format!("tests/suite/{module}.rs"));
                assert!(if test.is_empty() { !tests.is_empty() } else { tests.contains(test) }, "{name} is no test");
            }
        }
    }
    // A table that is no longer read would pass as well.
    assert!(claims > 25 && named > 30, "{claims} claims name {named} tests");
}
