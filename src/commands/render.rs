//! `dynix render`: JSON in, configuration text out.

use std::io::Read;

use anyhow::Context;
use serde_json::Value;

use crate::cli::Render;
use crate::exit::Exit;
use crate::plan::FormatSpec;
use crate::{format, fs};

/// Writes a value in a format.
pub fn run(arguments: &Render) -> anyhow::Result<Exit> {
    let parameters: Value = serde_json::from_str(&arguments.parameters).context("--parameters is not JSON")?;
    let Value::Object(parameters) = parameters else {
        anyhow::bail!("--parameters is {parameters}, expected an object")
    };
    let spec = FormatSpec { name: arguments.format.clone(), dialect: arguments.dialect.clone(), parameters };
    format::check(&spec)?;
    let (name, text) = if let Some(path) = &arguments.file {
        (path.as_str(), fs::read(path)?.with_context(|| format!("there is no file {path}"))?)
    } else {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).context("cannot read standard input")?;
        ("standard input", text)
    };
    let value: Value = serde_json::from_slice(&text).with_context(|| format!("{name} is not JSON"))?;
    let rendered = format::render(&spec, &value).map_err(|error| super::Refused(error.to_string()))?;
    super::print(&rendered)
}
