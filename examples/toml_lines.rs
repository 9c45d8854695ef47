//! Writes TOML as nixpkgs' json2x does, `toml::to_string` of a JSON value: lines of JSON on stdin give lines of JSON strings
//! on stdout. tests/nix/services/store.py drives it.

use std::io::{BufWriter, Write};

use serde_json::Value;

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lines() {
        let value: Value = serde_json::from_str(&line?)?;
        writeln!(out, "{}", Value::String(toml::to_string(&value)?))?;
    }
    Ok(())
}
