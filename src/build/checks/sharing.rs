//! Checks what two services, or two files, can't share: an option, a unit, a place in a unit, a place in the order.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::attr_path::AttrPath;
use crate::build::problem::{Place, Problems};
use crate::plan::order;
use crate::plan::{Attach, File, Plan, Service};

/// Finds what is there twice.
pub fn check(plan: &Plan, problems: &mut Problems) {
    options(plan, problems);
    order(plan, problems);
    links(plan, problems);
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in &plan.services {
        let place = Place::top().keys(["services", name]);
        for unit in service.units.keys() {
            if let Some(owner) = owners.insert(unit, name) {
                let problem =
                    format!("the unit is one of the service {owner} already; a unit's files belong to one service");
                problems.add(&place.keys(["units", unit]), problem);
            }
            files(&place, unit, service, problems);
        }
    }
}

/// An override is for one option of one service, so no option can be there twice or lie within another.
fn options(plan: &Plan, problems: &mut Problems) {
    let mut all: Vec<(AttrPath, Place)> = plan
        .services
        .iter()
        .flat_map(|(service, spec)| {
            let place = Place::top().keys(["services", service, "options"]);
            spec.options.keys().filter_map(move |name| Some((AttrPath::parse(name).ok()?, place.key(name))))
        })
        .collect();
    all.sort();
    let mut outer: Option<&(AttrPath, Place)> = None;
    for one in &all {
        match outer {
            Some(outer) if one.0 == outer.0 => problems.add(&one.1, format!("the option is at {} already", outer.1)),
            Some(outer) if one.0.starts_with(&outer.0) => {
                problems.add(&one.1, format!("the option lies within {}, which is at {}", outer.0, outer.1));
            }
            _ => outer = Some(one),
        }
    }
}

/// A link under /etc leads to one file.
fn links(plan: &Plan, problems: &mut Problems) {
    let mut taken: BTreeMap<&Utf8Path, (&str, &str)> = BTreeMap::new();
    for (service, spec) in &plan.services {
        for (name, file) in &spec.files {
            let Attach::Etc(path) = &file.attach else { continue };
            if let Some((other, file)) = taken.insert(path, (service, name)) {
                let problem = format!("{path} leads to the file {file} of {other} already");
                problems.add(&Place::top().keys(["services", service, "files", name, "attach"]).key("etc"), problem);
            }
        }
    }
}

/// A service comes after services that there are, and not after itself.
fn order(plan: &Plan, problems: &mut Problems) {
    for (name, service) in &plan.services {
        let place = Place::top().keys(["services", name, "after"]);
        for (index, other) in service.after.iter().enumerate() {
            if !plan.services.contains_key(other) {
                problems.add(&place.element(index), format!("there is no service {other}"));
            }
        }
        // A cycle is reported once, for the first of its services.
        if let Some(cycle) = order::cycle(&plan.services, name).filter(|cycle| cycle.iter().min() == Some(name)) {
            problems.add(&place, format!("the services come after each other: {}", cycle.join(" after ")));
        }
    }
}

/// Two files that `unit` would see in one place.
fn files(place: &Place, unit: &str, service: &Service, problems: &mut Problems) {
    let mut targets: BTreeMap<&Utf8Path, &str> = BTreeMap::new();
    let mut credentials: BTreeMap<&str, &str> = BTreeMap::new();
    let mut words: Option<(&str, &str)> = None;
    for (name, file) in service.files.iter().filter(|(_, file)| file.is_read_by(unit)) {
        let place = place.keys(["files", name, "attach"]);
        match &file.attach {
            Attach::Bind(target) => {
                if let Some(other) = targets.insert(target, name) {
                    problems.add(&place.key("bind"), format!("{unit} has the file {other} at {target} already"));
                }
            }
            Attach::Credential(id) => {
                if let Some(other) = credentials.insert(id, name) {
                    let problem = format!("{unit} has the file {other} as the credential {id} already");
                    problems.add(&place.key("credential"), problem);
                }
            }
            // A link is for all (see `links`); a variable that is set twice is the later one.
            Attach::Etc(_) | Attach::Variables { .. } => {}
            Attach::Environment { variable, .. } => {
                // A unit has one command line, and so one file of words; in one variable, they would not even be two.
                match words.replace((name, variable)) {
                    Some((other, taken)) if taken == variable => {
                        let problem = format!("{unit} has the words of {other} in {variable} already");
                        problems.add(&place.keys(["environment", "variable"]), problem);
                    }
                    Some((other, _)) => {
                        let problem = format!("{unit} has its command line from the file {other} already");
                        problems.add(&place.key("environment"), problem);
                    }
                    None => {}
                }
            }
        }
    }
    within(place, unit, &service.files, &targets, problems);
}

/// A file bound below another file: there is no such place.
fn within(
    place: &Place,
    unit: &str,
    files: &BTreeMap<String, File>,
    targets: &BTreeMap<&Utf8Path, &str>,
    problems: &mut Problems,
) {
    for (target, name) in targets {
        let above = target.ancestors().skip(1).find_map(|above| targets.get(above).map(|other| (above, other)));
        if let Some((above, other)) = above.filter(|_| files.contains_key(*name)) {
            let problem = format!("{unit} has the file {other} at {above}, so there is nothing below it");
            problems.add(&place.keys(["files", name, "attach", "bind"]), problem);
        }
    }
}
