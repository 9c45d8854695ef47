//! Quotes for systemd in one run: lines of JSON lists of words on stdin give lines of `{"environment_file", "exec",
//! "environment", "bind"}` on stdout, each quoted for that place. tests/formats/systemd.py drives it.

use std::io::{BufWriter, Write};

use dynix::format;
use dynix::host::systemd::quote;
use dynix::plan::FormatSpec;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lines() {
        let words: Vec<String> = serde_json::from_str(&line?)?;
        let parameters = [("variable".to_owned(), json!("WORDS"))].into_iter().collect();
        let spec = FormatSpec { name: "flags".to_owned(), dialect: None, parameters };
        let exec = words.iter().map(|word| quote::exec_word(word)).collect::<Result<Vec<_>, _>>()?;
        let first = words.first().map_or("", String::as_str);
        let line = json!({
            "environment_file": String::from_utf8(format::render(&spec, &json!(words))?)?,
            "exec": exec.join(" "),
            "environment": quote::environment_assignment("NAME", first)?,
            "bind": quote::bind_path(&format!("/cases/{first}")).ok(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
