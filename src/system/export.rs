//! The overrides as configuration: lines or a module of Nix, or data.
//!
//! A module gives each value with `mkForce`, as an override stands for whatever the configuration says. Lines are for a
//! place of their own in configuration.nix, or in the place of the present ones.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Refused, System, lookup};
use crate::attr_path::AttrPath;
use crate::evaluated::SYSTEM;
use crate::format::{self, FormatSpec};
use crate::nix::write_value;
use crate::overrides::{self, Record};
use crate::plan::options::OptionIndex;
use crate::render::secrets::Secrets;

/// How overrides are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Lines for configuration.nix.
    #[default]
    Nix,
    /// A module file.
    Module,
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// One override to write.
struct Exported {
    path: AttrPath,
    value: Value,
    /// The record, for a comment.
    said: String,
    /// Whether the value is secret.
    is_secret: bool,
}

impl System<'_> {
    /// The overrides of these services, or of all, as text.
    pub fn export(&self, services: &[String], form: Form) -> anyhow::Result<String> {
        let only = lookup::services(&self.plan, services)?;
        let log = self.log();
        let folded = log.fold()?;
        let progress = self.session.progress();
        folded.warnings.iter().for_each(|warning| progress.warn(warning));
        self.warn_of_unevaluated(&folded, |path| self.is_of_any(only.as_ref(), path));
        // What a source says is still there when the host's own overrides are built in.
        let records = log.behind(folded.own())?;
        let (places, secret) = (OptionIndex::new(&self.plan), Secrets::new(&self.plan));
        let all = folded.own().leaves().into_iter().filter(|(path, _)| {
            let service = places.find(path).map_or(SYSTEM, |place| place.service_name);
            only.as_ref().is_none_or(|only| only.contains(service))
        });
        let all: Vec<Exported> = all
            .map(|(path, one)| Exported {
                said: said(one.id, records.get(&one.id)),
                is_secret: secret.concern(&path),
                value: one.value.clone(),
                path,
            })
            .collect();
        match form {
            Form::Nix => Ok(lines(&all)?),
            Form::Module => Ok(module(&all, folded.last_id)?),
            Form::Json => {
                let mut text = serde_json::to_string_pretty(&tree(&all, progress))?;
                text.push('\n');
                Ok(text)
            }
            Form::Toml => {
                let spec = FormatSpec { name: "toml".to_owned(), dialect: None, parameters: Map::new() };
                let bytes = format::render(&spec, &tree(&all, progress))
                    .map_err(|error| Refused(format!("TOML can't say it: {error}; take another --format")))?;
                Ok(String::from_utf8(bytes)?)
            }
        }
    }
}

/// Who made a record, when and why.
fn said(id: u64, record: Option<&Record>) -> String {
    let Some(record) = record else { return format!("record {id}") };
    let (by, time) = (record.by.iter().cloned(), record.time.iter().cloned());
    let words: Vec<String> = [format!("record {id}")].into_iter().chain(by).chain(time).collect();
    let message = record.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    // A comment of Nix ends with its line.
    (words.join(", ") + &message).replace(|ch: char| ch.is_control(), " ")
}

fn lines(all: &[Exported]) -> anyhow::Result<String> {
    all.iter().try_fold(String::new(), |mut text, one| {
        line(&mut text, one, "", one.value.is_object())?;
        Ok(text)
    })
}

fn module(all: &[Exported], last: u64) -> anyhow::Result<String> {
    let mut text = format!(
        "# What dynix had recorded up to record {last} (`dynix export --format module`). Once it is built in,\n\
         # `dynix prune` ends the overrides.\n{{ lib, ... }}:\n{{\n"
    );
    for one in all {
        line(&mut text, one, "  ", true)?;
    }
    text.push_str("}\n");
    Ok(text)
}

/// One value as a definition, with a comment about its record. `forced`: nothing of what the configuration says stays.
fn line(text: &mut String, one: &Exported, indent: &str, forced: bool) -> anyhow::Result<()> {
    let Exported { path, value, said, is_secret } = one;
    // Writing to a String can't fail.
    let _ = writeln!(text, "{indent}# {said}");
    let mut definition = path.to_string();
    if *is_secret {
        let _ = writeln!(text, "{indent}# {definition} is a secret; give it as the configuration gives its secrets");
        return Ok(());
    }
    definition.push_str(" = ");
    if forced {
        definition.push_str("lib.mkForce ");
    }
    // The argument of a function needs brackets where it is more than one word.
    let needs_brackets = forced && value.as_number().is_some_and(|number| number.to_string().starts_with('-'));
    if needs_brackets {
        definition.push('(');
    }
    write_value(&mut definition, value)?;
    if needs_brackets {
        definition.push(')');
    }
    let _ = writeln!(text, "{indent}{definition};");
    Ok(())
}

/// The values as one set, without secrets.
fn tree(all: &[Exported], progress: &dyn super::progress::Progress) -> Value {
    let (secret, open): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.is_secret);
    for one in secret {
        progress.warn(&format!("left out: {} is a secret", one.path));
    }
    overrides::tree(&open.into_iter().map(|one| (one.path.clone(), one.value.clone())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all() -> Vec<Exported> {
        let one = |at: &str, value: Value| Exported {
            path: AttrPath::parse(at).unwrap(),
            value,
            said: said(3, None),
            is_secret: at.ends_with("password"),
        };
        vec![
            one("a.b", json!(-5)),
            one("a.\"c.d\"", json!({"x": [1, -2.5], "s": "${x} \"y\""})),
            one("a.list", json!([])),
            one("a.password", json!({"_secret": "/x"})),
            one("z", json!(null)),
        ]
    }

    #[test]
    fn what_is_exported_is_nix() {
        let lines = lines(&all()).unwrap();
        for text in [module(&all(), 3).unwrap(), format!("{{ lib, ... }}: {{\n{lines}}}")] {
            let parsed = rnix::Root::parse(&text);
            assert!(parsed.errors().is_empty(), "{text}: {:?}", parsed.errors());
            assert!(!text.contains("_secret"), "{text}");
        }
        assert!(lines.starts_with("# record 3\na.b = -5;\n# record 3\na.\"c.d\" = lib.mkForce { "), "{lines}");
        assert!(module(&all(), 3).unwrap().contains("  a.b = lib.mkForce (-5);\n"));
    }
}
