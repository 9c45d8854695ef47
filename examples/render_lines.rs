//! Renders many values in one run: lines of `{"format", "dialect", "parameters", "input"}` on stdin give lines of
//! `{"text", "ambiguity"}` or `{"error"}` on stdout. tests/formats/compare.py drives it.

use std::io::{BufWriter, Write};

use dynix::format;
use dynix::plan::FormatSpec;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lines() {
        let mut case: Value = serde_json::from_str(&line?)?;
        let input = case["input"].take();
        if let Some(case) = case.as_object_mut() {
            case.remove("input");
        }
        let spec = FormatSpec {
            name: case["format"].as_str().unwrap_or_default().to_owned(),
            dialect: case["dialect"].as_str().map(str::to_owned),
            parameters: case["parameters"].as_object().cloned().unwrap_or_default(),
        };
        let result = match format::render(&spec, &input) {
            Ok(bytes) => json!({
                "text": String::from_utf8(bytes)?,
                "ambiguity": format::ambiguities(&spec, &Value::Null, &input).err().map(|error| error.to_string()),
            }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{result}")?;
    }
    Ok(())
}
