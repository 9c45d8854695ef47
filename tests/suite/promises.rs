//! Every promise of the pages names its tests (tests/promises.toml), and all of these are there; and what the pages speak of
//! as files is there as well.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAGES: [&str; 8] = [
    "README.md",
    "docs/commands.md",
    "docs/daemon.md",
    "docs/fleets-git.md",
    "docs/fleets.md",
    "docs/overrides.md",
    "docs/reliability.md",
    "docs/security.md",
];

/// A part of a page: a paragraph, an item of a list, or a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Item,
    Row,
}

/// The parts of a page with their sections. What is indented or fenced is an example.
fn parts(text: &str) -> Vec<(String, Kind, String)> {
    let (mut found, mut section, mut is_fenced) = (Vec::new(), String::new(), false);
    let mut last: Option<(Kind, String)> = None;
    let mut close = |last: &mut Option<(Kind, String)>, section: &str| {
        if let Some((kind, text)) = last.take() {
            found.push((section.to_owned(), kind, text));
        }
    };
    for line in text.lines() {
        let plain = line.trim();
        let item = plain.strip_prefix("- ").or_else(|| {
            plain.split_once(". ").filter(|(number, _)| number.parse::<u32>().is_ok()).map(|(_, text)| text)
        });
        if plain.starts_with("```") {
            is_fenced = !is_fenced;
            close(&mut last, &section);
        } else if is_fenced || line.starts_with("    ") && last.is_none() {
        } else if let Some(heading) = line.strip_prefix('#') {
            close(&mut last, &section);
            heading.trim_start_matches('#').trim().clone_into(&mut section);
        } else if plain.is_empty() || plain.starts_with("<!--") {
            close(&mut last, &section);
        } else if let Some(item) = item {
            close(&mut last, &section);
            last = Some((Kind::Item, item.to_owned()));
        } else if plain.starts_with('|') {
            close(&mut last, &section);
            // The line below a head.
            if !plain.starts_with("| ---") && plain != "| | |" {
                last = Some((Kind::Row, plain.to_owned()));
                close(&mut last, &section);
            }
        } else {
            let text = &mut last.get_or_insert_with(|| (Kind::Paragraph, String::new())).1;
            text.push(' ');
            text.push_str(plain);
        }
    }
    close(&mut last, &section);
    found
}

fn read(path: impl AsRef<Utf8Path>) -> String {
    let path = Utf8Path::new(ROOT).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of test functions in a file, those of macros included.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with("#[ignore")).collect();
    let is_test = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    let tests = lines.windows(2).filter(|pair| is_test(pair[0])).map(|pair| pair[1].trim_start_matches("async "));
    tests.filter_map(|line| line.strip_prefix("fn ")?.split('(').next()).collect()
}

/// The file of a module of the suite, or of the library; of the agent where its name begins with that.
fn file_of(module: &str) -> Option<Utf8PathBuf> {
    let (base, module) = match (module.strip_suffix("::tests"), module.strip_prefix("agent:")) {
        // A file of its own.
        (Some("agent:rollout"), _) => ("agent/src", "rollout::tests"),
        (Some(module), Some(_)) => ("agent/src", module.trim_start_matches("agent:")),
        (Some(module), None) => ("src", module),
        (None, Some(module)) => ("agent/tests", module),
        (None, None) => ("tests/suite", module),
    };
    let place = Utf8Path::new(base).join(module.replace("::", "/"));
    [place.with_extension("rs"), place.join("mod.rs")].into_iter().find(|path| Utf8Path::new(ROOT).join(path).exists())
}

/// Whether there is a test of this name, or what is wrong with it.
fn look_up(name: &str) -> Result<(), String> {
    if let Some(name) = name.strip_prefix("machine:").filter(|name| !name.starts_with(':')) {
        let (name, subtest) = name.split_once('/').unwrap_or((name, ""));
        let listed: toml::Table = read("tests/machine/tests.toml").parse().unwrap();
        let test = listed.get(name).ok_or_else(|| format!("there is no machine test {name}"))?;
        let usual = format!("scripts/{name}.py");
        let script = test.get("script").and_then(toml::Value::as_str).unwrap_or(&usual);
        let has = |script: &str| read(format!("tests/machine/{script}")).contains(&format!("subtest(\"{subtest}"));
        return if subtest.is_empty() || has(script) {
            Ok(())
        } else {
            Err(format!("{name} has no subtest {subtest}"))
        };
    }
    let exists = |path: String| {
        Utf8Path::new(ROOT).join(&path).exists().then_some(()).ok_or_else(|| format!("{path} is not there"))
    };
    if let Some(name) = name.strip_prefix("nixos:") {
        return exists(format!("tests/nixos/{name}.nix"));
    }
    if let Some(name) = name.strip_prefix("nix:") {
        return exists(format!("tests/nix/{name}.nix"));
    }
    let (module, test) = name.rsplit_once("::").ok_or_else(|| format!("{name} names no test"))?;
    let file = file_of(module).ok_or_else(|| format!("there is no module {module}"))?;
    if tests_in(&read(&file)).contains(test) { Ok(()) } else { Err(format!("{file} has no test {test}")) }
}

#[test]
fn every_promise_names_its_tests() {
    type Named = BTreeMap<String, BTreeMap<String, toml::Table>>;
    let named: Named = toml::from_str(&read("tests/promises.toml")).unwrap();
    assert_eq!(named.keys().map(String::as_str).collect::<Vec<_>>(), PAGES);
    let (mut problems, mut tests) = (Vec::new(), BTreeSet::new());
    for (page, sections) in &named {
        let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (section, kind, text) in parts(&read(page)) {
            let Some((section, keys)) = sections.get_key_value(&section) else {
                problems.push(format!("{page}: nothing is said of the section {section:?}"));
                continue;
            };
            let own = keys.keys().filter(|key| key.len() > 1 && text.starts_with(key.as_str()));
            let general = match kind {
                Kind::Paragraph => keys.get_key_value(""),
                Kind::Row => keys.get_key_value("|"),
                Kind::Item => None,
            };
            match own.max_by_key(|key| key.len()).or(general.map(|(key, _)| key)) {
                Some(key) => drop(used.insert((section, key))),
                None => problems.push(format!("{page}, {section}: nothing is said of {text:?}")),
            }
        }
        for (section, keys) in sections {
            for (key, value) in keys {
                if !used.contains(&(section.as_str(), key.as_str())) {
                    problems.push(format!("{page}, {section}: there is no {key:?}"));
                }
                match value {
                    toml::Value::String(why) if !why.is_empty() => {}
                    toml::Value::Array(own) if !own.is_empty() => {
                        tests.extend(own.iter().map(|name| name.as_str().unwrap().to_owned()));
                    }
                    other => problems.push(format!("{page}, {section}, {key:?}: {other:?} is no list of tests")),
                }
            }
        }
    }
    problems.extend(tests.iter().filter_map(|name| look_up(name).err()));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // A file that is no longer read would pass as well.
    assert!(tests.len() > 150, "{} tests", tests.len());
}

#[test]
fn what_the_pages_speak_of_is_there() {
    let mut missing = Vec::new();
    let mut found = 0;
    for page in PAGES {
        for word in read(page).split(|ch: char| !(ch.is_ascii_alphanumeric() || "/._-".contains(ch))) {
            let path = word.trim_end_matches(['.', '/']).trim_start_matches("../");
            let is_ours =
                ["src/", "tests/", "fuzz/", "examples/", "docs/", "modules/"].iter().any(|base| path.starts_with(base));
            // N stands for any number.
            if is_ours && !path.ends_with("version-N") {
                found += 1;
                if !Utf8Path::new(ROOT).join(path).exists() {
                    missing.push(format!("{page}: {path}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(found > 40, "{found}");
}

#[test]
fn a_page_is_taken_apart() {
    let text =
        "# A\n\nOne\ntwo.\n\n- x\n  y\n1. z\n\n    code\n\n| h | |\n| --- | --- |\n| r | s |\n\n## B\n```\n- no\n```\n";
    let found: Vec<(String, Kind, String)> = parts(text);
    let found: Vec<(&str, Kind, &str)> =
        found.iter().map(|(section, kind, text)| (section.as_str(), *kind, text.trim())).collect();
    assert_eq!(
        found,
        [
            ("A", Kind::Paragraph, "One two."),
            ("A", Kind::Item, "x y"),
            ("A", Kind::Item, "z"),
            ("A", Kind::Row, "| h | |"),
            ("A", Kind::Row, "| r | s |")
        ]
    );
}
