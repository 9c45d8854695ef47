//! `ini`: `lib.generators.toINI`: sections of `key=value` lines with an empty line between them.

use serde_json::Value;

use super::lines::{self, Conventions, attributes, refuse_nul};
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

/// `mkSectionName`, which is a function in nixpkgs.
const SECTION_NAMES: Parameter = Parameter {
    name: "sectionNames",
    kind: Kind::Choice(&["escaped", "plain"]),
    summary: "whether [ and ] in section names get a backslash (default \"escaped\")",
};

/// The parameters of files with sections.
pub(super) const PARAMETERS: &[Parameter] = &[
    lines::LISTS_AS_DUPLICATE_KEYS,
    lines::LIST_TO_VALUE,
    lines::ATOMS_COERCED_TO_LISTS,
    lines::SEPARATOR,
    lines::ESCAPE_KEYS,
    lines::BOOLEANS_OF_LINES,
    lines::NULLS,
    lines::STRINGS,
    lines::FLOATS,
    SECTION_NAMES,
];

pub(super) static FORMAT: Format = Format {
    name: "ini",
    summary: "INI file of sections",
    dialects: &[],
    parameters: PARAMETERS,
    validate: Some(lines::validate),
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    write_sections(out, &Conventions::new(settings), names_escaped(settings), value)
}

fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    misread_sections(&Conventions::new(settings), names_escaped(settings), value)
}

pub(super) fn names_escaped(settings: &Settings) -> bool {
    settings.string("sectionNames") != Some("plain")
}

pub(super) fn write_sections(
    out: &mut Vec<u8>,
    conventions: &Conventions,
    names_escaped: bool,
    value: &Value,
) -> Result<(), RenderError> {
    for (index, (name, section)) in attributes(value)?.iter().enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        refuse_nul(name).at(name)?;
        out.push(b'[');
        for byte in name.bytes() {
            if names_escaped && matches!(byte, b'[' | b']') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.extend_from_slice(b"]\n");
        conventions.write_attrs(out, section).at(name)?;
    }
    Ok(())
}

pub(super) fn misread_sections(conventions: &Conventions, names_escaped: bool, value: &Value) -> Vec<RenderError> {
    let mut all = Vec::new();
    let Value::Object(sections) = value else { return all };
    for (name, section) in sections {
        let message = if name.contains(['\n', '\r', ']']) {
            Some("the section's name has a line break or a ], after which a reader takes it for something else")
        } else if names_escaped && name.contains('[') {
            Some("the section's name has a [, which gets a backslash that readers take as a part of the name")
        } else {
            name.is_empty().then_some("the section's name is empty, so a reader may take [] for a key")
        };
        all.extend(message.and_then(|message| Err::<(), _>(RenderError::here(message)).at(name).err()));
        conventions.find_misreadings(section, &mut |error| all.extend(Err::<(), _>(error).at(name).err()));
    }
    all
}
