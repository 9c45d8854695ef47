//! `dynix recognise`: detects the format that writes a given value as a given file.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::json;

use super::input::{self, Input};
use super::{print, print_json};
use crate::build::recognise::{Recognition, every_format, recognise, written};
use crate::cli::arguments::Recognise;
use crate::exit::Exit;
use crate::host::fs;
use crate::plan::ProofLevel;

/// Tries the formats; exit code 1 if none fits.
pub fn run(arguments: &Recognise) -> anyhow::Result<Exit> {
    let candidates = match &arguments.format {
        Some(name) => vec![input::format(name, arguments.dialect.as_ref(), arguments.parameters.as_ref())?],
        None => every_format(),
    };
    let path = &arguments.file;
    let text = fs::read(path)?.with_context(|| format!("there is no file {path}"))?;
    let input = match &arguments.value {
        Some(value) => Input::argument("--value", value),
        None => Input::read(None)?,
    };
    let recognition = recognise(&candidates, &input.value()?, &text);
    if arguments.json {
        let Recognition { found, nearest, faults } = &recognition;
        print_json(&json!({ "found": found, "nearest": nearest, "faults": faults }))?;
    } else {
        print(for_people(&recognition).as_bytes())?;
    }
    Ok(if recognition.found.is_empty() { Exit::Failed } else { Exit::Done })
}

fn for_people(recognition: &Recognition) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    for found in &recognition.found {
        let level = match found.level {
            ProofLevel::Bytes => "byte for byte",
            ProofLevel::Data => "the same data",
        };
        let _ = writeln!(text, "{}: {level}", written(&found.format));
        if !found.undecided.is_empty() {
            let _ = writeln!(text, "  not shown by this value: {}", found.undecided.join(", "));
        }
    }
    if let Some(nearest) = &recognition.nearest {
        let _ =
            write!(text, "no format writes this; the nearest is {}:\n{}", written(&nearest.format), nearest.difference);
    }
    for fault in recognition.faults.iter().filter(|_| recognition.found.is_empty()) {
        let _ = writeln!(text, "{fault}");
    }
    text
}
