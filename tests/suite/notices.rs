//! THIRD-PARTY-NOTICES, which the package installs: every crate that is built into a program of it, with its licence and the
//! words that the licence wants to be passed on. `DYNIX_WRITE=1 cargo test --test suite notices` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::dependencies::{built_in, metadata};
use crate::support::skip;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/THIRD-PARTY-NOTICES");

/// The files of a crate that say its licence, as crates name them.
fn licence_files(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let is_one = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|begin| name.starts_with(begin))
    };
    let entries = directory.read_dir_utf8().unwrap().map(Result::unwrap);
    let mut files: Vec<Utf8PathBuf> = entries
        .filter(|entry| is_one(entry.file_name()) && entry.file_type().unwrap().is_file())
        .map(camino::Utf8DirEntry::into_path)
        .collect();
    files.sort();
    files
}

/// The words to pass on: of several licences to choose from, those of the MIT licence.
fn words(package: &Value) -> Vec<String> {
    let manifest = Utf8Path::new(package["manifest_path"].as_str().unwrap());
    let texts: Vec<String> = licence_files(manifest.parent().unwrap())
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .map(|text| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let licence = package["license"].as_str().unwrap();
    let is_mit = |text: &&String| text.contains("Permission is hereby granted, free of charge");
    let mit: Vec<String> = texts.iter().filter(is_mit).cloned().collect();
    let may_choose = licence.contains("MIT") && !licence.contains(" AND ");
    if may_choose && !mit.is_empty() { mit } else { texts }
}

fn notices(packages: &[&Value]) -> String {
    let mut out =
        "dynix has in it the crates below. Each is used under the licence that is named with it.\n\n".to_owned();
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for package in packages {
        let [name, version, licence] = ["name", "version", "license"].map(|key| package[key].as_str().unwrap());
        lines.push(format!("{name} {version}: {licence}"));
        for text in words(package) {
            by_text.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    lines.sort();
    for line in lines {
        writeln!(out, "{line}").unwrap();
    }
    let mut texts: Vec<(Vec<String>, String)> = by_text
        .into_iter()
        .map(|(text, mut of)| {
            of.sort();
            (of, text)
        })
        .collect();
    texts.sort();
    for (of, text) in texts {
        write!(out, "\n{}\n{}:\n\n{text}\n", "-".repeat(100), of.join(", ")).unwrap();
    }
    out
}

#[test]
fn the_notices_name_every_crate_with_its_licence_and_its_words() {
    if std::env::consts::ARCH != "x86_64" {
        return skip("notices of third parties: they are of a build for x86_64");
    }
    let metadata = metadata();
    let packages = built_in(&metadata, &["dynix", "dynix-agent"]);
    assert!(packages.len() > 100, "{}", packages.len());
    for package in &packages {
        assert!(!words(package).is_empty(), "{} has no words to pass on", package["name"]);
    }
    let expected = notices(&packages);
    if std::env::var_os("DYNIX_WRITE").is_some() {
        std::fs::write(FILE, &expected).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap();
    assert!(found == expected, "other crates than THIRD-PARTY-NOTICES names; DYNIX_WRITE=1 writes it anew");
}

/// Whoever gets the program gets them.
#[test]
fn the_package_installs_the_notices() {
    let package = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/package.nix")).unwrap();
    assert!(
        package.contains("./THIRD-PARTY-NOTICES")
            && package.contains("install -Dm444 LICENSE THIRD-PARTY-NOTICES -t $out/share/doc/dynix")
    );
}
