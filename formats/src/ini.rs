//! `ini`: `lib.generators.toINI`: sections of `key=value` lines with an empty line between them.

use serde_json::{Map, Value};

use super::lines::{self, Conventions, attributes, refuse_nul};
use super::parameters::{Kind, Parameter};
use super::{At, Format, RenderError, Settings};

/// `mkSectionName`, which is a function in nixpkgs.
const SECTION_NAMES: Parameter = Parameter {
    name: "sectionNames",
    kind: Kind::Choice(&["escaped", "plain"]),
    summary: "whether [ and ] in section names get a backslash (default \"escaped\")",
};

/// Modules write such a section into a file of its own, and put the others after it (`pkgs.concatText`).
const FIRST: Parameter = Parameter {
    name: "first",
    kind: Kind::Section,
    summary: "the section that is written before all others, without an empty line after it",
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

/// Those of a file of sections only.
const WITH_FIRST: &[Parameter] = &[
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
    FIRST,
];

pub(super) static FORMAT: Format = Format {
    name: "ini",
    summary: "INI file of sections",
    dialects: &[],
    parameters: WITH_FIRST,
    validate: Some(lines::validate),
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let (conventions, escaped) = (Conventions::new(settings), names_escaped(settings));
    let Some(first) = settings.string("first") else { return write_sections(out, &conventions, escaped, value) };
    let (one, others): (Map<String, Value>, Map<String, Value>) =
        attributes(value)?.clone().into_iter().partition(|(name, _)| name == first);
    write_sections(out, &conventions, escaped, &one.into())?;
    write_sections(out, &conventions, escaped, &others.into())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{FormatSpec, render};

    #[test]
    fn a_section_can_come_first() {
        let value = json!({ "data": { "path": "/srv" }, "global": { "workgroup": "W" }, "z": {} });
        for (first, text) in [
            (json!("global"), "[global]\nworkgroup=W\n[data]\npath=/srv\n\n[z]\n"),
            (json!("absent"), "[data]\npath=/srv\n\n[global]\nworkgroup=W\n\n[z]\n"),
            (json!(null), "[data]\npath=/srv\n\n[global]\nworkgroup=W\n\n[z]\n"),
        ] {
            let parameters = [("first".to_owned(), first)].into_iter().collect();
            let format = FormatSpec { name: "ini".to_owned(), dialect: None, parameters };
            assert_eq!(String::from_utf8(render(&format, &value).unwrap()).unwrap(), text);
        }
    }
}
