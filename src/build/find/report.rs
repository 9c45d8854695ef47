//! The message for a file that the build can't find by itself: what was tried, how near it came, what to write.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use serde_json::Value;

use super::choose::{Choice, Miss};
use super::reach::Reach;
use super::value::is_empty;
use crate::build::recognise::written;
use crate::nix;
use crate::plan::Find;

/// Files that a message lists.
const LISTED: usize = 12;

/// Lines of the best difference.
const LINES: usize = 40;

/// None of the files is the option's, or several are.
#[must_use]
pub fn undecided(name: &str, option: &str, value: &Value, find: &Find, choice: &Choice, reach: &Reach) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    if choice.matches.is_empty() {
        let _ = writeln!(text, "no file was found that {option} becomes");
    } else {
        let _ = writeln!(text, "several files could be what {option} becomes:");
        for one in &choice.matches {
            let _ = writeln!(text, "  {}, {}", one.path, written(&one.found.format));
        }
    }
    if is_empty(value) {
        let _ = writeln!(
            text,
            "its value is empty in this configuration, so nothing in a file could show that it is the one"
        );
    }
    inlined(&mut text, value, reach);
    tried(&mut text, choice, find, reach);
    if let Some(best) = choice.misses.first() {
        nearest(&mut text, best);
    }
    advice(&mut text, name, find, choice);
    text
}

/// The value within a script: no file that could be bound has it.
fn inlined(text: &mut String, value: &Value, reach: &Reach) {
    let compact = value.to_string();
    if is_empty(value) || compact.len() < 8 {
        return;
    }
    for (path, file) in &reach.files {
        let is_script = file.text.starts_with("#!");
        if is_script && (file.text.contains(&compact) || file.text.contains(&compact.replace('"', "\\\""))) {
            let _ = writeln!(text, "{path} is a script that has the value in it as JSON: there is no file to bind");
        }
    }
}

fn tried(text: &mut String, choice: &Choice, find: &Find, reach: &Reach) {
    let units: Vec<&str> = find.units.keys().map(String::as_str).collect();
    let _ = writeln!(text, "looked at, from {}:", units.join(", "));
    for miss in choice.misses.iter().take(LISTED) {
        let (has, of) = miss.share;
        let _ = writeln!(text, "  {} ({has} of the value's {of} names)", miss.path);
    }
    match choice.misses.len().saturating_sub(LISTED) {
        0 => {}
        more => drop(writeln!(text, "  and {more} more that have less")),
    }
    if choice.misses.is_empty() && choice.matches.is_empty() {
        let _ = writeln!(text, "  no file of text");
    }
    // Programs and their directories are none that a configuration could be.
    let could_be = |path: &&Utf8PathBuf| path.components().count() <= 4 || path.extension().is_some();
    for path in reach.absent.iter().filter(could_be).take(LISTED) {
        let _ = writeln!(text, "  {path}, which is not there");
    }
}

fn nearest(text: &mut String, miss: &Miss) {
    if !miss.ambiguous.is_empty() {
        let _ = writeln!(text, "{} is the same in several formats, and nothing says which it is:", miss.path);
        for format in &miss.ambiguous {
            let _ = writeln!(text, "  {format}");
        }
    } else if let Some(nearest) = &miss.nearest {
        let _ = writeln!(text, "the nearest is {} as {}:", miss.path, written(&nearest.format));
        for line in nearest.difference.lines().take(LINES) {
            let _ = writeln!(text, "  {line}");
        }
        match nearest.difference.lines().count().saturating_sub(LINES) {
            0 => {}
            more => drop(writeln!(text, "  ... and {more} lines more")),
        }
    }
}

/// The lines that settle it, as far as they can be known.
fn advice(text: &mut String, name: &str, find: &Find, choice: &Choice) {
    let path = choice.matches.first().map(|one| &one.path).or(choice.misses.first().map(|miss| &miss.path));
    let format =
        choice.matches.first().map(|one| &one.found.format.name).or_else(|| {
            choice.misses.first().and_then(|miss| miss.nearest.as_ref()).map(|nearest| &nearest.format.name)
        });
    let file = path.and_then(|path| path.file_name()).unwrap_or("example.toml");
    let file = file.split_once('-').filter(|(hash, _)| hash.len() == 32).map_or(file, |(_, rest)| rest);
    let unit = find.units.keys().next().map_or("example.service", String::as_str);
    let name = if nix::is_plain_name(name) { name.to_owned() } else { nix::quoted(name) };
    let _ = write!(
        text,
        "say which it is, and how it is made (docs/howto/service-file.md):\n  \
         dynamicism.for.{name} = {{\n    \
           files.{file} = {{\n      \
             format = {format};\n      \
             # static = what the module generates; value = what it is made of, where that is not the option alone\n    \
           }};\n    \
           units.{unit} = {{ }};\n  \
         }};",
        file = nix::quoted(file),
        format = nix::quoted(format.map_or("toml", String::as_str)),
        unit = nix::quoted(unit),
    );
}
