//! `keyValue`: `lib.generators.toKeyValue`: `key=value` lines.

use serde_json::Value;

use super::lines::{self, Conventions};
use super::{Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "keyValue",
    summary: "lines of key=value",
    dialects: &[],
    parameters: &[
        lines::LISTS_AS_DUPLICATE_KEYS,
        lines::LIST_TO_VALUE,
        lines::ATOMS_COERCED_TO_LISTS,
        lines::SEPARATOR,
        lines::ESCAPE_KEYS,
        lines::BOOLEANS_OF_LINES,
        lines::NULLS,
        lines::STRINGS,
        lines::FLOATS,
        lines::INDENT,
    ],
    validate: Some(lines::validate),
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    Conventions::new(settings).write_attrs(out, value)
}

fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let mut all = Vec::new();
    Conventions::new(settings).find_misreadings(value, &mut |error| all.push(error));
    all
}
