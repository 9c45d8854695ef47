//! Checks one service of a description: its options, units, drop-ins and commands.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::namespace::{self, Loss, is_yes};
use super::{built, drop_in, file, names};
use crate::attr_path::AttrPath;
use crate::build::find::unit::{can_reload, last, settings};
use crate::build::problem::{Place, Problems};
use crate::host::systemd::quote;
use crate::host::systemd::users::bare;
use crate::host::templates;
use crate::plan::{Attach, Health, OnChange, OptionSpec, Probe, Service, Unit};
use crate::probe::http::Url;
use crate::render::static_values;
use crate::types::{Below, Schema};

/// Finds what is wrong with a service by itself.
pub fn check(place: &Place, service: &Service, problems: &mut Problems) {
    for (name, spec) in &service.options {
        option(&place.keys(["options", name]), name, spec, problems);
        if !is_used(name, service) {
            problems.add(
                &place.keys(["options", name]),
                "nothing follows from it: no file's value and no drop-in speaks of it, so overriding it would do nothing",
            );
        }
    }
    let values = static_values(service);
    for (name, spec) in &service.files {
        file::check(&place.keys(["files", name]), name, spec, service, &values, problems);
    }
    units(place, service, problems);
    for (unit, template) in &service.drop_ins {
        let place = place.keys(["dropIns", unit]);
        if !service.units.contains_key(unit) {
            problems.add(&place, format!("{unit} is not among the units of the service"));
        }
        for problem in drop_in::check(template, service, &values) {
            problems.add(&place, problem);
        }
    }
    commands(place, service, problems);
}

fn option(place: &Place, name: &str, option: &OptionSpec, problems: &mut Problems) {
    if let Err(error) = AttrPath::parse(name) {
        problems.add(place, error);
    }
    match option.schema.kind() {
        Err(error) => {
            let place = error.place.iter().fold(place.key("schema"), |place, step| place.key(step));
            problems.add(&place, &error.problem);
        }
        Ok(kind) => {
            for fault in kind.mismatches(&option.static_value, Some(&option.static_value)) {
                let at = if fault.path.0.is_empty() { String::new() } else { format!(" at {}", fault.path) };
                let problem = format!(
                    "it refuses the static value {}{at}: {}; expected {}",
                    fault.given, fault.fault, fault.allowed
                );
                problems.add(&place.key("schema"), problem);
            }
        }
    }
    for (index, path) in option.dynamic.iter().flatten().enumerate() {
        if let Some(problem) = no_such_name(&option.schema, path) {
            problems.add(&place.key("dynamic").element(index), problem);
        }
    }
}

/// Why `schema` can't have anything at `path`.
pub fn no_such_name(schema: &Schema, path: &AttrPath) -> Option<String> {
    let Below::NoSuchName { name, known } = schema.kind().ok()?.below(path.names()) else { return None };
    let known =
        if known.is_empty() { "there are no names there".to_owned() } else { format!("it has {}", known.join(", ")) };
    Some(format!("the option's type has no {name} at {path}; {known}"))
}

/// Whether an override of the option can change anything.
fn is_used(name: &str, service: &Service) -> bool {
    let in_files = service.files.values().any(|file| file.value.options().contains(&name));
    in_files || service.drop_ins.values().any(|template| drop_in::speaks_of(template, name))
}

fn units(place: &Place, service: &Service, problems: &mut Problems) {
    if service.units.is_empty() {
        problems.add(&place.key("units"), "it is empty");
    }
    for (name, unit) in &service.units {
        let place = place.keys(["units", name]);
        if let Err(problem) = names::unit(name) {
            problems.add(&place, problem);
            continue;
        }
        let read = |wanted: fn(&Attach) -> bool| {
            service.files.values().any(|file| file.is_read_by(name) && wanted(&file.attach))
        };
        let binds = read(|attach| matches!(attach, Attach::Bind(_) | Attach::Credential(_)));
        let is_loaded = read(|attach| matches!(attach, Attach::Credential(_)));
        let takes_words = read(|attach| matches!(attach, Attach::Environment { .. } | Attach::Variables { .. }));
        if binds && names::exec_section(name).is_none() {
            problems.add(&place, "a unit of this type executes nothing, so no file can be bound for it");
        }
        if takes_words && !name.ends_with(".service") {
            problems.add(&place, "only a service has a command line that a file of flags could give");
        }
        if unit.on_change == OnChange::Reload {
            if !name.ends_with(".service") {
                problems.add(&place.key("onChange"), "only a service can be reloaded; say restart");
            } else if takes_words {
                problems.add(&place.key("onChange"), "a reload does not read a new command line; say restart");
            } else if is_loaded {
                problems.add(&place.key("onChange"), "a reload does not load a new credential; say restart");
            }
        }
        if let Some(problem) = unit.text.as_deref().and_then(|text| refuses(name, text, unit.on_change)) {
            problems.add(&place.key("onChange"), problem);
        }
        // What was found was seen in the unit.
        let given = service.files.iter().filter(|(_, spec)| spec.is_read_by(name) && spec.found.is_none());
        for (file, spec) in given {
            if let Some(problem) = unit.text.as_deref().and_then(|text| built::differs(&spec.attach, text)) {
                problems.add(&place, format!("{problem} (files.{file}.attach)"));
            }
        }
        binds_of(&place, name, unit, service, problems);
    }
}

/// Why systemd would refuse the action of a unit for a changed value (systemd.unit(5), systemd.service(5)).
fn refuses(name: &str, text: &str, on_change: OnChange) -> Option<String> {
    let settings = settings(text);
    match on_change {
        OnChange::Restart => {
            let refuses = |key: &&str| last(&settings, key).is_some_and(is_yes);
            let key = ["RefuseManualStart", "RefuseManualStop"].into_iter().find(refuses)?;
            Some(format!(
                "{name} cannot be restarted by hand ({key}=yes), so no new value would ever come into effect; say reload, if \
                 it can, or set systemd.services.NAME.unitConfig.{key} = false"
            ))
        }
        // A text without a command only adds to a unit file of another package.
        OnChange::Reload if last(&settings, "ExecStart").is_some() && !can_reload(&settings) => {
            Some(format!("{name} has nothing to reload with (no ExecReload=, and not Type=notify-reload); say restart"))
        }
        OnChange::Reload => None,
    }
}

/// Checks the effects of binds on a unit.
fn binds_of(place: &Place, name: &str, unit: &Unit, service: &Service, problems: &mut Problems) {
    let targets = bound(service, name);
    if targets.is_empty() {
        return;
    }
    if let Some(text) = &unit.text {
        for problem in targets.iter().filter_map(|target| namespace::hidden(name, text, target)) {
            problems.add(place, problem);
        }
    }
    if names::exec_section(name) == Some("Mount") {
        problems.add(place, "with a bind, a mount is made where nobody else sees it, and fails");
    } else if let (false, Some(Loss::Purpose(what))) =
        (unit.private_mounts, namespace::loss(bare(name), unit.text.as_deref()))
    {
        problems.add(
            place,
            format!(
                "{name} {what}, and a bind gives it a mount namespace of its own: what is mounted within is not mounted for \
                 the rest of the system; attach the file in another way, or accept that with privateMounts = true"
            ),
        );
    }
}

/// The places where a unit has files bound.
fn bound<'s>(service: &'s Service, unit: &str) -> Vec<&'s Utf8Path> {
    let files = service.files.values().filter(|file| file.is_read_by(unit));
    files
        .filter_map(|file| match &file.attach {
            Attach::Bind(target) => Some(target.as_path()),
            _ => None,
        })
        .collect()
}

/// Warnings about the units of a service that lose something by a bind, which may not matter.
pub fn warnings(service: &Service) -> impl Iterator<Item = String> + '_ {
    let concerned =
        service.units.iter().filter(|(name, unit)| !unit.private_mounts && !bound(service, name).is_empty());
    concerned.filter(|(name, unit)| namespace::loss(bare(name), unit.text.as_deref()) == Some(Loss::Perhaps)).map(
        |(name, _)| {
            format!(
                "{name} gets a mount namespace of its own by its bind: what it mounts is not seen by others; \
             units.\"{name}\".privateMounts = true if it mounts nothing"
            )
        },
    )
}

fn commands(place: &Place, service: &Service, problems: &mut Problems) {
    if let Some(check) = &service.check {
        let place = place.keys(["check", "command"]);
        let staged: BTreeMap<String, String> =
            service.files.keys().map(|name| (name.clone(), format!("/run/dynix/{name}"))).collect();
        match templates::command(&check.command, &staged) {
            Err(error) => problems.add(&place, error),
            Ok(words) => program(&place, &words, problems),
        }
    }
    if let Some(health) = &service.health {
        probe(&place.keys(["health", "probe"]), health, problems);
    }
}

fn probe(place: &Place, health: &Health, problems: &mut Problems) {
    match &health.probe {
        Probe::Command(words) => program(&place.key("command"), words, problems),
        Probe::Http(url) => {
            if let Err(problem) = Url::parse(url) {
                problems.add(&place.key("http"), problem);
            }
        }
        Probe::Unix(path) => {
            if let Err(problem) = names::path(path) {
                problems.add(&place.key("unix"), problem);
            }
        }
        Probe::Tcp(address) => {
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            if !port.is_some_and(|port| port.parse().is_ok_and(|port: u16| port > 0)) {
                problems.add(&place.key("tcp"), format!("{address:?} is not ADDRESS:PORT, as in 127.0.0.1:9090"));
            }
        }
    }
}

/// A program is named by its whole path: what PATH would find differs from one caller of dynix to the next.
fn program(place: &Place, words: &[String], problems: &mut Problems) {
    match words.first() {
        None => problems.add(place, "it is empty"),
        Some(program) => {
            if let Err(problem) = names::path(program.as_str().into()) {
                problems.add(place, format!("its program {problem}"));
            }
        }
    }
    if words.iter().any(|word| word.contains('\0')) {
        problems.add(place, format!("one of its words {}", quote::QuoteError::Nul));
    }
}
