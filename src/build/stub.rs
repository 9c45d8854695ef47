//! The stub drop-ins: they attach the dynamic files to a unit, if such files exist.
//!
//! A stub names every dynamic file with systemd's `-` ("ignore if missing"). So a unit starts on its static
//! configuration while nothing is below /run/dynix.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Serialize;

use crate::format;
use crate::host::systemd::quote;
use crate::host::templates::{self, TemplateError};
use crate::plan::{Attach, File, OwnFiles, Plan, Scope, Service};
use crate::render::static_values;

#[derive(Debug, Default, Serialize)]
struct Stub<'p> {
    service: &'p str,
    section: &'p str,
    /// Whether the sources are in the user's runtime directory (systemd.unit(5), `%t`).
    at_home: bool,
    binds: Vec<Bind<'p>>,
    credentials: Vec<Credential<'p>>,
    environments: Vec<CommandLine<'p>>,
    variables: Vec<Variables<'p>>,
}

#[derive(Debug, Serialize)]
struct Variables<'p> {
    source: String,
    own: Option<&'p OwnFiles>,
}

#[derive(Debug, Serialize)]
struct Bind<'p> {
    source: String,
    target: &'p str,
}

#[derive(Debug, Serialize)]
struct Credential<'p> {
    id: &'p str,
    source: String,
    text: &'p str,
}

#[derive(Debug, Serialize)]
struct CommandLine<'p> {
    source: String,
    variable: &'p str,
    words: String,
    program: &'p str,
    arguments: &'p [String],
    environment: &'p BTreeMap<String, String>,
}

/// The drop-in of every unit that reads a file, by unit. `texts` has the static files that are credentials.
pub fn stubs(
    plan: &Plan,
    texts: &BTreeMap<&Utf8Path, String>,
) -> Result<BTreeMap<String, String>, (String, TemplateError)> {
    let mut stubs = BTreeMap::new();
    for (name, service) in &plan.services {
        for unit in service.units.keys() {
            let failed = |source| (format!("stub of {unit}"), source);
            let stub =
                stub((name, service), plan.scope, unit, texts).map_err(|problem| failed(TemplateError { problem }))?;
            let is_in_the_unit = |file: &File| file.is_read_by(unit) && !matches!(file.attach, Attach::Etc(_));
            if !service.files.values().any(is_in_the_unit) {
                continue;
            }
            let text = templates::unit(include_str!("../../templates/stub.conf"), &stub).map_err(failed)?;
            stubs.insert(unit.clone(), text);
        }
    }
    Ok(stubs)
}

fn stub<'p>(
    (name, service): (&'p str, &'p Service),
    scope: Scope,
    unit: &str,
    texts: &'p BTreeMap<&Utf8Path, String>,
) -> Result<Stub<'p>, String> {
    let section = super::checks::exec_section(unit).unwrap_or_default();
    let at_home = scope == Scope::User;
    let run = if at_home { "/dynix" } else { "/run/dynix" };
    let mut stub = Stub { service: name, section, at_home, ..Stub::default() };
    for (file_name, file) in service.files.iter().filter(|(_, file)| file.is_read_by(unit)) {
        let source = format!("{run}/{name}/current/{file_name}");
        match &file.attach {
            Attach::Variables { files, .. } => stub.variables.push(Variables { source, own: files.get(unit) }),
            Attach::Credential(id) => {
                let text = texts.get(file.static_file.as_path());
                let text = text.ok_or_else(|| format!("the text of {} is not known", file.static_file))?;
                stub.credentials.push(Credential { id, source, text });
            }
            // The link is for everybody.
            Attach::Etc(_) => {}
            Attach::Bind(target) => stub.binds.push(Bind { source, target: target.as_str() }),
            Attach::Environment { variable, command, environment, .. } => {
                let Some((program, arguments)) = command.split_first() else { continue };
                let words = static_words(service, file)?;
                stub.environments.push(CommandLine { source, variable, words, program, arguments, environment });
            }
        }
    }
    Ok(stub)
}

/// The static command line as the value of a variable that systemd splits into words.
fn static_words(service: &Service, file: &File) -> Result<String, String> {
    let values = static_values(service);
    let value = file.value.evaluate(&values).map_err(|error| error.to_string())?;
    let words = format::flags::words(&file.format.parameters, &value).map_err(|error| error.to_string())?;
    let quoted: Result<Vec<String>, _> = words.iter().map(|word| quote::variable_word(word)).collect();
    Ok(quoted.map_err(|error| error.to_string())?.join(" "))
}
