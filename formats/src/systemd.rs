//! `systemd`: `pkgs.formats.systemd`, an INI file as systemd.syntax(7) has it: `key = value`, a list as repeated keys,
//! a null as a comment.

use serde_json::Value;

use super::ini::{misread_sections, write_sections};
use super::lines::Conventions;
use super::{Format, RenderError, Settings};
use crate::quote::continues_line;

pub(super) static FORMAT: Format = Format {
    name: "systemd",
    summary: "configuration files of systemd's programs",
    dialects: &[],
    parameters: &[],
    validate: None,
    write,
    misread,
};

fn write(out: &mut Vec<u8>, _: &Settings, value: &Value) -> Result<(), RenderError> {
    write_sections(out, &Conventions::SYSTEMD, true, value)
}

/// A line that ends in a backslash continues on the next one (systemd.syntax(7)), besides the ambiguities of every INI
/// file.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut all = misread_sections(&Conventions::SYSTEMD, true, value);
    let Value::Object(sections) = value else { return all };
    for (section, attrs) in sections {
        let Value::Object(attrs) = attrs else { continue };
        for (key, value) in attrs {
            let mut check = |value: &Value, index: Option<usize>| {
                if value.as_str().is_some_and(continues_line) {
                    let mut error =
                        RenderError::here("the value ends in a backslash: the next line would be part of it");
                    error.path.0.extend([section.clone(), key.clone()]);
                    error.path.0.extend(index.map(|index| index.to_string()));
                    all.push(error);
                }
            };
            match value {
                Value::Array(elements) => {
                    elements.iter().enumerate().for_each(|(index, element)| check(element, Some(index)));
                }
                value => check(value, None),
            }
        }
    }
    all
}
