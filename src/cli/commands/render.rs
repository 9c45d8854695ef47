//! `dynix render`: JSON in, configuration text out.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::{Value, json};

use super::input::{self, Input};
use super::screen::Screen;
use super::{print, print_list};
use crate::cli::arguments::{Output, Render};
use crate::exit::Exit;
use crate::format::{self, Format};
use crate::system::Refused;

/// Writes a value in a format, or lists the formats.
pub fn run(arguments: &Render, output: Output, screen: Screen) -> anyhow::Result<Exit> {
    let name = arguments.format.as_deref();
    if arguments.list {
        let formats: Vec<_> = match name {
            None => format::all().to_vec(),
            Some(name) => vec![format::find(name).with_context(|| format!("there is no format {name:?}"))?],
        };
        return if arguments.json {
            print_list(output, "formats", &formats.iter().map(|format| in_json(format)).collect::<Vec<_>>())
        } else {
            screen.show(&formats.iter().map(|format| for_people(format)).collect::<Vec<_>>().join("\n"))
        };
    }
    let spec = input::format(name.unwrap_or_default(), arguments.dialect.as_ref(), arguments.parameters.as_ref())?;
    let input = Input::read(arguments.file.as_deref())?;
    let rendered = format::render(&spec, &input.value()?).map_err(|error| {
        let excerpt = input.excerpt_at(error.path.names(), "");
        Refused(format!("{error}\n{excerpt}"))
    })?;
    print(&rendered)
}

fn for_people(format: &Format) -> String {
    let mut text = format!("{}: {}\n", format.name, format.summary);
    // Writing to a String can't fail.
    if !format.dialects.is_empty() {
        let _ = writeln!(text, "  dialects: {}", format.dialects.join(", "));
    }
    for parameter in format.parameters {
        let _ = writeln!(text, "  {}: {}", parameter.name, parameter.kind);
        let _ = writeln!(text, "      {}", parameter.summary);
    }
    text
}

fn in_json(format: &Format) -> Value {
    let parameters = format.parameters.iter().map(|parameter| {
        json!({ "name": parameter.name, "allows": parameter.kind.to_string(), "summary": parameter.summary })
    });
    json!({
        "name": format.name,
        "summary": format.summary,
        "dialects": format.dialects,
        "parameters": parameters.collect::<Vec<_>>(),
    })
}
