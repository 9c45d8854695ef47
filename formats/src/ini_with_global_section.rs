//! `iniWithGlobalSection`: `lib.generators.toINIWithGlobalSection`: as `ini`, with lines before the first section.

use serde_json::Value;

use super::ini::{PARAMETERS, misread_sections, names_escaped, write_sections};
use super::lines::{self, Conventions, attributes};
use super::{At, Format, RenderError, Settings};

pub(super) static FORMAT: Format = Format {
    name: "iniWithGlobalSection",
    summary: "INI file of { globalSection, sections }",
    dialects: &[],
    parameters: PARAMETERS,
    validate: Some(lines::validate),
    write,
    misread,
};

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let parts = attributes(value)?;
    if let Some(name) = parts.keys().find(|name| !matches!(name.as_str(), "globalSection" | "sections")) {
        return Err(RenderError::here("is not known here; there are globalSection and sections")).at(name);
    }
    let conventions = Conventions::new(settings);
    if let Some(global) = parts.get("globalSection") {
        conventions.write_attrs(out, global).at("globalSection")?;
        // Also where no section follows, and where no line came of its lists.
        if attributes(global)?.values().any(|value| conventions.keeps(value)) {
            out.push(b'\n');
        }
    }
    match parts.get("sections") {
        Some(sections) => write_sections(out, &conventions, names_escaped(settings), sections).at("sections"),
        None => Ok(()),
    }
}

fn misread(settings: &Settings, value: &Value) -> Vec<RenderError> {
    let conventions = Conventions::new(settings);
    let mut all = Vec::new();
    let mut put = |name: &str, error: RenderError| all.extend(Err::<(), _>(error).at(name).err());
    conventions.find_misreadings(&value["globalSection"], &mut |error| put("globalSection", error));
    for error in misread_sections(&conventions, names_escaped(settings), &value["sections"]) {
        put("sections", error);
    }
    all
}
