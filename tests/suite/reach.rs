//! docs/reach.md, which a script writes from what the twin test found, is whole.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn every_class_has_its_row() {
    let (classes, page) = (read("tests/nixos/twin/classes.csv"), read("docs/reach.md"));
    let missing: Vec<&str> = classes
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .filter(|class| !page.contains(&format!("\n| {class} | ")))
        .collect();
    assert!(classes.lines().count() > 50 && missing.is_empty(), "classes without a row: {missing:?}");
}
