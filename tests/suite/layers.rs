//! The layers of docs/architecture.md: who may use whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The row of each module in the table.
fn layers() -> BTreeMap<String, usize> {
    let page = include_str!("../../docs/architecture.md");
    let table = page.split("| layer | modules |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut layers = BTreeMap::new();
    for (row, line) in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).enumerate() {
        let modules = line.split('|').nth(2).unwrap();
        layers.extend(modules.split('`').skip(1).step_by(2).map(|module| (module.to_owned(), row)));
    }
    layers
}

/// The modules that the text of a file names as `crate::MODULE`, without comments and tests.
fn uses(text: &str) -> BTreeSet<String> {
    let code: String = text
        .split("#[cfg(test)]")
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let word = |text: &str| text.chars().take_while(|ch| ch.is_alphanumeric() || *ch == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // use crate::{a, b::{c, d}};
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, ch) in group.char_indices() {
                    match ch {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        ch if start && !ch.is_whitespace() => {
                            found.insert(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
            None => drop(found.insert(word(rest))),
        }
    }
    found
}

fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_module_uses_none_of_a_layer_that_comes_later() {
    let layers = layers();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    assert!(all.len() > 100, "only {} files below {}", all.len(), source.display());
    let faces = layers["cli"];
    let mut wrong = Vec::new();
    for file in all {
        let below = file.strip_prefix(&source).unwrap();
        let module =
            below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let row = *layers.get(&module).unwrap_or_else(|| panic!("docs/architecture.md has no layer for {module}"));
        for used in uses(&std::fs::read_to_string(&file).unwrap()) {
            let Some(other) = layers.get(&used) else { continue };
            let is_other_face = *other == faces && row == faces && used != module;
            if *other > row || is_other_face {
                wrong.push(format!("{} uses {used}", below.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against docs/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn uses_are_found_however_they_are_written() {
    let text = "use crate::fs::{self, Error};\nuse crate::{plan, systemd::{Bus, Job}, types};\n// crate::not\nfn f() { crate::apply::x() }\n";
    assert_eq!(uses(text).into_iter().collect::<Vec<_>>(), ["apply", "fs", "plan", "systemd", "types"]);
}
