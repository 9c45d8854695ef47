//! Checks one file of a service: its format, value, place and owner.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{names, service};
use crate::build::problem::{Place, Problems};
use crate::format;
use crate::host::systemd::quote;
use crate::plan::{Attach, File, Service, ValueSpec};

/// Finds what is wrong with a file by itself. `values` has the static values of the service's options.
pub fn check(
    place: &Place,
    name: &str,
    file: &File,
    service: &Service,
    values: &BTreeMap<String, Value>,
    problems: &mut Problems,
) {
    let mut refuse = |place: Place, result: Result<(), String>| {
        if let Err(problem) = result {
            problems.add(&place, problem);
        }
    };
    refuse(place.clone(), names::file(name));
    refuse(place.key("static"), names::path(&file.static_file));
    refuse(place.key("mode"), names::mode(&file.mode));
    refuse(place.key("owner"), names::user(&file.owner));
    refuse(place.key("group"), names::user(&file.group));
    refuse(place.key("format"), format::check(&file.format).map_err(|error| error.to_string()));
    readers(place, file, service, problems);
    attach(&place.key("attach"), file, problems);
    if let Some(around) = &file.around {
        let place = place.key("around");
        if !matches!(file.attach, Attach::Bind(_) | Attach::Credential(_) | Attach::Etc(_)) {
            problems.add(&place, "only a text that a program reads has something around it");
        }
        for (key, text) in [("head", &around.head), ("tail", &around.tail)] {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                problems.add(&place.key(key), "it has a NUL character");
            }
        }
    }
    let mut unknown = Problems::default();
    value(&place.key("value"), &file.value, service, &mut unknown);
    match unknown.or(()) {
        Err(unknown) => unknown.into_iter().for_each(|one| problems.add(&one.place, one.problem)),
        // Whether it can be written as well is for the proof to see.
        Ok(()) => {
            if let Err(error) = file.value.evaluate(values) {
                problems.add(&place.key("value"), format!("it fails on the static values: {error}"));
            }
        }
    }
}

fn readers(place: &Place, file: &File, service: &Service, problems: &mut Problems) {
    let Some(units) = &file.units else { return };
    if units.is_empty() {
        problems.add(&place.key("units"), "it is empty: no unit would read the file; null is for all of them");
    }
    for (index, unit) in units.iter().enumerate() {
        let place = place.key("units").element(index);
        if !service.units.contains_key(unit) {
            let known: Vec<&str> = service.units.keys().map(String::as_str).collect();
            problems.add(&place, format!("{unit} is not among the units of the service: {}", known.join(", ")));
        }
        if units[..index].contains(unit) {
            problems.add(&place, format!("{unit} is given twice"));
        }
    }
}

/// Checks that everything that a value refers to exists.
fn value(place: &Place, spec: &ValueSpec, service: &Service, problems: &mut Problems) {
    match spec {
        ValueSpec::Literal(_) | ValueSpec::Built(_) => {}
        ValueSpec::Option(name) => {
            if !service.options.contains_key(name) {
                let known: Vec<&str> = service.options.keys().map(String::as_str).collect();
                let problem = format!("the service has no option {name}, only {}", known.join(", "));
                problems.add(&place.key("option"), problem);
            }
        }
        ValueSpec::Attrs(attributes) => {
            for (name, below) in attributes {
                value(&place.keys(["attrs", name]), below, service, problems);
            }
        }
        ValueSpec::List(elements) => {
            for (index, below) in elements.iter().enumerate() {
                value(&place.key("list").element(index), below, service, problems);
            }
        }
        ValueSpec::When { condition, then } => {
            value(&place.keys(["when", "condition"]), condition, service, problems);
            value(&place.keys(["when", "then"]), then, service, problems);
        }
        ValueSpec::Prune { from, drop, .. } => {
            value(&place.keys(["prune", "from"]), from, service, problems);
            if drop.is_empty() {
                problems.add(&place.keys(["prune", "drop"]), "it is empty: nothing would be left out");
            }
        }
        ValueSpec::Flatten { from, .. } => value(&place.keys(["flatten", "from"]), from, service, problems),
        ValueSpec::Entries { from, .. } => value(&place.keys(["entries", "from"]), from, service, problems),
        ValueSpec::Merge(layers) => {
            for (index, below) in layers.iter().enumerate() {
                value(&place.key("merge").element(index), below, service, problems);
            }
        }
        ValueSpec::Select { from, path } => {
            value(&place.keys(["select", "from"]), from, service, problems);
            if let ValueSpec::Option(name) = from.as_ref()
                && let Some(option) = service.options.get(name)
                && let Some(problem) = service::no_such_name(&option.schema, path)
            {
                problems.add(&place.keys(["select", "path"]), problem);
            }
        }
    }
}

fn attach(place: &Place, file: &File, problems: &mut Problems) {
    match &file.attach {
        Attach::Bind(target) => {
            let place = place.key("bind");
            if let Err(problem) = names::path(target) {
                problems.add(&place, problem);
            } else if let Err(error) = quote::bind_path(target.as_str()) {
                problems.add(&place, format!("{target:?} {error}"));
            } else if target.starts_with("/run/dynix") {
                problems.add(&place, "what is below /run/dynix is dynix's own; bind to the path that the unit reads");
            }
            if file.format.name == "flags" {
                problems.add(&place, "words of a command line can't be bound; attach them by environment");
            }
            if file.format.name == "environment" {
                problems.add(&place, "systemd reads it before anything is bound; attach it by variables");
            }
        }
        Attach::Etc(path) => {
            let place = place.key("etc");
            let own = ["/etc/dynix", "/etc/nixos", "/etc/static", "/etc/systemd/system", "/etc/systemd/user"];
            if let Err(problem) = names::path(path) {
                problems.add(&place, problem);
            } else if path.parent().is_none_or(|above| !above.starts_with("/etc")) {
                problems.add(&place, format!("{path} is not below /etc; attach it by bind"));
            } else if let Some(other) = own.iter().find(|other| path.starts_with(other)) {
                problems.add(&place, format!("what is below {other} has no links of its own that could be swapped"));
            }
            if matches!(file.format.name.as_str(), "flags" | "environment") {
                problems
                    .add(&place, format!("what has the format {} is no file that a program reads", file.format.name));
            }
        }
        Attach::Credential(id) => {
            let place = place.key("credential");
            // credential_name_valid, src/shared/creds-util.c: a file name that is a valid fd name.
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'/' | b'%');
            if id.is_empty() || id.len() > 255 || id == "." || id == ".." || !id.bytes().all(is_plain) {
                problems.add(&place, format!("{id:?} is not the name of a credential: a file name without colon"));
            }
            if matches!(file.format.name.as_str(), "flags" | "environment") {
                problems
                    .add(&place, format!("what has the format {} is no file that a program reads", file.format.name));
            }
        }
        Attach::Variables { built, files } => {
            let place = place.key("variables");
            for (unit, own) in files {
                for value in own.below.iter().chain(&own.above).filter(|value| value.is_empty() || value.contains('\n'))
                {
                    problems.add(&place.keys(["files", unit]), format!("{value:?} is no value of EnvironmentFile="));
                }
            }
            if file.format.name != "environment" {
                let problem = format!("only variables can attach so: the format environment, not {}", file.format.name);
                problems.add(&place, problem);
            }
            for name in built.keys().filter(|name| !quote::is_variable_name(name)) {
                problems.add(&place.keys(["built", name]), quote::QuoteError::VariableName);
            }
        }
        Attach::Environment { variable, command, environment, .. } => {
            let place = place.key("environment");
            if file.format.name != "flags" {
                let problem =
                    format!("only words can attach by environment: the format flags, not {}", file.format.name);
                problems.add(&place, problem);
            }
            words(&place, variable, command, environment, problems);
            let parameter = file.format.parameters.get("variable");
            if parameter.is_some_and(|parameter| parameter != variable) {
                problems.add(&place.key("variable"), "it differs from the format's parameter variable");
            }
        }
    }
}

fn words(
    place: &Place,
    variable: &str,
    command: &[String],
    environment: &BTreeMap<String, String>,
    problems: &mut Problems,
) {
    if !quote::is_variable_name(variable) {
        problems.add(&place.key("variable"), format!("{variable:?} {}", quote::QuoteError::VariableName));
    }
    if let Some((program, arguments)) = command.split_first() {
        let place = place.key("command");
        if let Err(problem) = names::path(program.as_str().into()) {
            problems.add(&place.element(0), problem);
        } else if let Err(error) = quote::exec_program(program) {
            problems.add(&place.element(0), format!("{program:?} {error}"));
        }
        for (index, argument) in arguments.iter().enumerate() {
            if let Err(error) = quote::exec_word(argument) {
                problems.add(&place.element(index + 1), format!("{argument:?} {error}"));
            }
        }
    }
    for (name, value) in environment {
        let place = place.keys(["environment", name]);
        if name == variable {
            problems.add(&place, "it is the variable of the words");
        }
        if let Err(error) = quote::environment_assignment(name, value) {
            let subject = if quote::is_variable_name(name) { value } else { name };
            problems.add(&place, format!("{subject:?} {error}"));
        }
    }
}
