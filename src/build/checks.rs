//! A description held against itself: every problem is found, each with its place.

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Component, Utf8Path};

use crate::attr_path::AttrPath;
use crate::plan::{Attach, File, OptionSpec, Plan, Probe, Service, Unit};
use crate::systemd::quote;
use crate::types::{self, Subschemas, Type};
use crate::{apply::rendered, format, templates};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys of the description with dots between.
    pub place: String,
    /// What.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Collects problems below a place.
struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), problem: problem.into() });
    }
}

/// All problems of a description that could be read.
#[must_use]
pub fn check(plan: &Plan) -> Vec<Problem> {
    let mut checker = Checker { problems: Vec::new() };
    if plan.keep == 0 {
        checker.add("keep", "at least one generation has to be kept");
    }
    if let Some(evaluator) = &plan.evaluator {
        if evaluator.command.is_empty() {
            checker.add("evaluator.command", "it is empty");
        }
        checker.duration("evaluator.deadline", evaluator.deadline);
    }
    if plan.overrides_file.as_ref().is_some_and(|path| !is_normal(path)) {
        checker.add("overridesFile", "it is not an absolute path without . and ..");
    }
    let mut owners: BTreeMap<&str, String> = BTreeMap::new();
    for (name, service) in &plan.services {
        let place = format!("services.{name}");
        if !is_component(name) {
            checker.add(&place, "a service's name is one plain path component");
        }
        for option in service.options.keys() {
            let here = format!("{place}.options.{option}");
            if let Some(other) = owners.insert(option, here.clone()) {
                checker.add(here, format!("the option is at {other} already"));
            }
        }
        checker.service(&place, service);
    }
    checker.targets(plan);
    checker.problems
}

impl Checker {
    fn service(&mut self, place: &str, service: &Service) {
        for (name, option) in &service.options {
            self.option(&format!("{place}.options.{name}"), name, option);
        }
        if service.options.is_empty() {
            self.add(format!("{place}.options"), "there is none");
        }
        for (name, file) in &service.files {
            self.file(&format!("{place}.files.{name}"), name, file, service);
        }
        for (name, unit) in &service.units {
            self.unit(&format!("{place}.units.{name}"), name, unit);
        }
        if service.units.is_empty() {
            self.add(format!("{place}.units"), "there is none");
        }
        for (unit, template) in &service.drop_ins {
            let place = format!("{place}.dropIns.{unit}");
            if !service.units.contains_key(unit) {
                self.add(&place, "it is for a unit that is not among the service's units");
            }
            if let Err(error) = templates::drop_in(template, &rendered::static_values(service)) {
                self.add(&place, format!("the template fails on the static values: {error}"));
            }
        }
        if let Some(check) = &service.check {
            let files = service.files.keys().map(|name| (name.clone(), format!("/{name}"))).collect();
            match templates::command(&check.command, &files) {
                Ok(words) if words.first().is_some_and(|program| program.starts_with('/')) => {}
                Ok(_) => self.add(format!("{place}.check.command"), "its program is no absolute path"),
                Err(error) => self.add(format!("{place}.check.command"), error.to_string()),
            }
            self.duration(&format!("{place}.check.deadline"), check.deadline);
        }
        if let Some(health) = &service.health {
            let place = format!("{place}.health");
            self.duration(&format!("{place}.interval"), health.interval);
            self.duration(&format!("{place}.deadline"), health.deadline);
            match &health.probe {
                Probe::Command(words) if !words.first().is_some_and(|program| program.starts_with('/')) => {
                    self.add(format!("{place}.probe.command"), "its program is no absolute path");
                }
                Probe::Unix(path) if !is_normal(path) => {
                    self.add(format!("{place}.probe.unix"), "it is not an absolute path without . and ..");
                }
                Probe::Tcp(address) if !address.contains(':') => {
                    self.add(format!("{place}.probe.tcp"), "it is not ADDRESS:PORT");
                }
                _ => {}
            }
        }
    }

    fn option(&mut self, place: &str, name: &str, option: &OptionSpec) {
        if let Err(error) = AttrPath::parse(name) {
            self.add(place, error.to_string());
        }
        match Type::new(&option.schema) {
            Err(error) => self.add(format!("{place}.schema"), error.to_string()),
            Ok(kind) => {
                for fault in kind.mismatches(&option.static_value) {
                    let at = if fault.path.names().is_empty() { String::new() } else { format!(" at {}", fault.path) };
                    let problem =
                        format!("it refuses the static value{at}: {}; expected {}", fault.problem, fault.allowed);
                    self.add(format!("{place}.schema"), problem);
                }
            }
        }
        for path in option.dynamic.iter().flatten() {
            if let Subschemas::NoSuchName { name, .. } = types::below(&option.schema, path.names()) {
                self.add(format!("{place}.dynamic"), format!("{path}: the option's type has no {name}"));
            }
        }
    }

    fn file(&mut self, place: &str, name: &str, file: &File, service: &Service) {
        if !is_component(name) {
            self.add(place, "a file's name is one plain path component");
        }
        if let Err(error) = format::check(&file.format) {
            self.add(format!("{place}.format"), error.to_string());
        }
        for option in file.value.options() {
            if !service.options.contains_key(option) {
                self.add(format!("{place}.value"), format!("the service has no option {option}"));
            }
        }
        if !is_normal(&file.static_file) {
            self.add(format!("{place}.static"), "it is not an absolute path without . and ..");
        }
        let octal = |mode: &str| mode.len() <= 5 && u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o777);
        if !octal(&file.mode) {
            self.add(format!("{place}.mode"), format!("{:?} is no octal mode up to 0777", file.mode));
        }
        for (key, value) in [("owner", &file.owner), ("group", &file.group)] {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$');
            if value.is_empty() || !value.bytes().all(plain) {
                self.add(format!("{place}.{key}"), format!("{value:?} is no user or group name"));
            }
        }
        for unit in file.units.iter().flatten() {
            if !service.units.contains_key(unit) {
                self.add(format!("{place}.units"), format!("{unit} is not among the service's units"));
            }
        }
        match &file.attach {
            Attach::Bind(target) => {
                if !is_normal(target) {
                    self.add(format!("{place}.attach.bind"), "it is not an absolute path without . and ..");
                } else if let Err(error) = quote::bind_path(target.as_str()) {
                    self.add(format!("{place}.attach.bind"), format!("it {error}"));
                }
            }
            Attach::Environment { variable, command, environment } => {
                let place = format!("{place}.attach.environment");
                if file.format.name != "flags" {
                    self.add(&place, "only files of the format flags attach by environment");
                }
                if file.format.parameters.get("variable").and_then(|name| name.as_str()) != Some(variable) {
                    self.add(format!("{place}.variable"), "it differs from the format's parameter variable");
                }
                match command.split_first() {
                    None => self.add(format!("{place}.command"), "it is empty"),
                    Some((program, _)) => {
                        if let Err(error) = quote::exec_program(program) {
                            self.add(format!("{place}.command"), format!("its program {error}"));
                        }
                    }
                }
                for name in environment.keys().filter(|name| !quote::is_variable_name(name)) {
                    self.add(format!("{place}.environment.{name}"), "it is not the name of an environment variable");
                }
            }
        }
    }

    fn unit(&mut self, place: &str, name: &str, unit: &Unit) {
        if let Err(problem) = unit_name(name) {
            self.add(place, problem);
        }
        self.duration(&format!("{place}.deadline"), unit.deadline);
        if let Some(settle) = unit.settle.filter(|settle| *settle != 0.0) {
            self.duration(&format!("{place}.settle"), settle);
        }
    }

    fn duration(&mut self, place: &str, seconds: f64) {
        if !(seconds > 0.0 && seconds <= 86_400.0) {
            self.add(place, format!("{seconds} is no number of seconds between 0 and a day"));
        }
    }

    /// Two files that a unit would see in one place, or in one variable.
    fn targets(&mut self, plan: &Plan) {
        let mut seen: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for (name, service) in &plan.services {
            for (file_name, file) in &service.files {
                let place = format!("services.{name}.files.{file_name}");
                for unit in service.units.keys().filter(|unit| file.is_read_by(unit)) {
                    // A unit has one command line, so one file of words.
                    let target = match &file.attach {
                        Attach::Bind(target) => target.as_str(),
                        Attach::Environment { .. } => "its command line",
                    };
                    if let Some(other) = seen.insert((unit, target), place.clone()) {
                        self.add(&place, format!("{unit} has {other} as {target} already"));
                    }
                }
            }
        }
    }
}

/// A name that is one path component, and no hidden one.
fn is_component(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
        && !matches!(name, "current" | "lock" | "state.json")
        && !name.starts_with("generation-")
}

fn is_normal(path: &Utf8Path) -> bool {
    let mut components = path.components();
    path.is_absolute()
        && path.as_str() != "/"
        && components.all(|one| matches!(one, Utf8Component::RootDir | Utf8Component::Normal(_)))
        && !path.as_str().contains("//")
        && !path.as_str().contains("/./")
        && !path.as_str().ends_with("/.")
        && !path.as_str().ends_with('/')
        && !path.as_str().chars().any(char::is_control)
}

/// systemd.unit(5): the name's characters, an optional instance, and a type that can read files.
fn unit_name(name: &str) -> Result<(), String> {
    let types = ["service", "socket", "mount", "automount", "swap", "timer", "path"];
    let Some((prefix, kind)) = name.rsplit_once('.') else { return Err("it has no type (.service)".to_owned()) };
    if !types.contains(&kind) {
        return Err(format!("{kind:?} is no type of unit that reads files; expected one of {}", types.join(", ")));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if prefix.is_empty() || prefix.starts_with('@') || !prefix.bytes().all(plain) || name.len() > 255 {
        return Err("it is not the name of a unit".to_owned());
    }
    if prefix.ends_with('@') {
        return Err("it is a template, not a unit; name its instances".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_systemds() {
        for good in ["harmonia.service", "a@b.service", "a-b:c_d.e.timer", r"dev-disk\x2d1.swap"] {
            assert_eq!(unit_name(good), Ok(()), "{good}");
        }
        for bad in
            ["harmonia", "a.slice", ".service", "@b.service", "a@.service", "a b.service", "a/b.service", "ü.service"]
        {
            assert!(unit_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_that_escape_are_none() {
        for bad in ["", "a", "/", "/a/../b", "/a/", "/a//b", "/./a", "/a/.", "/a\nb"] {
            assert!(!is_normal(Utf8Path::new(bad)), "{bad}");
        }
        assert!(is_normal(Utf8Path::new("/nix/store/x y-z.toml")));
        for bad in ["", ".", "..", ".x", "a/b", "current", "generation-1", "a\0"] {
            assert!(!is_component(bad), "{bad}");
        }
    }
}
